package access

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
)

// Users that are added one after another wait to be batched; one that is removed in the meantime does not wait.
func TestOnlyWhoComesWaits(t *testing.T) {
	r := newRig(t)
	now, step := noon, 200*time.Millisecond
	r.Now = func() time.Time { now = now.Add(step); return now }
	r.hostKey()
	a := r.put("a", 1, 1)
	r.put("b", 1, 2)
	m := r.memory(r.name(), r.l.UID)
	delivered := func(wantWait bool, users ...string) {
		t.Helper()
		out, wait := r.deliver(t.Context(), r.l, m)
		if out.waits != wantWait || (wait > 0) != wantWait || out.Err != nil || out.Delivered.Err != nil {
			t.Fatalf("waits %v, %s: %+v", out.waits, wait, out)
		}
		v := m.writes.Version()
		has := 0
		for _, s := range v.Shards {
			has += len(s)
		}
		for _, u := range users {
			if v.Record(types.UID("uid-"+u)) == "" {
				t.Errorf("%s is not in the configuration", u)
			}
		}
		if has != len(users) {
			t.Errorf("%d users in the configuration, want %q", has, users)
		}
	}
	delivered(false, "a", "b")
	step = 20 * time.Millisecond
	r.put("c", 1, 3)
	delivered(true, "a", "b")
	r.Users.Observe(a, nil)
	delivered(true, "a", "b") // not reconciled again at once
	now = now.Add(100 * time.Millisecond)
	step = 200 * time.Millisecond
	delivered(false, "b", "c")
	step = 20 * time.Millisecond
	r.put("d", 1, 4)
	delivered(true, "b", "c")
	now = now.Add(time.Second)
	delivered(false, "b", "c", "d")
}

// While users wait for the next write, the listener controller is not woken: its state is still current.
func TestWhoWaitsIsNoNews(t *testing.T) {
	r := newRig(t)
	now, step := noon, 200*time.Millisecond
	r.Now = func() time.Time { now = now.Add(step); return now }
	r.hostKey()
	r.put("a", 1, 1)
	r.good()
	r.wakes()
	told := r.access()
	step = 20 * time.Millisecond
	r.put("b", 1, 2)
	for range 2 {
		if wait := r.good(); wait <= 0 || wait > time.Second || r.wakes() != 0 || len(r.access().Users) != 1 || r.access().Delivered.Version != told.Delivered.Version {
			t.Errorf("again in %s, told %+v", wait, r.access())
		}
	}
	now = now.Add(time.Second)
	if wait := r.good(); wait != 0 || r.logins() != "a b" || r.wakes() != 1 || len(r.access().Users) != 2 {
		t.Errorf("again in %s, logins %q", wait, r.logins())
	}
}

// A listener that has lost its host keys keeps what was delivered.
func TestHostKeysAreGone(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.put("a", 1, 1)
	r.good()
	version := r.access().Delivered.Version
	r.Store.Of(r.name(), r.l.UID).HostKeys.Store(&exchange.HostKeys{})
	r.put("b", 1, 2)
	r.secrets.Calls()
	r.good()
	if a := r.access(); a.Blocked == nil || a.Blocked.Reason != v1alpha1.ReasonPending || a.Blocked.Message == "" || version == nil || a.Delivered.Version != version ||
		len(a.Users) != 2 || len(r.secrets.Calls()) != 0 || r.logins() != "a" {
		t.Errorf("told %+v, logins %q", a, r.logins())
	}
}
