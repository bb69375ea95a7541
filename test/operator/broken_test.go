package operator

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fault is what happens to a call.
type fault string

const (
	faultError   fault = "error"   // the API server fails
	faultForbid  fault = "forbid"  // a Role does not allow it
	faultInvalid fault = "invalid" // admission refuses it
	faultHang    fault = "hang"    // the call never returns
	faultPanic   fault = "panic"   // the operator has a defect
)

// faults that a call can have.
func faults(call string) []fault {
	out := []fault{faultError, faultForbid, faultHang}
	if !strings.HasPrefix(call, "GET ") && !strings.HasPrefix(call, "LIST ") {
		out = append(out, faultInvalid)
	}
	if !strings.Contains(call, " events") { // they are written by a goroutine of a library, which propagates panics
		out = append(out, faultPanic)
	}
	return out
}

// breakage is a call of the operator that fails.
type breakage struct {
	call  string
	fault fault
	// once means that a retry of the call succeeds.
	once bool
	hits int
}

// breaker is an API server on which single calls fail, by namespace. It also records which calls are made.
type breaker struct {
	http.RoundTripper

	mu sync.Mutex
	// broken and calls by namespace; mu guards both.
	broken map[string]*breakage
	calls  map[string]map[string]bool
}

func newBreaker() *breaker {
	return &breaker{broken: map[string]*breakage{}, calls: map[string]map[string]bool{}}
}

var digits = regexp.MustCompile(`[0-9]+`)

// callOf returns the verb, the kind and the name in a request, the name without numbers; "" for a watch and for cluster-scoped
// objects.
func callOf(r *http.Request) (namespace, call string) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for len(path) > 0 && path[0] != "namespaces" {
		path = path[1:]
	}
	if len(path) < 3 || r.URL.Query().Get("watch") != "" {
		return "", ""
	}
	verb := r.Method
	switch {
	case r.Header.Get("Content-Type") == "application/apply-patch+yaml" || r.Header.Get("Content-Type") == "application/apply-patch+cbor":
		verb = "APPLY"
	case verb == http.MethodGet && len(path) == 3:
		verb = "LIST"
	}
	switch path[2] {
	case "events":
		return path[1], verb + " events"
	case "pods": // both pods are alike
		path = path[:3]
	case "sftpusers": // so are users whose status is written
		path[3] = "*"
	}
	return path[1], verb + " " + digits.ReplaceAllString(strings.Join(path[2:], "/"), "#")
}

// RoundTrip implements http.RoundTripper.
func (b *breaker) RoundTrip(r *http.Request) (*http.Response, error) {
	namespace, call := callOf(r)
	switch b.fate(namespace, call) {
	case faultError:
		return refusal(r, http.StatusInternalServerError, metav1.StatusReasonInternalError), nil
	case faultForbid:
		return refusal(r, http.StatusForbidden, metav1.StatusReasonForbidden), nil
	case faultInvalid:
		return refusal(r, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid), nil
	case faultHang:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case faultPanic:
		panic(fmt.Sprintf("injected into %s", call))
	}
	return b.RoundTripper.RoundTrip(r)
}

func (b *breaker) fate(namespace, call string) fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if call == "" {
		return ""
	}
	if b.calls[namespace] != nil {
		b.calls[namespace][call] = true
	}
	x := b.broken[namespace]
	if x == nil || x.call != call || x.once && x.hits > 0 {
		return ""
	}
	x.hits++
	return x.fault
}

// record starts recording the calls for a namespace, and recorded returns them.
func (b *breaker) record(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[namespace] = map[string]bool{}
}

func (b *breaker) recorded(namespace string) map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.calls[namespace]
	delete(b.calls, namespace)
	return out
}

// damage makes a call fail in a namespace, and repair repairs all of them.
func (b *breaker) damage(namespace string, x *breakage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken[namespace] = x
}

func (b *breaker) repair(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.broken, namespace)
}

// hits returns how often the broken call of a namespace was made.
func (b *breaker) hits(namespace string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := b.broken[namespace]; x != nil {
		return x.hits
	}
	return 0
}
