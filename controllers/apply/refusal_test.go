package apply

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func status(code int32, reason metav1.StatusReason) error {
	return fmt.Errorf("apply: %w", &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reason, Message: "told"}})
}

// Errors that a person must fix are distinguished from those that are retried.
func TestProblems(t *testing.T) {
	quota := apierrors.NewForbidden(corev1.Resource("secrets"), "s", errors.New("exceeded quota: small"))
	for name, tc := range map[string]struct {
		err             error
		reason, message string // both "" if the operator retries
	}{
		"a foreign object": {
			fmt.Errorf("x: %w", &ConflictError{Kind: "Service", Namespace: "ns", Name: "n", Problem: "is not ours"}),
			v1alpha1.ReasonResourceConflict, `Service "n" in namespace "ns" is not ours`,
		},
		"bad request":            {status(http.StatusBadRequest, ""), v1alpha1.ReasonApplyFailed, "The API server refused: apply: told"},
		"forbidden":              {status(http.StatusForbidden, metav1.StatusReasonForbidden), v1alpha1.ReasonApplyFailed, "The API server refused: apply: told"},
		"method not allowed":     {status(http.StatusMethodNotAllowed, ""), v1alpha1.ReasonApplyFailed, "The API server refused: apply: told"},
		"not acceptable":         {status(http.StatusNotAcceptable, ""), v1alpha1.ReasonApplyFailed, "The API server refused: apply: told"},
		"too large":              {status(http.StatusRequestEntityTooLarge, ""), v1alpha1.ReasonApplyFailed, "The API server refused: apply: told"},
		"unsupported media type": {status(http.StatusUnsupportedMediaType, ""), v1alpha1.ReasonApplyFailed, "The API server refused: apply: told"},
		"invalid":                {status(http.StatusUnprocessableEntity, ""), v1alpha1.ReasonApplyFailed, "The API server refused: apply: told"},
		"a quota": {
			quota, v1alpha1.ReasonApplyFailed,
			`The API server refused: secrets "s" is forbidden: exceeded quota: small; raise the ResourceQuota or free some of it; the operator then retries`,
		},
		"quota, but not forbidden": {
			apierrors.NewBadRequest("exceeded quota"), v1alpha1.ReasonApplyFailed, "The API server refused: exceeded quota",
		},
		"conflict":          {status(http.StatusConflict, metav1.StatusReasonConflict), "", ""},
		"unauthorized":      {status(http.StatusUnauthorized, ""), "", ""},
		"too many requests": {status(http.StatusTooManyRequests, ""), "", ""},
		"internal":          {status(http.StatusInternalServerError, ""), "", ""},
		"no answer":         {errors.New("connection refused"), "", ""},
		"no error":          {nil, "", ""},
	} {
		p, ok := Problem(tc.err)
		if ok != (tc.reason != "") || p.Reason != tc.reason || p.Message != tc.message {
			t.Errorf("%s: %v, %+v", name, ok, p)
		}
	}
}

// An immutable field has a remedy in its message; other refusals are reported as they are.
func TestImmutableFields(t *testing.T) {
	invalid := func(detail string) error {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "X"}, "n", field.ErrorList{field.Invalid(field.NewPath("f"), "v", detail)})
	}
	const immutable = "field is immutable"
	s := secret("s", "1")
	s.Type = "a/b"
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "d"}}
	for name, tc := range map[string]struct {
		of   client.Object
		err  error
		want string // "" for the error as it is
	}{
		"type of a Secret":         {s, invalid(immutable), `Secret "s" in namespace "default" is not of the type a/b, and the type of a Secret cannot be changed; delete it, and the operator recreates it`},
		"an immutable Secret":      {s, invalid(immutable + " when `immutable` is set"), `Secret "s" in namespace "default" is marked as immutable; delete it, and the operator recreates it`},
		"selector":                 {deployment, invalid(immutable), `Deployment "d" in namespace "default" selects other pods, and the selector of a Deployment cannot be changed; delete it, and the operator recreates it`},
		"of another kind":          {service("s", 22), invalid(immutable), ""},
		"another reason":           {s, invalid("must be lower case"), ""},
		"not invalid":              {s, errors.New(immutable), ""},
		"a Deployment's name":      {deployment, invalid("must be lower case"), ""},
		"a conflict, in its words": {s, apierrors.NewConflict(corev1.Resource("s"), "n", errors.New(immutable)), ""},
	} {
		in, err := newIntent(tc.of, clientgoscheme.Scheme)
		if err != nil {
			t.Fatal(err)
		}
		got := in.explain(tc.err)
		var conflict *ConflictError
		if tc.want == "" && !errors.Is(got, tc.err) || tc.want != "" && (!errors.As(got, &conflict) || got.Error() != tc.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The delays after a person has made room are those in the documentation.
func TestRetryIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	if says := fmt.Sprintf("The operator retries every %.0f seconds.", RetryRefused.Seconds()); !strings.Contains(string(text), says) {
		t.Errorf("docs/troubleshooting.md does not say %q", says)
	}
}

func TestNamespaceEnding(t *testing.T) {
	ending := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Details: &metav1.StatusDetails{
		Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}},
	}}}
	if !NamespaceEnding(fmt.Errorf("x: %w", ending)) || NamespaceEnding(status(403, metav1.StatusReasonForbidden)) || NamespaceEnding(nil) {
		t.Error("the end of a Namespace is not distinguished from other refusals")
	}
}
