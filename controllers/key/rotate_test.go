package key

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

var began = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// madeKey is a generated client key whose first pair was made when it all began.
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

func wanting(revision int32) func(*v1alpha1.SFTPKey) {
	return func(k *v1alpha1.SFTPKey) { k.Spec.Revision = revision }
}

func daily(k *v1alpha1.SFTPKey) {
	k.Spec.Rotation = v1alpha1.KeyRotation{Policy: v1alpha1.RotationPeriodic, PeriodSeconds: new(int32(86400))}
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
		{"the revision in use", madeKey(wanting(1)), 0, 0},
		{"the next revision", madeKey(wanting(2)), 0, 2},
		{"a later revision", madeKey(wanting(7)), 0, 7},
		{"a revision of before", madeKey(wanting(2), inUse(4)), 0, 0},
		{"a key without a pair makes the first one otherwise", madeKey(wanting(2), func(k *v1alpha1.SFTPKey) { k.Status = v1alpha1.SFTPKeyStatus{} }), 0, 0},
		{"a pair of an operator without revisions", madeKey(wanting(2), func(k *v1alpha1.SFTPKey) { k.Status.Revision = 0 }), 0, 2},
		{"before the period is over", madeKey(daily), 24*time.Hour - time.Second, 0},
		{"when the period is over", madeKey(daily), 24 * time.Hour, 2},
		{"long after: once", madeKey(daily, inUse(3)), 240 * time.Hour, 4},
		{"by hand within the period", madeKey(daily, inUse(3), wanting(4)), time.Hour, 4},
		{"a host key", madeKey(daily, ofHost), 24 * time.Hour, 2},
		{"a host key whose former one is still with a listener", madeKey(daily, ofHost, withRetiring), 24 * time.Hour, 0},
		{"by hand all the same", madeKey(daily, ofHost, withRetiring, wanting(3)), 24 * time.Hour, 3},
		{"a client key whose former one still works", madeKey(daily, withRetiring), 24 * time.Hour, 2},
		{"an existing key", madeKey(wanting(2), func(k *v1alpha1.SFTPKey) { k.Spec.Source = v1alpha1.KeyExisting }), 0, 0},
	} {
		if got := due(tc.key, began.Add(tc.after)); got != tc.want {
			t.Errorf("%s: revision %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestSecretsOfRevisions(t *testing.T) {
	for _, tc := range []struct {
		key  *v1alpha1.SFTPKey
		want string
	}{
		{madeKey(), "acme"},
		{madeKey(wanting(5)), "acme"},
		{madeKey(inUse(5)), "acme-r5"},
		{madeKey(inUse(5), func(k *v1alpha1.SFTPKey) { k.Spec.SecretName = "keys" }), "keys-r5"},
		// One that is made again takes up the retained Secret of its revision.
		{madeKey(wanting(5), func(k *v1alpha1.SFTPKey) { k.Status = v1alpha1.SFTPKeyStatus{} }), "acme-r5"},
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

// The pair before works until its end, beside the new one, and for whoever the key is assigned to alone.
func TestRetire(t *testing.T) {
	first, second := pair(t), pair(t)
	k := madeKey(daily, func(k *v1alpha1.SFTPKey) {
		k.Status.PublicKey, k.Status.Fingerprint = first.Line(), first.Fingerprint()
		k.Spec.UserRef, k.Spec.From = &v1alpha1.LocalUserReference{Name: "acme"}, []string{"192.0.2.0/24"}
		k.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	})
	at := began.Add(24 * time.Hour)
	retire(k, 2, second, at)
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
	ring := NewRing([]v1alpha1.SFTPKey{*k})
	c, _ := ring.Get("acme")
	if len(c.Retiring) != 1 || c.Fingerprint() != second.Fingerprint() || c.Retiring[0].Fingerprint() != first.Fingerprint() ||
		!c.Retiring[0].NotAfter.Time.Equal(end) || len(c.Retiring[0].From) != 1 {
		t.Errorf("%+v", c)
	}
	for _, m := range []Material{first, second} {
		if owner := ring.Owner(m.Fingerprint()); owner == nil || owner.User != "acme" {
			t.Errorf("%s is nobody's", m.Fingerprint())
		}
	}
	k.Spec.ExpirationTime = new(metav1.NewTime(at.Add(time.Hour)))
	c, _ = NewRing([]v1alpha1.SFTPKey{*k}).Get("acme")
	if !c.Retiring[0].NotAfter.Equal(k.Spec.ExpirationTime) {
		t.Errorf("a retiring pair ends at %v, after its SFTPKey", c.Retiring[0].NotAfter)
	}
	for n := range int32(10) {
		retire(k, 3+n, pair(t), at)
	}
	if s := k.Status; len(s.Retiring) != maxRetiring || s.Retiring[maxRetiring-1].Revision != 11 {
		t.Errorf("%d pairs retire: %+v", len(s.Retiring), s.Retiring)
	}
}

// Of a host key the listeners say how long the pair before works, whatever the overlap is.
func TestRetireHostKey(t *testing.T) {
	k := madeKey(ofHost, func(k *v1alpha1.SFTPKey) { k.Spec.Rotation.OverlapSeconds = new(int32(0)) })
	retire(k, 2, pair(t), began)
	if s := k.Status; s.Revision != 2 || len(s.Retiring) != 1 || s.Retiring[0].EndTime != nil || s.Retiring[0].SecretName != "acme" {
		t.Errorf("%+v", s)
	}
	if got := secretNames(k); len(got) != 2 || got[0] != "acme-r2" || got[1] != "acme" {
		t.Errorf("Secrets %v", got)
	}
}

// A version of an SFTPKey is parsed once, and a changed one again.
func TestRingsFollowChanges(t *testing.T) {
	first, second := pair(t), pair(t)
	k := v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "a", UID: "u", ResourceVersion: "1"},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: first.Line()},
	}
	var rings Rings
	one := rings.Ring("team", []v1alpha1.SFTPKey{k})
	two := rings.Ring("team", []v1alpha1.SFTPKey{k})
	a, _ := one.Get("a")
	if b, _ := two.Get("a"); a != b || one.Stamp() != two.Stamp() {
		t.Error("the same version was parsed twice")
	}
	k.ResourceVersion, k.Spec.PublicKey = "2", second.Line()
	three := rings.Ring("team", []v1alpha1.SFTPKey{k})
	if c, _ := three.Get("a"); c.Fingerprint() != second.Fingerprint() || three.Stamp() == one.Stamp() {
		t.Error("the change was not seen")
	}
	again := k
	again.UID, again.Spec.PublicKey = "other", first.Line()
	if c, _ := rings.Ring("team", []v1alpha1.SFTPKey{again}).Get("a"); c.Fingerprint() != first.Fingerprint() {
		t.Error("one that was made again was not seen")
	}
	if rings.Ring("team", nil); len(rings.parsed) != 0 {
		t.Errorf("%d namespaces without keys are remembered", len(rings.parsed))
	}
}
