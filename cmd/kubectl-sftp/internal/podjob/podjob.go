// Package podjob creates Jobs whose pods are like those of a listener: with its image, its volumes and its permissions. It
// does not access a cluster.
package podjob

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

const (
	// maxTime bounds a Job, in seconds. The largest directories take minutes.
	maxTime = 3600
	// keptFor is how long a finished Job is kept if the command was interrupted, in seconds.
	keptFor = 600
)

// Input is what a Job is made from.
type Input struct {
	Listener *v1alpha1.SFTPListener
	// Deployment is the listener's, whose image and permissions the Job has.
	Deployment *appsv1.Deployment
	// Running reports whether the listener has pods: the Job must be on a node that can mount what they have mounted.
	Running bool
	// Name of the Job's container, and with the prefix sftp- of the Job.
	Name string
	// Command and Args of the container. For each volume, an argument -volume name=path is added, unless Configuration is set.
	Command, Args []string
	// Configuration also mounts the configuration of the listener's pods.
	Configuration bool
	// ReadOnly mounts volumes read-only.
	ReadOnly bool
}

// New returns the Job, nil if the listener has no volume that outlives its pods, and what the caller should know.
func New(in Input) (job *batchv1.Job, notes []string) {
	l, template := in.Listener, in.Deployment.Spec.Template.DeepCopy()
	daemon := template.Spec.Containers[0]
	c := corev1.Container{
		Name: in.Name, Image: daemon.Image, ImagePullPolicy: daemon.ImagePullPolicy, Command: in.Command, Args: slices.Clone(in.Args),
		Resources: daemon.Resources, SecurityContext: daemon.SecurityContext,
	}
	var volumes []corev1.Volume
	mount := func(path string) bool {
		for _, m := range daemon.VolumeMounts {
			if i := slices.IndexFunc(template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }); m.MountPath == path && i >= 0 {
				m.ReadOnly = m.ReadOnly || in.ReadOnly
				c.VolumeMounts, volumes = append(c.VolumeMounts, m), append(volumes, template.Spec.Volumes[i])
				return true
			}
		}
		return false
	}
	for _, v := range l.Spec.Volumes {
		if v.EmptyDir != nil {
			notes = append(notes, fmt.Sprintf("volume %s is an emptyDir, which ends with its pod", v.Name))
			continue
		}
		if at := render.PodVolumePath(v.Name); mount(at) && !in.Configuration {
			c.Args = append(c.Args, "-volume", v.Name+"="+at)
		}
	}
	if len(volumes) == 0 {
		return nil, nil
	}
	if in.Configuration {
		mount(render.ConfigDir)
	}
	labels := map[string]string{"app.kubernetes.io/name": "sftp-" + in.Name, "app.kubernetes.io/managed-by": "kubectl-sftp"}
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
		ServiceAccountName: template.Spec.ServiceAccountName, SecurityContext: template.Spec.SecurityContext,
		NodeSelector: template.Spec.NodeSelector, Tolerations: template.Spec.Tolerations, ImagePullSecrets: template.Spec.ImagePullSecrets,
		PriorityClassName: template.Spec.PriorityClassName,
		Containers:        []corev1.Container{c},
		Volumes:           volumes,
	}
	if in.Running {
		spec.Affinity = beside(in.Deployment)
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, GenerateName: "sftp-" + in.Name + "-", Labels: labels},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), ActiveDeadlineSeconds: new(int64(maxTime)), TTLSecondsAfterFinished: new(int32(keptFor)),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, notes
}

// beside makes a pod run on a node with one of the listener's: a single-node claim can only be mounted there.
func beside(d *appsv1.Deployment) *corev1.Affinity {
	return &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
		LabelSelector: d.Spec.Selector, TopologyKey: corev1.LabelHostname,
	}}}}
}
