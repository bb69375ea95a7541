package sweep

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// Never is longer than anything.
const Never = time.Duration(math.MaxInt64)

// after returns a time that is later by a duration, at most Never.
func after(t, d time.Duration) time.Duration {
	if d > Never-t {
		return Never
	}
	return t + d
}

// deadlines orders sessions by when they have to be checked next. Times are those of the sweep's clock.
type deadlines struct {
	mu    sync.Mutex
	queue dueQueue
	// again is set if all was called since take: the states of the taken sessions may be outdated.
	again bool
}

// at sets when a session will be checked. It does nothing for a removed session.
func (d *deadlines) at(w *Watch, due time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.gone {
		return
	}
	if d.again {
		due = 0
	}
	if w.due = due; w.place == 0 {
		heap.Push(&d.queue, w)
		return
	}
	heap.Fix(&d.queue, w.place-1)
}

// take returns the sessions that are due, which at puts back.
func (d *deadlines) take(now time.Duration) (due []*Watch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.again = false
	for len(d.queue) > 0 && d.queue[0].due <= now {
		w, _ := heap.Pop(&d.queue).(*Watch)
		due = append(due, w)
	}
	return due
}

// all makes all sessions due.
func (d *deadlines) all() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.again = true
	for _, w := range d.queue {
		w.due = 0 // equal deadlines keep the queue in order
	}
}

func (d *deadlines) remove(w *Watch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.gone = true; w.place > 0 {
		heap.Remove(&d.queue, w.place-1)
	}
}

// dueQueue is a heap.Interface.
//
//nolint:recvcheck // container/heap needs pointers in two methods only
type dueQueue []*Watch

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due < q[j].due }

func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (q *dueQueue) Push(x any) {
	w, _ := x.(*Watch)
	*q = append(*q, w)
	w.place = len(*q)
}

// Pop implements heap.Interface.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	w.place = 0
	return w
}
