package sweep

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// session is a session whose end the test decides.
type session struct {
	watch   *Watch
	state   func(now time.Time) State
	last    time.Time
	stalled func(d time.Duration) bool

	looked, rekeyed int
	ended           event.Reason
	endedAt         time.Time
	panicked        any
	panics          int
}

func (s *session) State(now time.Time) State {
	s.looked++
	if s.state != nil {
		return s.state(now)
	}
	return State{Left: Never, LastActivity: s.last, UntilRekey: Never}
}

func (s *session) Apply(p Plan) {
	if p.Rekey {
		s.rekeyed++
	}
	if s.ended == "" && (p.Revoke != "" || p.End != "") {
		s.ended, s.endedAt = p.Revoke+p.End, time.Now()
		s.watch.End()
	}
}

func (s *session) LastActivity() time.Time { return s.last }

func (s *session) Stalled(d time.Duration) bool { return s.stalled != nil && s.stalled(d) }

func (s *session) Panicked(v any) { s.panicked = v; s.panics++ }

// begin watches a session that is in use.
func begin(sweep *Sweep, s *session) *session {
	s.last, s.watch = time.Now(), sweep.Watch(s)
	s.watch.Begin()
	return s
}

const idle = 10 * time.Minute

func idleTimeout() time.Duration { return idle }

// run calls Pass as a server does.
func run(s *Sweep, long time.Duration) (busy int) {
	for end := time.Now().Add(long); time.Now().Before(end); {
		time.Sleep(Interval)
		busy = s.Pass()
	}
	return busy
}

func TestPlan(t *testing.T) {
	now := time.Now()
	fresh := State{Left: Never, LastActivity: now, UntilRekey: Never}
	with := func(change func(*State)) State {
		s := fresh
		change(&s)
		return s
	}
	for name, tc := range map[string]struct {
		state State
		want  Plan
	}{
		"used now":         {fresh, Plan{Again: idle}},
		"used a while ago": {with(func(s *State) { s.LastActivity = now.Add(-time.Minute) }), Plan{Again: idle - time.Minute}},
		"nearly idle":      {with(func(s *State) { s.LastActivity = now.Add(1 - idle) }), Plan{Again: 1}},
		"idle":             {with(func(s *State) { s.LastActivity = now.Add(-idle) }), Plan{End: event.IdleTimeout}},
		"its user's time":  {with(func(s *State) { s.Left = time.Second }), Plan{Again: time.Second}},
		"that is over":     {with(func(s *State) { s.Over, s.Left = event.UserExpired, 0 }), Plan{Revoke: event.UserExpired}},
		"over and idle": {
			with(func(s *State) { s.Over, s.LastActivity = event.KeyExpired, now.Add(-idle) }), Plan{Revoke: event.KeyExpired},
		},
		"keys used a while":         {with(func(s *State) { s.UntilRekey = time.Minute }), Plan{Again: time.Minute}},
		"keys used nearly for long": {with(func(s *State) { s.UntilRekey = 1 }), Plan{Again: 1}},
		"keys used for long": {
			with(func(s *State) { s.UntilRekey, s.Left = 0, time.Second }), Plan{Rekey: true},
		},
	} {
		if got := tc.state.Plan(now, idle); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// TestIdleSessionsAreNotLookedAt: idle sessions are checked when they begin and when they end, however many passes there are,
// and end on time.
func TestIdleSessionsAreNotLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		var all []*session
		for range 100 {
			all = append(all, begin(s, &session{}))
		}
		begun := time.Now()
		if busy := run(s, Interval); busy != len(all) {
			t.Errorf("%d are busy", busy)
		}
		if busy := run(s, idle+time.Second); busy != 0 {
			t.Errorf("%d are busy", busy)
		}
		for _, one := range all {
			late := one.endedAt.Sub(begun) - idle
			if one.ended != event.IdleTimeout || late < 0 || late > Interval || one.looked != 2 {
				t.Fatalf("%q %s late, looked at %d times", one.ended, late, one.looked)
			}
		}
		if len(s.deadlines.queue) != 0 || len(s.activity.all) != 0 {
			t.Error("something is left")
		}
	})
}

// TestEndOfTime: a session ends when its authorization does, even if that time changed since the last check, and even while it
// is in use.
func TestEndOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		end := time.Now().Add(time.Hour)
		one := &session{}
		one.state = func(now time.Time) State {
			if !now.Before(end) {
				return State{Over: event.UserExpired}
			}
			return State{Left: end.Sub(now), LastActivity: now, UntilRekey: Never}
		}
		begin(s, one)
		run(s, time.Minute)
		end = time.Now().Add(3 * time.Second)
		s.LookAtAll()
		run(s, 5*time.Second)
		if late := one.endedAt.Sub(end); one.ended != event.UserExpired || late < 0 || late > Interval {
			t.Errorf("%q %s late", one.ended, late)
		}
	})
}

// TestChangeWhileLookedAt: a change is not missed if it comes after a session has reported its state and before its next check
// is scheduled.
func TestChangeWhileLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		over := event.Reason("")
		one := &session{}
		one.state = func(now time.Time) State {
			told := State{Over: over, Left: Never, LastActivity: now, UntilRekey: Never}
			if over == "" {
				over = event.UserExpired // by a reload
				s.LookAtAll()
			}
			return told
		}
		begin(s, one)
		if run(s, 2*Interval); one.ended != event.UserExpired {
			t.Errorf("%q, looked at %d times", one.ended, one.looked)
		}
	})
}

func TestRekeyByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		asked := time.Now()
		one := &session{}
		one.state = func(now time.Time) State {
			left := asked.Add(time.Minute).Sub(now)
			if left <= 0 {
				asked = now
			}
			return State{Left: Never, LastActivity: now, UntilRekey: left}
		}
		begin(s, one)
		run(s, 5*time.Minute+10*time.Second)
		if one.rekeyed != 5 || one.looked > 12 {
			t.Errorf("%d exchanges of keys, looked at %d times", one.rekeyed, one.looked)
		}
	})
}

// TestAnswersThatAreNotTaken: a session ends when an answer has not been read for a long time, and not while
// it may still be read.
func TestAnswersThatAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		s.StallTimeout = time.Minute
		var since time.Time // of the answer
		one := &session{stalled: func(d time.Duration) bool { return !since.IsZero() && time.Since(since) >= d }}
		begin(s, one)
		run(s, 10*time.Second) // it is no longer checked
		since = time.Now()
		one.watch.Touch()
		run(s, 50*time.Second)
		if one.ended != "" {
			t.Fatal(one.ended)
		}
		since = time.Now() // another one
		run(s, 50*time.Second)
		if one.ended != "" {
			t.Fatal(one.ended)
		}
		run(s, 20*time.Second)
		if late := one.endedAt.Sub(since) - time.Minute; one.ended != event.ClientNotReading || late < 0 || late > Interval {
			t.Errorf("%q %s late", one.ended, late)
		}
	})
}

// TestWriteThatBeginsMeanwhile: a write that begins while its session is being removed from the watch is noticed.
func TestWriteThatBeginsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		s.StallTimeout = time.Minute
		asked, writing := 0, false
		one := &session{}
		one.stalled = func(d time.Duration) bool {
			if writing {
				return d <= time.Minute
			}
			if asked++; asked == 2 { // of a pass that finds nothing; then it is removed
				writing = true
			}
			return false
		}
		begin(s, one)
		one.last = time.Now().Add(-time.Second)
		s.Pass()
		if len(s.activity.all) != 1 {
			t.Fatal("a write is not watched")
		}
		if s.Pass(); one.ended != event.ClientNotReading {
			t.Errorf("%q", one.ended)
		}
	})
}

// TestOnePanics: the other sessions are still checked.
func TestOnePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		looks := begin(s, &session{state: func(time.Time) State { panic("state") }})
		stalls := begin(s, &session{stalled: func(time.Duration) bool { panic("stalled") }})
		other := begin(s, &session{})
		run(s, idle+time.Second)
		if other.ended != event.IdleTimeout {
			t.Errorf("the other one: %q", other.ended)
		}
		if looks.panicked != "state" || stalls.panicked != "stalled" {
			t.Errorf("%v, %v", looks.panicked, stalls.panicked)
		}
	})
}

// TestWallClockIsSet: all sessions are checked, because their times may have passed.
func TestWallClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		one := begin(s, &session{})
		run(s, time.Minute)
		if one.looked != 1 {
			t.Fatalf("looked at %d times", one.looked)
		}
		s.compare(s.wall.Add(s.clock+2*time.Hour), s.clock)
		s.Pass()
		if one.looked != 2 {
			t.Errorf("looked at %d times", one.looked)
		}
	})
}

// TestEndedIsForgotten: a session that has ended is not checked, even if a check was due.
func TestEndedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(idleTimeout)
		one := &session{}
		one.state = func(time.Time) State {
			one.watch.End()
			return State{Left: Never, LastActivity: time.Now(), UntilRekey: Never}
		}
		begin(s, one)
		unused := s.Watch(&session{})
		unused.Touch() // of a connection that is not logged in
		unused.End()
		run(s, time.Hour)
		if one.looked != 1 || len(s.deadlines.queue) != 0 {
			t.Errorf("looked at %d times, %d are left", one.looked, len(s.deadlines.queue))
		}
	})
}
