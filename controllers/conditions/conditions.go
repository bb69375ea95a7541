// Package conditions builds and compares status conditions.
package conditions

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxMessage limits a message; the API allows 32768 bytes, which is more than people read.
const maxMessage = 1024

// True returns a condition with status True.
func True(conditionType, reason, message string) metav1.Condition {
	return of(conditionType, metav1.ConditionTrue, reason, message)
}

// False returns a condition with status False.
func False(conditionType, reason, message string) metav1.Condition {
	return of(conditionType, metav1.ConditionFalse, reason, message)
}

// Unknown returns a condition with status Unknown.
func Unknown(conditionType, reason, message string) metav1.Condition {
	return of(conditionType, metav1.ConditionUnknown, reason, message)
}

func of(conditionType string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage-3], "") + "..." // the cut may be within a character
	}
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, Message: message}
}

// Set sets conditions in a list, with the generation that they describe, and keeps others'.
// It reports whether anything changed; the transition time changes only with the status.
func Set(list *[]metav1.Condition, generation int64, conditions ...metav1.Condition) bool {
	changed := false
	for _, c := range conditions {
		c.ObservedGeneration = generation
		if meta.SetStatusCondition(list, c) {
			changed = true
		}
	}
	return changed
}

// IsTrue reports whether a condition is True.
func IsTrue(list []metav1.Condition, conditionType string) bool {
	return meta.IsStatusConditionTrue(list, conditionType)
}

// Problem is something that a person has to fix, as a condition's reason and message.
type Problem struct {
	// Reason is one of the condition's reasons.
	Reason string
	// Message is what is wrong and what to do. It never contains a secret.
	Message string
}
