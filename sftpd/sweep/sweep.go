package sweep

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Interval is how often Pass is to be called, and so how late an idle timeout, or the end of a user's or a key's time, may be
// noticed.
const Interval = 200 * time.Millisecond

// StallTimeout is how long a client may leave an answer where it is, which is to say take
// less than a channel packet of it. TCP gives a silent peer three minutes; a client that is
// suspended has mostly asked for less than fits its windows, and does not count.
const StallTimeout = 2 * time.Minute

// Session is one that is watched. None of its methods may wait: not for a log, a volume, or a lock that is held while
// something else is waited for.
type Session interface {
	// State is what its end depends on.
	State(now time.Time) State
	// Apply does what is planned.
	Apply(p Plan)
	// LastActivity is when the client last asked for something.
	LastActivity() time.Time
	// Stalled reports whether the client has left an answer where it is for that long; with 0, whether one is on its way.
	Stalled(d time.Duration) bool
	// Panicked is called with what its other methods panicked with.
	Panicked(v any)
}

// State is what the end of a session depends on, besides the idle timeout.
type State struct {
	// Over is why its user or key has no right to it any more, "" while they have, and then Left is for how much longer.
	Over event.Reason
	Left time.Duration
	// LastActivity is when the client last asked for something.
	LastActivity time.Time
	// UntilRekey is how long it is until keys are to be exchanged.
	UntilRekey time.Duration
}

// Plan is what is to be done with a session.
type Plan struct {
	// Revoke is why it ends because of its user or key, and End why for another reason; "" if it does not.
	Revoke, End event.Reason
	// Rekey is whether an exchange of keys is due.
	Rekey bool
	// Again is how long it is until the session has to be looked at again, if it does not end.
	Again time.Duration
}

// Plan decides on a session.
func (s State) Plan(now time.Time, idleTimeout time.Duration) Plan {
	idle := idleTimeout - now.Sub(s.LastActivity)
	switch {
	case s.Over != "":
		return Plan{Revoke: s.Over}
	case idle <= 0:
		return Plan{End: event.IdleTimeout}
	case s.UntilRekey <= 0:
		return Plan{Rekey: true} // and look again for when the next one is due
	}
	return Plan{Again: min(s.Left, idle, s.UntilRekey)}
}

// Sweep watches the sessions of a server.
type Sweep struct {
	// StallTimeout is the constant, but in tests. It may be changed before there is a session.
	StallTimeout time.Duration

	idleTimeout func() time.Duration
	// start is where the clock begins that deadlines go by.
	start time.Time
	// wall and clock are the times of both clocks when they were last compared, which the first pass does.
	wall  time.Time
	clock time.Duration

	deadlines deadlines
	activity  activity
}

// New returns a Sweep without sessions. idleTimeout returns the one of the configuration in use.
func New(idleTimeout func() time.Duration) *Sweep {
	return &Sweep{
		StallTimeout: StallTimeout, idleTimeout: idleTimeout, start: time.Now(), activity: activity{all: map[*Watch]struct{}{}},
	}
}

// LookAtAll has the next pass look at all sessions: what their ends depend on may have changed.
func (s *Sweep) LookAtAll() { s.deadlines.all() }

// Pass ends the sessions whose time is over and those that do not take their answers, and returns in how many others something
// happens. It is for one goroutine.
func (s *Sweep) Pass() (busy int) {
	now, clock := time.Now(), time.Since(s.start)
	s.compare(now.Round(0), clock)
	for _, w := range s.deadlines.take(clock) {
		s.look(w, now, clock)
	}
	return s.busy(now)
}

// compare looks at all sessions if the wall clock was set: the ends of users' time are by that, which may also slowly drift
// from what is waited for here.
func (s *Sweep) compare(wall time.Time, clock time.Duration) {
	if drift := wall.Sub(s.wall) - (clock - s.clock); drift.Abs() > Interval/2 {
		s.wall, s.clock = wall, clock
		s.deadlines.all()
	}
}

// look ends a session whose time is over, or sets when to look at it again.
func (s *Sweep) look(w *Watch, now time.Time, clock time.Duration) {
	defer func() { w.survived(recover()) }()
	p := w.session.State(now).Plan(now, s.idleTimeout())
	w.session.Apply(p)
	if p.Revoke == "" && p.End == "" {
		s.deadlines.at(w, after(clock, p.Again))
	}
}

// busy is how many sessions have asked for something of late. It ends those that do not take their answers.
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
	case w.session.Stalled(0): // it may become so
		return false
	}
	s.activity.remove(w)
	if w.session.Stalled(0) { // a write that began meanwhile
		w.Touch()
	}
	return false
}
