// Package purge decides whether the directory of a deleted user may be removed, and makes the Job that does it. It knows no
// cluster.
package purge

import (
	"fmt"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Input is what a purge is decided from.
type Input struct {
	Listener *v1alpha1.SFTPListener
	// Deployment is the listener's, whose image and rights the Job has.
	Deployment *appsv1.Deployment
	// Users of all namespaces and listeners: two listeners may have one claim.
	Users []v1alpha1.SFTPUser
	// Namespace and Name of the user that is gone.
	Namespace, Name string
	// Running reports whether the listener has pods: the Job must be on a node that can mount what they have mounted.
	Running bool
	// Remove removes the directory, instead of counting what is in it.
	Remove bool
}

// Plan is what to do.
type Plan struct {
	// Job is what counts or removes.
	Job *batchv1.Job
	// Notes are what the caller should know.
	Notes []string
}

// Directory is a user's directory on each volume.
func (in Input) Directory() string { return path.Join(in.Namespace, in.Name) }

// Decide returns the plan, or why there is none.
func Decide(in Input) (Plan, error) {
	var plan Plan
	for i := range in.Users {
		u := &in.Users[i]
		if u.Namespace == in.Namespace && u.Name == in.Name {
			return Plan{}, fmt.Errorf("SFTPUser %s/%s exists; its files are removed only when it is gone: kubectl delete sftpuser -n %s %s", u.Namespace, u.Name, u.Namespace, u.Name)
		}
		for _, d := range directories(u) {
			sub := attach.SubPathOf(u, d)
			switch {
			case contains(in.Directory(), sub):
				return Plan{}, fmt.Errorf("SFTPUser %s/%s has the directory %s, which is in %s: change or delete it first", u.Namespace, u.Name, sub, in.Directory())
			case contains(sub, in.Directory()):
				plan.Notes = append(plan.Notes, fmt.Sprintf("SFTPUser %s/%s has a directory that contains %s, and will not find it any more", u.Namespace, u.Name, in.Directory()))
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

const (
	// maxTime bounds a Job. The largest directories take minutes.
	maxTime = 3600
	// keptFor is how long a finished Job is kept if the command was interrupted, in seconds.
	keptFor = 600
	// ContainerName is that of the Job's container.
	ContainerName = "purge"
)

// job makes the Job: a pod as those of the listener, without its configuration. It is nil without a volume to look at.
func (in Input) job() (job *batchv1.Job, notes []string) {
	l, template := in.Listener, in.Deployment.Spec.Template.DeepCopy()
	daemon := template.Spec.Containers[0]
	args := []string{"-directory", in.Directory()}
	var mounts []corev1.VolumeMount
	var volumes []corev1.Volume
	for _, v := range l.Spec.Volumes {
		if v.EmptyDir != nil {
			notes = append(notes, fmt.Sprintf("volume %s is an emptyDir, which ends with its pod", v.Name))
			continue
		}
		at := render.PodVolumePath(v.Name)
		for _, m := range daemon.VolumeMounts {
			if i := slices.IndexFunc(template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }); m.MountPath == at && i >= 0 {
				mounts, volumes = append(mounts, m), append(volumes, template.Spec.Volumes[i])
				args = append(args, "-volume", v.Name+"="+at)
			}
		}
	}
	if len(volumes) == 0 {
		return nil, nil
	}
	if in.Remove {
		args = append(args, "-remove")
	}
	labels := map[string]string{"app.kubernetes.io/name": "sftp-purge", "app.kubernetes.io/managed-by": "kubectl-sftp"}
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
		ServiceAccountName: template.Spec.ServiceAccountName, SecurityContext: template.Spec.SecurityContext,
		NodeSelector: template.Spec.NodeSelector, Tolerations: template.Spec.Tolerations, ImagePullSecrets: template.Spec.ImagePullSecrets,
		PriorityClassName: template.Spec.PriorityClassName,
		Containers: []corev1.Container{{
			Name: ContainerName, Image: daemon.Image, ImagePullPolicy: daemon.ImagePullPolicy, Command: []string{"/sftpd", "purge"}, Args: args,
			Resources: daemon.Resources, SecurityContext: daemon.SecurityContext, VolumeMounts: mounts,
		}},
		Volumes: volumes,
	}
	if in.Running {
		spec.Affinity = beside(in.Deployment)
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, GenerateName: "sftp-purge-", Labels: labels},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), ActiveDeadlineSeconds: new(int64(maxTime)), TTLSecondsAfterFinished: new(int32(keptFor)),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, notes
}

// beside has a pod run on a node that has one of the listener's: a claim of one node can be mounted there only.
func beside(d *appsv1.Deployment) *corev1.Affinity {
	return &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
		LabelSelector: d.Spec.Selector, TopologyKey: corev1.LabelHostname,
	}}}}
}
