package access

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Users that are made one after the other wait for each other; one that leaves meanwhile does not.
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
	delivered(true, "a", "b") // not looked at again at once
	now = now.Add(100 * time.Millisecond)
	step = 200 * time.Millisecond
	delivered(false, "b", "c")
	step = 20 * time.Millisecond
	r.put("d", 1, 4)
	delivered(true, "b", "c")
	now = now.Add(time.Second)
	delivered(false, "b", "c", "d")
}
