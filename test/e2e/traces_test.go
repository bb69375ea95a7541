package e2e

import (
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/trace/tracetest"
)

// Sessions of real pods are traces at a collector, from when the listener says where it is.
func TestTraces(t *testing.T) {
	ns := newNamespace(t, "traces", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	u := newUser(t, l, ns, "acme", keyAuth(k))
	pods := podUIDs(t, l)
	collector := tracetest.StartAt(t, addressFor(t, podAddresses(t, l)[0]))

	update(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Tracing = v1alpha1.ListenerTracing{Endpoint: collector.Endpoint}
	})
	waitReady(t, l, 30*time.Second)
	s := mustLogin(t, l, u.Name, ssh.PublicKeys(k.signer))
	s.roundTrip(t, "/report.csv", 10_000)
	must(t, s.conn.Close())

	var names []string
	for _, span := range collector.Wait(4) {
		names = append(names, span.GetName())
		if pod := podsOf(t, l)[0].Name; span.Resource["service.instance.id"] != pod || span.Resource["service.name"] != "partners" {
			t.Errorf("%s comes from %v, want pod %s", span.GetName(), span.Resource, pod)
		}
	}
	slices.Sort(names)
	if want := []string{"download", "login", "sftp session", "upload"}; !slices.Equal(names, want) {
		t.Errorf("spans %q, want %q", names, want)
	}
	if !maps.Equal(pods, podUIDs(t, l)) {
		t.Error("pods were replaced")
	}
}

// addressFor is the address of this machine that another one sees.
func addressFor(t *testing.T, peer string) string {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "udp", peer) // sends nothing
	must(t, err)
	defer func() { must(t, c.Close()) }()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	must(t, err)
	return host
}
