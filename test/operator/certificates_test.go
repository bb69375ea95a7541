package operator

import (
	"fmt"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A user with only certificates is ready once the listener trusts a CA.
func TestUserWithCertificates(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	u := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication = v1alpha1.UserAuthentication{Certificates: v1alpha1.CertificatesAccepted}
	})
	create(t, u)
	waitRefused(t, u, "MethodNotAllowed",
		"The listener trusts no certificate authority (its spec.authentication.trustedUserCAs); remove spec.authentication.certificates or ask the listener's owner")

	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.TrustedUserCAs = []string{publicKey(ns+"ca") + " ca@corp"}
	})
	waitReady(t, u)
	if login := pods.logins(ns)["acme"]; !login.Certificates || len(login.Keys) != 0 {
		t.Errorf("pods have %+v", login)
	}

	change(t, u, func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication = v1alpha1.UserAuthentication{AuthorizedKeys: []string{publicKey(ns)}, Certificates: v1alpha1.CertificatesRefused}
	})
	eventually(t, func() error {
		if login := pods.logins(ns)["acme"]; login.Certificates || len(login.Keys) != 1 {
			return fmt.Errorf("pods have %+v", login)
		}
		return nil
	})

	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.TrustedUserCAs = append(l.Spec.Authentication.TrustedUserCAs, "ssh-ed25519 AAAA")
	})
	message := `spec.authentication.trustedUserCAs[1]: the key after "ssh-ed25519" is damaged or incomplete; copy the whole line of the .pub file again`
	waitFor(t, l, "ResolvedRefs", "False", "InvalidUserCA", message)
	waitFor(t, l, "Ready", "False", "InvalidUserCA", message)
	waitReady(t, u)
}
