// Package purge decides whether the directory of a deleted user may be removed, and creates the Job that does it. It does
// not access a cluster.
package purge

import (
	"fmt"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/podjob"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

// Input is the data on which a purge is decided.
type Input struct {
	Listener *v1alpha1.SFTPListener
	// Deployment is the listener's; the Job gets its image and permissions.
	Deployment *appsv1.Deployment
	// Users of all namespaces and listeners: two listeners may have one claim.
	Users []v1alpha1.SFTPUser
	// Namespace and Name of the deleted user.
	Namespace, Name string
	// Running reports whether the listener has pods: the Job must run on a node that can mount the same volumes.
	Running bool
	// Remove removes the directory instead of counting its content, and RemoveReceipts does the same for the user's
	// receipts.
	Remove, RemoveReceipts bool
}

// Plan is what to do.
type Plan struct {
	// Job counts or removes the files.
	Job *batchv1.Job
	// Notes are what the caller should know.
	Notes []string
}

// Directory returns the user's directory, relative to each volume.
func (in Input) Directory() string { return path.Join(in.Namespace, in.Name) }

// Decide returns the plan, or why there is none.
func Decide(in Input) (Plan, error) {
	var plan Plan
	for i := range in.Users {
		u := &in.Users[i]
		if u.Namespace == in.Namespace && u.Name == in.Name {
			return Plan{}, fmt.Errorf("SFTPUser %s/%s exists; its files are removed only after it has been deleted: kubectl delete sftpuser -n %s %s", u.Namespace, u.Name, u.Namespace, u.Name)
		}
		for _, d := range directories(u) {
			sub := attach.SubPathOf(u, d)
			switch {
			case contains(in.Directory(), sub):
				return Plan{}, fmt.Errorf("SFTPUser %s/%s has the directory %s, which is in %s: change or delete it first", u.Namespace, u.Name, sub, in.Directory())
			case contains(sub, in.Directory()):
				plan.Notes = append(plan.Notes, fmt.Sprintf("SFTPUser %s/%s has a directory that contains %s, which will then be missing there", u.Namespace, u.Name, in.Directory()))
			}
		}
	}
	plan.Notes = slices.Compact(plan.Notes)
	job, notes := in.job()
	if job == nil {
		return Plan{}, fmt.Errorf("SFTPListener %s/%s has no volume that outlives its pods: there is nothing to remove", in.Listener.Namespace, in.Listener.Name)
	}
	plan.Job, plan.Notes = job, append(plan.Notes, notes...)
	return plan, nil
}

func directories(u *v1alpha1.SFTPUser) []v1alpha1.Directory {
	out := []v1alpha1.Directory{u.Spec.HomeDirectory}
	for _, m := range u.Spec.Mounts {
		out = append(out, m.Directory)
	}
	return out
}

// contains reports whether path is outer or below it. The whole volume is "".
func contains(outer, path string) bool {
	return outer == "" || path == outer || strings.HasPrefix(path, outer+"/")
}

// ContainerName is the name of the Job's container.
const ContainerName = "purge"

// job builds the Job. It is nil if no volume has to be checked.
func (in Input) job() (job *batchv1.Job, notes []string) {
	args := []string{"-directory", in.Directory(), "-listener", path.Join(in.Listener.Namespace, in.Listener.Name)}
	if in.Remove {
		args = append(args, "-remove")
	}
	if in.RemoveReceipts {
		args = append(args, "-remove-receipts")
	}
	return podjob.New(podjob.Input{
		Listener: in.Listener, Deployment: in.Deployment, Running: in.Running,
		Name: ContainerName, Command: []string{"/sftpd", "purge"}, Args: args,
	})
}
