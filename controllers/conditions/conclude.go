package conditions

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const (
	// ProgressDeadline is how long a change that needs no intervention may take before it counts as stalled: the same as a
	// Deployment's default.
	ProgressDeadline = 10 * time.Minute
	// ReferenceDeadline is how long another object may be missing. It is shorter than the time that Flux and Argo CD usually
	// wait, so that a mistyped name is reported as such.
	ReferenceDeadline = 2 * time.Minute
)

// Conclusion is what Conclude needs to know besides the conditions.
type Conclusion struct {
	// Generation is the generation of the spec that the conditions describe.
	Generation int64
	Now        time.Time
	// Slack is added to ProgressDeadline: pods may drain for that long before others start.
	Slack time.Duration
}

// Conclude adds the conditions that kstatus, and therefore Flux, uses. They exist only while they are true, as kstatus expects:
//
//   - Reconciling: the object is progressing, and needs no intervention.
//   - Stalled: it cannot progress until a person corrects something.
//   - Inactive: it is intentionally not in effect. Ready is removed: kstatus considers it in progress unless it is True, and
//     True would be wrong for a login that does not work.
//
// It evaluates Ready, ObjectsApplied and RolledOut; Ready has the reason of the condition that keeps it from being True.
func Conclude(list *[]metav1.Condition, in Conclusion) {
	var inactive *metav1.Condition
	if c := meta.FindStatusCondition(*list, v1alpha1.ConditionReady); c != nil && c.Status != metav1.ConditionTrue && ClassOf(c.Reason) == Inactive {
		inactive = new(True(v1alpha1.ConditionInactive, c.Reason, c.Message))
		meta.RemoveStatusCondition(list, v1alpha1.ConditionReady)
	}
	reconciling, stalled := in.progress(*list)
	in.put(list, v1alpha1.ConditionInactive, inactive)
	in.put(list, v1alpha1.ConditionReconciling, reconciling)
	in.put(list, v1alpha1.ConditionStalled, stalled)
}

// progress returns Reconciling or Stalled for the most serious condition, or neither if there is no problem.
func (in Conclusion) progress(list []metav1.Condition) (reconciling, stalled *metav1.Condition) {
	class, worst := Remark, metav1.Condition{}
	for _, conditionType := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionObjectsApplied, v1alpha1.ConditionRolledOut} {
		if c := meta.FindStatusCondition(list, conditionType); c != nil && ClassOf(c.Reason) > class {
			class, worst = ClassOf(c.Reason), *c
		}
	}
	switch class {
	case Remark, Inactive:
		return nil, nil
	case Broken:
		return nil, new(True(v1alpha1.ConditionStalled, worst.Reason, worst.Message))
	case Waiting, Missing:
	}
	late := fmt.Sprintf("%s. This has not changed within %.0f minutes", worst.Message, deadline(worst.Reason, in.Slack).Minutes())
	if was := in.previous(list, v1alpha1.ConditionStalled); was != nil && was.Reason == worst.Reason {
		return nil, new(True(v1alpha1.ConditionStalled, worst.Reason, late))
	}
	c := True(v1alpha1.ConditionReconciling, worst.Reason, worst.Message)
	c.LastTransitionTime = in.since(list, c)
	if end := Deadline([]metav1.Condition{c}, in.Slack); end.IsZero() || in.Now.Before(end) {
		return &c, nil
	}
	return nil, new(True(v1alpha1.ConditionStalled, worst.Reason, late))
}

// since returns the time from which a condition's deadline counts: the reason may change to another one of its class, but a new
// spec, or a class with a different deadline, restarts it.
func (in Conclusion) since(list []metav1.Condition, c metav1.Condition) metav1.Time {
	if was := in.previous(list, c.Type); was != nil && ClassOf(was.Reason) == ClassOf(c.Reason) {
		return was.LastTransitionTime
	}
	return metav1.NewTime(in.Now.Truncate(time.Second))
}

// previous returns a condition of the same generation.
func (in Conclusion) previous(list []metav1.Condition, conditionType string) *metav1.Condition {
	if c := meta.FindStatusCondition(list, conditionType); c != nil && c.ObservedGeneration == in.Generation {
		return c
	}
	return nil
}

// put replaces a condition, or removes it.
func (in Conclusion) put(list *[]metav1.Condition, conditionType string, c *metav1.Condition) {
	if c != nil {
		c.ObservedGeneration = in.Generation
		c.LastTransitionTime = in.since(*list, *c)
	}
	meta.RemoveStatusCondition(list, conditionType)
	if c != nil {
		*list = append(*list, *c)
	}
}

// Deadline returns when Reconciling becomes Stalled unless something changes, zero for never.
func Deadline(list []metav1.Condition, slack time.Duration) time.Time {
	c := meta.FindStatusCondition(list, v1alpha1.ConditionReconciling)
	if c == nil || c.Reason == v1alpha1.ReasonRollingOut { // a Deployment has its own deadline, from one pod to the next
		return time.Time{}
	}
	return c.LastTransitionTime.Add(deadline(c.Reason, slack))
}

func deadline(reason string, slack time.Duration) time.Duration {
	if ClassOf(reason) == Missing {
		return ReferenceDeadline
	}
	return ProgressDeadline + slack
}
