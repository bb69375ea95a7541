package key

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

var began = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// madeKey returns a generated client key whose first pair was made at the start.
func madeKey(edits ...func(*v1alpha1.SFTPKey)) *v1alpha1.SFTPKey {
	k := &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "acme"},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyGenerated},
		Status:     v1alpha1.SFTPKeyStatus{PublicKey: "first", Fingerprint: "SHA256:first", Revision: 1, RevisionTime: new(metav1.NewTime(began))},
	}
	for _, edit := range edits {
		edit(k)
	}
	return k
}

// wanting requests a pair made at least this long after the start.
func wanting(after time.Duration) func(*v1alpha1.SFTPKey) {
	return func(k *v1alpha1.SFTPKey) { k.Spec.Rotation.MadeAfter = new(metav1.NewTime(began.Add(after))) }
}

func daily(k *v1alpha1.SFTPKey) {
	k.Spec.Rotation.Policy, k.Spec.Rotation.PeriodSeconds = v1alpha1.RotationPeriodic, new(int32(86400))
}

func ofHost(k *v1alpha1.SFTPKey) { k.Spec.Usage = v1alpha1.KeyUsageHost }

func withRetiring(k *v1alpha1.SFTPKey) { k.Status.Retiring = []v1alpha1.RetiringKey{{Revision: 1}} }

func inUse(revision int32) func(*v1alpha1.SFTPKey) {
	return func(k *v1alpha1.SFTPKey) { k.Status.Revision = revision }
}

func TestDue(t *testing.T) {
	for _, tc := range []struct {
		name  string
		key   *v1alpha1.SFTPKey
		after time.Duration
		want  int32
	}{
		{"nothing is asked for", madeKey(), 1e6 * time.Hour, 0},
		{"a pair of that second is new enough", madeKey(wanting(0)), time.Hour, 0},
		{"a fraction of a second does not count", madeKey(wanting(999 * time.Millisecond)), time.Hour, 0},
		{"made before", madeKey(wanting(time.Second)), time.Second, 2},
		{"made before, long ago", madeKey(wanting(time.Second), inUse(6)), 1000 * time.Hour, 7},
		{"made after", madeKey(wanting(-time.Hour)), 0, 0},
		{"in the future", madeKey(wanting(time.Hour)), time.Hour - time.Second, 0},
		{"in the future, which has come", madeKey(wanting(time.Hour)), time.Hour, 2},
		{"a key without a pair makes the first one otherwise", madeKey(wanting(time.Hour), func(k *v1alpha1.SFTPKey) { k.Status = v1alpha1.SFTPKeyStatus{} }), time.Hour, 0},
		{"it is not known when the pair was made", madeKey(wanting(time.Hour), func(k *v1alpha1.SFTPKey) { k.Status.RevisionTime = nil }), time.Hour, 0},
		{"before the period is over", madeKey(daily), 24*time.Hour - time.Second, 0},
		{"when the period is over", madeKey(daily), 24 * time.Hour, 2},
		{"long after: once", madeKey(daily, inUse(3)), 240 * time.Hour, 4},
		{"by hand within the period", madeKey(daily, inUse(3), wanting(time.Minute)), time.Hour, 4},
		{"a host key", madeKey(daily, ofHost), 24 * time.Hour, 2},
		{"a host key whose former one is still with a listener", madeKey(daily, ofHost, withRetiring), 24 * time.Hour, 0},
		{"by hand nevertheless", madeKey(daily, ofHost, withRetiring, wanting(time.Minute)), time.Hour, 2},
		{"a client key whose former one still works", madeKey(daily, withRetiring), 24 * time.Hour, 2},
		{"an existing key", madeKey(wanting(-time.Hour), func(k *v1alpha1.SFTPKey) { k.Spec.Source = v1alpha1.KeyExisting }), time.Hour, 0},
	} {
		if got := due(tc.key, began.Add(tc.after)); got != tc.want {
			t.Errorf("%s: revision %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestNextRotation(t *testing.T) {
	for _, tc := range []struct {
		name string
		key  *v1alpha1.SFTPKey
		want time.Duration // after the start, 0 for never
	}{
		{"never", madeKey(), 0},
		{"new enough", madeKey(wanting(0)), 0},
		{"too old", madeKey(wanting(time.Second)), time.Second},
		{"the period", madeKey(daily), 24 * time.Hour},
		{"the period is sooner", madeKey(daily, wanting(25*time.Hour)), 24 * time.Hour},
		{"the period is later", madeKey(daily, wanting(time.Hour)), time.Hour},
	} {
		switch at := nextRotation(tc.key); {
		case (at == nil) != (tc.want == 0), at != nil && !at.Time.Equal(began.Add(tc.want)):
			t.Errorf("%s: %v", tc.name, at)
		}
	}
}

// A pair's time comes from its Secret, as long as that is plausible.
func TestMadeAt(t *testing.T) {
	for note, want := range map[string]time.Duration{
		began.Format(time.RFC3339):                    0,
		began.Add(-time.Hour).Format(time.RFC3339):    -time.Hour,
		began.Add(3 * time.Hour).Format(time.RFC3339): time.Hour,
		"yesterday": time.Hour,
		"":          time.Hour,
	} {
		s := NewSecret(madeKey(), "acme", pair(t), began)
		s.Annotations[v1alpha1.AnnotationMade], s.CreationTimestamp = note, metav1.NewTime(began.Add(time.Hour))
		if got := madeAt(s, began.Add(2*time.Hour)); !got.Time.Equal(began.Add(want)) {
			t.Errorf("%q: %v", note, got)
		}
	}
	if got := madeAt(&corev1.Secret{}, began.Add(time.Millisecond)); !got.Time.Equal(began) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestSecretsOfRevisions(t *testing.T) {
	for _, tc := range []struct {
		key  *v1alpha1.SFTPKey
		want string
	}{
		{madeKey(), "acme"},
		{madeKey(inUse(5)), "acme-r5"},
		{madeKey(inUse(5), func(k *v1alpha1.SFTPKey) { k.Spec.SecretName = "keys" }), "keys-r5"},
		{madeKey(func(k *v1alpha1.SFTPKey) { k.Status = v1alpha1.SFTPKeyStatus{} }), "acme"},
		{madeKey(func(k *v1alpha1.SFTPKey) { k.Spec.Source = v1alpha1.KeyPublicKey }), ""},
	} {
		if got := SecretName(tc.key); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestRevisionOfSecret(t *testing.T) {
	for name, want := range map[string]int32{
		"host": 1, "host-r2": 2, "host-r1000000": 1000000, "host-r1": 0, "host-r02": 0, "host-r-2": 0, "host-r": 0, "host-r99999999999": 0, "other-r2": 0, "7": 0,
	} {
		if got := revisionOfSecret("host", name); got != want {
			t.Errorf("%s: revision %d, want %d", name, got, want)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, tc := range []struct {
		rotation v1alpha1.KeyRotation
		want     time.Duration
	}{
		{v1alpha1.KeyRotation{}, 14 * 24 * time.Hour},
		{v1alpha1.KeyRotation{OverlapSeconds: new(int32(60))}, time.Minute},
		{v1alpha1.KeyRotation{OverlapSeconds: new(int32(0))}, 0},
		{v1alpha1.KeyRotation{PeriodSeconds: new(int32(86400))}, 12 * time.Hour},
		{v1alpha1.KeyRotation{PeriodSeconds: new(int32(86400 * 365))}, 14 * 24 * time.Hour},
	} {
		if got := Overlap(madeKey(func(k *v1alpha1.SFTPKey) { k.Spec.Rotation = tc.rotation })); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.rotation, got, tc.want)
		}
	}
}

// The previous pair works until its end along with the new one, and only for the user that the key is assigned to.
func TestRetire(t *testing.T) {
	first, second := pair(t), pair(t)
	k := madeKey(daily, func(k *v1alpha1.SFTPKey) {
		k.Status.PublicKey, k.Status.Fingerprint = first.Line(), first.Fingerprint()
		k.Spec.UserRef, k.Spec.From = &v1alpha1.LocalUserReference{Name: "acme"}, []string{"192.0.2.0/24"}
		k.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	})
	at := began.Add(24 * time.Hour)
	retire(k, 2, second, new(metav1.NewTime(at)), at)
	end := at.Add(12 * time.Hour)
	if s := k.Status; s.Revision != 2 || s.Fingerprint != second.Fingerprint() || !s.RevisionTime.Time.Equal(at) || len(s.Retiring) != 1 ||
		s.Retiring[0].Revision != 1 || s.Retiring[0].SecretName != "acme" || !s.Retiring[0].EndTime.Time.Equal(end) {
		t.Errorf("%+v", s)
	}
	if next := nextRotation(k); !next.Time.Equal(at.Add(24 * time.Hour)) {
		t.Errorf("next rotation %v", next)
	}
	k.Status.NextRotationTime = nextRotation(k)
	if got := next(k, at); !got.Equal(end) {
		t.Errorf("looks again at %v, want the end of the overlap", got)
	}
	keyring := NewKeyring([]v1alpha1.SFTPKey{*k})
	c := keyring.Of("acme")[0]
	if len(c.Retiring) != 1 || c.Fingerprint() != second.Fingerprint() || c.Retiring[0].Fingerprint() != first.Fingerprint() ||
		!c.Retiring[0].NotAfter.Time.Equal(end) || len(c.Retiring[0].From) != 1 {
		t.Errorf("%+v", c)
	}
	for _, m := range []Material{first, second} {
		if owner := keyring.Owner(m.Fingerprint()); owner == nil || owner.User != "acme" {
			t.Errorf("%s is no one's", m.Fingerprint())
		}
	}
	k.Spec.ExpirationTime = new(metav1.NewTime(at.Add(time.Hour)))
	c = NewKeyring([]v1alpha1.SFTPKey{*k}).Of("acme")[0]
	if !c.Retiring[0].NotAfter.Equal(k.Spec.ExpirationTime) {
		t.Errorf("a retiring pair ends at %v, after its SFTPKey", c.Retiring[0].NotAfter)
	}
	for n := range int32(10) {
		retire(k, 3+n, pair(t), new(metav1.NewTime(at)), at)
	}
	if s := k.Status; len(s.Retiring) != maxRetiring || s.Retiring[maxRetiring-1].Revision != 11 {
		t.Errorf("%d pairs retire: %+v", len(s.Retiring), s.Retiring)
	}
}

// For a host key, the listeners decide how long the previous pair works, whatever the overlap is.
func TestRetireHostKey(t *testing.T) {
	k := madeKey(ofHost, func(k *v1alpha1.SFTPKey) { k.Spec.Rotation.OverlapSeconds = new(int32(0)) })
	retire(k, 2, pair(t), new(metav1.NewTime(began)), began)
	if s := k.Status; s.Revision != 2 || len(s.Retiring) != 1 || s.Retiring[0].EndTime != nil || s.Retiring[0].SecretName != "acme" {
		t.Errorf("%+v", s)
	}
	if got := secretNames(k); len(got) != 2 || got[0] != "acme-r2" || got[1] != "acme" {
		t.Errorf("Secrets %v", got)
	}
}

// Each version of an SFTPKey is parsed once.
func TestRingsFollowChanges(t *testing.T) {
	first, second := pair(t), pair(t)
	k := v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "a", UID: "u", ResourceVersion: "1"},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: first.Line(), UserRef: &v1alpha1.LocalUserReference{Name: "ada"}},
	}
	var keyrings Keyrings
	one := keyrings.Keyring("team", []v1alpha1.SFTPKey{k})
	two := keyrings.Keyring("team", []v1alpha1.SFTPKey{k})
	if one.Of("ada")[0] != two.Of("ada")[0] || one.Stamp() != two.Stamp() {
		t.Error("the same version was parsed twice")
	}
	k.ResourceVersion, k.Spec.PublicKey = "2", second.Line()
	three := keyrings.Keyring("team", []v1alpha1.SFTPKey{k})
	if c := three.Of("ada")[0]; c.Fingerprint() != second.Fingerprint() || three.Stamp() == one.Stamp() {
		t.Error("the change was not seen")
	}
	again := k
	again.UID, again.Spec.PublicKey = "other", first.Line()
	if c := keyrings.Keyring("team", []v1alpha1.SFTPKey{again}).Of("ada")[0]; c.Fingerprint() != first.Fingerprint() {
		t.Error("one that was made again was not seen")
	}
	if keyrings.Keyring("team", nil); len(keyrings.parsed) != 0 {
		t.Errorf("%d namespaces without keys are remembered", len(keyrings.parsed))
	}
}
