package operator

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// The secret of a TOTP app reaches the pods, and so does a change to it. An unusable one locks the user out, and the condition
// says why without revealing the secret.
func TestUserWithTOTP(t *testing.T) {
	const one, two = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U"
	ns := namespace(t, nil)
	readyListener(t, ns)
	u := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "acme-totp"}
	})
	create(t, u)
	waitFor(t, u, "Ready", "False", "SecretNotFound", `Secret "acme-totp" does not exist in namespace "`+ns+`"; create it or correct spec.authentication.totpSecretRef`)

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "acme-totp"}, StringData: map[string]string{"totp": one}}
	create(t, secret)
	waitReady(t, u)
	have := func(want string) {
		t.Helper()
		eventually(t, func() error {
			login := pods.logins(ns)["acme"]
			if login.TOTP == nil || login.TOTP.Secret != want || !slices.Equal(login.Methods, []string{"PublicKey,TOTP"}) {
				return fmt.Errorf("pods have %+v", login)
			}
			return nil
		})
	}
	have(one)
	change(t, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"totp": "otpauth://totp/acme?secret=" + two} })
	have(two)

	change(t, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"totp": two[:16]} })
	waitFor(t, u, "ResolvedRefs", "False", "InvalidTOTPSecret",
		`Secret "acme-totp", entry "totp" cannot be used for an authenticator app: the secret has 80 bits, but at least 128 are required (RFC 4226 section 4); make a new one. kubectl sftp totp creates one that can`)
	eventually(t, func() error {
		if login, ok := pods.logins(ns)["acme"]; ok {
			return fmt.Errorf("pods have %+v", login)
		}
		return nil
	})
}

// A listener's requirement applies to users who chose nothing, and refuses those who chose less.
func TestRequiredMethods(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	plain, chosen := newUser(ns, "plain"), newUser(ns, "chosen", func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.Methods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}}}
	})
	create(t, plain)
	create(t, chosen)
	waitReady(t, plain)
	waitReady(t, chosen)

	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.RequiredMethods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}}}
	})
	waitRefused(t, chosen, "MethodsTooWeak",
		"The combination PublicKey is weaker than what the listener requires, which is: PublicKey,Password. Set spec.authentication.methods to one of these, or remove methods to use them")
	waitFor(t, plain, "ResolvedRefs", "False", "FactorMissing",
		"Some of the user's methods cannot succeed: PublicKey,Password needs a password (spec.authentication.passwordSecretRef)")
	eventually(t, func() error {
		if logins := pods.logins(ns); len(logins) != 0 {
			return fmt.Errorf("pods have %+v", logins)
		}
		return nil
	})

	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "p"}, StringData: map[string]string{"password": "correct horse"}})
	change(t, plain, func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "p"}
	})
	waitReady(t, plain)
	if login := pods.logins(ns)["plain"]; !slices.Equal(login.Methods, []string{"PublicKey,Password"}) {
		t.Errorf("pods have %+v", login)
	}
}
