package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// from returns a proxy's header for a client at an address (PROXY protocol, version 1).
func from(address string) string {
	return fmt.Sprintf("PROXY TCP4 %s 192.0.2.1 40000 22\r\n", address)
}

// Behind a proxy the lists of networks, the audit log and revocation use the client's address, and a connection without a
// header is refused.
func TestClientsBehindAProxy(t *testing.T) {
	ns := newNamespace(t, "proxy", nil)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		s.AllowedCIDRs = []string{"203.0.113.0/24", "198.51.100.0/24"}
		s.ProxyProtocol = v1alpha1.ListenerProxyProtocol{
			Mode: v1alpha1.ProxyProtocolRequired,
			// The node's addresses, whatever its network: the tests connect through its port.
			TrustedCIDRs: []string{"10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"},
		}
	})
	k := newKey(t)
	auth := ssh.PublicKeys(k.signer)
	u := userOf(l, ns, "acme", keyAuth(k))
	u.Spec.AllowedCIDRs = []string{"203.0.113.0/24"}
	must(t, kube.Create(t.Context(), u))
	waitReady(t, u, 30*time.Second)

	s, err := loginAfter(t, l, from("203.0.113.9"), "acme", auth)
	must(t, err)
	s.roundTrip(t, "/hello", 100_000)
	for what, header := range map[string]string{
		"without a header":                     "",
		"from outside of the listener's list":  from("192.0.2.9"),
		"from outside of the user's list":      from("198.51.100.9"),
		"with an invalid header":               "PROXY TCP4 nonsense\r\n",
		"with the proxy's own health check":    "PROXY UNKNOWN\r\n",
		"with more than a header can be long":  "PROXY TCP4 " + strings.Repeat("1", 300) + "\r\n",
		"with an address of the other version": "PROXY TCP4 2001:db8::1 2001:db8::2 40000 22\r\n",
	} {
		if _, err := loginAfter(t, l, header, "acme", auth); err == nil {
			t.Errorf("a login %s", what)
		}
	}
	if !s.alive() {
		t.Error("refused connections ended a session")
	}
	for _, want := range []string{`"source":"203.0.113.9:40000"`, `"source":"198.51.100.9:40000"`, `"source_not_allowed"`} {
		eventually(t, 30*time.Second, "the audit log has "+want, func() bool {
			log, err := kubectl("logs", "-n", ns, "-l", v1alpha1.LabelListener+"="+l.Name, "--tail=-1")
			must(t, err)
			return strings.Contains(log, want)
		})
	}

	at := update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.AllowedCIDRs = []string{"198.51.100.0/24"} })
	fmt.Printf("LATENCY user's network removed to session closed: %d ms\n", s.closedAfter(t, at).Milliseconds())
	waitReady(t, u, 30*time.Second)
	moved, err := loginAfter(t, l, from("198.51.100.9"), "acme", auth)
	must(t, err)
	at = update(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.AllowedCIDRs = []string{"203.0.113.0/24"} })
	fmt.Printf("LATENCY listener's network removed to session closed: %d ms\n", moved.closedAfter(t, at).Milliseconds())
}

// The settings of a listener reach its pods without restarting them.
func TestSettingsReachThePods(t *testing.T) {
	ns := newNamespace(t, "settings", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	u := userOf(l, ns, "acme", keyAuth(k))
	u.Spec.HomeDirectory.SubPath = "home"
	u.Spec.Mounts = []v1alpha1.Mount{{Path: "/drop", Directory: v1alpha1.Directory{
		SubPath: "drop", Access: v1alpha1.AccessWriteOnly, Listing: v1alpha1.ListingNames,
	}}}
	must(t, kube.Create(t.Context(), u))
	waitReady(t, u, 30*time.Second)
	s := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	pods := podUIDs(t, l)

	update(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.CryptoPolicy = v1alpha1.CryptoStrict2026
		l.Spec.SoftwareVersion = "Acme_Files"
		l.Spec.Uploads = v1alpha1.ListenerUploads{Publish: v1alpha1.PublishOnClose, Incomplete: v1alpha1.IncompleteDelete, Sync: v1alpha1.SyncOnClose}
	})
	waitReady(t, l, 30*time.Second)
	if l.Status.CryptoPolicy != v1alpha1.CryptoStrict2026 {
		t.Errorf("status: crypto policy %s", l.Status.CryptoPolicy)
	}
	strict := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	if v := string(strict.conn.ServerVersion()); v != "SSH-2.0-Acme_Files" {
		t.Errorf("the daemon's version string is %q", v)
	}
	if a := strict.conn.Conn.(ssh.AlgorithmsConnMetadata).Algorithms(); a.KeyExchange != ssh.KeyExchangeMLKEM768X25519 {
		t.Errorf("key exchange %s", a.KeyExchange)
	}
	if out, err := openSSH(t, l, "acme", &k, "", "put /etc/hostname /drop/name\nls -1 /drop\n"); err != nil || !strings.Contains(out, "/drop/name") {
		t.Errorf("OpenSSH under Strict2026, listing of a drop box: %v\n%s", err, out)
	}
	if out, err := openSSH(t, l, "acme", &k, "", "get /drop/name /dev/null\n"); err == nil {
		t.Errorf("a drop box can be read:\n%s", out)
	}

	f, err := strict.Create("/report.csv")
	must(t, err)
	_, err = io.WriteString(f, "half of it")
	must(t, err)
	if _, err := s.Stat("/report.csv"); err == nil {
		t.Error("a file that is not closed is visible under its name")
	}
	must(t, f.Close())
	if st, err := s.Stat("/report.csv"); err != nil || st.Size() != 10 {
		t.Errorf("a file that is closed: %v, %v", st, err)
	}
	if !s.alive() {
		t.Error("the existing session did not survive the change")
	}
	if now := podUIDs(t, l); fmt.Sprint(now) != fmt.Sprint(pods) {
		t.Errorf("the pods were %v and are now %v", pods, now)
	}
}
