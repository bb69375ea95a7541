package listener

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/factor"
)

func on(month time.Month, day, hour int) time.Time {
	return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC)
}

func TestKeyState(t *testing.T) {
	now := on(11, 25, 12)
	at := func(t time.Time) *metav1.Time { return new(metav1.NewTime(t)) }
	days := func(n int32) *int32 { return &n }
	type key = v1alpha1.UserKeyStatus
	type policy = v1alpha1.ListenerKeyPolicy
	for _, tc := range []struct {
		name   string
		key    key
		policy policy
		want   v1alpha1.KeyState
		next   time.Time
	}{
		{"without bounds", key{}, policy{}, v1alpha1.KeyActive, time.Time{}},
		{"ends in a year", key{ExpirationTime: at(on(12, 31, 0))}, policy{}, v1alpha1.KeyActive, on(12, 1, 0)},
		{"ends in less than the 30 days", key{ExpirationTime: at(on(12, 25, 11))}, policy{}, v1alpha1.KeyExpiring, on(12, 25, 11)},
		{"ends in 30 days", key{ExpirationTime: at(on(12, 25, 12))}, policy{}, v1alpha1.KeyExpiring, on(12, 25, 12)},
		{"ends in more than the policy's days", key{ExpirationTime: at(on(12, 3, 0))}, policy{ExpiringWithinDays: days(7)}, v1alpha1.KeyActive, on(11, 26, 0)},
		{"ended now", key{ExpirationTime: at(now)}, policy{}, v1alpha1.KeyExpired, time.Time{}},
		{"begins later", key{NotBefore: at(on(11, 25, 13)), ExpirationTime: at(on(11, 26, 0))}, policy{}, v1alpha1.KeyNotYetValid, on(11, 25, 13)},
		{"begins now", key{NotBefore: at(now)}, policy{}, v1alpha1.KeyActive, time.Time{}},
		{"weak is weak for ever", key{State: v1alpha1.KeyWeak, ExpirationTime: at(now)}, policy{}, v1alpha1.KeyWeak, time.Time{}},

		{"never used, added lately", key{AddedDate: "2026-11-20"}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyActive, on(11, 26, 0)},
		{"never used, added before", key{AddedDate: "2026-11-19"}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyUnused, time.Time{}},
		{"used lately", key{AddedDate: "2020-01-01", LastUsedDate: "2026-11-24"}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyActive, on(11, 30, 0)},
		{"used before", key{AddedDate: "2020-01-01", LastUsedDate: "2026-11-01"}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyUnused, time.Time{}},
		{"began lately", key{AddedDate: "2020-01-01", NotBefore: at(on(11, 24, 9))}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyActive, on(11, 30, 0)},
		{"unused, and ends later", key{AddedDate: "2020-01-01", ExpirationTime: at(on(12, 31, 0))}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyUnused, on(12, 1, 0)},
		{"unused, and ends soon", key{AddedDate: "2020-01-01", ExpirationTime: at(on(11, 26, 0))}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyExpiring, on(11, 26, 0)},
		{"the earlier of both", key{AddedDate: "2026-11-25", ExpirationTime: at(on(12, 26, 0))}, policy{UnusedAfterDays: days(90)}, v1alpha1.KeyActive, on(11, 26, 0)},
	} {
		if got, next := keyState(&tc.key, tc.policy, now); got != tc.want || !next.Equal(tc.next) {
			t.Errorf("%s: %s until %v, want %s until %v", tc.name, got, next, tc.want, tc.next)
		}
	}
}

// The time that keyState names is the one at which the state changes, and not a second later.
func TestKeyStateChangesWhenItSays(t *testing.T) {
	k := v1alpha1.UserKeyStatus{
		AddedDate: "2026-11-25", NotBefore: new(metav1.NewTime(on(11, 26, 7))), ExpirationTime: new(metav1.NewTime(on(12, 31, 9))),
	}
	policy := v1alpha1.ListenerKeyPolicy{UnusedAfterDays: new(int32(3))}
	var seen []v1alpha1.KeyState
	for now := on(11, 25, 0); ; {
		state, next := keyState(&k, policy, now)
		seen = append(seen, state)
		if next.IsZero() {
			break
		}
		if before, _ := keyState(&k, policy, next.Add(-time.Second)); before != state {
			t.Errorf("%s before %v, want %s", before, next, state)
		}
		now = next
	}
	want := []v1alpha1.KeyState{v1alpha1.KeyNotYetValid, v1alpha1.KeyActive, v1alpha1.KeyUnused, v1alpha1.KeyExpiring, v1alpha1.KeyExpired}
	if len(seen) != len(want) {
		t.Fatalf("states %v, want %v", seen, want)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Errorf("states %v, want %v", seen, want)
		}
	}
}

// The worst is told first, and what is only odd leaves the condition true.
func TestKeysValid(t *testing.T) {
	at := new(metav1.NewTime(on(12, 1, 0)))
	key := func(fp string, state v1alpha1.KeyState) v1alpha1.UserKeyStatus {
		return v1alpha1.UserKeyStatus{Fingerprint: fp, Source: "inline", State: state, NotBefore: at, ExpirationTime: at}
	}
	shared := map[string]bool{"s": true, "a": false}
	keys := []v1alpha1.UserKeyStatus{
		key("a", v1alpha1.KeyActive), key("s", v1alpha1.KeyActive), key("u", v1alpha1.KeyUnused),
		key("n", v1alpha1.KeyNotYetValid), key("i", v1alpha1.KeyExpiring), key("e", v1alpha1.KeyExpired), key("w", v1alpha1.KeyWeak),
	}
	const time = " 2026-12-01T00:00:00Z"
	for _, tc := range []struct {
		keys            []v1alpha1.UserKeyStatus
		status          metav1.ConditionStatus
		reason, message string
	}{
		{nil, metav1.ConditionTrue, "KeysValid", "No key has expired or is about to"},
		{keys[:1], metav1.ConditionTrue, "KeysValid", "No key has expired or is about to"},
		{keys[:2], metav1.ConditionTrue, "KeyShared", "s (inline) is also with other SFTPUsers of the namespace"},
		{keys[:3], metav1.ConditionTrue, "KeyUnused", "u (inline) was not used for long"},
		{keys[:4], metav1.ConditionFalse, "KeyNotYetValid", "n (inline) is valid from" + time},
		{keys[:5], metav1.ConditionFalse, "KeyExpiring", "i (inline) ends at" + time},
		{append(keys, keys[5]), metav1.ConditionFalse, "KeyExpired", "e (inline) expired at" + time + "; e (inline) expired at" + time},
	} {
		if c := keysValid(tc.keys, shared); c.Status != tc.status || c.Reason != tc.reason || c.Message != tc.message {
			t.Errorf("%s/%s: %s\nwant %s/%s: %s", c.Status, c.Reason, c.Message, tc.status, tc.reason, tc.message)
		}
	}
}

// Shared is what several users of one namespace have; those of another are not told of.
func TestSharedKeys(t *testing.T) {
	s := &scope{Reconciler: &Reconciler{Now: func() time.Time { return on(11, 25, 12) }}, memory: newMemory("l"), listener: &v1alpha1.SFTPListener{}}
	s.credentials = map[types.UID]credentials.Credentials{}
	for _, u := range []struct{ namespace, name, key string }{{"a", "1", "k"}, {"a", "2", "k"}, {"b", "3", "k"}, {"b", "4", "own"}} {
		user := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: u.namespace, Name: u.name, UID: types.UID(u.name)}}
		s.decisions = append(s.decisions, attach.Decision{User: user})
		s.credentials[user.UID] = credentials.Credentials{Inventory: []v1alpha1.UserKeyStatus{{Fingerprint: u.key}}}
	}
	s.takeInventory()
	if !s.shared["a"]["k"] || s.shared["b"]["k"] || s.shared["b"]["own"] {
		t.Errorf("%v", s.shared)
	}
	if k := s.keys["1"]; len(k) != 1 || k[0].AddedDate != "2026-11-25" || k[0].State != v1alpha1.KeyActive {
		t.Errorf("%+v", k)
	}
}

func TestLockedUsers(t *testing.T) {
	state := func(states ...v1alpha1.KeyState) (out []v1alpha1.UserKeyStatus) {
		for _, s := range states {
			out = append(out, v1alpha1.UserKeyStatus{State: s})
		}
		return out
	}
	credit := func(c credentials.Credentials, methods ...factor.Combination) credentials.Credentials {
		return c.WithMethods(methods, false)
	}
	anyKey, either := factor.Combination{factor.PublicKey}, factor.Combination{factor.Password}
	both, two := factor.Combination{factor.PublicKey, factor.Password}, factor.Combination{factor.PublicKey, factor.PublicKey}
	keys := credentials.Credentials{Keys: []config.Key{{}, {}}}
	withPassword := credentials.Credentials{Keys: keys.Keys, Password: &config.Password{}}
	certified := credentials.Credentials{Keys: keys.Keys, Certificates: true}
	for _, tc := range []struct {
		name string
		c    credentials.Credentials
		keys []v1alpha1.UserKeyStatus
		want bool
	}{
		{"an expired key", credit(keys, anyKey), state(v1alpha1.KeyExpired), true},
		{"an expired key and one to come", credit(keys, anyKey), state(v1alpha1.KeyExpired, v1alpha1.KeyNotYetValid), true},
		{"an expired key and a good one", credit(keys, anyKey), state(v1alpha1.KeyExpired, v1alpha1.KeyUnused), false},
		{"an expired key and a good one where two are needed", credit(keys, two), state(v1alpha1.KeyExpired, v1alpha1.KeyUnused), true},
		{"two good ones where two are needed", credit(keys, two), state(v1alpha1.KeyActive, v1alpha1.KeyUnused), false},
		{"an expired key and a password", credit(withPassword, anyKey, either), state(v1alpha1.KeyExpired), false},
		{"an expired key and then a password", credit(withPassword, both), state(v1alpha1.KeyExpired), true},
		{"an expired key and certificates", credit(certified, anyKey), state(v1alpha1.KeyExpired), false},
		{"a password alone", credit(credentials.Credentials{Password: &config.Password{}}, anyKey, either), nil, false},
	} {
		if got := locked(tc.c, tc.keys); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// What pods tell is merged to the latest day, and what cannot be is not believed.
func TestNoteKeyUse(t *testing.T) {
	u := &v1alpha1.SFTPUser{}
	u.UID = "u"
	u.Status.Keys = []v1alpha1.UserKeyStatus{{Fingerprint: "removed just now"}}
	s := &scope{
		Reconciler:  &Reconciler{Now: func() time.Time { return on(11, 25, 12) }},
		memory:      newMemory("l"),
		decisions:   []attach.Decision{{User: u}},
		credentials: map[types.UID]credentials.Credentials{"u": {Inventory: []v1alpha1.UserKeyStatus{{Fingerprint: "k"}}}},
	}
	s.memory.resolved["u"] = resolution{former: []v1alpha1.UserKeyStatus{{Fingerprint: "removed, also from the status"}}}
	s.memory.lastUsed["gone"] = map[string]string{"k": "2026-11-01"}
	s.noteKeyUse([]config.KeyUse{
		{UID: "u", Fingerprint: "k", Day: "2026-11-24"},
		{UID: "u", Fingerprint: "k", Day: "2026-11-25"},
		{UID: "u", Fingerprint: "k", Day: "2026-11-23"},
		{UID: "u", Fingerprint: "k", Day: "2026-12-24"},
		{UID: "u", Fingerprint: "k", Day: "yesterday"},
		{UID: "u", Fingerprint: "removed just now", Day: "2026-11-25"},
		{UID: "u", Fingerprint: "removed, also from the status", Day: "2026-11-25"},
		{UID: "u", Fingerprint: "made up", Day: "2026-11-25"},
		{UID: "made up", Fingerprint: "k", Day: "2026-11-25"},
	})
	got := s.memory.lastUsed
	if len(got) != 1 || len(got["u"]) != 3 || got["u"]["k"] != "2026-11-25" || got["u"]["removed just now"] != "2026-11-25" {
		t.Errorf("%v", got)
	}
}

func TestKeyMetrics(t *testing.T) {
	c := &keyCollector{of: map[types.NamespacedName]keyCount{}}
	l := types.NamespacedName{Namespace: "files", Name: "public"}
	c.set(l, map[types.UID][]v1alpha1.UserKeyStatus{
		"a": {{Fingerprint: "1", State: v1alpha1.KeyActive}, {Fingerprint: "2", State: v1alpha1.KeyExpired}},
		"b": {{Fingerprint: "1", State: v1alpha1.KeyActive}, {Fingerprint: "3", State: v1alpha1.KeyUnused}},
		"c": {{Fingerprint: "1", State: v1alpha1.KeyActive}},
	})
	gather := func() map[string]float64 {
		t.Helper()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				words := []string{f.GetName()}
				for _, label := range m.GetLabel() {
					words = append(words, label.GetValue())
				}
				out[strings.Join(words, " ")] = m.GetGauge().GetValue()
			}
		}
		return out
	}
	want := map[string]float64{"sftp_operator_user_keys_shared public files": 1}
	for _, state := range states {
		want["sftp_operator_user_keys public files "+string(state)] = map[v1alpha1.KeyState]float64{"Active": 3, "Expired": 1, "Unused": 1}[state]
	}
	if got := gather(); !maps.Equal(got, want) {
		t.Errorf("metrics %v, want %v", got, want)
	}
	c.set(l, nil)
	if got := gather(); len(got) != 0 {
		t.Errorf("metrics %v of a listener that is gone", got)
	}
}
