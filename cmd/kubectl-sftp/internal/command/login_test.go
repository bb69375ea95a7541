package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// played is a listener whose only pod is a daemon in this process, behind a played kubelet.
type played struct {
	namespace string
	key       string // file with acme's private key
	daemon    *daemontest.Daemon
	dir       *configtest.Dir
	kubelet   *kubelet
}

const acmePassword = "correct horse battery"

func play(t *testing.T, ns string) played {
	t.Helper()
	p := played{namespace: namespace(t, ns), dir: configtest.New(t)}
	signer, pem := configtest.Key(t)
	p.key = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(p.key, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	p.dir.AddUser("acme", acmePassword, signer.PublicKey())
	p.dir.AddUser("globex", "another password", signer.PublicKey()).Mounts[0].Access = config.ReadOnly
	p.daemon = daemontest.Start(t, p.dir)
	p.kubelet = startKubelet(t, ns)
	p.kubelet.pod(t, ns, "partners", ns, p.daemon.Addr, "")
	manifests(t, ns, "partners.yaml")
	p.trust(t, p.dir.HostKeys[0])
	create(t, newSecret(ns, "acme-password", map[string]string{"password": acmePassword}))
	return p
}

// trust puts the public key of a host key into the listener's status.
func (p played) trust(t *testing.T, private []byte) {
	t.Helper()
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	l := &v1alpha1.SFTPListener{}
	l.Namespace, l.Name = p.namespace, "partners"
	if err := api.Get(t.Context(), keyOf(l), l); err != nil {
		t.Fatal(err)
	}
	l.Status.HostKeys[0].PublicKey = configtest.Line(signer.PublicKey())
	l.Status.HostKeys[0].Fingerprint = ssh.FingerprintSHA256(signer.PublicKey())
	if err := api.Status().Update(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

var (
	milliseconds = regexp.MustCompile(`(?m)^(\w+(?: \w+)?) +[0-9.]+ ms$`)
	fingerprint  = regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`)
	anyPort      = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	probeFile    = regexp.MustCompile(`\.sftpd-probe-[0-9a-f]+`)
)

// steady replaces what differs in each run.
func (r result) steady() result {
	for _, s := range []*string{&r.out, &r.err} {
		*s = milliseconds.ReplaceAllString(*s, "$1 N ms")
		*s = fingerprint.ReplaceAllString(*s, "SHA256:FINGERPRINT")
		*s = anyPort.ReplaceAllString(*s, "127.0.0.1:PORT")
		*s = probeFile.ReplaceAllString(*s, ".sftpd-probe-X")
	}
	return r
}

func TestCheck(t *testing.T) {
	p := play(t, "check")
	_, stranger := configtest.Key(t)
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, stranger, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		golden, args, input string
		code                int
	}{
		{"check.txt", "acme -i " + p.key, "", 0},
		{"check.txt", "acme --password-from-secret", "", 0},
		{"check.txt", "acme --password-stdin", acmePassword + "\n", 0},
		{"check.txt", "acme -i " + p.key + " --address " + p.daemon.Addr, "", 0},
		{"check-refused.txt", "acme -i " + wrong, "", exitLogIn},
		{"check-password.txt", "acme --password-stdin", "wrong\n", exitLogIn},
		{"check-read-only.txt", "globex -i " + p.key, "", exitTransfer},
		{"check-directory.txt", "acme --directory /none -i " + p.key, "", exitTransfer},
		{"check-no-secret.txt", "globex --password-from-secret", "", exitFailed},
		{"check-no-credential.txt", "acme", "", exitUsage},
	} {
		t.Run(tc.golden, func(t *testing.T) {
			args := append([]string{"check", "-n", p.namespace}, strings.Fields(tc.args)...)
			plugInput(t, administrator, tc.input, args...).steady().want(t, tc.code, tc.golden)
		})
	}
	t.Run("json", func(t *testing.T) {
		r := plug(t, "check", "acme", "-n", p.namespace, "-i", p.key, "-o", "json")
		var got checkResult
		if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != 0 || !got.OK || len(got.Steps) != 6 || got.Error != "" {
			t.Errorf("%+v, %v", r, err)
		}
		r = plug(t, "check", "acme", "-n", p.namespace, "-i", wrong, "-o", "json")
		got = checkResult{}
		if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != exitLogIn || got.OK || len(got.Steps) != 1 || got.Error == "" || r.err != "" {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("a hash", func(t *testing.T) {
		u := userOf(t, p.namespace, "globex")
		u.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "old", Key: "passwordHash", Format: v1alpha1.PasswordHash}
		if err := api.Update(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		r := plug(t, "check", "globex", "-n", p.namespace, "--password-from-secret")
		if r.code != exitFailed || !strings.Contains(r.err, "Secret "+p.namespace+"/old has only the hash of the password") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("files are gone", func(t *testing.T) {
		left, err := os.ReadDir(p.dir.Home("acme"))
		if err != nil || len(left) != 0 {
			t.Errorf("%v, %v", left, err)
		}
	})

	// A man in the middle, or a key that was changed behind the operator's back.
	p.trust(t, stranger)
	t.Run("host key", func(t *testing.T) {
		plug(t, "check", "acme", "-n", p.namespace, "-i", p.key).steady().want(t, exitHostKey, "check-host-key.txt")
	})
}

// A caller who may not forward ports, and a pod that does not answer.
func TestCheckWithoutAWay(t *testing.T) {
	p := play(t, "check-way")
	who := account(t, p.namespace, "check-viewer", reads("sftpusers", "sftplisteners"),
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}})
	r := plugInput(t, who, "", "check", "acme", "-n", p.namespace, "-i", p.key)
	if r.code != exitConnect || !strings.Contains(r.err, "forbidden") || !strings.Contains(r.err, "--address") {
		t.Errorf("%+v", r)
	}
	if r := plugInput(t, who, "", "check", "acme", "-n", p.namespace, "-i", p.key, "--address", p.daemon.Addr); r.code != 0 {
		t.Errorf("%+v", r)
	}
	closed := daemontest.Listen(t, "127.0.0.1:0")
	closed.Close()
	if r := plug(t, "check", "acme", "-n", p.namespace, "-i", p.key, "--address", closed.Addr().String()); r.code != exitConnect {
		t.Errorf("%+v", r)
	}
}

// A tenant on another team's listener may read only its own users, and got the host key in another way.
func TestCheckAsTenant(t *testing.T) {
	p := play(t, "check-tenant")
	who := account(t, p.namespace, "check-tenant", reads("sftpusers"))
	signer, err := ssh.ParsePrivateKey(p.dir.HostKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(knownhosts.Line([]string{p.daemon.Addr}, signer.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"check", "acme", "-n", p.namespace, "-i", p.key, "--address", p.daemon.Addr}
	if r := plugInput(t, who, "", args...); r.code != exitFailed || !strings.Contains(r.err, "--known-hosts") {
		t.Errorf("%+v", r)
	}
	if r := plugInput(t, who, "", append(args, "--known-hosts", file)...); r.code != 0 {
		t.Errorf("%+v", r)
	}
	_, stranger := configtest.Key(t)
	if signer, err = ssh.ParsePrivateKey(stranger); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(knownhosts.Line([]string{p.daemon.Addr}, signer.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := plugInput(t, who, "", append(args, "--known-hosts", file)...); r.code != exitHostKey {
		t.Errorf("%+v", r)
	}
	r := plugInput(t, who, "", "why", "acme", "-n", p.namespace, "--method", "PublicKey", "--fingerprint", "SHA256:none")
	if r.code != exitDenied || !strings.Contains(r.out, "according to the operator") || !strings.Contains(r.err, "you may not read the listener") {
		t.Errorf("%+v", r)
	}
}

// OpenSSH's client, through the API server and the kubelet, trusts the keys in the status and no others.
func TestConnect(t *testing.T) {
	p := play(t, "connect")
	content := bytes.Repeat([]byte("through a forwarded port\n"), 20_000)
	local, back := filepath.Join(t.TempDir(), "local"), filepath.Join(t.TempDir(), "back")
	if err := os.WriteFile(local, content, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"connect", "acme", "-n", p.namespace, "-i", p.key, "--kubeconfig", administrator, "--", "-b", "-"}
	batch := "put " + local + " sent\nget sent " + back + "\n"
	r := line(t, batch, args...)
	got, err := os.ReadFile(back)
	if r.code != 0 || err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%+v, %v, %d bytes came back", r, err, len(got))
	}
	if r := line(t, "ls none\n", args...); r.code == 0 {
		t.Errorf("a failed batch gives %+v", r)
	}
	_, stranger := configtest.Key(t)
	p.trust(t, stranger)
	if r := line(t, "ls\n", args...); r.code == 0 || !strings.Contains(r.err, "REMOTE HOST IDENTIFICATION HAS CHANGED") {
		t.Errorf("another host key: %+v", r)
	}
	if r := line(t, "", "connect", "acme", "more", "--kubeconfig", administrator); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}
