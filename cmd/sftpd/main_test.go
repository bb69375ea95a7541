package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestKnowsNoKubernetes: the daemon does not link any Kubernetes package.
func TestKnowsNoKubernetes(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.Lines(string(out)) {
		for _, bad := range []string{"k8s.io/", "sigs.k8s.io/", "sftp-operator/api", "sftp-operator/controllers", "testing\n"} {
			if strings.Contains(pkg, bad) {
				t.Errorf("imports %s", pkg)
			}
		}
	}
}

func call(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		say  string
	}{
		{nil, 2, "sftpd serve [flags]"},
		{[]string{"nonsense"}, 2, `unknown command "nonsense"`},
		{[]string{"help"}, 0, "sftpd serve [flags]"},
		{[]string{"version"}, 0, ""},
		{[]string{"serve", "-h"}, 0, "-config directory"},
		{[]string{"serve", "-nonsense"}, 2, "not defined"},
		{[]string{"serve", "extra"}, 2, `unexpected argument "extra"`},
		{[]string{"serve", "-listen", "nowhere:x", "-health", "127.0.0.1:0"}, 1, "cannot listen"},
		{[]string{"probe", "-h"}, 0, "-addr host:port"},
		{[]string{"probe", "-addr", "x:1"}, 2, "are needed"},
	} {
		code, stdout, stderr := call(tc.args...)
		if code != tc.code || !strings.Contains(stdout+stderr, tc.say) {
			t.Errorf("%q: %d %s%s", tc.args, code, stdout, stderr)
		}
	}
}

func TestProbe(t *testing.T) {
	key, pem := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	dir.AddUser("both", "secret", key.PublicKey()).Methods = []string{"PublicKey,Password"}
	dir.AddUser("reader", "secret").Mounts[0].Access = config.ReadOnly
	dir.AddUser("writer", "secret").Mounts[0].Access = config.WriteOnly
	d := daemontest.Start(t, dir)
	files := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	host, err := ssh.ParsePrivateKey(dir.HostKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	stranger, strangers := configtest.Key(t)
	address := []string{knownhosts.Normalize(d.Addr)}
	known := file("known", knownhosts.Line(address, host.PublicKey())+"\n")
	unknown := file("unknown", knownhosts.Line([]string{"elsewhere"}, host.PublicKey())+"\n")
	changed := file("changed", knownhosts.Line(address, stranger.PublicKey())+"\n")
	id, otherID := file("id", string(pem)), file("other", string(strangers))
	secret, wrong := file("secret", "secret\n"), file("wrong", "wrong\n")
	fingerprint := ssh.FingerprintSHA256(host.PublicKey())

	for _, tc := range []struct {
		name string
		args []string
		code int
		say  string
	}{
		{"key", []string{"-user", "ada", "-key", id, "-known-hosts", known}, 0, "ok"},
		{"fingerprint", []string{"-user", "ada", "-key", id, "-host-key-fingerprint", fingerprint}, 0, "ok"},
		{"key and password", []string{"-user", "both", "-key", id, "-password-file", secret, "-known-hosts", known}, 0, "ok"},
		{"directory", []string{"-user", "ada", "-key", id, "-known-hosts", known, "-dir", "/nowhere"}, 1, "write: /nowhere/.sftpd-probe"},
		{"wrong key", []string{"-user", "ada", "-key", otherID, "-known-hosts", known}, 1, "accepted none of publickey SHA256:"},
		{"wrong password", []string{"-user", "both", "-key", id, "-password-file", wrong, "-known-hosts", known}, 1, "password"},
		{"second factor missing", []string{"-user", "both", "-key", id, "-known-hosts", known}, 1, "a further credential is needed"},
		{"unknown host", []string{"-user", "ada", "-key", id, "-known-hosts", unknown}, 1, "no key is known for"},
		{"changed host key", []string{"-user", "ada", "-key", id, "-known-hosts", changed}, 1, "not the known one"},
		{"other fingerprint", []string{"-user", "ada", "-key", id, "-host-key-fingerprint", "SHA256:AAAA"}, 1, "not SHA256:AAAA"},
		{"no fingerprint", []string{"-user", "ada", "-key", id, "-host-key-fingerprint", "aa:bb"}, 1, "must start with"},
		{"no known hosts file", []string{"-user", "ada", "-key", id, "-known-hosts", files + "/none"}, 1, "known hosts"},
		{"no key file", []string{"-user", "ada", "-key", files + "/none"}, 1, "no such file"},
		{"not a key", []string{"-user", "ada", "-key", secret}, 1, secret},
		{"read-only", []string{"-user", "reader", "-password-file", secret, "-known-hosts", known}, 1, "write: "},
		{"write-only", []string{"-user", "writer", "-password-file", secret, "-known-hosts", known}, 1, "could not be removed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, stdout, stderr := call(append([]string{"probe", "-addr", d.Addr}, tc.args...)...)
			if code != tc.code || !strings.Contains(stdout+stderr, tc.say) {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
		})
	}
	if left, err := os.ReadDir(dir.Home("ada")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	t.Run("silent server", func(t *testing.T) {
		l := daemontest.Listen(t, "127.0.0.1:0")
		defer l.Close()
		begin := time.Now()
		code, _, stderr := call("probe", "-addr", l.Addr().String(), "-user", "ada", "-key", id, "-known-hosts", known, "-timeout", "300ms")
		if code != 1 || !strings.Contains(stderr, "deadline exceeded") || time.Since(begin) > 2*daemontest.Second() {
			t.Errorf("%d %s", code, stderr)
		}
	})
}

// TestServe runs the real program: separate logs, and exit code 0 after SIGTERM.
func TestServe(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	d := daemontest.StartProgram(t, dir, program(t))
	c, err := d.Dial("ada", ssh.Password("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.NewSession(); err != nil { // the login is complete
		t.Fatal(err)
	}
	d.Terminate()
	_ = c.Wait()
	if err := d.Wait(t, time.Minute); err != nil {
		t.Error(err)
	}
	d.WaitAudit(t, "logout", 1)
	if n := strings.Count(d.RawAudit(), "\n"); n != 2 {
		t.Errorf("audit log: %s", d.RawAudit())
	}
	if !strings.Contains(d.Log(), `"path_resolution":"o`) {
		t.Errorf("log: %s", d.Log())
	}
}
