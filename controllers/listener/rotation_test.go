package listener

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// The operator cannot watch ConfigMaps. What somebody else did to its own is undone all the same, and does not cost a
// question with every reconcile.
func TestKnownHostsAreLookedAtAgain(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := fake.NewClientBuilder().WithScheme(scheme).Build()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "partners", UID: "l"}}
	l.Status.Addresses = []v1alpha1.ListenerAddress{{Value: "a", Port: 22}}
	l.Status.HostKeys = []v1alpha1.HostKeyStatus{{PublicKey: "ssh-ed25519 AAAA"}}
	s := &scope{
		Reconciler: &Reconciler{Applier: &apply.Applier{Client: c, Live: c}, Now: func() time.Time { return now }},
		listener:   l, memory: newMemory("l"),
	}
	name := client.ObjectKey{Namespace: "ns", Name: render.KnownHostsName(l)}
	publish := func(after time.Duration, want string) {
		t.Helper()
		now = now.Add(after)
		if err := s.publishKnownHosts(t.Context()); err != nil || s.applyFailed != nil {
			t.Fatal(err, s.applyFailed)
		}
		m := &corev1.ConfigMap{}
		if err := c.Get(t.Context(), name, m); err != nil {
			t.Fatal(err)
		}
		if got := m.Data["known_hosts"]; got != want {
			t.Errorf("known_hosts %q, want %q", got, want)
		}
	}
	publish(0, "a ssh-ed25519 AAAA\n")
	m := &corev1.ConfigMap{}
	if err := c.Get(t.Context(), name, m); err != nil {
		t.Fatal(err)
	}
	m.Data["known_hosts"] = "mine"
	if err := c.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	publish(time.Minute, "mine")
	if s.retry <= 0 || s.retry > knownHostsInterval {
		t.Errorf("it looks again in %s", s.retry)
	}
	publish(knownHostsInterval, "a ssh-ed25519 AAAA\n")
	l.Status.HostKeys = append(l.Status.HostKeys, v1alpha1.HostKeyStatus{PublicKey: "ssh-rsa BBBB comment"})
	publish(time.Second, "a ssh-ed25519 AAAA\na ssh-rsa BBBB\n") // a change at once
}
