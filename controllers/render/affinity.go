package render

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// affinity returns the affinity of a listener's pods, nil for none.
func affinity(l *v1alpha1.SFTPListener) *corev1.Affinity {
	in := l.Spec.Infrastructure.Pod.Affinity
	if in == nil {
		return nil
	}
	out := &corev1.Affinity{NodeAffinity: nodeAffinity(in.NodeAffinity)}
	if t := in.PodAffinity; t != nil {
		out.PodAffinity = &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution:  requiredTerms(l, t),
			PreferredDuringSchedulingIgnoredDuringExecution: preferredTerms(l, t),
		}
	}
	if t := in.PodAntiAffinity; t != nil {
		out.PodAntiAffinity = &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution:  requiredTerms(l, t),
			PreferredDuringSchedulingIgnoredDuringExecution: preferredTerms(l, t),
		}
	}
	return out
}

func nodeAffinity(in *v1alpha1.NodeAffinity) *corev1.NodeAffinity {
	if in == nil {
		return nil
	}
	out := &corev1.NodeAffinity{}
	if in.Required != nil {
		out.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{}
		for _, t := range in.Required.NodeSelectorTerms {
			s := out.RequiredDuringSchedulingIgnoredDuringExecution
			s.NodeSelectorTerms = append(s.NodeSelectorTerms, nodeTerm(t))
		}
	}
	for _, p := range in.Preferred {
		out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.PreferredSchedulingTerm{Weight: p.Weight, Preference: nodeTerm(p.Preference)})
	}
	return out
}

func nodeTerm(in v1alpha1.NodeSelectorTerm) (out corev1.NodeSelectorTerm) {
	for _, e := range in.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions, corev1.NodeSelectorRequirement{
			Key: e.Key, Operator: corev1.NodeSelectorOperator(e.Operator), Values: e.Values,
		})
	}
	return out
}

func requiredTerms(l *v1alpha1.SFTPListener, in *v1alpha1.PodAffinityTerms) (out []corev1.PodAffinityTerm) {
	for _, t := range in.Required {
		out = append(out, podTerm(l, t))
	}
	return out
}

func preferredTerms(l *v1alpha1.SFTPListener, in *v1alpha1.PodAffinityTerms) (out []corev1.WeightedPodAffinityTerm) {
	for _, t := range in.Preferred {
		out = append(out, corev1.WeightedPodAffinityTerm{Weight: t.Weight, PodAffinityTerm: podTerm(l, t.Term)})
	}
	return out
}

// podTerm returns a term about pods in the listener's namespace: those of the listener, unless it selects others. Kubernetes
// would interpret a term without a selector as one that matches no pods.
func podTerm(l *v1alpha1.SFTPListener, in v1alpha1.PodAffinityTerm) corev1.PodAffinityTerm {
	selector := in.LabelSelector.LabelSelector()
	if selector == nil {
		selector = &metav1.LabelSelector{MatchLabels: Selector(l)}
	}
	return corev1.PodAffinityTerm{TopologyKey: in.TopologyKey, LabelSelector: selector}
}
