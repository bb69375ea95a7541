package sweep

import (
	"sync"
	"sync/atomic"
	"time"
)

// Watch is what a Sweep has of a session.
type Watch struct {
	sweep   *Sweep
	session Session
	// active is whether the session is in activity. It is true before Begin, so that Touch does nothing.
	active atomic.Bool

	// These are guarded by deadlines.mu. place is that in the queue plus one, 0 for none, and gone whether it was removed.
	due   time.Duration
	place int
	gone  bool
}

// Watch returns the watch of a connection that is not a session yet.
func (s *Sweep) Watch(of Session) *Watch {
	w := &Watch{sweep: s, session: of}
	w.active.Store(true)
	return w
}

// Begin begins to look after the session.
func (w *Watch) Begin() {
	w.active.Store(false)
	w.Touch()
	w.sweep.deadlines.at(w, 0)
}

// Touch is for whenever something is received or about to be sent. It costs next to nothing.
func (w *Watch) Touch() {
	if !w.active.Load() && w.active.CompareAndSwap(false, true) {
		w.sweep.activity.add(w)
	}
}

// End is for the end of the connection, whether or not it was logged in.
func (w *Watch) End() {
	w.sweep.deadlines.remove(w)
	w.sweep.activity.remove(w)
}

// survived is called with a panic, which is not to end all other sessions, nil for none.
func (w *Watch) survived(v any) {
	if v != nil {
		w.session.Panicked(v)
	}
}

// activity has the sessions in which something happens: only they have to be looked at all the time.
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
