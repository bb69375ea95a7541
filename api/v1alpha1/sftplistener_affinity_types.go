package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The types of this file are a bounded subset of core/v1's Affinity, with its names, so that terms written for other
// pods can be copied. They do not cover pods in other namespaces.

// PodAffinity controls where pods should and should not be placed.
//
// +kubebuilder:validation:MinProperties=1
type PodAffinity struct {
	// nodeAffinity selects nodes by their labels.
	// +optional
	NodeAffinity *NodeAffinity `json:"nodeAffinity,omitempty"`

	// podAffinity places the pods near other pods in the namespace.
	// +optional
	PodAffinity *PodAffinityTerms `json:"podAffinity,omitempty"`

	// podAntiAffinity keeps the pods away from other pods in the namespace.
	// +optional
	PodAntiAffinity *PodAffinityTerms `json:"podAntiAffinity,omitempty"`
}

// NodeAffinity selects nodes.
//
// +kubebuilder:validation:MinProperties=1
type NodeAffinity struct {
	// requiredDuringSchedulingIgnoredDuringExecution are the nodes that pods may be placed on.
	// +optional
	Required *NodeSelector `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"` //nolint:kubeapilinter // core/v1's name

	// preferredDuringSchedulingIgnoredDuringExecution are nodes that are preferred over
	// others.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Preferred []PreferredNodes `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"` //nolint:kubeapilinter // core/v1's name
}

// NodeSelector selects the nodes of at least one of its terms.
type NodeSelector struct {
	// nodeSelectorTerms are the terms.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	NodeSelectorTerms []NodeSelectorTerm `json:"nodeSelectorTerms,omitempty"`
}

// NodeSelectorTerm selects the nodes that meet all its expressions.
type NodeSelectorTerm struct {
	// matchExpressions are conditions on a node's labels.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	MatchExpressions []NodeSelectorRequirement `json:"matchExpressions,omitempty"`
}

// NodeSelectorRequirement is a condition on a label of a node.
//
// +kubebuilder:validation:XValidation:message="operator must be In or NotIn with values, Gt or Lt with one whole number, or Exists or DoesNotExist without values",rule="has(self.values) ? (self.operator in ['In', 'NotIn'] || (self.operator in ['Gt', 'Lt'] && size(self.values) == 1 && self.values[0].matches('^[0-9]{1,18}$'))) : self.operator in ['Exists', 'DoesNotExist']"
type NodeSelectorRequirement struct {
	// key of the label.
	// +required
	Key QualifiedName `json:"key,omitempty"`

	// operator In and NotIn compare the value with values, Gt and Lt compare numbers; Exists
	// and DoesNotExist only check for the label.
	// +required
	Operator NodeSelectorOperator `json:"operator,omitempty"`

	// values to compare with.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Values []LabelValue `json:"values,omitempty"`
}

// NodeSelectorOperator is how a label of a node is compared.
//
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist;Gt;Lt
type NodeSelectorOperator string

// PreferredNodes are nodes that are preferred over others.
type PreferredNodes struct {
	// weight is how strongly they are preferred.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Weight int32 `json:"weight,omitempty"`

	// preference selects the nodes.
	// +required
	Preference NodeSelectorTerm `json:"preference,omitzero"`
}

// PodAffinityTerms are pods that others are placed with, or kept away from.
//
// +kubebuilder:validation:MinProperties=1
type PodAffinityTerms struct {
	// requiredDuringSchedulingIgnoredDuringExecution are terms that must all hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Required []PodAffinityTerm `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"` //nolint:kubeapilinter // core/v1's name

	// preferredDuringSchedulingIgnoredDuringExecution are terms that should hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Preferred []PreferredPodAffinityTerm `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"` //nolint:kubeapilinter // core/v1's name
}

// PodAffinityTerm is about pods of the listener's namespace in the same domain.
type PodAffinityTerm struct {
	// topologyKey is the node label whose values are the domains, for example
	// kubernetes.io/hostname.
	// +required
	TopologyKey QualifiedName `json:"topologyKey,omitempty"`

	// labelSelector selects the pods. Default: the listener's own.
	// +optional
	LabelSelector *PodSelector `json:"labelSelector,omitempty"`
}

// PreferredPodAffinityTerm is a term that should hold.
type PreferredPodAffinityTerm struct {
	// weight is how much it counts.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Weight int32 `json:"weight,omitempty"`

	// podAffinityTerm is the term.
	// +required
	Term PodAffinityTerm `json:"podAffinityTerm,omitzero"` //nolint:kubeapilinter // core/v1's name
}

// PodSelector selects pods by their labels. All of its requirements must hold.
//
// +kubebuilder:validation:MinProperties=1
type PodSelector struct {
	// matchLabels are labels that a pod must have.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:message="each key must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team",rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && k.indexOf('/') <= 253)"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions are conditions on labels.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	MatchExpressions []NamespaceSelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelSelector returns the selector in the type of Kubernetes. That of nil selects nothing.
func (s *PodSelector) LabelSelector() *metav1.LabelSelector {
	if s == nil {
		return nil
	}
	return (&NamespaceSelector{MatchLabels: s.MatchLabels, MatchExpressions: s.MatchExpressions}).LabelSelector()
}
