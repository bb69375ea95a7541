package sftp

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// openTransfer is what other goroutines may read about an open file. Only the session's writes the numbers.
type openTransfer struct {
	path          string
	direction     Direction // opened for
	changed       bool      // by opening
	start         time.Time
	read, written atomic.Uint64
	reported      time.Time // guarded by openTransfers.mu
}

// openTransfers are the open files of a session.
type openTransfers struct {
	mu  sync.Mutex
	all map[*handle]*openTransfer
}

func (o *openTransfers) add(h *handle) {
	t := &openTransfer{path: h.path, direction: h.opened(), changed: h.file.Created() || h.file.Truncated(), start: h.start}
	h.seen = t
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[*handle]*openTransfer{}
	}
	o.all[h] = t
}

func (o *openTransfers) remove(h *handle) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, h)
}

// LongOpen returns files that have been open for at least one duration and were not returned within another
// one. They have no Result yet; their Transfer follows when they are closed. next is when the next of those that are
// open now is due, the zero time if none is open. It may be called at any time, from any goroutine.
func (s *Session) LongOpen(now time.Time, first, again time.Duration) (out []Transfer, next time.Time) {
	s.longOpen.mu.Lock()
	defer s.longOpen.mu.Unlock()
	for t := range maps.Values(s.longOpen.all) {
		due := t.start.Add(first)
		if !t.reported.IsZero() {
			due = t.reported.Add(again)
		}
		if !due.After(now) {
			out = append(out, t.soFar(now))
			t.reported, due = now, now.Add(again)
		}
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	slices.SortFunc(out, func(a, b Transfer) int { return a.Start.Compare(b.Start) })
	return out, next
}

// soFar returns what the file was used for until now.
func (t *openTransfer) soFar(now time.Time) Transfer {
	read, written := t.read.Load(), t.written.Load()
	return Transfer{
		Path: t.path, Direction: t.direction.used(read > 0, written > 0 || t.changed), BytesRead: read, BytesWritten: written,
		Start: t.start, Duration: now.Sub(t.start),
	}
}
