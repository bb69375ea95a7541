package report

import (
	"sync"
	"sync/atomic"
	"time"
)

// Interval is how often Open.Pass is to be called.
const Interval = openFirst / 2

// Open holds the connections that may have a file open; the others need no look. It is safe for concurrent use.
type Open struct {
	mu  sync.Mutex
	all map[*Opener]struct{}
}

// Opener is what an Open has of a connection.
type Opener struct {
	open *Open
	look func(now time.Time) bool
	// in is whether it is in the Open.
	in atomic.Bool
}

// Of returns the Opener of a connection. look tells of what has been open for long, and reports whether anything is open.
func (o *Open) Of(look func(now time.Time) bool) *Opener { return &Opener{open: o, look: look} }

// Opened is for whenever a file has been opened. It costs next to nothing.
func (w *Opener) Opened() {
	if w.in.Load() || !w.in.CompareAndSwap(false, true) {
		return
	}
	w.open.mu.Lock()
	defer w.open.mu.Unlock()
	if w.open.all == nil {
		w.open.all = map[*Opener]struct{}{}
	}
	w.open.all[w] = struct{}{}
}

// Pass looks at the connections that may have a file open, and returns at how many. It is for one goroutine.
func (o *Open) Pass(now time.Time) (looked int) {
	all := o.list()
	for _, w := range all {
		if w.look(now) {
			continue
		}
		o.mu.Lock()
		delete(o.all, w)
		o.mu.Unlock()
		w.in.Store(false)
		if w.look(now) { // opened meanwhile, by who saw it here
			w.Opened()
		}
	}
	return len(all)
}

func (o *Open) list() []*Opener {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		return nil
	}
	out := make([]*Opener, 0, len(o.all))
	for w := range o.all {
		out = append(out, w)
	}
	return out
}
