package outbox

import (
	"errors"
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
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

// TestStrangersDropNothing: events of peers that have not logged in take nothing from users, not even while none is written yet.
func TestStrangersDropNothing(t *testing.T) {
	x, seg := newIndex(10_000, sinks("a")), &segment{}
	for n := range uint64(9) {
		x.add(entry{n: n + 1, seg: seg, size: 1000, user: x.account("team/ada"), sinks: 1})
	}
	for range 5 {
		a := x.account(strangers)
		if err := x.makeRoom(a, 500); err == nil {
			x.hold(a, 500)
		}
	}
	if have := x.users["team/ada"].count; have != 9 {
		t.Errorf("%d of 9 events of a user are left", have)
	}
	if err := x.makeRoom(x.account("team/bob"), 500); err != nil {
		t.Errorf("another user: %v", err)
	}
}

// TestDeadLettersGiveWay: dead letters of one user, or of one sink, do not push out those of another one.
func TestDeadLettersGiveWay(t *testing.T) {
	for name, c := range map[string]struct {
		max        int64
		flood, few int // sinks
		kept       int // of the sink of the flood
	}{
		"another user":                 {1 << 30, 0, 0, events.MaxDead},
		"another user, too many bytes": {40_000, 0, 0, 100},
		"another sink, too many bytes": {40_000, 1, 0, 97},
		"another sink":                 {1 << 30, 1, 0, events.MaxDead},
	} {
		x, seg := newIndex(c.max, sinks("a", "b")), &segment{}
		n := uint64(0)
		bury := func(at int, user string) {
			n++
			x.bury(at, entry{n: n, seg: seg, size: 100, user: x.account(user)}, user)
		}
		for range 3 {
			bury(c.few, "team/bob")
		}
		for range events.MaxDead + 50 {
			bury(c.flood, "team/ada")
		}
		few := 0
		for _, l := range x.sinks[c.few].dead {
			if l.user == "team/bob" {
				few++
			}
		}
		if have := len(x.sinks[c.flood].dead); few != 3 || have != c.kept {
			t.Errorf("%s: %d of 3 are left, and %d in the sink with the flood", name, few, have)
		}
		if c.kept == events.MaxDead {
			continue
		}
		for at := range x.sinks {
			for _, l := range slices.Clone(x.sinks[at].dead) {
				x.removeDead(at, l.n)
			}
			if s := x.sinks[at]; s.deadBytes != 0 || len(s.deadOf) != 0 {
				t.Errorf("%s: %d bytes, %v", name, s.deadBytes, s.deadOf)
			}
		}
		if x.deadBytes != 0 || seg.live != 0 {
			t.Errorf("%s: %d and %d bytes", name, x.deadBytes, seg.live)
		}
	}
}
