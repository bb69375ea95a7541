package operator

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func TestUserBecomesReady(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	u := newUser(ns, "acme")
	create(t, u)
	waitFor(t, u, "Accepted", "True", "Accepted", "The listener accepts this user")
	waitFor(t, u, "ResolvedRefs", "True", "ResolvedRefs", "All keys and Secrets are usable")
	waitReady(t, u)
	if u.Status.Username != "acme" || u.Status.Address != "partners-sftp."+ns+".svc:22" || len(u.Status.Keys) != 1 {
		t.Errorf("username %q, address %q, keys %q", u.Status.Username, u.Status.Address, u.Status.Keys)
	}
	deployment := &appsv1.Deployment{}
	if get(t, deployment, ns, "partners-sftp"); deployment.Generation != 1 {
		t.Errorf("the Deployment is of generation %d: users must not restart pods", deployment.Generation)
	}
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		if *l.Status.AttachedUsers != 1 {
			return fmt.Errorf("attachedUsers is %d", *l.Status.AttachedUsers)
		}
		return nil
	})
	remove(t, u)
	eventually(t, func() error {
		if len(pods.logins(ns)) != 0 {
			return fmt.Errorf("the SFTPUser is deleted, but pods still have its login")
		}
		return nil
	})
}

func TestListenerThatComesLater(t *testing.T) {
	ns := namespace(t, nil)
	u := newUser(ns, "acme")
	create(t, u)
	waitRefused(t, u, "ListenerNotFound",
		`SFTPListener "partners" does not exist in namespace "`+ns+`"; create it, or delete this SFTPUser and name another listener`)
	l := readyListener(t, ns)
	waitReady(t, u)
	remove(t, l)
	waitFor(t, u, "Accepted", "False", "ListenerNotFound", "")
}

func TestSuspendedUser(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
	waitRefused(t, u, "Suspended", "spec.state is Suspended; set it to Active to let the user log in")
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserActive })
	waitReady(t, u)
}

func TestExpiringUser(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	u := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = new(metav1.NewTime(end)) })
	create(t, u)
	waitReady(t, u)
	if got := pods.logins(ns)["acme"].NotAfter; got == nil || !got.Equal(end) {
		t.Errorf("the daemon knows the expiration %v, want %v", got, end)
	}
	end = time.Now().Add(3 * time.Second).Truncate(time.Second)
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = new(metav1.NewTime(end)) })
	waitRefused(t, u, "Expired", "The login expired at "+end.UTC().Format(time.RFC3339)+"; set a later spec.expirationTime")
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = nil })
	waitReady(t, u)
}

func TestUserWithoutItsSecret(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	u := newUser(ns, "acme", withPassword("acme-password"))
	u.Spec.Authentication.AuthorizedKeys = nil
	create(t, u)
	message := `Secret "acme-password" does not exist in namespace "` + ns + `"; create it or correct spec.authentication.passwordSecretRef`
	waitFor(t, u, "Accepted", "True", "Accepted", "")
	waitFor(t, u, "ResolvedRefs", "False", "SecretNotFound", message)
	waitFor(t, u, "Ready", "False", "SecretNotFound", message)

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "acme-password"}, StringData: map[string]string{"pass": "hunter2-long"}}
	create(t, secret)
	waitFor(t, u, "Ready", "False", "SecretKeyMissing", `Secret "acme-password" has no entry "password"; add it or set the key of spec.authentication.passwordSecretRef`)

	change(t, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"password": "hunter2-long"} })
	waitReady(t, u)

	remove(t, secret)
	waitFor(t, u, "Ready", "False", "SecretNotFound", message)
	eventually(t, func() error {
		if len(pods.logins(ns)) != 0 {
			return fmt.Errorf("the password's Secret is gone, but the login works")
		}
		return nil
	})
}

func TestUserWithOneBadKey(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	u := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, "ssh-ed25519 AAAAB3Nza ops@acme")
	})
	create(t, u)
	message := `spec.authentication.authorizedKeys[1]: the key after "ssh-ed25519" is damaged or incomplete; copy the whole line of the .pub file again`
	waitFor(t, u, "ResolvedRefs", "False", "InvalidPublicKey", message)
	waitFor(t, u, "Ready", "False", "InvalidPublicKey", message+". The other credentials work")
	eventually(t, func() error {
		if got := len(pods.logins(ns)["acme"].Keys); got != 1 {
			return fmt.Errorf("pods have %d keys of the user, want the good one", got)
		}
		return nil
	})
}

// Changing one password creates one new hash and leaves all other users' lines unchanged.
func TestPasswordRotation(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	secret := passwordSecret(ns, "acme-password", "hunter2-long")
	create(t, secret)
	create(t, passwordSecret(ns, "other-password", "hunter2-long"))
	acme, other := newUser(ns, "acme", withPassword("acme-password")), newUser(ns, "other", withPassword("other-password"))
	create(t, acme)
	create(t, other)
	waitReady(t, acme)
	waitReady(t, other)
	before := pods.logins(ns)
	if before["acme"].Password.Hash == before["other"].Password.Hash {
		t.Error("two users with the same password have the same hash")
	}

	change(t, secret, func(s *corev1.Secret) { s.Labels = map[string]string{"rotated": "no"} })
	eventually(t, func() error { // the Secret's version is in the record
		if after := pods.logins(ns)["acme"].Password; after == nil || after.Source == before["acme"].Password.Source {
			return fmt.Errorf("the record has the password %+v", after)
		}
		return nil
	})
	if after := pods.logins(ns)["acme"].Password; after.Hash != before["acme"].Password.Hash {
		t.Error("the password is the same, but it has a new hash: its sessions were closed")
	}

	change(t, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"password": "correct horse"} })
	eventually(t, func() error {
		if after := pods.logins(ns)["acme"].Password; after == nil || after.Hash == before["acme"].Password.Hash {
			return fmt.Errorf("the password was changed, but its hash was not")
		}
		return nil
	})
	waitReady(t, acme)
	if after := pods.logins(ns)["other"]; *after.Password != *before["other"].Password {
		t.Error("the other user's record was changed")
	}
}

// The listener's rules for passwords apply to those in plain text; a hash is passed on unchanged.
func TestPasswordPolicy(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	const hash = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"
	create(t, passwordSecret(ns, "acme-password", "hunter2-long"))
	create(t, passwordSecret(ns, "moved-password", hash))
	acme := newUser(ns, "acme", withPassword("acme-password"))
	moved := newUser(ns, "moved", withPassword("moved-password"), func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.PasswordSecretRef.Format = v1alpha1.PasswordHash
	})
	create(t, acme)
	create(t, moved)
	waitReady(t, acme)
	waitReady(t, moved)
	if got := pods.logins(ns)["moved"].Password.Hash; got != hash {
		t.Errorf("pods have the hash %q", got)
	}
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Authentication.PasswordPolicy.MinLength = new(int32(15)) })
	waitFor(t, acme, "ResolvedRefs", "False", "InvalidPassword",
		`The password in Secret "acme-password" has fewer than 15 characters, which the listener requires (its spec.authentication.passwordPolicy); put a longer one there`)
	eventually(t, func() error {
		if login := pods.logins(ns)["acme"]; login.Password != nil || len(login.Keys) != 1 {
			return fmt.Errorf("pods have %+v", login)
		}
		return nil
	})
	waitReady(t, moved)
}

func TestUserWithAnSFTPKey(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns)
	u := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication = v1alpha1.UserAuthentication{}
	})
	create(t, u)
	waitFor(t, u, "ResolvedRefs", "False", "NoCredentials", "")
	k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "acme"}, Spec: v1alpha1.SFTPKeySpec{
		Usage: v1alpha1.KeyUsageClient, UserRef: &v1alpha1.LocalUserReference{Name: "acme"},
	}}
	create(t, k)
	waitReady(t, u)
	get(t, k, ns, "acme")
	if got := pods.logins(ns)["acme"].Keys[0].PublicKey; got != k.Status.PublicKey {
		t.Errorf("pods have the key %q, want that of the SFTPKey, %q", got, k.Status.PublicKey)
	}
}
