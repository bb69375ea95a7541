package command

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// typed returns a terminal on which some lines have been typed (pty(7)).
func typed(t *testing.T, lines ...string) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	for _, l := range lines {
		if _, err := master.WriteString(l + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	return terminal
}

// ask runs a command line on a terminal.
func ask(t *testing.T, terminal *os.File, args ...string) result {
	t.Helper()
	var out, errors bytes.Buffer
	code := Run(t.Context(), Terminal{In: terminal, Out: &out, Err: &errors, Now: func() time.Time { return now }},
		"test", append(args, "--kubeconfig", administrator))
	return result{code, out.String(), errors.String()}
}

func TestPasswdAsks(t *testing.T) {
	ns := namespace(t, "passwd-asks")
	manifests(t, ns, "partners.yaml")
	const chosen = "four words or more"
	r := ask(t, typed(t, chosen, chosen), "passwd", "acme", "-n", ns, "--prompt")
	if r.code != 0 || r.err != "New password: \nAgain: \n" || strings.Contains(r.out, chosen) {
		t.Errorf("%+v", r)
	}
	if got := string(secretOf(t, ns, "acme-password").Data["password"]); got != chosen {
		t.Errorf("%q", got)
	}
	r = ask(t, typed(t, "another password", "another pasword"), "passwd", "acme", "-n", ns, "--prompt")
	if r.code != exitFailed || !strings.Contains(r.err, "do not match") {
		t.Errorf("%+v", r)
	}
	if got := string(secretOf(t, ns, "acme-password").Data["password"]); got != chosen {
		t.Errorf("%q", got)
	}
}

func TestCheckAsksForAPassphrase(t *testing.T) {
	p := play(t, "check-asks")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "locked")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	p.dir.AddUser("locked", "", key)
	p.dir.Write(t)
	u := userOf(t, p.namespace, "globex").DeepCopy()
	u.Name, u.ResourceVersion, u.UID, u.Status.Username = "locked", "", "", "locked"
	create(t, u)
	p.daemon.Eventually(t, "the new login works", func() bool {
		return ask(t, typed(t, "secret"), "check", "locked", "-n", p.namespace, "-i", file).code == 0
	})
	if r := ask(t, typed(t, "wrong"), "check", "locked", "-n", p.namespace, "-i", file); r.code != exitFailed || !strings.Contains(r.err, "locked") {
		t.Errorf("%+v", r)
	}
	if r := plug(t, "check", "locked", "-n", p.namespace, "-i", file); r.code != exitFailed || !strings.Contains(r.err, "has a passphrase") {
		t.Errorf("%+v", r)
	}
	// Its public key is known without the passphrase.
	if r := plug(t, "why", "locked", "-n", p.namespace, "-i", file, "--no-audit"); r.code != exitDenied || !strings.Contains(r.out, ssh.FingerprintSHA256(key)) {
		t.Errorf("%+v", r)
	}
}
