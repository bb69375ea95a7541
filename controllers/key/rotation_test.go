package key

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
)

const day = 24 * time.Hour

// A client key is rotated every day. The previous pair works for another half day, and then its Secret is deleted, unless it no
// longer belongs to the operator.
func TestDailyPairs(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		r := newRig(t, named(daily, deleting))
		k, after := r.settle(named())
		first := k.Status.Fingerprint
		if after != day || !k.Status.NextRotationTime.Time.Equal(began.Add(day)) {
			t.Errorf("again after %s, status %+v", after, k.Status)
		}
		r.now = began.Add(day - time.Second)
		if _, after = r.settle(k); len(r.writes()) > 0 || after != time.Second {
			t.Errorf("before its time %v, again after %s", r.writes(), after)
		}
		r.told()
		r.now = began.Add(day + 400*time.Millisecond)
		k, after = r.settle(k)
		want := v1alpha1.RetiringKey{Revision: 1, Fingerprint: first, SecretName: "acme", PublicKey: k.Status.Retiring[0].PublicKey, EndTime: k.Status.Retiring[0].EndTime}
		if st := k.Status; st.Revision != 2 || st.SecretName != "acme-r2" || st.Fingerprint == first || st.Retiring[0] != want || !want.EndTime.Time.Equal(began.Add(day+day/2)) ||
			!st.RevisionTime.Time.Equal(began.Add(day)) || !st.NextRotationTime.Time.Equal(began.Add(2*day)) {
			t.Errorf("status %+v", st)
		}
		if after != day/2-400*time.Millisecond || len(r.told()) != 1 || !metav1.IsControlledBy(r.secretNamed(k, "acme-r2"), k) {
			t.Errorf("again after %s", after)
		}
		if foreign {
			s := r.secretNamed(k, "acme")
			s.Labels = nil
			r.update(s, false)
		}
		r.now = began.Add(day + day/2 - time.Second)
		if k, _ = r.settle(k); len(k.Status.Retiring) != 1 || r.secretNamed(k, "acme") == nil {
			t.Errorf("before its end %+v", k.Status)
		}
		r.now = began.Add(day + day/2)
		if k, after = r.settle(k); len(k.Status.Retiring) != 0 || (r.secretNamed(k, "acme") != nil) != foreign || after != day/2 {
			t.Errorf("at its end, of another %v: %+v, again after %s", foreign, k.Status, after)
		}
		// Another client has deleted the Secret of a pair that ends.
		r.now = began.Add(2 * day)
		k, _ = r.settle(k)
		if err := r.all.Delete(t.Context(), r.secretNamed(k, "acme-r2")); err != nil {
			t.Fatal(err)
		}
		r.now = began.Add(2*day + day/2)
		if k, _ = r.settle(k); len(k.Status.Retiring) != 0 || k.Status.Revision != 3 {
			t.Errorf("%+v", k.Status)
		}
	}
}

// Secrets of retiring pairs are kept or deleted with the SFTPKey like the current one, and are never deleted with Retain.
func TestRetiringSecrets(t *testing.T) {
	r := newRig(t, named())
	k, _ := r.settle(named())
	k = r.rotated(k)
	k = r.rotated(k)
	if len(k.Status.Retiring) != 2 {
		t.Fatalf("%+v", k.Status)
	}
	foreign := r.secretNamed(k, "acme")
	foreign.Labels = nil
	r.update(foreign, false)
	deleting(k)
	r.update(k, false)
	k, _ = r.settle(k)
	for name, owned := range map[string]bool{"acme": false, "acme-r2": true, "acme-r3": true} {
		if got := metav1.IsControlledBy(r.secretNamed(k, name), k); got != owned {
			t.Errorf("%s goes with the SFTPKey: %v", name, got)
		}
	}
	k.Spec.DeletionPolicy = v1alpha1.Retain
	r.update(k, false)
	r.now = began.Add(100 * day)
	if k, _ = r.settle(k); len(k.Status.Retiring) != 0 || r.secretNamed(k, "acme-r2") == nil || metav1.IsControlledBy(r.secretNamed(k, "acme-r3"), k) {
		t.Errorf("%+v", k.Status)
	}
}

// A foreign Secret under the next name is in the way: the current pair stays in use, the problem is reported once, and the
// rotation is retried.
func TestRotationIsBlocked(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(data map[string][]byte, labels map[string]string)
		want   string
	}{
		"foreign": {
			func(_ map[string][]byte, labels map[string]string) { delete(labels, v1alpha1.LabelKey) },
			`True RotationBlocked: Revision 2 cannot be generated, and revision 1 remains in use: Secret "acme-r2": it exists and was not created for this SFTPKey; delete or rename it`,
		},
		"damaged": {
			func(data map[string][]byte, _ map[string]string) { data[PrivateEntry] = []byte("x") },
			`True RotationBlocked: Revision 2 cannot be generated, and revision 1 remains in use: Secret "acme-r2": the entry "ssh-privatekey" is not a private key in OpenSSH or PEM format`,
		},
	} {
		r := newRig(t, named())
		k, _ := r.settle(named())
		first := k.Status.Fingerprint
		r.told()
		s := NewSecret(k, "acme-r2", pair(t), began)
		tc.change(s.Data, s.Labels)
		if err := r.all.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		r.wantNew(k)
		k, after := r.settle(k)
		if ready(k) != tc.want || after != apply.RetryRefused || k.Status.Fingerprint != first || k.Status.Revision != 1 || len(k.Status.Retiring) != 0 {
			t.Errorf("%s: %s, again after %s, %+v", name, ready(k), after, k.Status)
		}
		if got := r.told(); len(got) != 1 || !strings.HasPrefix(got[0], "Warning RotationBlocked Revision 2 ") {
			t.Errorf("%s: events %q", name, got)
		}
		if k, _ = r.settle(k); r.told() != nil || len(r.writes()) > 0 {
			t.Errorf("%s: it is told again", name)
		}
		// A missing Secret of the current pair takes precedence.
		used := r.secretNamed(k, "acme")
		if err := r.all.Delete(t.Context(), used); err != nil {
			t.Fatal(err)
		}
		if k, _ = r.settle(k); summary(k).Reason != "SecretNotFound" {
			t.Errorf("%s: %s", name, ready(k))
		}
		used.ResourceVersion = ""
		if err := errors.Join(r.all.Create(t.Context(), used), r.all.Delete(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
		if k, after = r.settle(k); k.Status.Revision != 2 || summary(k).Reason != "Ready" || len(k.Status.Retiring) != 1 || after != DefaultOverlap {
			t.Errorf("%s: %s, again after %s, %+v", name, ready(k), after, k.Status)
		}
	}
}

// Pairs of a host key retire until no listener of the namespace uses them. At most four retire at once; the next rotation
// waits.
func TestHostPairs(t *testing.T) {
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners"}}
	other := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "another"}}
	elsewhere := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "partners"}}
	r := newRig(t, named(ofHost, deleting), l, other, elsewhere)
	k, _ := r.settle(named())
	var made []string
	have := func(l *v1alpha1.SFTPListener, fingerprints ...string) {
		l.Status.HostKeys = nil
		for _, f := range fingerprints {
			l.Status.HostKeys = append(l.Status.HostKeys, v1alpha1.HostKeyStatus{Fingerprint: f, Name: "acme"})
		}
		r.update(l, true)
	}
	for revision := int32(2); revision <= 5; revision++ {
		made = append(made, k.Status.Fingerprint)
		have(l, append([]string{"SHA256:of another key"}, made...)...)
		if k = r.rotated(k); k.Status.Revision != revision {
			t.Fatalf("%+v", k.Status)
		}
	}
	if k.Status.Revision != 5 || len(k.Status.Retiring) != 4 || k.Status.Retiring[0].EndTime != nil {
		t.Fatalf("%+v", k.Status)
	}
	r.wantNew(k)
	k, after := r.settle(k)
	const want = "True RotationBlocked: Revision 6 is not generated yet: listeners still have keys of 4 former revisions; see their status.hostKeys"
	if ready(k) != want || after != apply.RetryRefused || k.Status.Revision != 5 || r.secretNamed(k, "acme-r6") != nil {
		t.Errorf("%s, again after %s", ready(k), after)
	}
	have(l, made[1])
	have(other, made[2])
	have(elsewhere, made[0])
	k, _ = r.settle(k)
	if r.secretNamed(k, "acme") != nil || r.secretNamed(k, "acme-r2") == nil || r.secretNamed(k, "acme-r4") != nil || len(k.Status.Retiring) != 2 {
		t.Errorf("%+v", k.Status)
	}
	have(l, made[1], k.Status.Fingerprint)
	if k, _ = r.settle(k); k.Status.Revision != 6 || len(k.Status.Retiring) != 3 || summary(k).Reason != "Ready" {
		t.Errorf("there is room: %s, %+v", ready(k), k.Status)
	}
}

// For a client key, the oldest of more than four pairs is dropped: a rotation does not wait for it.
func TestOldestPairGivesWay(t *testing.T) {
	r := newRig(t, named())
	k, _ := r.settle(named())
	for revision := int32(2); revision <= 6; revision++ {
		if k = r.rotated(k); k.Status.Revision != revision {
			t.Fatalf("%+v", k.Status)
		}
	}
	if k.Status.Revision != 6 || len(k.Status.Retiring) != 4 || k.Status.Retiring[0].Revision != 2 || summary(k).Reason != "Ready" {
		t.Errorf("%s, %+v", ready(k), k.Status)
	}
}

// A recreated SFTPKey adopts the last revision whose Secret was retained, because clients know that key.
func TestTakesUpRetainedRevision(t *testing.T) {
	last := pair(t)
	objects := []client.Object{
		NewSecret(named(), "acme", pair(t), began), NewSecret(named(), "acme-r3", last, began), NewSecret(named(), "acme-r2", pair(t), began), NewSecret(named(), "unrelated-r9", pair(t), began),
	}
	foreign := NewSecret(named(), "acme-r7", pair(t), began)
	foreign.Labels = map[string]string{v1alpha1.LabelKey: "other"}
	elsewhere := NewSecret(named(), "acme-r8", pair(t), began)
	elsewhere.Namespace = "elsewhere"
	objects = append(objects, foreign, elsewhere)
	r := newRig(t, append(objects, named(ofHost))...)
	if k, _ := r.settle(named()); k.Status.Revision != 3 || k.Status.Fingerprint != last.Fingerprint() || k.Status.SecretName != "acme-r3" {
		t.Errorf("%+v", k.Status)
	}
	// A recreated client key does the same: the previous pair may have been dropped for a reason.
	r = newRig(t, append(slices.Clone(objects), named())...)
	if k, _ := r.settle(named()); k.Status.Revision != 3 || k.Status.Fingerprint != last.Fingerprint() || !k.Status.RevisionTime.Time.Equal(began) {
		t.Errorf("%+v", k.Status)
	}
	// A retained pair that is too old is rotated at once.
	r = newRig(t, append(slices.Clone(objects), named(wanting(time.Minute)))...)
	r.now = began.Add(time.Hour)
	k, after := r.settle(named())
	if k.Status.Revision != 3 || after != 10*time.Millisecond {
		t.Errorf("again after %s: %+v", after, k.Status)
	}
	if k, _ = r.settle(k); k.Status.Revision != 4 || k.Status.Retiring[0].Fingerprint != last.Fingerprint() {
		t.Errorf("%+v", k.Status)
	}
	r = newRig(t, append(slices.Clone(objects), named(ofHost, existing))...)
	if k, _ := r.settle(named()); k.Status.SecretName != "acme" || k.Status.Revision != 0 {
		t.Errorf("%+v", k.Status)
	}
	if slices.ContainsFunc(r.calls, func(c string) bool { return strings.HasPrefix(c, "live list") }) {
		t.Error("Secrets are listed for a key that is not generated")
	}
}

// The cache lags behind: the server's status has the pair that was made, and no second one is made.
func TestStaleCache(t *testing.T) {
	r := newRig(t, named(daily))
	stale := newRig(t, named(daily))
	k, _ := r.settle(named())
	// The Secret has been deleted since, which is reported, not repaired.
	if err := r.all.Delete(t.Context(), r.secretNamed(k, "acme")); err != nil {
		t.Fatal(err)
	}
	behind := func(stale *rig) {
		again := &Reconciler{Client: readsFrom{r.Client, stale.all}, Live: r.Live, Events: r.recorded, Now: r.Now, generator: newGenerator()}
		if _, err := again.Reconcile(t.Context(), requestOf(k)); err != nil {
			t.Fatal(err)
		}
	}
	behind(stale)
	if now := r.key(k); now.Status.Fingerprint != k.Status.Fingerprint || summary(now).Reason != "SecretNotFound" || r.secretNamed(k, "acme") != nil {
		t.Errorf("%s, %+v", ready(now), now.Status)
	}
	// A rotation is not made twice either.
	r = newRig(t, named(daily))
	k, _ = r.settle(named())
	stale = newRig(t, k.DeepCopy())
	r.now = began.Add(day)
	k, _ = r.settle(k)
	behind(stale)
	if now := r.key(k); now.Status.Revision != 2 || len(now.Status.Retiring) != 1 || r.secretNamed(k, "acme-r3") != nil {
		t.Errorf("%+v", now.Status)
	}
	// After its own write, the reconciler reads a state that is older.
	stale = newRig(t, named(daily))
	r.Client = readsFrom{r.Client, stale.all}
	for range 2 {
		if r.settle(k); !slices.Contains(r.calls, "live get SFTPKey acme") || len(r.writes()) > 0 {
			t.Errorf("calls %v", r.calls)
		}
	}
}

// A recreated key whose name is too long for a label adopts its last revision. One that has a key or a revision keeps it,
// whatever Secrets exist.
func TestTakenUpRevision(t *testing.T) {
	long := strings.Repeat("n", 80)
	for name, c := range map[string]struct {
		name   string
		change func(*v1alpha1.SFTPKey)
		want   int32
	}{
		"made again":        {"acme", func(*v1alpha1.SFTPKey) {}, 3},
		"of a long name":    {long, func(*v1alpha1.SFTPKey) {}, 3},
		"it has a key":      {"acme", func(k *v1alpha1.SFTPKey) { k.Status.PublicKey = "ssh-ed25519 x" }, 0},
		"it has a revision": {"acme", func(k *v1alpha1.SFTPKey) { k.Status.Revision = 1 }, 1},
		"a client's":        {"acme", func(k *v1alpha1.SFTPKey) { k.Spec.Usage = v1alpha1.KeyUsageClient }, 3},
	} {
		k := named(func(k *v1alpha1.SFTPKey) { k.Name, k.Spec.Usage = c.name, v1alpha1.KeyUsageHost }, c.change)
		var objects []client.Object
		for i := range int32(3) {
			objects = append(objects, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
				Namespace: k.Namespace, Name: secretOfRevision(baseName(k), i+1), Labels: map[string]string{v1alpha1.LabelKey: labelOf(k.Name)},
			}})
		}
		r := newRig(t, objects...)
		if err := r.adoptRetainedRevision(t.Context(), k); err != nil || k.Status.Revision != c.want {
			t.Errorf("%s: revision %d, want %d: %v", name, k.Status.Revision, c.want, err)
		}
	}
}

// Only the listeners know whether a former host key is still in use: while they cannot be listed, it stays.
func TestRetiredWhileListenersAreUnknown(t *testing.T) {
	k := named(deleting, func(k *v1alpha1.SFTPKey) {
		k.Spec.Usage = v1alpha1.KeyUsageHost
		k.Status.Retiring = []v1alpha1.RetiringKey{{Fingerprint: "f", SecretName: "acme"}}
	})
	r := newRig(t)
	r.fail = func(call string) error {
		if strings.HasPrefix(call, "list SFTPListener") {
			return errDown
		}
		return nil
	}
	if err := r.dropRetired(t.Context(), k); !errors.Is(err, errDown) || len(k.Status.Retiring) != 1 || len(r.writes()) > 0 {
		t.Errorf("%v, retiring %v, calls %v", err, k.Status.Retiring, r.calls)
	}
}
