package rollout

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Held returns what a Deployment should be while a change of it waits: as wanted, but for the
// parts that the change names, which are as they were applied before. It returns false if
// that cannot be told: of podTemplate, only a digest is kept.
func Held(live, want *appsv1.Deployment, change Change) (*appsv1.Deployment, bool) {
	if slices.Contains(change.Names, ChangePodTemplate) {
		return nil, false
	}
	out := want.DeepCopy()
	// Strategy and replicas belong to no part, and follow when the Deployment is applied.
	live.Spec.Strategy.DeepCopyInto(&out.Spec.Strategy)
	out.Spec.Replicas = live.Spec.Replicas
	from, to := live.Spec.Template.DeepCopy(), &out.Spec.Template
	theirs, ours := daemon(&from.Spec), daemon(&to.Spec)
	if theirs == nil || ours == nil {
		return nil, false
	}
	for _, name := range change.Names {
		switch name {
		case ChangeImage:
			ours.Image, ours.ImagePullPolicy = theirs.Image, theirs.ImagePullPolicy
		case changeShutdown:
			to.Spec.TerminationGracePeriodSeconds = from.Spec.TerminationGracePeriodSeconds
		case changeLabels:
			to.Labels = from.Labels
		case changeAnnotations:
			to.Annotations = from.Annotations
		case changeNodeSelector:
			to.Spec.NodeSelector = from.Spec.NodeSelector
		case changeTolerations:
			to.Spec.Tolerations = from.Spec.Tolerations
		case changeSpread:
			to.Spec.TopologySpreadConstraints = from.Spec.TopologySpreadConstraints
		case changePriority:
			to.Spec.PriorityClassName = from.Spec.PriorityClassName
		case changePullSecrets:
			to.Spec.ImagePullSecrets = from.Spec.ImagePullSecrets
		case changeResources:
			ours.Resources, ours.Env = theirs.Resources, theirs.Env
		case changeMaxUsers:
			keepConfiguration(&to.Spec, &from.Spec)
		case changeVolumes:
			keepVolumes(out, live)
		default:
			return nil, false // a part that this version does not know
		}
	}
	return out, true
}

// keepConfiguration takes the volume of the configuration, the first one, from a live pod's spec.
func keepConfiguration(to, from *corev1.PodSpec) {
	if len(to.Volumes) == 0 {
		return
	}
	i := slices.IndexFunc(from.Volumes, func(v corev1.Volume) bool { return v.Name == to.Volumes[0].Name })
	if i >= 0 {
		to.Volumes[0] = from.Volumes[i]
	}
}

// keepVolumes takes the volumes from a live Deployment, but for that of the configuration.
func keepVolumes(out, live *appsv1.Deployment) {
	to, from := &out.Spec.Template.Spec, live.Spec.Template.Spec.DeepCopy()
	config := to.Volumes[:min(1, len(to.Volumes))]
	to.Volumes = slices.Clone(config)
	for _, v := range from.Volumes {
		if len(config) == 0 || v.Name != config[0].Name {
			to.Volumes = append(to.Volumes, v)
		}
	}
	ours := daemon(to)
	mounts := slices.DeleteFunc(slices.Clone(ours.VolumeMounts), func(m corev1.VolumeMount) bool { return m.MountPath != render.ConfigDir })
	for _, m := range daemon(from).VolumeMounts {
		if m.MountPath != render.ConfigDir {
			mounts = append(mounts, m)
		}
	}
	ours.VolumeMounts = mounts
}
