package sweep

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestBusy: a session counts as busy for two passes after a request, but not while it only has an answer to be read, for which
// it remains watched.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		stalled := time.Duration(-1) // for how long
		one := &session{stalled: func(d time.Duration) bool {
			if d != 0 && d != 2*time.Minute {
				t.Errorf("asked whether it stalls for %s", d)
			}
			return stalled >= d
		}}
		begin(s, one)
		pass := func(what string, wait time.Duration, busy, active int) {
			t.Helper()
			time.Sleep(wait)
			if got := s.Pass(); got != busy || len(s.activity.all) != active {
				t.Errorf("%s: %d are busy and %d active, want %d and %d", what, got, len(s.activity.all), busy, active)
			}
		}
		pass("after 399 ms", 399*time.Millisecond, 1, 1)
		pass("after 400 ms", time.Millisecond, 0, 0)
		one.last = time.Now()
		pass("asked, but did not touch", 0, 0, 0)
		one.watch.Touch()
		if !one.watch.active.Load() {
			t.Error("each touch takes a lock")
		}
		one.watch.Touch()
		pass("asked", 0, 1, 1)
		stalled = 0
		pass("its answer is on its way", time.Second, 0, 1)
		one.last = time.Now()
		pass("and it asks for more", 0, 1, 1)
		stalled = 2*time.Minute - 1
		pass("for nearly long", time.Second, 0, 1)
		if one.ended != "" {
			t.Fatal(one.ended)
		}
		stalled = 2 * time.Minute
		one.last = time.Now()
		pass("for long, though it asks", 0, 0, 1)
		one.watch.End()
		if one.ended != event.ClientNotReading || len(s.activity.all) > 0 {
			t.Errorf("%q, %d are active", one.ended, len(s.activity.all))
		}
	})
}

// TestManySessions: each session is checked independently of the others.
func TestManySessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		var all []*session
		for i := range 12 {
			one := &session{}
			switch i % 3 {
			case 0:
				one.state = func(time.Time) State { return State{Over: event.UserRemoved} }
			case 1:
				one.stalled = func(time.Duration) bool { return true }
			}
			all = append(all, begin(s, one))
		}
		if busy := s.Pass(); busy != 4 {
			t.Errorf("%d are busy", busy)
		}
		for i, one := range all {
			if want := []event.Reason{event.UserRemoved, event.ClientNotReading, ""}[i%3]; one.ended != want || one.panics > 0 {
				t.Errorf("session %d: %q, want %q; %d panics", i, one.ended, want, one.panics)
			}
		}
	})
}

// TestClocks: a wall-clock drift of a tenth of a second is ignored; a larger one in either direction triggers one check.
func TestClocks(t *testing.T) {
	for drift, looks := range map[time.Duration]int{
		0: 0, 100 * time.Millisecond: 0, 101 * time.Millisecond: 1, -100 * time.Millisecond: 0, -101 * time.Millisecond: 1, -time.Hour: 1,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := New(idleTimeout)
			one := begin(s, &session{})
			s.Pass()
			wall, clock := s.wall, s.clock
			if !wall.Equal(time.Now()) || clock != 0 {
				t.Fatalf("%s, %s", wall, clock)
			}
			for range 3 {
				clock += 10 * time.Second
				wall = wall.Add(10 * time.Second)
				s.compare(wall.Add(drift), clock)
				for _, w := range s.deadlines.take(clock) {
					s.look(w, time.Now(), clock)
				}
			}
			if one.looked-1 != looks {
				t.Errorf("drift of %s: looked at %d times, want %d", drift, one.looked-1, looks)
			}
		})
	}
}

// TestClocksAreTwo: the wall clock is compared with the monotonic clock. Comparing times that have both readings would compare
// the monotonic clock with itself; simulated times have only one reading.
func TestClocksAreTwo(t *testing.T) {
	s := New(idleTimeout)
	if s.Pass(); s.wall.IsZero() || strings.Contains(s.wall.String(), " m=") {
		t.Errorf("%s", s.wall)
	}
}

// TestWallClock: a pass compares the wall clock with the monotonic clock.
func TestWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		one := begin(s, &session{})
		run(s, time.Minute)
		s.wall = s.wall.Add(-time.Hour) // so it was set since
		for range 2 {
			if s.Pass(); one.looked != 2 || !s.wall.Equal(time.Now()) || s.clock != time.Minute {
				t.Errorf("looked at %d times, at %s, %s", one.looked, s.wall, s.clock)
			}
		}
	})
}

// TestEndTakesAWhile: a session that is being ended is not checked again while its connection is closing.
func TestEndTakesAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, state := range []State{{Over: event.UserRemoved}, {Left: Never, UntilRekey: Never}} {
			s := New(idleTimeout)
			one := &session{state: func(time.Time) State { return state }, ended: "earlier"}
			begin(s, one)
			if run(s, time.Minute); one.looked != 1 {
				t.Errorf("%+v: looked at %d times", state, one.looked)
			}
		}
	})
}

// TestNotBegun: a connection is not a session before its login, however much it sends.
func TestNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		one := &session{stalled: func(time.Duration) bool { return true }}
		one.watch = s.Watch(one)
		one.watch.Touch()
		if run(s, time.Hour); one.looked > 0 || one.ended != "" {
			t.Errorf("looked at %d times, %q", one.looked, one.ended)
		}
		one.watch.Begin() // which counts as activity
		if s.Pass(); one.looked != 1 || one.ended != event.IdleTimeout {
			t.Errorf("looked at %d times, %q", one.looked, one.ended)
		}
	})
}
