package key

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

func holder(user string, state v1alpha1.KeyState, lastUsed string) Holder {
	return Holder{User: user, UserKeyStatus: v1alpha1.UserKeyStatus{State: state, LastUsedDate: lastUsed}}
}

// Problems are reported in this order: expiry, assignment, start, policies.
func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	ready := conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "")
	at := func(d time.Duration) *metav1.Time { return new(metav1.NewTime(now.Add(d))) }
	active := []Holder{holder("acme", v1alpha1.KeyActive, "")}
	for _, tc := range []struct {
		name                string
		user                string
		notBefore, notAfter *metav1.Time
		holdings            Holdings
		// want are the reasons of Ready and Assigned; ok is the status of Ready.
		want, assigned string
		ok             bool
	}{
		{"nobody's", "", nil, nil, Holdings{}, "Ready", "", true},
		{"assigned", "acme", nil, nil, Holdings{UserExists: true, Holders: active}, "Ready", "Assigned", true},
		{"no one there", "acme", nil, nil, Holdings{}, "UserNotFound", "UserNotFound", false},
		{"no one there, and ended", "acme", nil, at(0), Holdings{}, "KeyExpired", "UserNotFound", false},
		{"no one there, and not begun", "acme", at(time.Hour), nil, Holdings{}, "UserNotFound", "UserNotFound", false},
		{"not begun", "acme", at(time.Hour), nil, Holdings{UserExists: true}, "KeyNotYetValid", "Assigned", false},
		{"begins now", "acme", at(0), at(time.Hour), Holdings{UserExists: true, Holders: active}, "Ready", "Assigned", true},
		{"ends soon", "acme", nil, at(time.Hour), Holdings{UserExists: true, Holders: []Holder{holder("acme", v1alpha1.KeyExpiring, "")}}, "KeyExpiring", "Assigned", true},
		{"weak", "acme", nil, nil, Holdings{UserExists: true, Holders: []Holder{holder("acme", v1alpha1.KeyWeak, "")}}, "WeakKey", "Assigned", false},
		{"revoked", "acme", nil, nil, Holdings{UserExists: true, Holders: []Holder{holder("acme", v1alpha1.KeyRevoked, "")}}, "KeyRevoked", "Assigned", false},
		{"unused", "acme", nil, nil, Holdings{UserExists: true, Holders: []Holder{holder("acme", v1alpha1.KeyUnused, "")}}, "KeyUnused", "Assigned", true},
		{"used by one of two", "", nil, nil, Holdings{Holders: []Holder{holder("a", v1alpha1.KeyUnused, ""), holder("b", v1alpha1.KeyActive, "")}}, "Ready", "", true},
		{"also without effect with another", "acme", nil, nil, Holdings{UserExists: true, Holders: append([]Holder{holder("a", v1alpha1.KeyAssignedElsewhere, "")}, active...)}, "Ready", "AssignmentConflict", true},
		{"of an older SFTPKey", "acme", nil, nil, Holdings{UserExists: true, Owner: &Client{Name: "older", User: "other"}}, "DuplicateKey", "DuplicateKey", false},
		{"of an older SFTPKey for the same user", "acme", nil, nil, Holdings{UserExists: true, Owner: &Client{Name: "older", User: "acme"}}, "Ready", "Assigned", true},
	} {
		k := madeKey()
		k.Spec.NotBefore, k.Spec.ExpirationTime = tc.notBefore, tc.notAfter
		if tc.user != "" {
			k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: tc.user}
		}
		tc.holdings.Now = now
		got, assigned := tc.holdings.Judge(k, ready)
		reason := ""
		if assigned != nil {
			reason = assigned.Reason
		}
		if got.Reason != tc.want || reason != tc.assigned || conditionTrue(got) != tc.ok {
			t.Errorf("%s: Ready %s/%s, Assigned %s; want %v/%s, %s", tc.name, got.Status, got.Reason, reason, tc.ok, tc.want, tc.assigned)
		}
	}
}

func TestUseOfAKey(t *testing.T) {
	h := Holdings{Holders: []Holder{
		holder("a", v1alpha1.KeyActive, "2026-11-24"), holder("b", v1alpha1.KeyActive, "2026-11-25"),
		holder("c", v1alpha1.KeyAssignedElsewhere, ""), holder("d", v1alpha1.KeyActive, ""),
	}}
	if got := h.lastUsed(); got != "2026-11-25" {
		t.Errorf("last used on %q", got)
	}
	if got := h.using(); len(got) != 3 || got[2] != "d" {
		t.Errorf("users %v", got)
	}
}
