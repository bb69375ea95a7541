package report

import (
	"container/heap"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Interval is how often Open.Pass should be called.
const Interval = openFirst / 2

// Open holds the connections that may have a file open, by when the next line about one of these files is due. A pass checks only
// connections that are due: a file that stays open costs its lines, and nothing in between. It is safe for concurrent use.
type Open struct {
	start time.Time // the origin of the openers' times

	mu    sync.Mutex
	queue openQueue
}

// never is when an opener is due that is not in the queue.
const never = math.MaxInt64

// Opener is the entry of a connection in an Open.
type Opener struct {
	open *Open
	look func(now time.Time) (next time.Time)
	// due is when to look, in nanoseconds since the start of the Open. It is written with the Open's lock held.
	due atomic.Int64

	// These are guarded by the Open's lock. place is the index in the queue plus one, 0 for none, and ended is set for good.
	place int
	ended bool
}

// NewOpen returns an Open without connections.
func NewOpen() *Open { return &Open{start: time.Now()} }

// Of returns the Opener of a connection. look logs what has been open for a long time, and returns when to look again; the
// zero time means that nothing is open.
func (o *Open) Of(look func(now time.Time) (next time.Time)) *Opener {
	w := &Opener{open: o, look: look}
	w.due.Store(never)
	return w
}

// Opened must be called whenever a file has been opened. It is cheap.
func (w *Opener) Opened() { w.checkBy(time.Now().Add(openFirst)) }

// End must be called at the end of the connection, which is not checked after that.
func (w *Opener) End() {
	o := w.open
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.ended = true; w.place > 0 {
		heap.Remove(&o.queue, w.place-1)
	}
}

// checkBy schedules a check of the connection at or before a time.
func (w *Opener) checkBy(at time.Time) {
	o := w.open
	due := int64(at.Sub(o.start))
	if due >= w.due.Load() {
		return // without a lock: most files are closed long before that
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case w.ended || due >= w.due.Load():
	case w.place > 0:
		w.due.Store(due)
		heap.Fix(&o.queue, w.place-1)
	default:
		w.due.Store(due)
		heap.Push(&o.queue, w)
	}
}

// Pass checks the connections that are due, and returns their number.
func (o *Open) Pass(now time.Time) (looked int) {
	due := o.take(int64(now.Sub(o.start)))
	for _, w := range due {
		// A file that is opened from here on is either seen by look or schedules another check.
		if next := w.look(now); !next.IsZero() {
			w.checkBy(next)
		}
	}
	return len(due)
}

// take removes the openers that are due from the queue.
func (o *Open) take(now int64) (due []*Opener) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 && o.queue[0].due.Load() <= now {
		w, _ := heap.Pop(&o.queue).(*Opener)
		w.due.Store(never)
		due = append(due, w)
	}
	return due
}

// openQueue is a heap.Interface.
//
//nolint:recvcheck // container/heap needs pointers in two methods only
type openQueue []*Opener

func (q openQueue) Len() int           { return len(q) }
func (q openQueue) Less(i, j int) bool { return q[i].due.Load() < q[j].due.Load() }

func (q openQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (q *openQueue) Push(x any) {
	w, _ := x.(*Opener)
	*q = append(*q, w)
	w.place = len(*q)
}

// Pop implements heap.Interface.
func (q *openQueue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	w.place = 0
	return w
}
