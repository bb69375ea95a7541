package key

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
)

// readsFrom writes to one API server and reads from another, as from a cache that lags behind.
type readsFrom struct {
	client.Client
	reads client.Reader
}

func (c readsFrom) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return c.reads.Get(ctx, key, o, opts...)
}

func requestOf(o client.Object) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKeyFromObject(o)}
}

// userWith returns an SFTPUser whose status has keys in given states, each last used on a given day.
func userWith(name string, keys ...v1alpha1.UserKeyStatus) *v1alpha1.SFTPUser {
	return &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Status: v1alpha1.SFTPUserStatus{Keys: keys}}
}

// publicKeyOf returns an SFTPKey with a key in its spec, made a few minutes after the start.
func publicKeyOf(name, user string, m Material, minutes int) *v1alpha1.SFTPKey {
	k := named(func(k *v1alpha1.SFTPKey) {
		k.Name, k.Spec.Source, k.Spec.PublicKey = name, v1alpha1.KeyPublicKey, m.Line()
		k.CreationTimestamp = metav1.NewTime(began.Add(time.Duration(minutes) * time.Minute))
		k.Status.Fingerprint = m.Fingerprint()
	})
	if user != "" {
		k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: user}
	}
	return k
}

// assignedAs returns the condition Assigned as text.
func assignedAs(k *v1alpha1.SFTPKey) string {
	c := meta.FindStatusCondition(k.Status.Conditions, "Assigned")
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

// The key's status shows its user, and what the users of the namespace report about it.
func TestUsersOfAKey(t *testing.T) {
	m, other := pair(t), pair(t)
	in := func(state v1alpha1.KeyState, day string) v1alpha1.UserKeyStatus {
		return v1alpha1.UserKeyStatus{Fingerprint: m.Fingerprint(), State: state, LastUsedDate: day}
	}
	going := userWith("going", in(v1alpha1.KeyActive, "2026-11-29"))
	going.Finalizers, going.DeletionTimestamp = []string{"example.com/wait"}, new(metav1.NewTime(began))
	elsewhere := userWith("elsewhere", in(v1alpha1.KeyActive, "2026-11-30"))
	elsewhere.Namespace = "elsewhere"
	k := publicKeyOf("acme", "ada", m, 1)
	r := newRig(t, k, going, elsewhere, publicKeyOf("unrelated", "eve", other, 0),
		userWith("zoe", v1alpha1.UserKeyStatus{Fingerprint: other.Fingerprint(), LastUsedDate: "2026-12-01"}, in(v1alpha1.KeyAssignedElsewhere, "2026-11-20")),
		userWith("ada", in(v1alpha1.KeyActive, "2026-11-24")))
	got, _ := r.settle(k)
	if st := got.Status; !slices.Equal(st.Users, []string{"ada"}) || st.LastUsedDate != "2026-11-24" || summary(got).Reason != "Ready" {
		t.Errorf("%s, %+v", ready(got), st)
	}
	if want := `False AssignmentConflict: SFTPUser "ada" logs in with the key, but it is also a key of SFTPUser "zoe", where it does not work; remove it there`; assignedAs(got) != want {
		t.Error(assignedAs(got))
	}
	// The last use is kept when its user is gone, but not for another key.
	for _, name := range []string{"ada", "zoe"} {
		if err := r.all.Delete(t.Context(), userWith(name)); err != nil {
			t.Fatal(err)
		}
	}
	got, _ = r.settle(k)
	if st := got.Status; st.Users != nil || st.LastUsedDate != "2026-11-24" || summary(got).Reason != "UserNotFound" || assignedAs(got) != `False UserNotFound: SFTPUser "ada" does not exist in namespace "team"; create it or correct spec.userRef` {
		t.Errorf("%s, %s, %+v", ready(got), assignedAs(got), st)
	}
	got.Spec.PublicKey, got.Spec.UserRef = pair(t).Line(), nil
	r.update(got, false)
	if got, _ = r.settle(k); got.Status.LastUsedDate != "" || assignedAs(got) != "" || summary(got).Reason != "Ready" {
		t.Errorf("%s, %s, %+v", ready(got), assignedAs(got), got.Status)
	}
}

// Of two SFTPKeys with the same key, the older one has it.
func TestOlderKeyOwns(t *testing.T) {
	m := pair(t)
	younger, older := publicKeyOf("a", "eve", m, 2), publicKeyOf("z", "ada", m, 1)
	r := newRig(t, younger, older, userWith("eve"), userWith("ada"))
	if got, _ := r.settle(older); ready(got) != "True Ready: The key is in spec.publicKey" || assignedAs(got) != `True Assigned: Only SFTPUser "ada" logs in with the key in this namespace` {
		t.Errorf("the older one: %s, %s", ready(got), assignedAs(got))
	}
	got, _ := r.settle(younger)
	const want = `DuplicateKey: SFTPKey "z", which is older, assigns the same key to SFTPUser "ada"; give each user a key of its own`
	if ready(got) != "False "+want || assignedAs(got) != "False "+want {
		t.Errorf("the younger one: %s, %s", ready(got), assignedAs(got))
	}
}

func TestStatusHolds64Users(t *testing.T) {
	m := pair(t)
	objects := []client.Object{publicKeyOf("acme", "", m, 0)}
	for i := range 70 {
		objects = append(objects, userWith(fmt.Sprintf("user-%02d", 69-i), v1alpha1.UserKeyStatus{Fingerprint: m.Fingerprint(), State: v1alpha1.KeyActive}))
	}
	got, _ := newRig(t, objects...).settle(named())
	if u := got.Status.Users; len(u) != 64 || u[0] != "user-00" || u[63] != "user-63" {
		t.Errorf("%d users: %v", len(u), u)
	}
}

// Host keys have no users, whatever a user's status says.
func TestHostKeyHasNoUsers(t *testing.T) {
	r := newRig(t, named(ofHost))
	k, _ := r.settle(named())
	if err := r.all.Create(t.Context(), userWith("ada", v1alpha1.UserKeyStatus{Fingerprint: k.Status.Fingerprint, LastUsedDate: "2026-11-24"})); err != nil {
		t.Fatal(err)
	}
	if k, _ = r.settle(k); k.Status.Users != nil || k.Status.LastUsedDate != "" {
		t.Errorf("%+v", k.Status)
	}
}

// The key is reconciled again at the earliest of its times, and a blocked key at regular intervals.
func TestAgain(t *testing.T) {
	at := func(d time.Duration) *metav1.Time { return new(metav1.NewTime(began.Add(d))) }
	r := newRig(t)
	for _, tc := range []struct {
		end     *metav1.Time
		blocked bool
		renewal time.Duration
		want    time.Duration
	}{
		{nil, false, 0, 0},
		{nil, true, 0, apply.RetryRefused},
		{at(1000 * time.Hour), true, 0, apply.RetryRefused},
		{at(time.Second), true, 0, time.Second},
		{at(apply.RetryRefused), true, 0, apply.RetryRefused},
		{at(1000 * time.Hour), false, 0, 1000 * time.Hour},
		{at(1000 * time.Hour), false, 7 * time.Hour, 7 * time.Hour},
		{at(7 * time.Hour), false, 1000 * time.Hour, 7 * time.Hour},
		{nil, false, 7 * time.Hour, 7 * time.Hour},
		{at(time.Nanosecond), false, 0, 10 * time.Millisecond},
	} {
		var renewal time.Time
		if tc.renewal > 0 {
			renewal = began.Add(tc.renewal)
		}
		if got := r.requeueAfter(named(func(k *v1alpha1.SFTPKey) { k.Spec.ExpirationTime = tc.end }), tc.blocked, renewal); got != tc.want {
			t.Errorf("ends %v, blocked %v, renewal after %s: again after %s, want %s", tc.end, tc.blocked, tc.renewal, got, tc.want)
		}
	}
}

// Until the key is usable, its holder is not looked up.
func TestNotLookedAt(t *testing.T) {
	r := newRig(t, named(existing, func(k *v1alpha1.SFTPKey) { k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: "ada"} }))
	if got, _ := r.settle(named()); assignedAs(got) != "Unknown Pending: Not evaluated until the key is usable" || summary(got).Reason != "SecretNotFound" {
		t.Errorf("%s, %s", ready(got), assignedAs(got))
	}
}

// The key is reconciled again when it expires and when it becomes valid.
func TestLooksAgainAtItsTimes(t *testing.T) {
	m := pair(t)
	k := publicKeyOf("acme", "", m, 0)
	k.Spec.NotBefore, k.Spec.ExpirationTime = new(metav1.NewTime(began.Add(time.Hour))), new(metav1.NewTime(began.Add(3*time.Hour)))
	r := newRig(t, k)
	for _, step := range []struct {
		at, after time.Duration
		want      string
	}{
		{0, time.Hour, "Inactive KeyNotYetValid: The key is not valid before 2026-11-25T13:00:00Z"},
		{time.Hour, 2 * time.Hour, "True Ready: The key is in spec.publicKey"},
		{3*time.Hour - time.Millisecond, 10 * time.Millisecond, "True Ready: The key is in spec.publicKey"},
		{3 * time.Hour, 0, "Inactive KeyExpired: The key expired at 2026-11-25T15:00:00Z; give the user a new one, or set a later spec.expirationTime"},
	} {
		r.now = began.Add(step.at)
		if got, after := r.settle(k); ready(got) != step.want || after != step.after {
			t.Errorf("after %s: %s, again after %s", step.at, ready(got), after)
		}
	}
}

// A host certificate is in the status, and the key is reconciled when the certificate is due for renewal and when it expires.
func TestHostCertificateInTheStatus(t *testing.T) {
	m := certified(t, pair(t), authority(t))
	s := NewSecret(named(), "acme", m, began)
	s.Data[CertificateEntry] = m.Certificate
	r := newRig(t, s, named(ofHost))
	got, after := r.settle(named())
	if got.Status.Certificate == nil || !got.Status.Certificate.ExpirationTime.Time.Equal(began.Add(10*day)) || after != 200*time.Hour || summary(got).Reason != "Ready" {
		t.Errorf("%s, %+v, again after %s", ready(got), got.Status.Certificate, after)
	}
	r.told()
	r.now = began.Add(200 * time.Hour)
	if got, after = r.settle(got); summary(got).Reason != "HostCertificateExpiring" || after != 40*time.Hour || len(r.told()) != 1 {
		t.Errorf("%s, again after %s", ready(got), after)
	}
	got.Spec.Rotation = v1alpha1.KeyRotation{Policy: v1alpha1.RotationPeriodic, PeriodSeconds: new(int32(201 * 3600))}
	r.update(got, false)
	if _, after = r.settle(got); after != time.Hour {
		t.Errorf("the rotation comes first: again after %s", after)
	}
	// While the Secret cannot be found, the last known certificate stays.
	if err := r.all.Delete(t.Context(), s.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if got, _ = r.settle(got); summary(got).Reason != "SecretNotFound" || got.Status.Certificate == nil {
		t.Errorf("%s, %+v", ready(got), got.Status)
	}
	// A client key has no certificate, whatever its Secret contains.
	r = newRig(t, s, named())
	if got, _ := r.settle(named()); got.Status.Certificate != nil {
		t.Errorf("%+v", got.Status.Certificate)
	}
}

// A change to an object wakes the SFTPKeys whose status depends on it, and no others.
func TestWhoIsWoken(t *testing.T) {
	m, other := pair(t), pair(t)
	mine, same, theirs := publicKeyOf("mine", "ada", m, 0), publicKeyOf("same", "", m, 1), publicKeyOf("theirs", "eve", other, 2)
	host := named(ofHost, func(k *v1alpha1.SFTPKey) {
		k.Name, k.Spec.SecretName, k.Status.Fingerprint = "host", "pair", m.Fingerprint()
		k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: "ada"}
		k.Status.Retiring = []v1alpha1.RetiringKey{{SecretName: "pair-old"}, {SecretName: "pair-older"}}
	})
	elsewhere := publicKeyOf("elsewhere", "ada", m, 0)
	elsewhere.Namespace = "elsewhere"
	both := func(name string) *v1alpha1.SFTPKey {
		return named(existing, func(k *v1alpha1.SFTPKey) { k.Name, k.Spec.SecretName = name, "both" })
	}
	r := newRig(t, mine, same, theirs, host, elsewhere, both("p"), both("q"))
	names := func(requests []reconcile.Request) (out []string) {
		for _, q := range requests {
			if q.Namespace != "team" {
				t.Errorf("%s is woken", q)
			}
			out = append(out, q.Name)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	ctx := t.Context()
	secret := func(name string) client.Object { return NewSecret(named(), name, m, began) }
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}, Status: v1alpha1.SFTPListenerStatus{HostKeys: []v1alpha1.HostKeyStatus{{Name: "host"}, {Name: "more"}}}}
	for _, tc := range []struct {
		what string
		got  []reconcile.Request
		want []string
	}{
		{"a user that is named", r.keysOfUser(ctx, userWith("ada")), []string{"mine"}},
		{"a user with keys", r.keysOfUser(ctx, userWith("bob", v1alpha1.UserKeyStatus{Fingerprint: m.Fingerprint()}, v1alpha1.UserKeyStatus{Fingerprint: other.Fingerprint()})), []string{"mine", "same", "theirs"}},
		{"a user without any", r.keysOfUser(ctx, userWith("bob")), nil},
		{"no user", r.keysOfUser(ctx, mine), nil},
		{"a client key", r.duplicatesOf(ctx, mine), []string{"mine", "same"}},
		{"a client key that is not known yet", r.duplicatesOf(ctx, named()), nil},
		{"a host key", r.duplicatesOf(ctx, host), nil},
		{"no key", r.duplicatesOf(ctx, userWith("ada")), nil},
		{"a Secret", r.keysOfSecret(ctx, secret("pair")), []string{"host"}},
		{"the Secret of a pair that retires", r.keysOfSecret(ctx, secret("pair-older")), []string{"host"}},
		{"a Secret that two keys name", r.keysOfSecret(ctx, secret("both")), []string{"p", "q"}},
		{"a Secret of no one", r.keysOfSecret(ctx, secret("x")), nil},
		{"a listener", hostKeysOfListener(ctx, l), []string{"host", "more"}},
		{"no listener", hostKeysOfListener(ctx, mine), nil},
	} {
		if got := names(tc.got); !slices.Equal(got, tc.want) {
			t.Errorf("%s wakes %v, want %v", tc.what, got, tc.want)
		}
	}
	r.fail = func(string) error { return errors.New("the cache has not started") }
	if got := slices.Concat(r.keysOfUser(ctx, userWith("ada")), r.duplicatesOf(ctx, mine), r.keysOfSecret(ctx, secret("pair"))); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestWhatIsLookedAt(t *testing.T) {
	used := userWith("ada", v1alpha1.UserKeyStatus{Fingerprint: "a", LastUsedDate: "2026-11-24"})
	later := userWith("ada", v1alpha1.UserKeyStatus{Fingerprint: "a", LastUsedDate: "2026-11-25"})
	labelled := used.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	l := func(fingerprints ...string) *v1alpha1.SFTPListener {
		out := &v1alpha1.SFTPListener{}
		for _, f := range fingerprints {
			out.Status.HostKeys = append(out.Status.HostKeys, v1alpha1.HostKeyStatus{Fingerprint: f})
		}
		return out
	}
	proved := l("a")
	proved.Status.HostKeys[0].ProvedUsers = new(int32(7))
	for what, tc := range map[string]struct{ got, want bool }{
		"another day":              {keysDiffer(used, later), true},
		"a label of a user":        {keysDiffer(used, labelled), false},
		"no user before":           {keysDiffer(l(), used), false},
		"no user after":            {keysDiffer(used, l()), false},
		"another host key":         {hostKeysDiffer(l("a"), l("b")), true},
		"one more":                 {hostKeysDiffer(l("a"), l("a", "b")), true},
		"the same, and more proof": {hostKeysDiffer(l("a"), proved), false},
		"no listener before":       {hostKeysDiffer(used, l("a")), false},
		"no listener after":        {hostKeysDiffer(l("a"), used), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v", what, tc.got)
		}
	}
	if got := secretNames(publicKeyOf("a", "", pair(t), 0)); !reflect.DeepEqual(got, []string(nil)) {
		t.Errorf("a key in the spec has the Secrets %q", got)
	}
}
