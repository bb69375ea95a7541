package server

import (
	"runtime/debug"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// sweepInterval is how late an idle timeout, or the end of a user's or a key's time, may be
// noticed.
const sweepInterval = 200 * time.Millisecond

// stallTimeout is how long a client may leave an answer where it is, which is to say take
// less than a channel packet of it. TCP gives a silent peer three minutes; a client that is
// suspended has mostly asked for less than fits its windows, and does not count.
const stallTimeout = 2 * time.Minute

// sweep closes sessions whose time is over, until the server ends. It waits for nothing: no log, no volume, no lock
// that is held while something else is waited for.
func (s *Server) sweep() {
	t := time.NewTicker(sweepInterval)
	defer t.Stop()
	w := sweeper{Server: s, wall: time.Now().Round(0), clock: time.Since(started)}
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.Processors.Began():
			s.Processors.Tick(time.Now(), 0, max(1, s.admission.LoginsInProgress()))
		case <-t.C:
			w.once()
		}
	}
}

// sweeper is the state of the goroutine that sweeps: the time of both clocks when they were last compared.
type sweeper struct {
	*Server
	wall  time.Time
	clock time.Duration
}

func (w *sweeper) once() {
	defer func() { w.survived(nil, recover()) }()
	now, clock := time.Now().Round(0), time.Since(started)
	// The ends of users' time are by the wall clock, which may be set, or slowly drift from what is waited for here.
	if drift := now.Sub(w.wall) - (clock - w.clock); drift.Abs() > sweepInterval/2 {
		w.wall, w.clock = now, clock
		w.deadlines.all()
	}
	current := w.Current()
	if current == nil {
		return
	}
	for _, c := range w.deadlines.take(clock) {
		w.look(c, current, now, clock)
	}
	w.Processors.Tick(now, w.busy(now), w.admission.LoginsInProgress())
}

// survived is called with a panic that is not to end all sessions, nil for none. A nil connection is for what belongs to none.
func (w *sweeper) survived(c *conn, v any) {
	if v != nil {
		if c != nil {
			c.panicked(v)
			return
		}
		w.emit(event.Refused{Reason: event.InternalError})
		w.Log.Error("sweep of sessions panicked", "panic", v, "stack", string(debug.Stack()))
	}
}

// look ends a session whose time is over, or sets when to look at it again.
func (w *sweeper) look(c *conn, current *snapshot.Snapshot, now time.Time, clock time.Duration) {
	defer func() { w.survived(c, recover()) }()
	ended, left := w.sessions.ended(c, now)
	idle := current.Listener.Limits.IdleTimeout() - now.Sub(c.lastActivity())
	switch {
	case ended != "":
		c.revoke(ended)
	case idle <= 0:
		c.end(event.IdleTimeout)
	default:
		c.handshake.RekeyIfDue()
		w.deadlines.at(c, after(clock, min(left, idle, c.handshake.UntilRekey())))
	}
}

// after is a time that is later by a duration, at most never.
func after(t, d time.Duration) time.Duration {
	if d > never-t {
		return never
	}
	return t + d
}

// busy is how many sessions have asked for something of late. It ends those that do not take their answers.
func (w *sweeper) busy(now time.Time) (n int) {
	for _, c := range w.activity.list() {
		switch {
		case c.raw.Stalled(w.stallTimeout):
			c.end(event.ClientNotReading)
		case now.Sub(c.lastActivity()) < 2*sweepInterval:
			n++
			continue
		case c.raw.Stalled(0): // it may become so
			continue
		}
		w.activity.remove(c)
		if c.raw.Stalled(0) { // a write that began meanwhile
			c.touch()
		}
	}
	return n
}

// activity has the sessions in which something happens: only they have to be looked at all the time.
type activity struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func (a *activity) list() []*conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*conn, 0, len(a.conns))
	for c := range a.conns {
		out = append(out, c)
	}
	return out
}

func (a *activity) add(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns[c] = struct{}{}
}

// remove takes a session out. The next touch adds it again.
func (a *activity) remove(c *conn) {
	a.mu.Lock()
	delete(a.conns, c)
	a.mu.Unlock()
	c.active.Store(false)
}

// touch is called whenever something is received or about to be sent.
func (c *conn) touch() {
	if !c.active.Load() && c.active.CompareAndSwap(false, true) {
		c.server.activity.add(c)
	}
}

// watch begins to look after a session.
func (s *Server) watch(c *conn) {
	c.active.Store(false)
	c.touch()
	s.deadlines.at(c, 0)
}
