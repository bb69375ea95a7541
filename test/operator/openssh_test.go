package operator

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// realPod returns a pod of a listener in which the real daemon runs, and its address.
func realPod(t *testing.T, l *v1alpha1.SFTPListener, ip string) (p *corev1.Pod, address string) {
	t.Helper()
	dir := t.TempDir()
	sftp, health := daemontest.Listen(t, ip+":0"), daemontest.Listen(t, ip+":8081")
	d := daemon.New(daemon.Options{ConfigDir: dir, SFTP: sftp, Health: health, Audit: io.Discard, Log: slog.New(slog.DiscardHandler), Pod: l.Name + "-sftp-real"})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, ctx) }()
	pods.mount(l.Namespace, dir)
	t.Cleanup(func() {
		pods.mount(l.Namespace, "") // the operator keeps asking until the listener is gone
		cancel()
		<-done
	})

	p = readyPod(t, l, "real")
	before := p.DeepCopy()
	p.Status.PodIP, p.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	if err := api.Status().Patch(t.Context(), p, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	return p, sftp.Addr().String()
}

// openSSH is a client with its own known_hosts, in which it learns host keys.
type openSSH struct {
	address, identity, known string
}

func newOpenSSH(t *testing.T, address, hostKey string) (o *openSSH, publicKey string) {
	t.Helper()
	dir := t.TempDir()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	o = &openSSH{address, filepath.Join(dir, "id"), filepath.Join(dir, "known_hosts")}
	for file, data := range map[string][]byte{o.identity: pem.EncodeToMemory(block), o.known: []byte(knownhosts.Normalize(address) + " " + hostKey + "\n")} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// logIn logs in without prompting, stays connected until it knows certain keys or for a few seconds, and returns the host key of
// the key exchange. It fails if the client does not know that key.
func (o *openSSH) logIn(t *testing.T, user string, keys []string) (hostKey string) {
	t.Helper()
	host, port, err := net.SplitHostPort(o.address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh", "-v", "-N", "-F", "none", "-p", port, "-i", o.identity, "-o", "IdentitiesOnly=yes",
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=yes", "-o", "UserKnownHostsFile="+o.known,
		"-o", "GlobalKnownHostsFile=/dev/null", user+"@"+host)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; hack/install-packages.sh installs OpenSSH's client", err)
	}
	var all strings.Builder
	line := make([]byte, 4096)
	for !strings.Contains(all.String(), "Authenticated to") {
		n, err := said.Read(line)
		all.Write(line[:n])
		if err != nil {
			_ = cmd.Wait()
			t.Fatalf("the login failed:\n%s", all.String())
		}
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end) && !slices.Equal(o.knows(t), keys); {
		time.Sleep(50 * time.Millisecond) // the client is requesting proofs
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed
	_, hostKey, _ = strings.Cut(all.String(), "Server host key: ssh-ed25519 ")
	hostKey, _, _ = strings.Cut(hostKey, "\n")
	return strings.TrimSpace(hostKey)
}

// knows returns the fingerprints in the client's known_hosts.
func (o *openSSH) knows(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(o.known)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for len(data) > 0 {
		_, _, key, _, rest, err := ssh.ParseKnownHosts(data)
		if err != nil {
			t.Fatalf("%v in %q", err, data)
		}
		out, data = append(out, ssh.FingerprintSHA256(key)), rest
	}
	slices.Sort(out)
	return out
}

// logsInUntil logs in repeatedly, without prompting, until the client knows certain keys.
func (o *openSSH) logsInUntil(t *testing.T, user, hostKey string, keys ...string) {
	t.Helper()
	slices.Sort(keys)
	eventually(t, func() error {
		if got := o.logIn(t, user, keys); got != hostKey || !slices.Equal(o.knows(t), keys) {
			return fmt.Errorf("the client met %s and knows %v, want %s and %v", got, o.knows(t), hostKey, keys)
		}
		return nil
	})
}

// TestOpenSSHThroughAHostKeyRotation: from an SFTPKey through the operator, the daemon and the client to the count of users
// that have learned the key.
func TestOpenSSHThroughAHostKeyRotation(t *testing.T) {
	ns := namespace(t, nil)
	k := hostKeyOf(t, ns, "host", 1000)
	l := newListener(ns, withHostKeys("host"))
	create(t, l)
	_, address := realPod(t, l, "127.0.0.21")
	waitStates(t, l, "host/1 Active")
	first := l.Status.HostKeys[0]
	o, publicKey := newOpenSSH(t, address, first.PublicKey)
	acme := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.AuthorizedKeys = []string{publicKey} })
	create(t, acme)
	waitFor(t, acme, "Ready", "True", "Ready", "")
	o.logsInUntil(t, "acme", first.Fingerprint, first.Fingerprint)

	change(t, k, wantNewPair)
	waitStates(t, l, "host/1 Active, host/2 Advertised")
	second := l.Status.HostKeys[1].Fingerprint
	o.logsInUntil(t, "acme", first.Fingerprint, first.Fingerprint, second)
	askPods(t, l, 1)
	eventually(t, func() error {
		get(t, acme, ns, acme.Name)
		get(t, l, ns, l.Name)
		if proved := l.Status.HostKeys[1].ProvedUsers; !slices.Equal(acme.Status.ProvedHostKeys, []string{second}) || proved == nil || *proved != 1 {
			return fmt.Errorf("acme has proof of %v, %v users have proof", acme.Status.ProvedHostKeys, proved)
		}
		time.Sleep(time.Second) // a pod is not asked more often
		return nil
	})

	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.Rotation.OverlapSeconds = new(int32(1)) })
	waitStates(t, l, "host/2 Active")
	o.logsInUntil(t, "acme", second, second)
}
