package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// All ways to log in other than keys in a user's spec and plain passwords, on real pods, and what the inventory and kubectl
// sftp report about them.
func TestIdentity(t *testing.T) {
	ns := newNamespace(t, "identity", nil)
	ca := newKey(t)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		s.Authentication.TrustedUserCAs = []string{ca.line}
	})

	t.Run("generated key and its rotation", func(t *testing.T) {
		k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "nightly"}, Spec: v1alpha1.SFTPKeySpec{
			Usage: v1alpha1.KeyUsageClient, UserRef: &v1alpha1.LocalUserReference{Name: "nightly"},
			Rotation: v1alpha1.KeyRotation{OverlapSeconds: new(int32(3600))},
		}}
		must(t, kube.Create(t.Context(), k))
		u := newUser(t, l, ns, "nightly", v1alpha1.UserAuthentication{})
		first := secretKey(t, ns, "nightly")
		mustLogin(t, l, u.Name, first).roundTrip(t, "first", 10_000)
		update(t, k, func(k *v1alpha1.SFTPKey) {
			k.Spec.Rotation.MadeAfter = new(metav1.NewTime(k.Status.RevisionTime.Add(time.Second)))
		})
		eventually(t, time.Minute, "the second revision is in the user's inventory", func() bool {
			must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(k), k))
			must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(u), u))
			return k.Status.Revision == 2 && hasKey(u, k.Status.Fingerprint) && isReady(u)
		})
		mustLogin(t, l, u.Name, secretKey(t, ns, "nightly-r2")).roundTrip(t, "second", 10_000)
		mustLogin(t, l, u.Name, first)
		if len(k.Status.Retiring) != 1 || len(u.Status.Keys) != 2 {
			t.Errorf("retiring %+v, inventory %+v", k.Status.Retiring, u.Status.Keys)
		}
		start := time.Now()
		newUser(t, l, ns, "nudge", keyAuth(newKey(t)))
		lastUsed(t, u, 2)
		eventually(t, time.Minute, "the SFTPKey's status has the day of the last login, as the user's has", func() bool {
			must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(k), k))
			return k.Status.LastUsedDate != ""
		})
		fmt.Printf("IDENTITY both revisions of a generated key log in; their last use is in the status after %s\n", seconds(time.Since(start)))
	})

	t.Run("certificate", func(t *testing.T) {
		u := newUser(t, l, ns, "bearer", v1alpha1.UserAuthentication{Certificates: v1alpha1.CertificatesAccepted})
		mustLogin(t, l, u.Name, certificate(t, ca, u.Name, 7)).roundTrip(t, "file", 10_000)
		for what, auth := range map[string]ssh.AuthMethod{
			"of another CA": certificate(t, newKey(t), u.Name, 8), "for another name": certificate(t, ca, "nightly", 9),
		} {
			if _, err := login(t, l, u.Name, auth); err == nil {
				t.Errorf("a certificate %s can log in", what)
			}
		}
	})

	t.Run("hashed password", func(t *testing.T) {
		const password = "correct-horse-battery"
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		must(t, err)
		newSecret(t, ns, "hash", map[string]string{"password": string(hash)})
		u := newUser(t, l, ns, "migrated", v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{
			Name: "hash", Format: v1alpha1.PasswordHash,
		}})
		mustLogin(t, l, u.Name, ssh.Password(password))
		for what, wrong := range map[string]string{"a wrong password": password + "x", "the hash": string(hash)} {
			if _, err := login(t, l, u.Name, ssh.Password(wrong)); err == nil {
				t.Errorf("%s logs in", what)
			}
		}
	})

	t.Run("kubectl sftp", func(t *testing.T) {
		k := newKey(t)
		u := newUser(t, l, ns, "acme", keyAuth(k))
		fingerprint := ssh.FingerprintSHA256(k.signer.PublicKey())
		for _, c := range []struct {
			args string
			code int
			want string
		}{
			{"status acme", 0, "acme"},
			{"check acme -i " + k.file, 0, "works, as acme"},
			{"why acme --from 127.0.0.1 -i " + k.file, 0, "login from "}, // before a refusal, which would be evidence
			{"check acme -i " + newKey(t).file, 5, "the server accepted none of publickey"},
			{"keys acme", 0, fingerprint},
			{"why acme -i " + newKey(t).file, 3, "denied"},
		} {
			out, code := plugin(t, ns, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("kubectl sftp %s: exit code %d, want %d, and %q in:\n%s", c.args, code, c.code, c.want, out)
			}
		}
		newUser(t, l, ns, "second-nudge", keyAuth(k))
		lastUsed(t, u, 1)
		if out, _ := plugin(t, ns, "keys", "acme"); !strings.Contains(out, u.Status.Keys[0].LastUsedDate) {
			t.Errorf("kubectl sftp keys does not show the day of the last login:\n%s", out)
		}
	})
}

// The files of a deleted user stay until an explicit request removes them.
func TestPurge(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, "purge", nil)
	l := newListener(t, ns, "partners", withReceipts)
	k := newKey(t)
	u := newUser(t, l, ns, "acme", keyAuth(k))
	neighbor := newUser(t, l, ns, "globex", keyAuth(k))
	s := mustLogin(t, l, u.Name, ssh.PublicKeys(k.signer))
	must(t, s.MkdirAll("in/deep"))
	s.roundTrip(t, "in/deep/file", 10_000)
	must(t, s.Chmod("in/deep", 0))
	fetchReceipts(t, s, 1)
	mustLogin(t, l, neighbor.Name, ssh.PublicKeys(k.signer)).roundTrip(t, "file", 10)
	purge := []string{"purge", "acme", "--listener", "partners"}
	if out, code := plugin(t, ns, purge...); code == 0 || !strings.Contains(out, "exists") {
		t.Errorf("exit code %d while the user exists: %s", code, out)
	}
	must(t, kube.Delete(t.Context(), u))
	start := time.Now()
	for _, c := range []struct {
		args []string
		want string
	}{
		{purge, "1 directories cannot be read"},
		{append(purge, "--yes"), "1 receipts of uploads are kept"},
		{purge, "no such directory"},
		{append(purge, "--yes", "--receipts"), "receipts removed"},
	} {
		if out, code := plugin(t, ns, c.args...); code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("kubectl sftp %q: exit code %d, want %q in:\n%s", c.args, code, c.want, out)
		}
	}
	fmt.Printf("PURGE a deleted user's files are counted, removed and searched for again in %s\n", seconds(time.Since(start)))
	other := mustLogin(t, l, neighbor.Name, ssh.PublicKeys(k.signer))
	if _, err := other.Stat("file"); err != nil {
		t.Errorf("another user's file: %v", err)
	}
	fetchReceipts(t, other, 1)
	newUser(t, l, ns, "acme", keyAuth(k))
	again := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	for _, dir := range []string{".", "/.receipts"} {
		if files, err := again.ReadDir(dir); err != nil || len(files) > 0 {
			t.Errorf("a new user with the same name finds %d files in %s, %v", len(files), dir, err)
		}
	}
}

// secretKey reads a private key from a generated Secret.
func secretKey(t *testing.T, ns, name string) ssh.AuthMethod {
	t.Helper()
	s := &corev1.Secret{}
	must(t, kube.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: name}, s))
	signer, err := ssh.ParsePrivateKey(s.Data[corev1.SSHAuthPrivateKey])
	must(t, err)
	return ssh.PublicKeys(signer)
}

func hasKey(u *v1alpha1.SFTPUser, fingerprint string) bool {
	return slices.ContainsFunc(u.Status.Keys, func(k v1alpha1.UserKeyStatus) bool { return k.Fingerprint == fingerprint })
}

// lastUsed waits until the status shows today for a number of a user's keys. The operator polls pods about once a minute, and
// also when something else happens to the listener.
func lastUsed(t *testing.T, u *v1alpha1.SFTPUser, n int) {
	t.Helper()
	today := []string{time.Now().UTC().Format(time.DateOnly)}
	eventually(t, 90*time.Second, fmt.Sprintf("the inventory shows that %d keys were used today", n), func() bool {
		must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(u), u))
		used := 0
		for _, k := range u.Status.Keys {
			// Midnight may have passed by now.
			if slices.Contains(append(today, time.Now().UTC().Format(time.DateOnly)), k.LastUsedDate) {
				used++
			}
		}
		return used == n
	})
}

// plugin runs kubectl-sftp and returns its output and exit code.
func plugin(t *testing.T, ns string, args ...string) (string, int) {
	t.Helper()
	program := os.Getenv("PLUGIN")
	if program == "" {
		t.Fatal("PLUGIN is not set; run the tests with make e2e")
	}
	out, err := exec.CommandContext(t.Context(), program, append(args, "-n", ns)...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return string(out), 0
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	}
	t.Fatal(err)
	return "", 0
}
