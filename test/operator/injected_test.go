package operator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// unreliable is an API server that refuses some requests, and executes others without confirming them.
type unreliable struct {
	http.RoundTripper

	mu sync.Mutex
	// calls counts calls other than watches, by whether they wrote; injected counts failures by kind. mu guards both.
	calls    map[bool]int
	injected map[string]int
}

func (u *unreliable) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Get("watch") != "" {
		return u.RoundTripper.RoundTrip(r)
	}
	writes := r.Method != http.MethodGet
	u.mu.Lock()
	u.calls[writes]++
	what := ""
	switch n := u.calls[writes]; {
	case writes && n%10 == 1:
		what = "conflict"
	case writes && n%10 == 5:
		what = "lost answer"
	case n%10 == 8:
		what = "throttling"
	case !writes && n%12 == 4:
		what = "error"
	}
	if what != "" {
		u.injected[what]++
	}
	u.mu.Unlock()

	switch what {
	case "conflict":
		return refusal(r, http.StatusConflict, metav1.StatusReasonConflict), nil
	case "throttling":
		return refusal(r, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests), nil
	case "error":
		return refusal(r, http.StatusInternalServerError, metav1.StatusReasonInternalError), nil
	case "lost answer":
		resp, err := u.RoundTripper.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		return refusal(r, http.StatusGatewayTimeout, metav1.StatusReasonTimeout), nil
	}
	return u.RoundTripper.RoundTrip(r)
}

func refusal(r *http.Request, code int, reason metav1.StatusReason) *http.Response {
	if r.Body != nil {
		r.Body.Close()
	}
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Reason: reason, Code: int32(code), Message: "injected",
	})
	if err != nil {
		panic(err)
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if code == http.StatusTooManyRequests {
		h.Set("Retry-After", "1")
	}
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

// With an API server that answers many calls with a conflict, throttling or an error, or not at all although it executed them,
// everything ends up as wanted: once, and with the host key and the generated key that were created first.
func TestConflictsAndThrottling(t *testing.T) {
	u := &unreliable{calls: map[bool]int{}, injected: map[string]int{}}
	account := running.account
	restartOperator(t, func() {
		faulty := rest.CopyConfig(account)
		faulty.Wrap(func(rt http.RoundTripper) http.RoundTripper {
			u.RoundTripper = rt
			return u
		})
		running.account = faulty
	})
	t.Cleanup(func() {
		restartOperator(t, func() { running.account = account })
	})
	patiently := func(what string, check func() error) {
		t.Helper()
		var err error
		for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if err = check(); err == nil {
				return
			}
		}
		t.Fatalf("%s: %v", what, err)
	}
	ready := func(ns, name string) func() error {
		return func() error {
			user := &v1alpha1.SFTPUser{}
			get(t, user, ns, name)
			for _, c := range user.Status.Conditions {
				if c.Type == "Ready" && c.Status == "True" && c.ObservedGeneration == user.Generation {
					return nil
				}
			}
			return fmt.Errorf("user %s: %+v", name, user.Status.Conditions)
		}
	}

	ns := namespace(t, nil)
	l := newListener(ns)
	create(t, l)
	readyPod(t, l, "a")
	create(t, &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "generated"},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, UserRef: &v1alpha1.LocalUserReference{Name: "user-0"}},
	})
	const users = 5
	for i := range users {
		create(t, newUser(ns, fmt.Sprintf("user-%d", i)))
	}
	for i := range users {
		patiently("all users become ready", ready(ns, fmt.Sprintf("user-%d", i)))
	}
	get(t, l, ns, l.Name)
	fingerprint := l.Status.HostKeys[0].Fingerprint
	patiently("the generated key logs in", func() error {
		if n := len(pods.logins(ns)["user-0"].Keys); n != 2 {
			return fmt.Errorf("pods have %d keys of user-0", n)
		}
		return nil
	})

	remove(t, newUser(ns, "user-1"))
	change(t, newUser(ns, "user-2"), func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
	patiently("changes arrive", func() error {
		logins := pods.logins(ns)
		_, first := logins["user-1"]
		_, second := logins["user-2"]
		if first || second || len(logins) != users-2 {
			return fmt.Errorf("pods have %d logins", len(logins))
		}
		return nil
	})
	get(t, l, ns, l.Name)
	if got := l.Status.HostKeys[0].Fingerprint; got != fingerprint {
		t.Errorf("the host key was %s and is %s", fingerprint, got)
	}
	secrets := map[string]bool{}
	for _, o := range items(t, &corev1.SecretList{}, ns) {
		secrets[o.GetName()] = true
	}
	if want := map[string]bool{"partners-ed25519": true, "generated": true, "partners-sftp-config": true, "partners-sftp-record": true, "partners-sftp-users-00": true, "partners-sftp-users-01": true}; !maps.Equal(secrets, want) {
		t.Errorf("Secrets are %v, want %v", secrets, want)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, what := range []string{"conflict", "lost answer", "throttling", "error"} {
		if u.injected[what] == 0 {
			t.Errorf("no %s was injected", what)
		}
	}
	t.Logf("of %d reads and %d writes, injected %v", u.calls[false], u.calls[true], u.injected)
}
