package server

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// started is where the monotonic clock of this package starts.
var started = time.Now()

// never is later than anything.
const never = time.Duration(math.MaxInt64)

// deadlines know which session is next to be looked at, and when: for its idle timeout, the end of its user's or a
// key's time, or an exchange of keys. A session that does nothing costs nothing until then. Times are those since
// started; whoever sets the wall clock makes the server look at all sessions.
type deadlines struct {
	mu    sync.Mutex
	queue dueQueue
}

// watched is a connection's place in the queue. It belongs to deadlines.
type watched struct {
	due time.Duration
	// place is that in the queue plus one, 0 for none.
	place int
	gone  bool
}

// at sets when a session is to be looked at. Of one that has been removed it does nothing.
func (d *deadlines) at(c *conn, due time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.watched.gone {
		return
	}
	if c.watched.due = due; c.watched.place == 0 {
		heap.Push(&d.queue, c)
		return
	}
	heap.Fix(&d.queue, c.watched.place-1)
}

// take returns the sessions that are due, which at puts back.
func (d *deadlines) take(now time.Duration) (due []*conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) > 0 && d.queue[0].watched.due <= now {
		c, _ := heap.Pop(&d.queue).(*conn)
		due = append(due, c)
	}
	return due
}

// all makes all sessions due.
func (d *deadlines) all() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.queue {
		c.watched.due = 0 // which keeps the order of the queue
	}
}

func (d *deadlines) remove(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.watched.gone = true; c.watched.place > 0 {
		heap.Remove(&d.queue, c.watched.place-1)
	}
}

// dueQueue is a heap.Interface.
//
//nolint:recvcheck // container/heap needs pointers in two methods only
type dueQueue []*conn

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].watched.due < q[j].watched.due }

func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].watched.place, q[j].watched.place = i+1, j+1
}

// Push implements heap.Interface.
func (q *dueQueue) Push(x any) {
	c, _ := x.(*conn)
	*q = append(*q, c)
	c.watched.place = len(*q)
}

// Pop implements heap.Interface.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	c.watched.place = 0
	return c
}
