package trace

import "sync"

const (
	// maxQueued bounds the encoded spans that wait, in bytes. At most four times as much is in
	// memory: the queue, with room to grow, what is being sent, and its request.
	maxQueued = 512 << 10
	// enough is the size that is sent without waiting for more.
	enough = maxQueued / 2
)

// batch holds encoded spans, separated by commas.
type batch struct {
	spans int
	data  []byte
}

// queue is where spans wait to be sent. Spans that do not fit are dropped: a session never
// waits for a collector.
type queue struct {
	dropped func(spans int)
	// some and full have a value when there is anything, and when there is enough.
	some, full chan struct{}

	mu      sync.Mutex
	waiting batch
}

func newQueue(dropped func(spans int)) *queue {
	return &queue{dropped: dropped, some: make(chan struct{}, 1), full: make(chan struct{}, 1)}
}

func (q *queue) add(span []byte) {
	q.mu.Lock()
	w := &q.waiting
	fits := len(w.data)+1+len(span) <= maxQueued
	if fits {
		if w.spans > 0 {
			w.data = append(w.data, ',')
		}
		w.data = append(w.data, span...)
		w.spans++
	}
	filled := len(w.data) >= enough
	q.mu.Unlock()
	if !fits {
		q.dropped(1)
	}
	signal(q.some)
	if filled {
		signal(q.full)
	}
}

// take empties the queue.
func (q *queue) take() batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.waiting
	q.waiting = batch{}
	select { // it announces what was just taken
	case <-q.full:
	default:
	}
	return b
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it already has a value
	}
}
