package access

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Users that are made one after the other wait for each other; one that leaves meanwhile does not.
func TestOnlyWhoComesWaits(t *testing.T) {
	r := newRig(t)
	now := noon
	r.Now = func() time.Time { now = now.Add(100 * time.Millisecond); return now }
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
			if v.Record(r.Users.Get(r.name(), client.ObjectKey{Namespace: "team", Name: u}).UID) == "" {
				t.Errorf("%s is not in the configuration", u)
			}
		}
		if has != len(users) {
			t.Errorf("%d users in the configuration, want %q", has, users)
		}
	}
	delivered(false, "a", "b")
	r.put("c", 1, 3)
	delivered(true, "a", "b")
	r.Users.Observe(a, nil)
	delivered(false, "b", "c")
	r.put("d", 1, 4)
	delivered(true, "b", "c")
	now = now.Add(time.Second)
	delivered(false, "b", "c", "d")
}
