package apply

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// RetryRefused is the time after which what the API server refused is tried
// again: somebody has to raise a quota or change a policy first, and nothing tells when.
const RetryRefused = 30 * time.Second

// Refusal is what to tell a person of an error with which the API server refused an object,
// and whether it is such.
func Refusal(err error) (message string, ok bool) {
	if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) && !apierrors.IsRequestEntityTooLargeError(err) {
		return "", false
	}
	message = "The API server refused: " + err.Error()
	if apierrors.IsForbidden(err) && strings.Contains(message, "exceeded quota") {
		message += "; raise the ResourceQuota or make room in it, it is tried again by itself"
	}
	return message, true
}

// NamespaceEnding says whether an error comes from the end of a Namespace: nothing can be
// made in it any more, and nothing has to be.
func NamespaceEnding(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}
