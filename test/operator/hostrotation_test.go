package operator

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// hostKeyOf creates an SFTPKey with usage Host.
func hostKeyOf(t *testing.T, ns, name string, overlap int32, edits ...func(*v1alpha1.SFTPKey)) *v1alpha1.SFTPKey {
	t.Helper()
	k := &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageHost, Rotation: v1alpha1.KeyRotation{OverlapSeconds: &overlap}},
	}
	for _, edit := range edits {
		edit(k)
	}
	create(t, k)
	return k
}

func withHostKeys(names ...string) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) {
		l.Spec.HostKeyRefs = nil
		for _, n := range names {
			l.Spec.HostKeyRefs = append(l.Spec.HostKeyRefs, v1alpha1.LocalKeyReference{Name: n})
		}
	}
}

// states of a listener's host keys, as "name/revision State".
func states(l *v1alpha1.SFTPListener) string {
	var out []string
	for _, k := range l.Status.HostKeys {
		name := k.Name
		if k.Revision > 0 {
			name += "/" + strconv.Itoa(int(k.Revision))
		}
		out = append(out, name+" "+string(k.State))
	}
	return strings.Join(out, ", ")
}

func waitStates(t *testing.T, l *v1alpha1.SFTPListener, want string) {
	t.Helper()
	eventually(t, func() error {
		if get(t, l, l.Namespace, l.Name); states(l) != want {
			return fmt.Errorf("host keys are %s, want %s; conditions %v", states(l), want, l.Status.Conditions)
		}
		return nil
	})
}

// history is the sequence of a listener's statuses.
type history struct {
	mu     sync.Mutex
	states []string
	// idle counts status writes that changed nothing.
	idle int
	last v1alpha1.SFTPListenerStatus
}

func watchHistory(t *testing.T, l *v1alpha1.SFTPListener) *history {
	t.Helper()
	h := &history{last: l.Status, states: []string{states(l)}}
	w, err := api.Watch(t.Context(), &v1alpha1.SFTPListenerList{}, client.InNamespace(l.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	generation := l.Generation
	go func() {
		for e := range w.ResultChan() {
			now, ok := e.Object.(*v1alpha1.SFTPListener)
			if !ok || e.Type != watch.Modified {
				continue
			}
			h.mu.Lock()
			if equality.Semantic.DeepEqual(h.last, now.Status) && generation == now.Generation {
				h.idle++
			}
			if s := states(now); s != h.states[len(h.states)-1] {
				h.states = append(h.states, s)
			}
			h.last, generation = now.Status, now.Generation
			h.mu.Unlock()
		}
	}()
	return h
}

func (h *history) check(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !slices.Equal(h.states, want) {
			return fmt.Errorf("host keys were\n%s\nwant\n%s", strings.Join(h.states, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.idle > 0 {
		t.Errorf("%d writes of the status changed nothing", h.idle)
	}
}

// published checks what is published to clients: known_hosts of all keys, in the status and in the ConfigMap, and SSHFP records
// of announced ones.
func published(t *testing.T, l *v1alpha1.SFTPListener) {
	t.Helper()
	eventually(t, func() error {
		get(t, l, l.Namespace, l.Name)
		m := &corev1.ConfigMap{}
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: "partners-sftp-known-hosts"}, m); err != nil {
			return err
		}
		if got := m.Data["known_hosts"]; got != strings.Join(l.Status.KnownHosts, "\n")+"\n" {
			return fmt.Errorf("ConfigMap has\n%s\nwant\n%s", got, strings.Join(l.Status.KnownHosts, "\n"))
		}
		if !metav1.IsControlledBy(m, l) {
			return errors.New("the ConfigMap is not deleted with the listener")
		}
		announced := 0
		for _, k := range l.Status.HostKeys {
			if !slices.ContainsFunc(l.Status.KnownHosts, func(line string) bool { return strings.HasSuffix(line, " "+k.PublicKey) }) {
				return fmt.Errorf("known_hosts has no line for the %s key %s", k.State, k.Fingerprint)
			}
			if k.State != v1alpha1.HostKeyStaged {
				announced++
			}
		}
		if len(l.Status.SSHFP) != announced || announced > 0 && !strings.HasPrefix(l.Status.SSHFP[0], "4 2 ") {
			return fmt.Errorf("SSHFP records %v for %d announced keys", l.Status.SSHFP, announced)
		}
		return nil
	})
}

// inPods waits until pods have host keys in these states; the daemon represents Active as "".
func inPods(t *testing.T, ns string, want map[string]string) {
	t.Helper()
	eventually(t, func() error {
		if got := pods.hostKeys(ns); !maps.Equal(got, want) {
			return fmt.Errorf("pods have the host keys %v, want %v", got, want)
		}
		return nil
	})
}

// A new revision of a host key is in all pods before it is announced, and announced before it is used; the former one stays for
// some time. Restarting an operator or a pod during the rotation loses nothing.
func TestHostKeyRotation(t *testing.T) {
	ns := namespace(t, nil)
	k := hostKeyOf(t, ns, "host", 1000, func(k *v1alpha1.SFTPKey) { k.Spec.DeletionPolicy = v1alpha1.Delete })
	l := newListener(ns, withHostKeys("host"))
	create(t, l)
	p := readyPod(t, l, "a")
	acme, other := newUser(ns, "acme"), newUser(ns, "other")
	create(t, acme)
	create(t, other)
	waitReady(t, acme)
	waitReady(t, other)
	waitFor(t, l, "Ready", "True", "Ready", "")
	waitStates(t, l, "host/1 Active")
	published(t, l)
	first := l.Status.HostKeys[0].Fingerprint
	h := watchHistory(t, l)

	pods.behave(ns, behavior{frozen: true})
	change(t, k, wantNewPair)
	waitStates(t, l, "host/1 Active, host/2 Staged")
	second := l.Status.HostKeys[1].Fingerprint
	if l.Status.HostKeys[1].WaitingFor != v1alpha1.HostKeyWaitPods {
		t.Errorf("host key %+v does not wait for pods", l.Status.HostKeys[1])
	}
	published(t, l)
	inPods(t, ns, map[string]string{first: ""})
	pods.behave(ns, behavior{})
	waitStates(t, l, "host/1 Active, host/2 Advertised")
	published(t, l)
	inPods(t, ns, map[string]string{first: "", second: "Advertised"})
	since := l.Status.HostKeys[1].StateTime
	if next := l.Status.HostKeys[1].NextStateTime; next == nil || since == nil || next.Sub(since.Time).Seconds() != 1000 {
		t.Errorf("from %v to %v, want 1000 s", since, next)
	}

	// One of acme's clients learns the key. The pod also reports an unknown key and an unknown user, which are not accepted.
	n := 0
	proved := func(want int32) {
		t.Helper()
		n++
		askPods(t, l, n)
		eventually(t, func() error {
			get(t, l, ns, l.Name)
			get(t, acme, ns, acme.Name)
			if got := l.Status.HostKeys[1].ProvedUsers; got == nil || *got != want || !slices.Equal(acme.Status.ProvedHostKeys, []string{second}) {
				return fmt.Errorf("%v users have proof, acme has proof of %v", got, acme.Status.ProvedHostKeys)
			}
			return nil
		})
	}
	pods.prove(p, string(acme.UID), second)
	pods.prove(p, string(acme.UID), "SHA256:somethingelse")
	pods.prove(p, "somebody", second)
	proved(1)
	version := acme.ResourceVersion
	pods.restart(p)
	restartOperator(t, func() {})
	pods.prove(p, string(acme.UID), second) // again, after a restart of the process
	pods.prove(p, string(other.UID), second)
	proved(2)
	if acme.ResourceVersion != version {
		t.Error("known proofs were written to the SFTPUser again")
	}
	if s := states(l); s != "host/1 Active, host/2 Advertised" || !l.Status.HostKeys[1].StateTime.Equal(since) {
		t.Errorf("a restart of the operator made it %s, since %v", s, l.Status.HostKeys[1].StateTime)
	}

	// The period is over, as if two weeks had passed.
	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.Rotation.OverlapSeconds = new(int32(1)) })
	waitStates(t, l, "host/2 Active")
	inPods(t, ns, map[string]string{second: ""})
	published(t, l)
	h.check(t, "host/1 Active", "host/1 Active, host/2 Staged", "host/1 Active, host/2 Advertised", "host/2 Active, host/1 Retiring", "host/2 Active")
	secret := &corev1.Secret{}
	eventually(t, func() error {
		get(t, k, ns, k.Name)
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "host"}, secret); !apierrors.IsNotFound(err) || len(k.Status.Retiring) > 0 {
			return fmt.Errorf("the Secret of the first revision is still there (%w), and retiring %v", err, k.Status.Retiring)
		}
		return nil
	})
	get(t, secret, ns, "host-r2")
	get(t, acme, ns, acme.Name)
	if !slices.Equal(acme.Status.ProvedHostKeys, []string{second}) {
		t.Errorf("acme has proof of %v", acme.Status.ProvedHostKeys)
	}
	hostKeyEvents(t, ns, map[string]int{"HostKeyStaged": 1, "HostKeyAdvertised": 1, "HostKeyActive": 1, "HostKeyRetiring": 1, "HostKeyRemoved": 1}, "Normal")
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, state := range []string{"Staged", "Advertised", "Active", "Retiring", "Removed"} {
				if f.GetName() == "sftp_operator_host_key_changes_total" && labelled(m, "namespace", ns) && labelled(m, "state", state) {
					steps[state] += m.GetCounter().GetValue()
				}
			}
		}
	}
	// Counters start with the process, and the operator was restarted in between.
	if !maps.Equal(steps, map[string]float64{"Staged": 0, "Advertised": 0, "Active": 1, "Retiring": 1, "Removed": 1}) {
		t.Errorf("the metric counts %v", steps)
	}
}

// eventsOf waits until the listener has this many events by reason, all of one type.
func hostKeyEvents(t *testing.T, ns string, want map[string]int, kind string) {
	t.Helper()
	eventually(t, func() error {
		got := map[string]int{}
		for _, o := range items(t, &eventsv1.EventList{}, ns) {
			e := o.(*eventsv1.Event)
			if e.Regarding.Kind != "SFTPListener" || want[e.Reason] == 0 {
				continue
			}
			got[e.Reason]++
			if e.Series != nil {
				got[e.Reason] += int(e.Series.Count) - 1
			}
			if e.Type != kind {
				return fmt.Errorf("event %s is of type %s: %s", e.Reason, e.Type, e.Note)
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("events %v, want %v", got, want)
		}
		return nil
	})
}

// Changing the references is also a rotation; a spare key that was announced takes over at once.
func TestHostKeyRefsAreExchanged(t *testing.T) {
	ns := namespace(t, nil)
	hostKeyOf(t, ns, "a", 1)
	hostKeyOf(t, ns, "b", 1)
	hostKeyOf(t, ns, "rsa", 1, func(k *v1alpha1.SFTPKey) { k.Spec.Algorithm = v1alpha1.KeyRSA3072 })
	l := readyListener(t, ns, withHostKeys("a"))
	h := watchHistory(t, l)
	change(t, l, withHostKeys("a", "b"))
	waitStates(t, l, "a/1 Active, b/1 Advertised")
	if k := l.Status.HostKeys[1]; k.NextStateTime != nil || k.WaitingFor != "" {
		t.Errorf("a spare waits for %v %s", k.NextStateTime, k.WaitingFor)
	}
	change(t, l, withHostKeys("b"))
	waitStates(t, l, "b/1 Active")
	change(t, l, withHostKeys("rsa"))
	waitStates(t, l, "rsa/1 Active")
	h.check(t, "a/1 Active", "a/1 Active, b/1 Staged", "a/1 Active, b/1 Advertised", "b/1 Active, a/1 Retiring", "b/1 Active",
		"b/1 Active, rsa/1 Staged", "b/1 Active, rsa/1 Advertised", "rsa/1 Active, b/1 Active", "rsa/1 Active, b/1 Retiring", "rsa/1 Active")
	inPods(t, ns, map[string]string{l.Status.HostKeys[0].Fingerprint: ""})
}

// A crypto policy that does not admit a retiring key is reported, but does not remove the key.
func TestPolicyForbidsALeavingHostKey(t *testing.T) {
	ns := namespace(t, nil)
	hostKeyOf(t, ns, "a", 1000)
	hostKeyOf(t, ns, "p256", 1000, func(k *v1alpha1.SFTPKey) { k.Spec.Algorithm = v1alpha1.KeyECDSAP256 })
	l := readyListener(t, ns, withHostKeys("p256"))
	first := l.Status.HostKeys[0].Fingerprint
	change(t, l, func(l *v1alpha1.SFTPListener) {
		withHostKeys("a")(l)
		l.Spec.CryptoPolicy = v1alpha1.CryptoStrict2026
	})
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		c := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionResolvedRefs)
		want := "The Active host key " + first + ` of SFTPKey "p256": `
		if c == nil || c.Reason != v1alpha1.ReasonInvalidHostKey || !strings.HasPrefix(c.Message, want) || !strings.Contains(c.Message, "restore the previous spec.cryptoPolicy until its rotation is complete") {
			return fmt.Errorf("condition %v", c)
		}
		return nil
	})
	if states(l) != "p256/1 Active" {
		t.Errorf("host keys are %s", states(l))
	}
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.CryptoPolicy = v1alpha1.CryptoModern2026 })
	waitStates(t, l, "p256/1 Active, a/1 Advertised")
	if k := l.Status.HostKeys[0]; k.WaitingFor != v1alpha1.HostKeyWaitNewKey {
		t.Errorf("%+v", k)
	}
	waitFor(t, l, "Ready", "True", "Ready", "")
}

// If another program manages the Secret and replaces the key in it, the pods continue with the former key for as long as after
// any other change: its private key is still in the Secret that the operator has written for them.
func TestExistingHostKeyIsExchanged(t *testing.T) {
	ns := namespace(t, nil)
	pair := func() *corev1.Secret {
		m, err := key.Generate(v1alpha1.KeyEd25519, "test")
		if err != nil {
			t.Fatal(err)
		}
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "external"}, Data: map[string][]byte{key.PrivateEntry: m.Private}}
	}
	secret := pair()
	create(t, secret)
	k := hostKeyOf(t, ns, "external", 1000, func(k *v1alpha1.SFTPKey) { k.Spec.Source = v1alpha1.KeyExisting })
	l := readyListener(t, ns, withHostKeys("external"))
	first := l.Status.HostKeys[0].Fingerprint
	change(t, secret, func(s *corev1.Secret) { s.Data = pair().Data })
	waitStates(t, l, "external Active, external Advertised")
	second := l.Status.HostKeys[1].Fingerprint
	if l.Status.HostKeys[0].Fingerprint != first || second == first {
		t.Errorf("host keys %+v", l.Status.HostKeys)
	}
	restartOperator(t, func() {})
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	inPods(t, ns, map[string]string{first: "", second: "Advertised"})

	// The SFTPKey is deleted: nothing changes, and this is reported.
	remove(t, k)
	waitFor(t, l, "ResolvedRefs", "False", "HostKeyNotFound", "")
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Limits.MaxConnections = new(int32(2)) })
	waitReady(t, u)
	inPods(t, ns, map[string]string{first: "", second: "Advertised"})

	// The key has been compromised.
	hostKeyOf(t, ns, "external", 0, func(k *v1alpha1.SFTPKey) { k.Spec.Source = v1alpha1.KeyExisting })
	waitStates(t, l, "external Active")
	inPods(t, ns, map[string]string{second: ""})
	hostKeyEvents(t, ns, map[string]int{"HostKeyActive": 1, "HostKeyRemoved": 1}, "Warning")
}

// A listener whose status was lost, for example through a backup without statuses, continues with what its pods have.
func TestHostKeysOfALostStatus(t *testing.T) {
	ns := namespace(t, nil)
	hostKeyOf(t, ns, "a", 1000)
	hostKeyOf(t, ns, "b", 1000)
	l := readyListener(t, ns, withHostKeys("a"))
	first := l.Status.HostKeys[0].Fingerprint
	restartOperator(t, func() {
		change(t, l, withHostKeys("b"))
		before := l.DeepCopy()
		l.Status = v1alpha1.SFTPListenerStatus{}
		if err := api.Status().Patch(t.Context(), l, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	})
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		keys := l.Status.HostKeys
		if len(keys) != 2 || keys[0].Fingerprint != first || keys[0].State != v1alpha1.HostKeyActive || keys[1].State != v1alpha1.HostKeyAdvertised {
			return fmt.Errorf("host keys %+v", keys)
		}
		return nil
	})
}

// A recreated SFTPKey adopts the key that clients know, not the first one.
func TestHostKeyIsMadeAgain(t *testing.T) {
	ns := namespace(t, nil)
	k := hostKeyOf(t, ns, "host", 0)
	l := readyListener(t, ns, withHostKeys("host"))
	change(t, k, wantNewPair)
	waitStates(t, l, "host/2 Active")
	want := l.Status.KnownHosts
	remove(t, k)
	waitFor(t, l, "ResolvedRefs", "False", "HostKeyNotFound", "")
	again := hostKeyOf(t, ns, "host", 0)
	waitFor(t, again, "Ready", "True", "Ready", `The key is in Secret "host-r2"`)
	waitFor(t, l, "Ready", "True", "Ready", "")
	if !slices.Equal(l.Status.KnownHosts, want) || states(l) != "host/2 Active" || again.Status.Revision != 2 {
		t.Errorf("%s, known_hosts %q, want %q; revision %d", states(l), l.Status.KnownHosts, want, again.Status.Revision)
	}
}

// A foreign ConfigMap is not overwritten, and does not prevent logins.
func TestConfigMapOfSomebodyElse(t *testing.T) {
	ns := namespace(t, nil)
	l := newListener(ns)
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: render.KnownHostsName(l)}, Data: map[string]string{"known_hosts": "mine"}}
	create(t, foreign)
	create(t, l)
	readyPod(t, l, "a")
	waitFor(t, l, "ObjectsApplied", "False", "ResourceConflict", "")
	waitFor(t, l, "Ready", "True", "Ready", "") // clients can still log in
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	if get(t, foreign, ns, foreign.Name); foreign.Data["known_hosts"] != "mine" {
		t.Error("it was written")
	}
	remove(t, foreign)
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Limits.MaxConnections = new(int32(7)) })
	published(t, l)
	waitFor(t, l, "Ready", "True", "Ready", "")
}

// A host certificate reaches the pods, including a renewed one; an invalid one is reported and removes nothing.
func TestHostCertificate(t *testing.T) {
	ns := namespace(t, nil)
	k := hostKeyOf(t, ns, "host", 1000)
	l := readyListener(t, ns, withHostKeys("host"))
	get(t, k, ns, k.Name)
	pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.Status.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{}
	get(t, secret, ns, "host")
	issue := func(serial uint64, days int) string {
		c := &ssh.Certificate{
			Key: pub, Serial: serial, CertType: ssh.HostCert, KeyId: "partners", ValidPrincipals: []string{"sftp.example.com"},
			ValidAfter: uint64(time.Now().Add(-time.Hour).Unix()), ValidBefore: uint64(time.Now().Add(time.Duration(days) * 24 * time.Hour).Unix()),
		}
		if err := c.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(c)))
		change(t, secret, func(s *corev1.Secret) { s.Data["ssh-certificate"] = []byte(line + " comment\n") })
		return line
	}
	inPods := func(want string) {
		t.Helper()
		eventually(t, func() error {
			if got := pods.certificate(ns); got != want {
				return fmt.Errorf("pods have the certificate %q, want %q", got, want)
			}
			return nil
		})
	}
	inPods(issue(1, 1))
	waitFor(t, k, "Ready", "True", "Ready", "")
	inPods(issue(2, 90))
	waitFor(t, k, "Ready", "True", "Ready", `The key is in Secret "host"`)
	eventually(t, func() error {
		get(t, k, ns, k.Name)
		get(t, l, ns, l.Name)
		c, end := k.Status.Certificate, l.Status.HostKeys[0].CertificateExpirationTime
		if c == nil || end == nil || !end.Equal(c.ExpirationTime) || time.Until(end.Time) < 80*24*time.Hour ||
			c.CAFingerprint != ssh.FingerprintSHA256(ca.PublicKey()) || c.KeyID != "partners" {
			return fmt.Errorf("certificate %+v, of the listener until %v", c, end)
		}
		return nil
	})
	change(t, secret, func(s *corev1.Secret) { s.Data["ssh-certificate"] = []byte("hello") })
	waitFor(t, k, "Ready", "True", "InvalidHostCertificate", "")
	waitFor(t, l, "ResolvedRefs", "False", "InvalidHostCertificate", "")
	inPods("")
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	inPods(issue(3, 90))
	waitFor(t, l, "Ready", "True", "Ready", "")

	// The CA renews the certificate of a former revision as long as key exchanges use it, and a restarted operator has it.
	change(t, k, wantNewPair)
	waitStates(t, l, "host/1 Active, host/2 Advertised")
	line := issue(4, 100)
	inPods(line)
	restartOperator(t, func() {})
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Limits.MaxConnections = new(int32(2)) })
	waitReady(t, u)
	inPods(line)
}
