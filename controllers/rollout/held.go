package rollout

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Held returns what a Deployment should be while a change to it waits: as wanted, except for
// the parts that the change names, which keep their previously applied values. It returns
// false if those are unknown: for podTemplate, only a digest is kept.
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
			ours.Image = theirs.Image
		case changePullPolicy:
			ours.ImagePullPolicy = theirs.ImagePullPolicy
		case changeGroups, changeFSGroup:
			if !keepGroups(&to.Spec, &from.Spec, name) {
				return nil, false
			}
		case changeResources:
			ours.Resources, ours.Env = theirs.Resources, theirs.Env
		case changeMaxUsers:
			keepConfiguration(&to.Spec, &from.Spec)
		case changeVolumes:
			keepVolumes(out, live)
		default:
			if !keepField(to, from, name) {
				return nil, false // a part unknown to this version
			}
		}
	}
	return out, true
}

// keepField copies one field of a live pod's template. It returns false if the change is not of such a field.
func keepField(to, from *corev1.PodTemplateSpec, change string) bool {
	switch change {
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
	case changeAffinity:
		to.Spec.Affinity = from.Spec.Affinity
	case changeRuntimeClass:
		to.Spec.RuntimeClassName = from.Spec.RuntimeClassName
	case changeScheduler:
		to.Spec.SchedulerName = from.Spec.SchedulerName
	default:
		return false
	}
	return true
}

// keepConfiguration copies the configuration volume, the first one, from a live pod's spec.
func keepConfiguration(to, from *corev1.PodSpec) {
	if len(to.Volumes) == 0 {
		return
	}
	i := slices.IndexFunc(from.Volumes, func(v corev1.Volume) bool { return v.Name == to.Volumes[0].Name })
	if i >= 0 {
		mode := configMode(to)
		to.Volumes[0] = *from.Volumes[i].DeepCopy()
		setConfigMode(to, mode)
	}
}

// keepGroups copies the groups of a live pod's spec, or the one that owns its volumes with the mode that follows it. It
// returns false if one of them has no groups at all, which the operator never creates.
func keepGroups(to, from *corev1.PodSpec, change string) bool {
	if to.SecurityContext == nil || from.SecurityContext == nil {
		return false
	}
	if change == changeGroups {
		to.SecurityContext.SupplementalGroups = from.SecurityContext.SupplementalGroups
		return true
	}
	to.SecurityContext.FSGroup = from.SecurityContext.FSGroup
	setConfigMode(to, configMode(from))
	return true
}

// keepVolumes copies the volumes from a live Deployment, except the configuration volume.
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
