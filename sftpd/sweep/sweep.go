package sweep

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Interval is how often Pass should be called, and therefore how late an idle timeout, or the end of a user's or a key's
// validity, may be noticed.
const Interval = 200 * time.Millisecond

// StallTimeout is how long a client may stall, that is, read less than a channel packet of an answer. TCP gives a silent peer
// three minutes; a suspended client has usually requested less than fits its windows, and does not count.
const StallTimeout = 2 * time.Minute

// Session is a session that is watched. None of its methods may block: not on a log, a volume, or a lock that is held
// while waiting for something else.
type Session interface {
	// State returns what its end depends on.
	State(now time.Time) State
	// Apply carries out a plan.
	Apply(p Plan)
	// LastActivity returns when the client last made a request.
	LastActivity() time.Time
	// Stalled reports whether the client has not read an answer for that long; with 0, whether one is being sent.
	Stalled(d time.Duration) bool
	// Panicked is called with the value that another method panicked with.
	Panicked(v any)
}

// State is what the end of a session depends on, besides the idle timeout.
type State struct {
	// Over is why its user or key is no longer entitled to it. If Over is "", Left is how much longer they are.
	Over event.Reason
	Left time.Duration
	// LastActivity is when the client last made a request.
	LastActivity time.Time
	// UntilRekey is the time until the next key exchange is due.
	UntilRekey time.Duration
}

// Plan describes what happens to a session.
type Plan struct {
	// Revoke is the reason if it ends because of its user or key, and End any other reason; "" if it does not end.
	Revoke, End event.Reason
	// Rekey is set if a key exchange is due.
	Rekey bool
	// Again is when to check the session again, if it does not end.
	Again time.Duration
}

// Plan decides what to do with a session.
func (s State) Plan(now time.Time, idleTimeout time.Duration) Plan {
	idle := idleTimeout - now.Sub(s.LastActivity)
	switch {
	case s.Over != "":
		return Plan{Revoke: s.Over}
	case idle <= 0:
		return Plan{End: event.IdleTimeout}
	case s.UntilRekey <= 0:
		return Plan{Rekey: true} // and check again to see when the next one is due
	}
	return Plan{Again: min(s.Left, idle, s.UntilRekey)}
}

// Sweep watches the sessions of a server.
type Sweep struct {
	// StallTimeout is the constant except in tests. Set it before the first session.
	StallTimeout time.Duration

	idleTimeout func() time.Duration
	// start is the origin of the deadlines' clock.
	start time.Time
	// wall and clock are both clocks' times when they were last compared, first by the first pass.
	wall  time.Time
	clock time.Duration

	deadlines deadlines
	activity  activity
}

// New returns a Sweep without sessions. idleTimeout returns the timeout of the configuration in use.
func New(idleTimeout func() time.Duration) *Sweep {
	return &Sweep{
		StallTimeout: StallTimeout, idleTimeout: idleTimeout, start: time.Now(), activity: activity{all: map[*Watch]struct{}{}},
	}
}

// LookAtAll makes the next pass check all sessions, because what determines their end may have changed.
func (s *Sweep) LookAtAll() { s.deadlines.all() }

// Pass ends the sessions whose time is over and those that do not read their answers, and returns how many others are active.
// Only one goroutine may call it.
func (s *Sweep) Pass() (busy int) {
	now, clock := time.Now(), time.Since(s.start)
	s.compare(now.Round(0), clock)
	for _, w := range s.deadlines.take(clock) {
		s.look(w, now, clock)
	}
	return s.busy(now)
}

// compare checks all sessions if the wall clock was set: users' validity ends by the wall clock, which may also drift
// slowly from the deadlines' clock.
func (s *Sweep) compare(wall time.Time, clock time.Duration) {
	if drift := wall.Sub(s.wall) - (clock - s.clock); drift.Abs() > Interval/2 {
		s.wall, s.clock = wall, clock
		s.deadlines.all()
	}
}

// look ends a session whose time is over, or sets when to check it again.
func (s *Sweep) look(w *Watch, now time.Time, clock time.Duration) {
	defer func() { w.survived(recover()) }()
	p := w.session.State(now).Plan(now, s.idleTimeout())
	w.session.Apply(p)
	if p.Revoke == "" && p.End == "" {
		s.deadlines.at(w, after(clock, p.Again))
	}
}

// busy returns how many sessions have made a request recently. It ends those that do not read their answers.
func (s *Sweep) busy(now time.Time) (n int) {
	for _, w := range s.activity.list() {
		if s.isBusy(w, now) {
			n++
		}
	}
	return n
}

func (s *Sweep) isBusy(w *Watch, now time.Time) bool {
	defer func() { w.survived(recover()) }()
	switch {
	case w.session.Stalled(s.StallTimeout):
		w.session.Apply(Plan{End: event.ClientNotReading})
	case now.Sub(w.session.LastActivity()) < 2*Interval:
		return true
	case w.session.Stalled(0): // the client may begin to stall
		return false
	}
	s.activity.remove(w)
	if w.session.Stalled(0) { // a write that began in the meantime
		w.Touch()
	}
	return false
}
