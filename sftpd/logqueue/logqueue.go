// Package logqueue keeps callers from waiting for the log's destination.
//
// The daemon's own log reports reloads, revocations and shutdowns. A pod's standard error is a pipe to the container runtime,
// which stops reading while the node's disk is full or slow. The daemon must not wait for that, so lines are queued here, and
// dropped and counted when there are too many. (The audit log differs: none of its lines is dropped, and its sessions wait.)
package logqueue

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxWaiting bounds the lines that wait, in bytes.
const maxWaiting = 1 << 20

// Queue is a writer that never blocks. It is safe for concurrent use.
type Queue struct {
	to      io.Writer
	dropped atomic.Uint64

	mu      sync.Mutex
	waiting [][]byte
	size    int
	closed  bool
	unsaid  uint64 // of dropped lines

	wake  chan struct{}
	ended chan struct{}
}

// New returns a queue in front of a writer. Its goroutine ends with Close.
func New(to io.Writer) *Queue {
	q := &Queue{to: to, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Write takes a whole line, or drops it. It returns no error.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	if q.size+len(line) > maxWaiting || q.closed {
		q.unsaid++
		q.dropped.Add(1)
	} else {
		q.waiting = append(q.waiting, append([]byte(nil), line...))
		q.size += len(line)
	}
	q.mu.Unlock()
	q.signal()
	return len(line), nil
}

// Dropped returns how many lines were dropped, or refused by the writer.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// Close writes the queued lines until the limit has passed. Later lines are dropped.
func (q *Queue) Close(limit time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	select {
	case <-q.ended:
	case <-time.After(limit):
	}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it is about to check
	}
}

func (q *Queue) run() {
	defer close(q.ended)
	for range q.wake {
		for {
			line, unsaid, ok, closed := q.next()
			if !ok && closed {
				return
			}
			if !ok {
				break
			}
			if unsaid > 0 {
				line = append(dropNote(unsaid), line...)
			}
			if _, err := q.to.Write(line); err != nil {
				q.dropped.Add(1)
			}
		}
	}
}

// next removes the first queued line, if any, and how many were dropped before it. A line may be empty.
func (q *Queue) next() (line []byte, unsaid uint64, ok, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.waiting = nil // what it was sliced from
		return nil, 0, false, q.closed
	}
	line, q.waiting = q.waiting[0], q.waiting[1:]
	q.size -= len(line)
	unsaid, q.unsaid = q.unsaid, 0
	return line, unsaid, true, q.closed
}

func dropNote(lines uint64) []byte {
	return fmt.Appendf(nil, `{"time":%q,"level":"WARN","msg":"lines of this log were dropped: standard error did not accept them","lines":%d}`+"\n",
		time.Now().Format(time.RFC3339Nano), lines)
}
