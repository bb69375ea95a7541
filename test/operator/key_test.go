package operator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// rsa2048 is a public key that is too short for some policies.
const rsa2048 = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCOc87itH0Q0xh55KI07P5GaJSTlVjqPCaeqXL4TH4psUBcr5JlLbAHkasElLd16q0u58+aje5CEBAGt8VYPyIc7FCh3Z3Jnq1cp3oyy8lDuj/U/AfAKoOfH8bXjXNndcwV814GsXbnt1zfgFfydo6kigwEkJ6MN1OVfecb8sd85Ry4nbCaADKon/khrmsBzkFTWUKvWQqFbtF3Df81I1KkjLkAJlsCKdjdBn60FcKyxCCH3xz2qTO4GfoQ6TyNVLpjZXijULGNOU5lr73NrneUu/qyGBi3B1X1XVhLre9eI0qRPkm1PQ4tklMko0bFx7DKjM+hsMd+bBNsZ8GGgdtN"

// partnerKey returns an SFTPKey with the public key of a partner's pair, publicKey(seed).
func partnerKey(ns, name, seed string, edits ...func(*v1alpha1.SFTPKey)) *v1alpha1.SFTPKey {
	k := &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: publicKey(seed) + " " + name + "@laptop"},
	}
	for _, edit := range edits {
		edit(k)
	}
	return k
}

func assignedTo(user string) func(*v1alpha1.SFTPKey) {
	return func(k *v1alpha1.SFTPKey) { k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: user} }
}

func withoutKeys(u *v1alpha1.SFTPUser) { u.Spec.Authentication = v1alpha1.UserAuthentication{} }

func fingerprint(t *testing.T, seed string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(publicKey(seed)))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(key)
}

// keyOf waits until a user's status has a key in a state, and returns its entry.
func keyOf(t *testing.T, u *v1alpha1.SFTPUser, fp string, state v1alpha1.KeyState) v1alpha1.UserKeyStatus {
	t.Helper()
	var found v1alpha1.UserKeyStatus
	eventually(t, func() error {
		get(t, u, u.Namespace, u.Name)
		i := slices.IndexFunc(u.Status.Keys, func(k v1alpha1.UserKeyStatus) bool { return k.Fingerprint == fp })
		if i < 0 || u.Status.Keys[i].State != state {
			return fmt.Errorf("SFTPUser %s has the keys %+v, want %s %s", u.Name, u.Status.Keys, fp, state)
		}
		found = u.Status.Keys[i]
		return nil
	})
	return found
}

// An assigned key logs in its user, with all of its restrictions, and no other user.
func TestAssignedKey(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	end := time.Now().Add(1000 * time.Hour).Truncate(time.Second)
	k := partnerKey(ns, "acme-2026", "acme", assignedTo("acme"), func(k *v1alpha1.SFTPKey) {
		k.Spec.From, k.Spec.ExpirationTime = []string{"192.0.2.0/24"}, new(metav1.NewTime(end))
	})
	create(t, k)
	waitFor(t, k, "Assigned", "False", "UserNotFound", `SFTPUser "acme" does not exist in namespace "`+ns+`"; create it or correct spec.userRef`)
	waitFor(t, k, "Ready", "False", "UserNotFound", "")

	acme := newUser(ns, "acme", withoutKeys)
	create(t, acme)
	waitReady(t, acme)
	waitFor(t, k, "Assigned", "True", "Assigned", `Only SFTPUser "acme" logs in with the key in this namespace`)
	waitFor(t, k, "Ready", "True", "Ready", "The key is in spec.publicKey")
	login := pods.logins(ns)["acme"].Keys
	if len(login) != 1 || login[0].PublicKey != publicKey("acme") || fmt.Sprint(login[0].From) != "[192.0.2.0/24]" || login[0].NotAfter == nil || !login[0].NotAfter.Equal(end) {
		t.Errorf("pods have %+v", login)
	}
	got := keyOf(t, acme, fingerprint(t, "acme"), v1alpha1.KeyActive)
	today := time.Now().UTC().Format(time.DateOnly)
	if got.Type != "ssh-ed25519" || got.Bits != 256 || got.Source != "sftpkey/acme-2026" || got.Comment != "acme-2026@laptop" ||
		got.ExpirationTime == nil || got.AddedDate > today || got.LastUsedDate != "" {
		t.Errorf("inventory %+v", got)
	}
	eventually(t, func() error {
		get(t, k, ns, k.Name)
		if fmt.Sprint(k.Status.Users) != "[acme]" || k.Status.Bits != 256 {
			return fmt.Errorf("status %+v", k.Status)
		}
		return nil
	})

	// Another user of the namespace does not get the key through a copy.
	other := newUser(ns, "copier", func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, publicKey("acme"))
	})
	create(t, other)
	waitFor(t, other, "ResolvedRefs", "False", "KeyAssignedElsewhere", "")
	keyOf(t, other, fingerprint(t, "acme"), v1alpha1.KeyAssignedElsewhere)
	eventually(t, func() error {
		if keys := pods.logins(ns)["copier"].Keys; len(keys) != 1 || keys[0].PublicKey != publicKey(ns+"copier") {
			return fmt.Errorf("pods have the keys %+v of %s, want only its own", keys, "copier")
		}
		return nil
	})
	waitFor(t, k, "Assigned", "False", "AssignmentConflict",
		`SFTPUser "acme" logs in with the key, but it is also a key of SFTPUser "copier", where it does not work; remove it there`)
	waitFor(t, k, "Ready", "True", "Ready", "")

	// Once the key is assigned to a different user, only that user has it.
	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.UserRef.Name = "copier" })
	eventually(t, func() error {
		if keys := pods.logins(ns)["copier"].Keys; len(keys) != 2 {
			return fmt.Errorf("pods have the keys %+v of the user that the key is assigned to", keys)
		}
		if _, ok := pods.logins(ns)["acme"]; ok {
			return fmt.Errorf("the user that lost the key can log in")
		}
		return nil
	})
	waitFor(t, acme, "ResolvedRefs", "False", "NoCredentials", "")
}

// Of two SFTPKeys with the same key, the older one decides which user it belongs to.
func TestDuplicateKey(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	first := partnerKey(ns, "z-first", "shared", assignedTo("acme"))
	create(t, first)
	time.Sleep(1100 * time.Millisecond) // creation times are whole seconds
	second := partnerKey(ns, "a-second", "shared", assignedTo("other"))
	create(t, second)
	acme, other := newUser(ns, "acme", withoutKeys), newUser(ns, "other")
	create(t, acme)
	create(t, other)
	waitReady(t, acme)
	message := `SFTPKey "z-first", which is older, assigns the same key to SFTPUser "acme"; give each user a key of its own`
	waitFor(t, second, "Assigned", "False", "DuplicateKey", message)
	waitFor(t, second, "Ready", "False", "DuplicateKey", message)
	waitFor(t, other, "ResolvedRefs", "False", "KeyAssignedElsewhere",
		`The key `+fingerprint(t, "shared")+` (sftpkey/a-second) is assigned to SFTPUser "acme" by SFTPKey "z-first"; remove it here and give each user a key of its own, or change spec.userRef there`)
	waitFor(t, first, "Assigned", "False", "AssignmentConflict", "")

	remove(t, first)
	waitFor(t, second, "Ready", "True", "Ready", "")
	waitFor(t, second, "Assigned", "True", "Assigned", "")
	waitReady(t, other)
	if keys := pods.logins(ns)["other"].Keys; len(keys) != 2 {
		t.Errorf("pods have the keys %+v of the heir", keys)
	}
}

// A key's validity period passes without any action, and everything that depends on it reacts.
func TestKeyWithTimes(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	// Each time is far in the future until it is tested, because a machine may take long to get there.
	begin := time.Now().Add(time.Hour).Truncate(time.Second)
	end := begin.Add(time.Hour)
	k := partnerKey(ns, "acme-2026", "acme", assignedTo("acme"), func(k *v1alpha1.SFTPKey) {
		k.Spec.NotBefore, k.Spec.ExpirationTime = new(metav1.NewTime(begin)), new(metav1.NewTime(end))
	})
	create(t, k)
	acme := newUser(ns, "acme", withoutKeys)
	create(t, acme)
	waitFor(t, acme, "Inactive", "True", "NoValidKey", "")
	waitFor(t, k, "Inactive", "True", "KeyNotYetValid", "The key is not valid before "+begin.UTC().Format(time.RFC3339))
	if keys := pods.logins(ns)["acme"].Keys; len(keys) != 1 || keys[0].NotBefore == nil || !keys[0].NotBefore.Equal(begin) {
		t.Errorf("pods have %+v: they must accept it on their own", keys)
	}
	waitFor(t, acme, "KeysValid", "False", "KeyNotYetValid", fingerprint(t, "acme")+" (sftpkey/acme-2026) is valid from "+begin.UTC().Format(time.RFC3339))
	soon := func() time.Time { return time.Now().Add(3 * time.Second).Truncate(time.Second) }
	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.NotBefore = new(metav1.NewTime(soon())) })
	waitFor(t, k, "Ready", "True", "KeyExpiring", "The key expires at "+end.UTC().Format(time.RFC3339)+"; give the user a new one before then, or set a later spec.expirationTime")
	waitFor(t, acme, "KeysValid", "False", "KeyExpiring", "")
	end = soon()
	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.ExpirationTime = new(metav1.NewTime(end)) })
	waitFor(t, acme, "KeysValid", "False", "KeyExpired", fingerprint(t, "acme")+" (sftpkey/acme-2026) expired at "+end.UTC().Format(time.RFC3339))
	waitFor(t, acme, "Inactive", "True", "NoValidKey", "Too few keys of the user are valid now (see the condition KeysValid); give the user a new one")
	waitFor(t, k, "Inactive", "True", "KeyExpired", "")
	keyOf(t, acme, fingerprint(t, "acme"), v1alpha1.KeyExpired)

	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.ExpirationTime = nil })
	waitReady(t, acme)
	waitFor(t, acme, "KeysValid", "True", "KeysValid", "")
	waitFor(t, k, "Ready", "True", "Ready", "")
}

// A key that the listener's policy does not admit is in the inventory, which says why it does not work.
func TestWeakKey(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns, func(l *v1alpha1.SFTPListener) { l.Spec.CryptoPolicy = v1alpha1.CryptoStrict2026 })
	k := partnerKey(ns, "acme-2026", "acme", assignedTo("acme"))
	k.Spec.PublicKey = rsa2048
	create(t, k)
	acme := newUser(ns, "acme", withoutKeys)
	create(t, acme)
	waitFor(t, acme, "ResolvedRefs", "False", "InvalidPublicKey", "")
	waitFor(t, k, "Ready", "False", "WeakKey", "")
	if keys := acme.Status.Keys; len(keys) != 1 || keys[0].State != v1alpha1.KeyWeak || keys[0].Bits != 2048 || strings.TrimSpace(keys[0].Comment) != "" {
		t.Errorf("inventory %+v", keys)
	}
}
