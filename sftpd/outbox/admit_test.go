package outbox

import (
	"errors"
	"testing"
)

func TestAdmit(t *testing.T) {
	for name, tc := range map[string]struct {
		use  use
		n    int64
		want error
	}{
		"empty":                 {use{max: 100}, 10, nil},
		"half by one user":      {use{max: 100, total: 45, user: 45, namespace: 45}, 10, nil},
		"more than half":        {use{max: 100, total: 50, user: 50, namespace: 50}, 1, ErrShare},
		"others have room":      {use{max: 100, total: 50}, 10, nil},
		"others have some":      {use{max: 100, total: 70, user: 10, namespace: 20}, 10, nil},
		"share shrinks":         {use{max: 100, total: 80, user: 15, namespace: 15}, 6, ErrShare},
		"namespace's share":     {use{max: 100, total: 76, user: 1, namespace: 72}, 1, ErrShare},
		"full":                  {use{max: 100, total: 95}, 6, ErrFull},
		"larger than all":       {use{max: 100}, 101, ErrFull},
		"over, after a change":  {use{max: 100, total: 300}, 1, ErrFull},
		"exactly what is there": {use{max: 100, total: 90}, 10, nil},
		"strangers":             {use{max: 100, total: 10, user: 2, namespace: 2, stranger: true}, 9, nil},
		"strangers' share":      {use{max: 100, total: 10, user: 2, namespace: 2, stranger: true}, 10, ErrShare},
	} {
		if got := tc.use.admit(tc.n); !errors.Is(got, tc.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestFloodLeavesRoom: users of one namespace who record without an end leave room for a user of another one, whose events are
// never dropped for them.
func TestFloodLeavesRoom(t *testing.T) {
	for _, drop := range []bool{false, true} {
		x := newIndex(1_000_000, sinks("s"))
		seg := &segment{}
		n := uint64(0)
		add := func(user string) error {
			a := x.account(user)
			err := x.use(a).admit(1000)
			if drop {
				err = x.makeRoom(a, 1000)
			}
			if b := x.users[user]; b != nil {
				a = b
			}
			if err == nil {
				n++
				x.add(entry{n: n, seg: seg, size: 1000, user: a, sinks: 1})
			}
			return err
		}
		for i := range 10_000 {
			if err := add("loud/" + string(rune('a'+i%20))); err != nil && drop {
				t.Fatal(err)
			}
		}
		for i := range 50 {
			if err := add("quiet/user"); err != nil {
				t.Fatalf("drop %v, event %d: %v", drop, i, err)
			}
		}
		for i := range 10_000 {
			_ = add("loud/" + string(rune('a'+i%20)))
		}
		if a := x.users["quiet/user"]; a == nil || a.count != 50 {
			t.Errorf("drop %v: the quiet user has %+v", drop, a)
		}
		if x.total > x.max || x.total < 0 {
			t.Errorf("drop %v: %d bytes", drop, x.total)
		}
		if drop == (x.sinks[0].dropped == 0) {
			t.Errorf("drop %v: %d dropped", drop, x.sinks[0].dropped)
		}
	}
}
