package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
)

// TestLastRefusal: a tenant of a shared listener reads in the status of its own user why a partner's login was refused, even
// after a restart of the operator; further attempts do not write the status each time.
func TestLastRefusal(t *testing.T) {
	l := newListener(namespace(t, nil), admitting(v1alpha1.NamespacesAll, nil))
	create(t, l)
	pod := readyPod(t, l, "a")
	waitFor(t, l, "Ready", "True", "Ready", "")
	tenant := namespace(t, nil)
	u, other := newUser(tenant, "acme", of(l)), newUser(tenant, "other", of(l))
	for _, user := range []*v1alpha1.SFTPUser{u, other} {
		create(t, user)
		waitReady(t, user)
	}
	writes := watchRefusals(t, tenant)
	at := time.Now()
	fingerprint := "SHA256:" + strings.Repeat("A", 43)
	for range 3 {
		pods.refuse(pod, string(u.UID), keyuse.Refusal{At: at, Reason: "key_not_registered", Source: "203.0.113.9", Fingerprint: fingerprint})
	}
	pods.refuse(pod, "another listener's", keyuse.Refusal{At: at, Reason: "wrong_password"})
	askPods(t, l, 1)
	has := func(count int32) {
		t.Helper()
		eventually(t, func() error {
			get(t, u, tenant, u.Name)
			r := u.Status.LastRefusal
			if r == nil || r.Count != count || r.Reason != "key_not_registered" || r.SourceIP != "203.0.113.9" || r.KeyFingerprint != fingerprint ||
				!strings.Contains(r.Message, "is not the user's") || !r.Time.Time.Equal(at.UTC().Truncate(time.Second)) {
				return fmt.Errorf("lastRefusal: %+v", r)
			}
			return nil
		})
	}
	has(3)
	// Someone keeps trying, and the pods are polled continuously: within the minute, nothing is written.
	for n := range 5 {
		pods.refuse(pod, string(u.UID), keyuse.Refusal{At: at, Reason: "key_not_registered", Source: "203.0.113.9", Fingerprint: fingerprint})
		askPods(t, l, 2+n)
		time.Sleep(300 * time.Millisecond)
	}
	has(3)
	// A restarted operator takes the refusal from the status, and adds what else the pods know.
	restartOperator(t, func() {})
	askPods(t, l, 10)
	has(8)
	if get(t, other, tenant, other.Name); other.Status.LastRefusal != nil {
		t.Errorf("another user: %+v", other.Status.LastRefusal)
	}
	if n := writes(); n != 2 {
		t.Errorf("%d writes of refusals, want 2", n)
	}
}

// watchRefusals counts from now on how often the refusals in the statuses of a namespace change.
func watchRefusals(t *testing.T, ns string) func() int {
	t.Helper()
	w, err := api.Watch(t.Context(), &v1alpha1.SFTPUserList{}, client.InNamespace(ns))
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan struct{}, 1000)
	go func() {
		last := map[string]int32{}
		for e := range w.ResultChan() {
			if u, ok := e.Object.(*v1alpha1.SFTPUser); ok && u.Status.LastRefusal != nil && u.Status.LastRefusal.Count != last[u.Name] {
				last[u.Name] = u.Status.LastRefusal.Count
				changes <- struct{}{}
			}
		}
		close(changes)
	}()
	return func() int {
		time.Sleep(500 * time.Millisecond) // time for what is in progress
		w.Stop()
		n := 0
		for range changes {
			n++
		}
		return n
	}
}

// TestWhichListenersAdmit: a user that names a listener that does not exist or does not admit its namespace reads which ones do.
func TestWhichListenersAdmit(t *testing.T) {
	tenant := namespace(t, nil)
	closed := newListener(namespace(t, nil))
	create(t, closed)
	open := newListener(namespace(t, nil), admitting(v1alpha1.NamespacesNames, nil), func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers.Rules[0].Namespaces.Names = []string{tenant}
	})
	create(t, open)
	for name, u := range map[string]*v1alpha1.SFTPUser{
		v1alpha1.ReasonListenerNotFound: newUser(tenant, "mistyped", func(u *v1alpha1.SFTPUser) {
			u.Spec.ListenerRef = v1alpha1.ListenerReference{Name: "partnerz", Namespace: open.Namespace}
		}),
		v1alpha1.ReasonNotAllowedByListener: newUser(tenant, "refused", of(closed)),
	} {
		create(t, u)
		waitFor(t, u, "Accepted", "False", name, "")
		eventually(t, func() error {
			get(t, u, tenant, u.Name)
			m := meta.FindStatusCondition(u.Status.Conditions, "Accepted").Message
			_, list, found := strings.Cut(m, `Listeners that admit namespace "`+tenant+`": `)
			// Other tests' listeners that admit all namespaces may be among them.
			if !found || !strings.Contains(list, open.Namespace+"/"+open.Name) && !strings.Contains(list, " more") || strings.Contains(list, closed.Namespace+"/") {
				return fmt.Errorf("%s: %s", name, m)
			}
			return nil
		})
	}
}
