package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// resources returns the resources of the daemon's container.
func resources(l *v1alpha1.SFTPListener) corev1.ResourceRequirements {
	if r := l.Spec.Infrastructure.Pod.Resources; r != nil {
		return corev1.ResourceRequirements{Requests: amounts(r.Requests), Limits: amounts(r.Limits)}
	}
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("50m"),
		corev1.ResourceMemory: resource.MustParse("64Mi"),
	}}
}

func amounts(a *v1alpha1.ResourceAmounts) corev1.ResourceList {
	if a == nil {
		return nil
	}
	out := corev1.ResourceList{}
	for name, q := range map[corev1.ResourceName]*resource.Quantity{
		corev1.ResourceCPU:              a.CPU,
		corev1.ResourceMemory:           a.Memory,
		corev1.ResourceEphemeralStorage: a.EphemeralStorage,
	} {
		if q != nil {
			out[name] = q.DeepCopy()
		}
	}
	return out
}

func tolerations(l *v1alpha1.SFTPListener) []corev1.Toleration {
	var out []corev1.Toleration
	for _, t := range l.Spec.Infrastructure.Pod.Tolerations {
		c := corev1.Toleration{
			Key:               t.Key,
			Operator:          corev1.TolerationOperator(t.Operator),
			Effect:            corev1.TaintEffect(t.Effect),
			TolerationSeconds: t.TolerationSeconds,
		}
		if t.Value != nil {
			c.Value = *t.Value
		}
		out = append(out, c)
	}
	return out
}

func pullSecrets(l *v1alpha1.SFTPListener) []corev1.LocalObjectReference {
	var out []corev1.LocalObjectReference
	for _, s := range l.Spec.Infrastructure.Pod.ImagePullSecrets {
		out = append(out, corev1.LocalObjectReference{Name: s.Name})
	}
	return out
}

// spread returns the constraints of a listener, or by default one that spreads its pods over nodes if possible.
func spread(l *v1alpha1.SFTPListener) []corev1.TopologySpreadConstraint {
	selector := &metav1.LabelSelector{MatchLabels: Selector(l)}
	given := l.Spec.Infrastructure.Pod.TopologySpreadConstraints
	if len(given) == 0 {
		return []corev1.TopologySpreadConstraint{{
			MaxSkew:           1,
			TopologyKey:       corev1.LabelHostname,
			WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector:     selector,
		}}
	}
	out := make([]corev1.TopologySpreadConstraint, len(given))
	for i, c := range given {
		out[i] = corev1.TopologySpreadConstraint{
			MaxSkew:            c.MaxSkew,
			TopologyKey:        c.TopologyKey,
			WhenUnsatisfiable:  corev1.UnsatisfiableConstraintAction(c.WhenUnsatisfiable),
			MinDomains:         c.MinDomains,
			NodeAffinityPolicy: inclusion(c.NodeAffinityPolicy),
			NodeTaintsPolicy:   inclusion(c.NodeTaintsPolicy),
			MatchLabelKeys:     c.MatchLabelKeys,
			LabelSelector:      selector,
		}
	}
	return out
}

func inclusion(p v1alpha1.SpreadNodePolicy) *corev1.NodeInclusionPolicy {
	if p == "" {
		return nil
	}
	return new(corev1.NodeInclusionPolicy(p))
}
