package status

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

// Event is an event of a listener.
type Event struct{ Type, Reason, Action, Message string }

// Events returns the events of a change of status: the listener became ready or no longer is, its crypto policy ended, a
// volume is no longer writable or is again, an object was refused or has drifted.
func Events(before, after v1alpha1.SFTPListenerStatus) []Event {
	find := func(st v1alpha1.SFTPListenerStatus, conditionType string) *metav1.Condition {
		return meta.FindStatusCondition(st.Conditions, conditionType)
	}
	var out []Event
	add := func(kind string, c *metav1.Condition) {
		out = append(out, Event{Type: kind, Reason: c.Reason, Action: "Reconcile", Message: c.Message})
	}
	if was, is := find(before, v1alpha1.ConditionAccepted), find(after, v1alpha1.ConditionAccepted); is != nil &&
		(is.Reason == v1alpha1.ReasonCryptoPolicyExpired || is.Reason == v1alpha1.ReasonHomesWouldMove) && (was == nil || was.Reason != is.Reason) {
		add(corev1.EventTypeWarning, is)
	}
	is := conditions.Summary(after.Conditions)
	if kind := conditions.EventType(conditions.Summary(before.Conditions), is); kind != "" {
		add(kind, is)
	}
	if was, is := before.HomeVolume, after.HomeVolume; was != nil && is != nil &&
		(was.ClaimName != is.ClaimName || is.ClaimName == "" && was.Name != is.Name) {
		out = append(out, Event{Type: corev1.EventTypeNormal, Reason: v1alpha1.ReasonHomesMoved, Action: "Reconcile", Message: fmt.Sprintf(
			"The home directories are now on volume %q%s. Before, they were on volume %q%s; files that are still there are not deleted",
			is.Name, claimText(is), was.Name, claimText(was))})
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

func claimText(v *v1alpha1.HomeVolume) string {
	if v.ClaimName == "" {
		return ""
	}
	return fmt.Sprintf(", claim %q", v.ClaimName)
}

// change returns the type of the event for a condition whose reason changed: a warning when it becomes bad, normal when it was
// bad and becomes good, "" for none.
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
