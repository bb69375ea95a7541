package sweep

import (
	"sync"
	"sync/atomic"
	"time"
)

// Watch is a session's entry in a Sweep.
type Watch struct {
	sweep   *Sweep
	session Session
	// active is set while the session is in activity. It is true before Begin, so that Touch does nothing.
	active atomic.Bool

	// These are guarded by deadlines.mu. place is its index in the queue plus one, 0 for none, and gone is set once it was
	// removed.
	due   time.Duration
	place int
	gone  bool
}

// Watch returns the watch for a connection that is not a session yet.
func (s *Sweep) Watch(of Session) *Watch {
	w := &Watch{sweep: s, session: of}
	w.active.Store(true)
	return w
}

// Begin starts watching the session.
func (w *Watch) Begin() {
	w.active.Store(false)
	w.Touch()
	w.sweep.deadlines.at(w, 0)
}

// Touch must be called whenever something is received or about to be sent. It is cheap.
func (w *Watch) Touch() {
	if !w.active.Load() && w.active.CompareAndSwap(false, true) {
		w.sweep.activity.add(w)
	}
}

// End must be called at the end of the connection, whether or not it was logged in.
func (w *Watch) End() {
	w.sweep.deadlines.remove(w)
	w.sweep.activity.remove(w)
}

// survived handles a panic, which must not end all other sessions. Nil means none.
func (w *Watch) survived(v any) {
	if v != nil {
		w.session.Panicked(v)
	}
}

// activity holds the active sessions: only those need frequent checks.
type activity struct {
	mu  sync.Mutex
	all map[*Watch]struct{}
}

func (a *activity) list() []*Watch {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*Watch, 0, len(a.all))
	for w := range a.all {
		out = append(out, w)
	}
	return out
}

func (a *activity) add(w *Watch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all[w] = struct{}{}
}

// remove takes a session out. The next touch adds it again.
func (a *activity) remove(w *Watch) {
	a.mu.Lock()
	delete(a.all, w)
	a.mu.Unlock()
	w.active.Store(false)
}
