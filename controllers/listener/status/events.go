package status

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Event is an event of a listener.
type Event struct{ Type, Reason, Action, Message string }

// Events returns the events of a change of status: the listener became ready or ceased to be, its crypto policy ended, a volume
// ceased to be writable or is again, an object was refused or has drifted.
func Events(before, after v1alpha1.SFTPListenerStatus) []Event {
	find := func(st v1alpha1.SFTPListenerStatus, conditionType string) *metav1.Condition {
		return meta.FindStatusCondition(st.Conditions, conditionType)
	}
	var out []Event
	add := func(kind string, c *metav1.Condition) {
		out = append(out, Event{Type: kind, Reason: c.Reason, Action: "Reconcile", Message: c.Message})
	}
	if was, is := find(before, v1alpha1.ConditionAccepted), find(after, v1alpha1.ConditionAccepted); is != nil &&
		is.Reason == v1alpha1.ReasonCryptoPolicyExpired && (was == nil || was.Reason != is.Reason) {
		add(corev1.EventTypeWarning, is)
	}
	if was, is := find(before, v1alpha1.ConditionReady), find(after, v1alpha1.ConditionReady); is != nil && is.Reason != v1alpha1.ReasonPending &&
		(was == nil || was.Status != is.Status || was.Reason != is.Reason) {
		add(readyType(was, is), is)
	}
	volumes := find(after, v1alpha1.ConditionVolumesWritable)
	if kind := change(find(before, v1alpha1.ConditionVolumesWritable), volumes, func(c *metav1.Condition) bool {
		return c.Reason == v1alpha1.ReasonVolumesWritable
	}); kind != "" {
		add(kind, volumes)
	}
	objects := find(after, v1alpha1.ConditionObjectsApplied)
	if kind := change(find(before, v1alpha1.ConditionObjectsApplied), objects, func(c *metav1.Condition) bool {
		return c.Status != metav1.ConditionFalse
	}); kind != "" {
		add(kind, objects)
	}
	return out
}

// change returns the type of the event of a condition whose reason changed: a warning when it is bad, normal when it was bad
// and is good, "" for none.
func change(was, is *metav1.Condition, good func(*metav1.Condition) bool) string {
	switch {
	case is == nil, was != nil && was.Reason == is.Reason:
		return ""
	case !good(is):
		return corev1.EventTypeWarning
	case was != nil && !good(was):
		return corev1.EventTypeNormal
	}
	return ""
}

// readyType returns whether a change of Ready is as the owner wants it, or on its way.
func readyType(was, is *metav1.Condition) string {
	wasReady := was != nil && was.Status == metav1.ConditionTrue
	switch is.Reason {
	case v1alpha1.ReasonReady, v1alpha1.ReasonScaledToZero:
		return corev1.EventTypeNormal
	case v1alpha1.ReasonPodsUnavailable, v1alpha1.ReasonNotProgrammed:
		if !wasReady {
			return corev1.EventTypeNormal
		}
	}
	return corev1.EventTypeWarning
}
