package operator

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func listSecret(ns, name, text string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Data: map[string][]byte{"list": []byte(text)}}
}

func waitRevoked(t *testing.T, ns string, want ...string) {
	t.Helper()
	eventually(t, func() error {
		if got := pods.settings(ns).Revoked.Keys; !slices.Equal(got, want) {
			return fmt.Errorf("pods refuse %q, want %q", got, want)
		}
		return nil
	})
}

// Changes to a revocation list in a Secret take effect. If the list is damaged or deleted, everything stays revoked, even for
// an operator that has never seen it.
func TestRevokedKeysOfASecret(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	lost := newUser(ns, "lost")
	create(t, lost)
	waitReady(t, lost)
	one, two := fingerprint(t, ns+"lost"), fingerprint(t, "two")

	list := listSecret(ns, "lost-keys", "# none yet\n")
	create(t, list)
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "lost-keys", Key: "list"}}
	})
	change(t, list, func(s *corev1.Secret) { s.Data["list"] = []byte(one + " laptop\n" + publicKey("two") + "\n") })
	waitRevoked(t, ns, one, two)
	waitFor(t, lost, "ResolvedRefs", "False", "KeyRevoked", "")
	keyOf(t, lost, one, v1alpha1.KeyRevoked)
	waitFor(t, l, "Ready", "True", "Ready", "")

	change(t, list, func(s *corev1.Secret) { s.Data["list"] = []byte("damaged") })
	message := `Secret "lost-keys", entry "list" cannot be read, and what was revoked before stays revoked: ` +
		`line 1: not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`
	waitFor(t, l, "ResolvedRefs", "False", "InvalidRevokedKey", message)
	waitFor(t, l, "Ready", "False", "InvalidRevokedKey", message)
	waitRevoked(t, ns, one, two)

	restartOperator(t, func() { remove(t, list) })
	waitFor(t, l, "ResolvedRefs", "False", "SecretNotFound",
		fmt.Sprintf(`Secret "lost-keys" does not exist in namespace %q, and what was revoked before stays revoked; create it or correct spec.revokedKeysSecretRefs`, ns))
	waitRevoked(t, ns, one, two)

	create(t, listSecret(ns, "lost-keys", two))
	waitRevoked(t, ns, two)
	waitReady(t, lost)
	waitFor(t, l, "Ready", "True", "Ready", "")
}

// Pods of a new listener do not start before the revocation list is known.
func TestRevokedKeysBeforeTheFirstPod(t *testing.T) {
	ns := namespace(t, nil)
	l := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "lost-keys", Key: "list"}}
	})
	create(t, l)
	waitFor(t, l, "ResolvedRefs", "False", "SecretNotFound", "")
	readyPod(t, l, "a")
	waitFor(t, l, "Ready", "False", "SecretNotFound", "")
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "partners-sftp-config"}, &corev1.Secret{}); err == nil {
		t.Error("pods have a configuration")
	}
	create(t, listSecret(ns, "lost-keys", publicKey("two")))
	waitRevoked(t, ns, fingerprint(t, "two"))
	waitFor(t, l, "Ready", "True", "Ready", "")
}

// CAs in a Secret are trusted as long as the Secret contains their lines.
func TestUserCAsOfASecret(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	create(t, listSecret(ns, "cas", "# ours\n"+publicKey("ca")+" ca@corp\n"))
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "cas", Key: "list"}}
	})
	u := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication = v1alpha1.UserAuthentication{Certificates: v1alpha1.CertificatesAccepted}
	})
	create(t, u)
	waitReady(t, u)
	if got := pods.settings(ns).Authentication.TrustedUserCAs; !slices.Equal(got, []string{publicKey("ca")}) {
		t.Errorf("pods trust %q", got)
	}
	remove(t, listSecret(ns, "cas", ""))
	waitFor(t, l, "ResolvedRefs", "False", "SecretNotFound",
		fmt.Sprintf(`Secret "cas" does not exist in namespace %q, and its CAs are not trusted; create it or correct spec.authentication.trustedUserCAsSecretRefs`, ns))
	waitFor(t, u, "Ready", "False", "InvalidUserCA",
		"No certificate authority of the listener can be used, so certificates cannot log in; the listener's condition ResolvedRefs says why")
	eventually(t, func() error {
		if got := pods.settings(ns).Authentication.TrustedUserCAs; len(got) != 0 {
			return fmt.Errorf("pods trust %q", got)
		}
		return nil
	})
}
