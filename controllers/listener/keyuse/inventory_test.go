package keyuse

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
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
		{"weak stays weak", key{State: v1alpha1.KeyWeak, ExpirationTime: at(now)}, policy{}, v1alpha1.KeyWeak, time.Time{}},

		{"never used, added recently", key{AddedDate: "2026-11-20"}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyActive, on(11, 26, 0)},
		{"never used, added before", key{AddedDate: "2026-11-19"}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyUnused, time.Time{}},
		{"used recently", key{AddedDate: "2020-01-01", LastUsedDate: "2026-11-24"}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyActive, on(11, 30, 0)},
		{"used before", key{AddedDate: "2020-01-01", LastUsedDate: "2026-11-01"}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyUnused, time.Time{}},
		{"began recently", key{AddedDate: "2020-01-01", NotBefore: at(on(11, 24, 9))}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyActive, on(11, 30, 0)},
		{"unused, and ends later", key{AddedDate: "2020-01-01", ExpirationTime: at(on(12, 31, 0))}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyUnused, on(12, 1, 0)},
		{"unused, and ends soon", key{AddedDate: "2020-01-01", ExpirationTime: at(on(11, 26, 0))}, policy{UnusedAfterDays: days(5)}, v1alpha1.KeyExpiring, on(11, 26, 0)},
		{"the earlier of both", key{AddedDate: "2026-11-25", ExpirationTime: at(on(12, 26, 0))}, policy{UnusedAfterDays: days(90)}, v1alpha1.KeyActive, on(11, 26, 0)},
	} {
		if got, next := keyState(&tc.key, tc.policy, now); got != tc.want || !next.Equal(tc.next) {
			t.Errorf("%s: %s until %v, want %s until %v", tc.name, got, next, tc.want, tc.next)
		}
	}
}

// The time that keyState returns is exactly the one at which the state changes.
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

// Known dates are kept: the day on which a key was added, and the latest day on which it was used, whatever the source.
func TestInventoryKeepsDates(t *testing.T) {
	u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
	u.Status.Keys = []v1alpha1.UserKeyStatus{
		{Fingerprint: "status", AddedDate: "2026-01-02", LastUsedDate: "2026-11-20"},
		{Fingerprint: "tracked", AddedDate: "2026-01-02", LastUsedDate: "2026-11-20"},
	}
	var tracker Tracker
	tracker.Note([]config.KeyUse{{UID: "u", Fingerprint: "tracked", Day: "2026-11-24"}, {UID: "u", Fingerprint: "status", Day: "2026-11-19"}}, nil, Known{
		Now: on(11, 25, 12), Keys: func(types.UID) ([]string, bool) { return []string{"tracked", "status"}, true },
	})
	keys := []v1alpha1.UserKeyStatus{{Fingerprint: "status"}, {Fingerprint: "tracked"}, {Fingerprint: "new"}}
	got, next := tracker.Inventory(u, keys, v1alpha1.ListenerKeyPolicy{UnusedAfterDays: new(int32(10))}, on(11, 25, 12))
	want := []v1alpha1.UserKeyStatus{
		{Fingerprint: "status", AddedDate: "2026-01-02", LastUsedDate: "2026-11-20", State: v1alpha1.KeyActive},
		{Fingerprint: "tracked", AddedDate: "2026-01-02", LastUsedDate: "2026-11-24", State: v1alpha1.KeyActive},
		{Fingerprint: "new", AddedDate: "2026-11-25", State: v1alpha1.KeyActive},
	}
	if !slices.Equal(got, want) {
		t.Errorf("keys\n\t%+v\nwant\n\t%+v", got, want)
	}
	if want := on(12, 1, 0); !next.Equal(want) {
		t.Errorf("the next change is at %v, want that of the key that was used first, %v", next, want)
	}
	if keys[0].AddedDate != "" {
		t.Error("what was resolved has been changed")
	}
}
