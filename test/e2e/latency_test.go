package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// runs is how often each latency is measured.
const runs = 20

// pause lies between runs, so that changes come as people make them. Back to back, the
// medians are about 0.95 s: a kubelet refreshes a pod's volume at most about once a second.
const pause = 1500 * time.Millisecond

// summarize prints the figures and checks the bounds that users are promised, with room
// for a busy machine.
func summarize(t *testing.T, what string, times []time.Duration, median, worst time.Duration) {
	t.Helper()
	slices.Sort(times)
	mid, last := times[len(times)/2], times[len(times)-1]
	fmt.Printf("LATENCY %s: %d runs, median %d ms, worst %d ms\n", what, len(times), mid.Milliseconds(), last.Milliseconds())
	if mid > median || last > worst {
		t.Errorf("%s: median %s, worst %s; wanted at most %s and %s", what, mid, last, median, worst)
	}
}

// A user that is Ready can log in at once, every time.
func TestUserReadyMeansLogin(t *testing.T) {
	ns := newNamespace(t, "ready", nil)
	start := time.Now()
	l := newListener(t, ns, "partners", nil)
	fmt.Printf("LATENCY listener applied to Ready: %d ms\n", time.Since(start).Milliseconds())

	k := newKey(t)
	var times []time.Duration
	for i := range runs {
		name := fmt.Sprintf("user-%d", i)
		start := time.Now()
		newUser(t, l, ns, name, keyAuth(k))
		times = append(times, time.Since(start))
		if out, err := openSSH(t, l, name, &k, "", "pwd\n"); err != nil {
			t.Fatalf("run %d: the user is Ready but cannot log in: %v\n%s", i, err, out)
		}
		time.Sleep(pause)
	}
	summarize(t, "user applied to Ready (login succeeded at once each time)", times, 2*time.Second, 5*time.Second)
}

// Whatever takes a login away closes its live sessions and refuses new ones.
func TestRevocation(t *testing.T) {
	outer := t
	const median, worst = time.Second, 3 * time.Second
	ns := newNamespace(t, "revoke", nil)
	tenant := newNamespace(t, "tenant", map[string]string{"e2e-sftp": "yes"})
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		s.AllowedUsers.Namespaces = v1alpha1.AllowedNamespaces{
			From:     v1alpha1.NamespacesSelector,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"e2e-sftp": "yes"}},
		}
	})
	kept, gone := newKey(t), newKey(t)
	other := newUser(t, l, tenant, "bystander", keyAuth(kept))
	bystander := mustLogin(t, l, other.Name, ssh.PublicKeys(kept.signer))

	t.Run("key removed", func(t *testing.T) {
		u := newUser(t, l, tenant, "key-user", keyAuth(kept, gone))
		var times []time.Duration
		for range runs {
			stays := mustLogin(t, l, u.Name, ssh.PublicKeys(kept.signer))
			ends := mustLogin(t, l, u.Name, ssh.PublicKeys(gone.signer))
			at := update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.AuthorizedKeys = []string{kept.line} })
			times = append(times, ends.closedAfter(t, at))
			if _, err := login(t, l, u.Name, ssh.PublicKeys(gone.signer)); err == nil {
				t.Fatal("the removed key still logs in")
			}
			if !stays.alive() {
				t.Fatal("the session of the key that was kept was closed, too")
			}
			_ = stays.conn.Close()
			update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.AuthorizedKeys = []string{kept.line, gone.line} })
			waitReady(t, u, 30*time.Second)
			time.Sleep(pause)
		}
		summarize(t, "key removed to session closed", times, median, worst)
	})

	t.Run("password changed", func(t *testing.T) {
		secret := newSecret(t, tenant, "password", map[string]string{"password": "first-password-0"})
		u := newUser(t, l, tenant, "password-user", v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: secret.Name}})
		old := "first-password-0"
		var times []time.Duration
		for i := range runs {
			s := mustLogin(t, l, u.Name, ssh.Password(old))
			next := fmt.Sprintf("next-password-%d", i)
			at := update(t, secret, func(s *corev1.Secret) { s.Data["password"] = []byte(next) })
			times = append(times, s.closedAfter(t, at))
			if _, err := login(t, l, u.Name, ssh.Password(old)); err == nil {
				t.Fatal("the old password still logs in")
			}
			old = next
			eventually(t, 30*time.Second, "the new password logs in", func() bool {
				s, err := login(t, l, u.Name, ssh.Password(old))
				if err == nil {
					_ = s.conn.Close()
				}
				return err == nil
			})
			time.Sleep(pause)
		}
		summarize(t, "password changed to session closed", times, median, worst)
	})

	t.Run("suspended", func(t *testing.T) {
		u := newUser(t, l, tenant, "suspended-user", keyAuth(kept))
		times := measureState(t, l, u, kept, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended },
			v1alpha1.ReasonSuspended, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserActive })
		summarize(t, "user suspended to session closed", times, median, worst)
	})

	t.Run("expired", func(t *testing.T) {
		u := newUser(t, l, tenant, "expiring-user", keyAuth(kept))
		var times []time.Duration
		for range runs {
			// To the second, as the API keeps it. The daemon ends it by its own clock.
			end := time.Now().Add(2 * time.Second).Truncate(time.Second).Add(time.Second)
			update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = new(metav1.NewTime(end)) })
			waitReady(t, u, 2*time.Second)
			s := mustLogin(t, l, u.Name, ssh.PublicKeys(kept.signer))
			times = append(times, s.closedAfter(t, end))
			if _, err := login(t, l, u.Name, ssh.PublicKeys(kept.signer)); err == nil {
				t.Fatal("the expired user still logs in")
			}
			waitCondition(t, u, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonExpired, 10*time.Second)
			update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = nil })
			waitReady(t, u, 30*time.Second)
		}
		summarize(t, "expirationTime to session closed", times, median, worst)
	})

	// Before the next test replaces it: it belongs to the namespace that loses its permission.
	if !bystander.alive() {
		t.Error("a session of another user was closed")
	}

	t.Run("namespace lost its permission", func(t *testing.T) {
		u := newUser(t, l, tenant, "tenant-user", keyAuth(kept))
		moved := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}}
		var times []time.Duration
		for range runs {
			s := mustLogin(t, l, u.Name, ssh.PublicKeys(kept.signer))
			at := update(t, moved, func(n *corev1.Namespace) { delete(n.Labels, "e2e-sftp") })
			times = append(times, s.closedAfter(t, at))
			waitCondition(t, u, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNotAllowedByListener, 10*time.Second)
			update(t, moved, func(n *corev1.Namespace) { n.Labels["e2e-sftp"] = "yes" })
			waitReady(t, u, 30*time.Second)
			time.Sleep(pause)
		}
		summarize(t, "namespace label removed to session closed", times, median, worst)
		bystander = mustLogin(outer, l, other.Name, ssh.PublicKeys(kept.signer)) // it was in that namespace
	})

	t.Run("user deleted", func(t *testing.T) {
		u := newUser(t, l, tenant, "deleted-user", keyAuth(kept))
		s := mustLogin(t, l, u.Name, ssh.PublicKeys(kept.signer))
		must(t, kube.Delete(t.Context(), u, client.Preconditions{}))
		summarize(t, "user deleted to session closed", []time.Duration{s.closedAfter(t, time.Now())}, worst, worst)
	})

	if !bystander.alive() {
		t.Error("a session of another user was closed")
	}
}

// measureState changes a user so that it may not log in, measures until its session is
// closed, and changes it back.
func measureState(t *testing.T, l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser, k keyPair,
	forbid func(*v1alpha1.SFTPUser), reason string, allow func(*v1alpha1.SFTPUser),
) []time.Duration {
	t.Helper()
	var times []time.Duration
	for range runs {
		s := mustLogin(t, l, u.Name, ssh.PublicKeys(k.signer))
		at := update(t, u, forbid)
		times = append(times, s.closedAfter(t, at))
		if _, err := login(t, l, u.Name, ssh.PublicKeys(k.signer)); err == nil {
			t.Fatal("the user still logs in")
		}
		waitCondition(t, u, v1alpha1.ConditionAccepted, metav1.ConditionFalse, reason, 10*time.Second)
		update(t, u, allow)
		waitReady(t, u, 30*time.Second)
		time.Sleep(pause)
	}
	return times
}
