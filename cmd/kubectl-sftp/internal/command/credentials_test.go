package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

func userOf(t *testing.T, ns, name string) *v1alpha1.SFTPUser {
	t.Helper()
	u := &v1alpha1.SFTPUser{}
	if err := api.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: name}, u); err != nil {
		t.Fatal(err)
	}
	return u
}

func secretOf(t *testing.T, ns, name string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	if err := api.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: name}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// editor may change users and Secrets, but not read Secrets.
func editor(t *testing.T, ns, name string) string {
	t.Helper()
	return account(
		t, ns, name, rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"sftpusers"}, Verbs: []string{"get", "patch"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create", "patch", "delete"}},
	)
}

func TestKeygen(t *testing.T) {
	ns := namespace(t, "keygen")
	manifests(t, ns, "partners.yaml")
	before := userOf(t, ns, "acme").Spec.Authentication.AuthorizedKeys
	who := editor(t, ns, "keygen-editor")
	file := filepath.Join(t.TempDir(), "acme_ed25519")

	r := plugInput(t, who, "", "keygen", "acme", "-n", ns, "-f", file, "-o", "json")
	var made madeKey
	if err := json.Unmarshal([]byte(r.out), &made); err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	keys := userOf(t, ns, "acme").Spec.Authentication.AuthorizedKeys
	if len(keys) != len(before)+1 || keys[len(keys)-1] != made.PublicKey || !strings.HasSuffix(made.PublicKey, " acme 2026-11-25") {
		t.Errorf("keys %q, want those of before and %q", keys, made.PublicKey)
	}
	parsed, err := publickey.ParseLine(made.PublicKey)
	if err != nil || parsed.Fingerprint() != made.Fingerprint {
		t.Errorf("%v, %v, want the key with fingerprint %s", parsed, err, made.Fingerprint)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil || ssh.FingerprintSHA256(signer.PublicKey()) != made.Fingerprint {
		t.Errorf("the file has a different key: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != privateMode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if public, err := os.ReadFile(file + ".pub"); err != nil || strings.TrimSpace(string(public)) != made.PublicKey {
		t.Errorf("%q, %v", public, err)
	}

	// The second time, the file exists, and neither it nor the user changes.
	r = plugInput(t, who, "", "keygen", "acme", "-n", ns, "-f", file)
	again, err := os.ReadFile(file)
	if r.code != exitFailed || err != nil || string(again) != string(data) || len(userOf(t, ns, "acme").Spec.Authentication.AuthorizedKeys) != len(keys) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestKeygenIntoSecret(t *testing.T) {
	ns := namespace(t, "keygen-secret")
	manifests(t, ns, "partners.yaml")
	r := plugInput(t, editor(t, ns, "keygen-secret-editor"), "", "keygen", "initech", "-n", ns, "--secret", "upload", "-C", "batch")
	if want := regexp.MustCompile(`^SFTPUser keygen-secret/initech has a new key SHA256:\S+\. The private key is in Secret upload\.\n$`); r.code != 0 || !want.MatchString(r.out) {
		t.Errorf("%+v", r)
	}
	s := secretOf(t, ns, "upload")
	keys := userOf(t, ns, "initech").Spec.Authentication.AuthorizedKeys
	signer, err := ssh.ParsePrivateKey(s.Data[corev1.SSHAuthPrivateKey])
	if err != nil || s.Type != corev1.SecretTypeSSHAuth || len(keys) != 1 || string(s.Data["ssh-publickey"]) != keys[0]+"\n" {
		t.Fatalf("%v, type %s, keys %q", err, s.Type, keys)
	}
	if parsed, err := publickey.ParseLine(keys[0]); err != nil || parsed.Fingerprint() != ssh.FingerprintSHA256(signer.PublicKey()) {
		t.Errorf("%v, %v", parsed, err)
	}
}

// A key with an expiration becomes an SFTPKey.
func TestKeygenWithAnEnd(t *testing.T) {
	ns := namespace(t, "keygen-end")
	manifests(t, ns, "partners.yaml")
	before := userOf(t, ns, "acme").Spec.Authentication.AuthorizedKeys
	file := filepath.Join(t.TempDir(), "key")
	r := plug(t, "keygen", "acme", "-n", ns, "-f", file, "--expires", "365d")
	if r.code != 0 || !strings.HasSuffix(r.out, "It is assigned by SFTPKey acme-2026-11-25, until 2027-11-25T12:00:00Z.\n") {
		t.Fatalf("%+v", r)
	}
	k := &v1alpha1.SFTPKey{}
	if err := api.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "acme-2026-11-25"}, k); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil || k.Spec.PublicKey+"\n" != string(public) || k.Spec.UserRef == nil || k.Spec.UserRef.Name != "acme" || !k.Spec.ExpirationTime.Equal(&metav1.Time{Time: now.Add(365 * day)}) {
		t.Errorf("%+v, %v", k.Spec, err)
	}
	if after := userOf(t, ns, "acme").Spec.Authentication.AuthorizedKeys; len(after) != len(before) {
		t.Errorf("the spec of the user has changed: %q", after)
	}
	// The name is taken, and the second key leaves nothing behind.
	r = plug(t, "keygen", "acme", "-n", ns, "-f", file+"2", "--expires", "365d")
	if _, err := os.Stat(file + "2"); r.code != exitFailed || !os.IsNotExist(err) {
		t.Errorf("%+v, %v", r, err)
	}
	if r := plug(t, "keygen", "acme", "-n", ns, "-f", file+"3", "--expires", "0d"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}

// An account that may not change the user leaves nothing behind.
func TestKeygenWithoutTheRight(t *testing.T) {
	ns := namespace(t, "keygen-denied")
	manifests(t, ns, "partners.yaml")
	dir := t.TempDir()
	viewer := account(t, ns, "keygen-viewer", reads("sftpusers"))
	r := plugInput(t, viewer, "", "keygen", "acme", "-n", ns, "-f", filepath.Join(dir, "key"))
	left, err := os.ReadDir(dir)
	if r.code != exitFailed || !strings.Contains(r.err, "forbidden") || err != nil || len(left) != 0 {
		t.Errorf("%+v, %v, left %v", r, err, left)
	}
}

func TestPasswd(t *testing.T) {
	ns := namespace(t, "passwd")
	manifests(t, ns, "partners.yaml")
	who := editor(t, ns, "passwd-editor")

	// The Secret that the user refers to is missing.
	plugInput(t, who, "", "passwd", "acme", "-n", ns).want(t, 0, "passwd.txt")
	s := secretOf(t, ns, "acme-password")
	const least = 26
	if old := string(s.Data["password"]); s.Type != corev1.SecretTypeBasicAuth || len(old) < least {
		t.Errorf("type %s, %d bytes", s.Type, len(old))
	}
	// Now it exists, with another entry.
	s.Data["username"] = []byte("acme")
	if err := api.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r := plugInput(t, who, "", "passwd", "acme", "-n", ns, "--show")
	changed := secretOf(t, ns, "acme-password")
	line := strings.Split(r.out, "\n")[1]
	if r.code != 0 || string(changed.Data["password"]) != line || string(changed.Data["username"]) != "acme" || line == string(s.Data["password"]) {
		t.Errorf("%+v, Secret %q", r, changed.Data)
	}
	// A chosen password.
	plugInput(t, who, "correct horse battery\n", "passwd", "acme", "-n", ns, "--stdin").want(t, 0, "passwd.txt")
	if got := string(secretOf(t, ns, "acme-password").Data["password"]); got != "correct horse battery" {
		t.Errorf("%q", got)
	}

	// A user without a password gets one.
	r = plugInput(t, who, "", "passwd", "globex", "-n", ns, "-o", "json")
	var set setPasswordResult
	if err := json.Unmarshal([]byte(r.out), &set); err != nil || set.Password != "" || !set.Created {
		t.Errorf("%+v, %v", r, err)
	}
	ref := userOf(t, ns, "globex").Spec.Authentication.PasswordSecretRef
	if ref == nil || ref.Name != set.Secret || len(secretOf(t, ns, ref.Name).Data[ref.Key]) < least {
		t.Errorf("reference %+v, %+v", ref, set)
	}

	// A hash that was made elsewhere is replaced by a clear-text password.
	hashed := userOf(t, ns, "globex")
	hashed.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "old", Key: "passwordHash", Format: v1alpha1.PasswordHash}
	if err := api.Update(t.Context(), hashed); err != nil {
		t.Fatal(err)
	}
	create(t, newSecret(ns, "old", map[string]string{"passwordHash": "$2b$..."}))
	r = plugInput(t, who, "", "passwd", "globex", "-n", ns, "--show")
	ref = userOf(t, ns, "globex").Spec.Authentication.PasswordSecretRef
	if r.code != 0 || ref.Name != "old" || ref.Key != "passwordHash" || ref.Format != "" ||
		string(secretOf(t, ns, "old").Data["passwordHash"]) != strings.Split(r.out, "\n")[1] {
		t.Errorf("%+v, reference %+v", r, ref)
	}
}

func TestPasswdRefuses(t *testing.T) {
	ns := namespace(t, "passwd-refuses")
	manifests(t, ns, "partners.yaml")
	create(t, newSecret(ns, "globex-password", map[string]string{"password": "for something else"}))
	for golden, tc := range map[string]struct {
		code        int
		args, input string
	}{
		"passwd-short.txt":  {exitFailed, "passwd acme --stdin", "hunter2\n"},
		"passwd-lines.txt":  {exitFailed, "passwd acme --stdin", "a password\nof two lines\n"},
		"passwd-prompt.txt": {exitFailed, "passwd acme --prompt", ""},
		"passwd-both.txt":   {exitUsage, "passwd acme --prompt --show", ""},
		"passwd-taken.txt":  {exitFailed, "passwd globex", ""},
		"passwd-nobody.txt": {exitFailed, "passwd nobody", ""}, // words: ok, a name
	} {
		t.Run(golden, func(t *testing.T) {
			plugInput(t, administrator, tc.input, append(strings.Fields(tc.args), "-n", ns)...).want(t, tc.code, golden)
		})
	}
	if got := string(secretOf(t, ns, "globex-password").Data["password"]); got != "for something else" {
		t.Errorf("the other Secret was changed: %q", got)
	}
	if userOf(t, ns, "globex").Spec.Authentication.PasswordSecretRef != nil {
		t.Error("the user refers to it")
	}
}
