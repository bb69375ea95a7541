package e2e

import (
	"crypto/rand"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A revocation is measured from the call that makes it to the end of the last session, with one session on each pod. The bounds
// are the promised ones; docs/concepts.md has the measurements.
const (
	revocationMedian = 700 * time.Millisecond
	revocationWorst  = 3 * time.Second
)

// Removing a login in any way closes its live sessions on all pods, and refuses new ones.
func TestRevocation(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, "revoke", nil)
	tenant := newNamespace(t, "tenant", map[string]string{"e2e-sftp": "yes"})
	ca := newKey(t)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		withTwoPods(s)
		s.AllowedUsers = v1alpha1.AllowedUsers{
			Usernames: v1alpha1.UsernamesAny,
			Rules: []v1alpha1.AllowedUsersRule{{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{
				From:     v1alpha1.NamespacesSelector,
				Selector: &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"e2e-sftp": "yes"}},
			}}},
		}
		s.Authentication.TrustedUserCAs = []string{ca.line}
	})
	waitTwoPods(t, l)
	kept, gone := newKey(t), newKey(t)
	keptAuth, goneAuth := ssh.PublicKeys(kept.signer), ssh.PublicKeys(gone.signer)
	r := &revocations{listener: l, pods: podAddresses(t, l), timeline: watchTimeline(t, ns)}
	// It belongs to another user, and is not in the namespace that loses its permission.
	elsewhere := newNamespace(t, "bystander", map[string]string{"e2e-sftp": "yes"})
	r.bystanders = r.login(t, newUser(t, l, elsewhere, "bystander", keyAuth(kept)).Name, keptAuth)

	t.Run("key removed", func(t *testing.T) {
		u := newUser(t, l, tenant, "key-user", keyAuth(kept, gone))
		r.measure(t, "key removed", func(int) attempt {
			stay := r.login(t, u.Name, keptAuth)
			return attempt{u.Name, goneAuth, func() time.Time {
				return update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.AuthorizedKeys = []string{kept.line} })
			}, func() {
				if !allAlive(stay) {
					t.Error("a session of the key that was kept was also closed")
				}
				closeAll(stay)
				update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.AuthorizedKeys = []string{kept.line, gone.line} })
				waitReady(t, u, 30*time.Second)
			}}
		})
	})

	t.Run("certificate revoked", func(t *testing.T) {
		u := newUser(t, l, tenant, "certificate-user", v1alpha1.UserAuthentication{Certificates: v1alpha1.CertificatesAccepted})
		stay := r.login(t, u.Name, certificate(t, ca, u.Name, 1_000_000))
		r.measure(t, "certificate's serial revoked", func(i int) attempt {
			return attempt{u.Name, certificate(t, ca, u.Name, uint64(i+1)), func() time.Time {
				return update(t, l, func(l *v1alpha1.SFTPListener) {
					l.Spec.RevokedKeys = append(l.Spec.RevokedKeys, v1alpha1.RevokedKey{Certificate: &v1alpha1.RevokedCertificate{
						CAFingerprint: ssh.FingerprintSHA256(ca.signer.PublicKey()), Serial: strconv.Itoa(i + 1),
					}})
				})
			}, func() { waitReady(t, l, 30*time.Second) }}
		})
		if !allAlive(stay) {
			t.Error("a session of another certificate was closed")
		}
	})

	t.Run("password changed", func(t *testing.T) {
		password := "first-password-0"
		secret := newSecret(t, tenant, "password", map[string]string{"password": password})
		u := newUser(t, l, tenant, "password-user", v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: secret.Name}})
		r.measure(t, "password changed", func(i int) attempt {
			next := fmt.Sprintf("next-password-%d", i)
			return attempt{u.Name, ssh.Password(password), func() time.Time {
				return update(t, secret, func(s *corev1.Secret) { s.Data["password"] = []byte(next) })
			}, func() {
				password = next
				for _, pod := range r.pods {
					eventually(t, 30*time.Second, "the new password logs in", func() bool {
						s, err := loginAt(t, l, pod, "", u.Name, ssh.Password(password))
						if err == nil {
							_ = s.conn.Close()
						}
						return err == nil
					})
				}
			}}
		})
	})

	t.Run("user deleted", func(t *testing.T) {
		r.measure(t, "user deleted", func(i int) attempt {
			u := newUser(t, l, tenant, fmt.Sprintf("deleted-user-%d", i), keyAuth(kept))
			time.Sleep(pause) // its creation was a change too
			return attempt{u.Name, keptAuth, func() time.Time {
				start := time.Now()
				must(t, kube.Delete(t.Context(), u))
				return start
			}, func() {}}
		})
	})

	t.Run("user changed", func(t *testing.T) {
		u := newUser(t, l, tenant, "changed-user", keyAuth(kept))
		for what, change := range map[string]func(*v1alpha1.SFTPUser){
			"user suspended":           func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended },
			"client's network removed": func(u *v1alpha1.SFTPUser) { u.Spec.AllowedCIDRs = []string{"192.0.2.0/24"} },
		} {
			r.measure(t, what, func(int) attempt {
				return attempt{u.Name, keptAuth, func() time.Time { return update(t, u, change) }, func() {
					update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.State, u.Spec.AllowedCIDRs = v1alpha1.UserActive, nil })
					waitReady(t, u, 30*time.Second)
				}}
			})
		}
	})

	t.Run("expired", func(t *testing.T) {
		u := newUser(t, l, tenant, "expiring-user", keyAuth(kept))
		r.measure(t, "expirationTime", func(int) attempt {
			end := expireSoon(t, u)
			return attempt{u.Name, keptAuth, func() time.Time { return end }, func() {
				waitCondition(t, u, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonExpired, 30*time.Second)
				update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = nil })
				waitReady(t, u, 30*time.Second)
			}}
		})
	})

	t.Run("namespace lost its permission", func(t *testing.T) {
		u := newUser(t, l, tenant, "tenant-user", keyAuth(kept))
		moved := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}}
		r.measure(t, "namespace's label removed", func(int) attempt {
			return attempt{u.Name, keptAuth, func() time.Time {
				return update(t, moved, func(n *corev1.Namespace) { delete(n.Labels, "e2e-sftp") })
			}, func() {
				waitCondition(t, u, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNotAllowedByListener, 30*time.Second)
				update(t, moved, func(n *corev1.Namespace) { n.Labels["e2e-sftp"] = "yes" })
				waitReady(t, u, 30*time.Second)
			}}
		})
	})
}

// expireSoon gives a user an expiration, which the pods know some time before. It is in whole seconds, as in the API: the
// daemons end the login by their own clocks.
func expireSoon(t *testing.T, u *v1alpha1.SFTPUser) (end time.Time) {
	t.Helper()
	for soon := 2 * time.Second; ; soon *= 2 {
		end = time.Now().Add(soon).Truncate(time.Second).Add(time.Second)
		update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = new(metav1.NewTime(end)) })
		eventually(t, time.Minute, "the pods know the user's expiration, or it has passed", func() bool {
			must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(u), u))
			return isReady(u) || !time.Now().Before(end)
		})
		if time.Until(end) > 500*time.Millisecond { // for the logins that it ends
			return end
		}
	}
}

// revocations are measured on all pods of a listener.
type revocations struct {
	listener *v1alpha1.SFTPListener
	// pods are the addresses of their SFTP ports.
	pods     []string
	timeline *timeline
	// bystanders are sessions of a user that loses nothing.
	bystanders []*session
}

// attempt is one revocation.
type attempt struct {
	user    string
	auth    ssh.AuthMethod
	revoke  func() time.Time
	restore func()
}

// measure revokes repeatedly.
func (r *revocations) measure(t *testing.T, what string, next func(run int) attempt) {
	t.Helper()
	var times []time.Duration
	var written, told []time.Duration
	for i := range runs {
		a := next(i)
		sessions := r.login(t, a.user, a.auth)
		r.timeline.reset()
		start := a.revoke()
		var last time.Duration
		for _, s := range sessions {
			last = max(last, s.closedAfter(t, start))
		}
		times = append(times, last)
		if last > revocationMedian {
			fmt.Printf("LATENCY   run %d: %d ms; %s\n", i, last.Milliseconds(), r.timeline.slow(start))
		}
		if w, p := r.timeline.since(start); p > 0 {
			written, told = append(written, w), append(told, p)
		}
		for _, pod := range r.pods {
			if s, err := loginAt(t, r.listener, pod, "", a.user, a.auth); err == nil {
				_ = s.conn.Close()
				t.Fatalf("%s, run %d: still able to log in at %s", what, i, pod)
			}
		}
		a.restore()
		time.Sleep(pause)
	}
	// They send a request each time, because many runs take longer than an idle session may last.
	if !allAlive(r.bystanders) {
		t.Errorf("%s: a session of another user was closed", what)
	}
	summarize(t, what+" to the last session of 2 pods closed", times, revocationMedian, revocationWorst)
	if len(told) > 0 {
		fmt.Printf("LATENCY   of it until the Secrets were written %d ms, until the pods were annotated %d ms (medians)\n",
			percentile(written, 50).Milliseconds(), percentile(told, 50).Milliseconds())
	}
}

// login opens a session on each pod.
func (r *revocations) login(t *testing.T, user string, auth ssh.AuthMethod) []*session {
	t.Helper()
	var out []*session
	for _, pod := range r.pods {
		s, err := loginAt(t, r.listener, pod, "", user, auth)
		must(t, err)
		out = append(out, s)
	}
	return out
}

func podAddresses(t *testing.T, l *v1alpha1.SFTPListener) []string {
	t.Helper()
	var out []string
	for _, p := range podsOf(t, l) {
		out = append(out, net.JoinHostPort(p.Status.PodIP, "2222"))
	}
	return out
}

func allAlive(sessions []*session) bool {
	for _, s := range sessions {
		if !s.alive() {
			return false
		}
	}
	return true
}

func closeAll(sessions []*session) {
	for _, s := range sessions {
		_ = s.conn.Close()
	}
}

// certificate creates a user certificate of a new key.
func certificate(t *testing.T, ca keyPair, user string, serial uint64) ssh.AuthMethod {
	t.Helper()
	k := newKey(t)
	cert := &ssh.Certificate{
		Key: k.signer.PublicKey(), CertType: ssh.UserCert, Serial: serial, KeyId: fmt.Sprintf("%s-%d", user, serial),
		ValidPrincipals: []string{user}, ValidBefore: uint64(time.Now().Add(24 * time.Hour).Unix()),
	}
	must(t, cert.SignCert(rand.Reader, ca.signer))
	signer, err := ssh.NewCertSigner(cert, k.signer)
	must(t, err)
	return ssh.PublicKeys(signer)
}
