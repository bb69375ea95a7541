package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
)

// The types of this file are bounded subsets of those of core/v1. Anything that the API server would refuse
// in a pod is refused here, when the listener is applied, rather than minutes later in a condition.

// PodResources are what a container requests, and the most that it may use.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:message="requests.cpu must not be above limits.cpu",rule="!has(self.requests) || !has(self.limits) || !has(self.requests.cpu) || !has(self.limits.cpu) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0"
// +kubebuilder:validation:XValidation:message="requests.memory must not be above limits.memory",rule="!has(self.requests) || !has(self.limits) || !has(self.requests.memory) || !has(self.limits.memory) || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0"
// +kubebuilder:validation:XValidation:message="requests.ephemeral-storage must not be above limits.ephemeral-storage",rule="!has(self.requests) || !has(self.limits) || !has(self.requests.ephemeral__dash__storage) || !has(self.limits.ephemeral__dash__storage) || quantity(string(self.requests.ephemeral__dash__storage)).compareTo(quantity(string(self.limits.ephemeral__dash__storage))) <= 0"
type PodResources struct {
	// requests are what the scheduler reserves.
	// +optional
	Requests *ResourceAmounts `json:"requests,omitempty"`

	// limits are the most that the container may use. If it uses more memory, it is killed
	// and its sessions end.
	// +optional
	Limits *ResourceAmounts `json:"limits,omitempty"`
}

// ResourceAmounts are amounts of a node's resources.
//
// +kubebuilder:validation:MinProperties=1
type ResourceAmounts struct {
	// cpu in cores, for example 500m.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$`
	// +kubebuilder:validation:XValidation:message="must be more than 0, for example 500m",rule="quantity(string(self)).isGreaterThan(quantity('0'))"
	CPU *resource.Quantity `json:"cpu,omitempty"`

	// memory in bytes, for example 256Mi.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$`
	// +kubebuilder:validation:XValidation:message="must be a whole number of bytes and more than 0, for example 256Mi: the suffix m stands for thousandths",rule="quantity(string(self)).isInteger() && quantity(string(self)).isGreaterThan(quantity('0'))"
	Memory *resource.Quantity `json:"memory,omitempty"`

	// ephemeral-storage in bytes, for example 1Gi: what volumes of type emptyDir and the log use.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$`
	// +kubebuilder:validation:XValidation:message="must be a whole number of bytes and more than 0, for example 1Gi: the suffix m stands for thousandths",rule="quantity(string(self)).isInteger() && quantity(string(self)).isGreaterThan(quantity('0'))"
	EphemeralStorage *resource.Quantity `json:"ephemeral-storage,omitempty"` //nolint:kubeapilinter // as in core/v1
}

// Toleration lets pods run on nodes with a taint.
//
// +kubebuilder:validation:XValidation:message="value must not be set with operator Exists, which tolerates any value",rule="!has(self.value) || size(self.value) == 0 || self.operator != 'Exists'"
// +kubebuilder:validation:XValidation:message="operator must be Exists without key: it then tolerates any taint",rule="has(self.key) || self.operator == 'Exists'"
// +kubebuilder:validation:XValidation:message="tolerationSeconds may be set only with effect NoExecute: the other effects do not evict pods",rule="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')"
type Toleration struct {
	// key of the taint. Default: all keys, with operator Exists.
	// +optional
	Key QualifiedName `json:"key,omitempty"`

	// operator Equal compares the value; Exists tolerates all values. Default Equal.
	// +optional
	// +kubebuilder:default=Equal
	Operator TolerationOperator `json:"operator,omitempty"`

	// value of the taint, with operator Equal.
	// +optional
	Value *LabelValue `json:"value,omitempty"`

	// effect of the taint. Default: all effects.
	// +optional
	Effect TaintEffect `json:"effect,omitempty"`

	// tolerationSeconds is how long a pod stays on a node that gets the taint, with effect
	// NoExecute. Default: forever.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

// TolerationOperator is how a toleration compares the value of a taint.
//
// +kubebuilder:validation:Enum=Equal;Exists
type TolerationOperator string

// The operators of tolerations.
const (
	TolerateEqual  TolerationOperator = "Equal"
	TolerateExists TolerationOperator = "Exists"
)

// TaintEffect is what a taint does to pods that do not tolerate it.
//
// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
type TaintEffect string

// TopologySpreadConstraint spreads a listener's pods over zones, nodes or the like. It selects the pods of the listener.
//
// +kubebuilder:validation:XValidation:message="minDomains may be set only with whenUnsatisfiable DoNotSchedule",rule="!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'"
type TopologySpreadConstraint struct {
	// maxSkew is the largest allowed difference in the number of pods between two domains.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	MaxSkew int32 `json:"maxSkew,omitempty"`

	// topologyKey is the node label whose values are the domains, for example
	// topology.kubernetes.io/zone.
	// +required
	TopologyKey QualifiedName `json:"topologyKey,omitempty"`

	// whenUnsatisfiable DoNotSchedule leaves a pod that would violate the constraint pending; ScheduleAnyway
	// prefers nodes that satisfy it.
	// +required
	WhenUnsatisfiable SpreadAction `json:"whenUnsatisfiable,omitempty"`

	// minDomains is the number of domains that must exist for an even spread, with
	// DoNotSchedule. Default 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MinDomains *int32 `json:"minDomains,omitempty"`

	// nodeAffinityPolicy Ignore counts nodes that nodeSelector leaves out. Default Honor.
	// +optional
	NodeAffinityPolicy SpreadNodePolicy `json:"nodeAffinityPolicy,omitempty"`

	// nodeTaintsPolicy Honor leaves out nodes with taints that the pods do not tolerate. Default
	// Ignore.
	// +optional
	NodeTaintsPolicy SpreadNodePolicy `json:"nodeTaintsPolicy,omitempty"`

	// matchLabelKeys are labels of the pods, in addition to the listener's, that pods must
	// share to be counted together: pod-template-hash counts each revision separately.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:XValidation:message="must not be a label that selects the listener's pods already (sftp-operator.io/..., app.kubernetes.io/...)",rule="!self.startsWith('sftp-operator.io/') && !self.startsWith('app.kubernetes.io/')"
	MatchLabelKeys []QualifiedName `json:"matchLabelKeys,omitempty"`
}

// SpreadAction is what happens to a pod that would violate a constraint.
//
// +kubebuilder:validation:Enum=DoNotSchedule;ScheduleAnyway
type SpreadAction string

// SpreadNodePolicy controls how a constraint takes nodes into account.
//
// +kubebuilder:validation:Enum=Honor;Ignore
type SpreadNodePolicy string

// LocalSecretReference names a Secret in the same namespace.
type LocalSecretReference struct {
	// name of the Secret.
	// +required
	Name ObjectName `json:"name,omitempty"`
}
