package apply

import (
	"errors"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

// RetryRefused is the time after which to retry what the API server refused: a quota has to
// be raised or a policy changed first, which cannot be watched.
const RetryRefused = 30 * time.Second

// Refusal returns the message for a person if an error means that the API server refused an
// object, and whether it does: retrying does not help until something has changed.
// Admission webhooks refuse with any of these codes.
func Refusal(err error) (message string, ok bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return "", false
	}
	switch status.Status().Code {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
	default:
		return "", false
	}
	message = "The API server refused: " + err.Error()
	if apierrors.IsForbidden(err) && strings.Contains(message, "exceeded quota") {
		message += "; raise the ResourceQuota or free some of it; the operator then retries"
	}
	return message, true
}

// explain adds a remedy to the refusal of a field that cannot be changed. It occurs where an
// object was adopted, or created by an older operator.
func (in intent) explain(err error) error {
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "field is immutable") {
		return err
	}
	conflict := func(problem string) error {
		return &ConflictError{Kind: in.kind.Kind, Namespace: in.GetNamespace(), Name: in.GetName(), Problem: problem}
	}
	if secret, ok := in.Object.(*corev1.Secret); ok {
		if strings.Contains(err.Error(), "when `immutable` is set") {
			return conflict("is marked as immutable; delete it, and the operator recreates it")
		}
		return conflict("is not of the type " + string(secret.Type) + ", and the type of a Secret cannot be changed; delete it, and the operator recreates it")
	}
	if in.kind.Kind == "Deployment" {
		return conflict("selects other pods, and the selector of a Deployment cannot be changed; delete it, and the operator recreates it")
	}
	return err
}

// NamespaceEnding reports whether an error is caused by a terminating Namespace: nothing can
// be created in it anymore, and nothing has to be.
func NamespaceEnding(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// Problem returns what a person has to fix before an object can be applied, and whether an error is of that kind: a
// conflicting foreign object, or a refusal of the API server.
func Problem(err error) (p conditions.Problem, ok bool) {
	if conflict, ok := errors.AsType[*ConflictError](err); ok {
		return conditions.Problem{Reason: v1alpha1.ReasonResourceConflict, Message: conflict.Error()}, true
	}
	if message, refused := Refusal(err); refused {
		return conditions.Problem{Reason: v1alpha1.ReasonApplyFailed, Message: message}, true
	}
	return conditions.Problem{}, false
}
