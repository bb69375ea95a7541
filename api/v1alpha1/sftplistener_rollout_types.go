package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RolloutPolicy controls when changes to the pod template reach the pods.
//
// +kubebuilder:validation:Enum=Automatic;Paused
type RolloutPolicy string

// The rollout policies.
const (
	// RolloutAutomatic: at once if the listener's spec changed; in turn with other
	// listeners if the operator was upgraded.
	RolloutAutomatic RolloutPolicy = "Automatic"
	// RolloutPaused: not before the policy is Automatic again.
	RolloutPaused RolloutPolicy = "Paused"
)

// PendingRestartReason is the reason why a restart waits. The condition RolledOut has the same reason.
//
// +kubebuilder:validation:Enum=RolloutPaused;RolloutQueued;RolloutBlocked
type PendingRestartReason string

// ListenerPendingRestart is a change to the pod template that has not reached the pods,
// and what it will interrupt when it does.
type ListenerPendingRestart struct {
	// reason is why it waits: RolloutPaused, because of infrastructure.rollout;
	// RolloutQueued, for other listeners' rollouts; RolloutBlocked, because of what
	// another condition reports.
	// +required
	Reason PendingRestartReason `json:"reason,omitempty"`

	// changes names what differs: fields of the spec, or image and podTemplate, which
	// depend on the operator's version.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Changes []string `json:"changes,omitempty"`

	// since is when the change started to wait.
	// +required
	Since metav1.Time `json:"since,omitzero"` //nolint:kubeapilinter // the linter takes a Time for a struct

	// pods is the number of pods that will be replaced.
	// +required
	// +kubebuilder:validation:Minimum=0
	Pods *int32 `json:"pods,omitempty"`

	// sessions is the number of sessions in them, counted at most five minutes ago. It is
	// absent if a pod does not report it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Sessions *int32 `json:"sessions,omitempty"`
}
