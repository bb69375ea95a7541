package conditions

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Summary returns the condition that summarizes an object: Inactive if it exists, otherwise Ready; nil if there is neither.
func Summary(list []metav1.Condition) *metav1.Condition {
	if c := meta.FindStatusCondition(list, v1alpha1.ConditionInactive); c != nil {
		return c
	}
	return meta.FindStatusCondition(list, v1alpha1.ConditionReady)
}

// EventType returns the type of the event for a change from one summary to another, "" for none. A state as intended, and
// initial progress, are normal. Pods that have not loaded the configuration yet cause no event before the object was
// first ready: the next state follows within seconds and has one, and users that are created together with their listener
// would have twice as many.
func EventType(was, is *metav1.Condition) string {
	if is == nil || is.Reason == v1alpha1.ReasonPending || was != nil && was.Type == is.Type && was.Status == is.Status && was.Reason == is.Reason {
		return ""
	}
	wasReady := was != nil && was.Type == v1alpha1.ConditionReady && was.Status == metav1.ConditionTrue
	if is.Reason == v1alpha1.ReasonConfigPending && !wasReady {
		return ""
	}
	switch {
	case is.Type == v1alpha1.ConditionInactive, is.Status == metav1.ConditionTrue && is.Reason == v1alpha1.ReasonReady:
	case is.Reason == v1alpha1.ReasonConfigPending, is.Reason == v1alpha1.ReasonRemoving:
	case ClassOf(is.Reason) == Waiting && !wasReady:
	default:
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}
