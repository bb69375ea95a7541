package operator

import (
	"fmt"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A revoked key is removed from the pods and reported on its user, and an entry that revokes nothing is reported on the listener.
func TestRevokedKeys(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	lost, kept := newUser(ns, "lost"), newUser(ns, "kept")
	create(t, lost)
	create(t, kept)
	waitReady(t, lost)
	waitReady(t, kept)
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(lost.Spec.Authentication.AuthorizedKeys[0]))
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := ssh.FingerprintSHA256(key)

	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeys = []v1alpha1.RevokedKey{{Fingerprint: fingerprint}}
	})
	message := "The key " + fingerprint + " is revoked: the listener's spec.revokedKeys, or a list that it names, contains it. Remove it here, and log in with a different one"
	waitFor(t, lost, "ResolvedRefs", "False", "KeyRevoked", message)
	waitFor(t, lost, "Ready", "False", "KeyRevoked", message)
	keyOf(t, lost, fingerprint, v1alpha1.KeyRevoked)
	eventually(t, func() error {
		if _, ok := pods.logins(ns)["lost"]; ok {
			return fmt.Errorf("pods still have the login")
		}
		return nil
	})
	waitFor(t, l, "Ready", "True", "Ready", "")
	waitReady(t, kept)

	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeys = []v1alpha1.RevokedKey{{PublicKey: "ssh-ed25519 AAAA"}}
	})
	waitFor(t, l, "ResolvedRefs", "False", "InvalidRevokedKey",
		`spec.revokedKeys[0] revokes nothing: publicKey is not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`)
	waitReady(t, lost)
	keyOf(t, lost, fingerprint, v1alpha1.KeyActive)
}

// An SFTPKey whose key is revoked has a condition that says so, and recovers once the listener withdraws the revocation.
func TestRevokedSFTPKey(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	k := partnerKey(ns, "acme-2026", "revoked", assignedTo("acme"))
	create(t, k)
	acme := newUser(ns, "acme", withoutKeys)
	create(t, acme)
	waitReady(t, acme)
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeys = []v1alpha1.RevokedKey{{PublicKey: publicKey("revoked")}}
	})
	keyOf(t, acme, fingerprint(t, "revoked"), v1alpha1.KeyRevoked)
	waitFor(t, k, "Ready", "False", "KeyRevoked", `The listener of SFTPUser "acme" has revoked the key, in spec.revokedKeys or in a list that it names; create a new one`)
	waitFor(t, acme, "ResolvedRefs", "False", "KeyRevoked", "")
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.RevokedKeys = nil })
	waitReady(t, acme)
	waitFor(t, k, "Ready", "True", "Ready", "")
}
