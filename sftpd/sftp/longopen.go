package sftp

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// openTransfer is what other goroutines may know of an open file. Only the session's writes the numbers.
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

// LongOpen returns the files that have been open for a time and were not returned within another one. They have
// no Result yet, and a Transfer follows when they are closed. It may be called at any time, from any goroutine.
func (s *Session) LongOpen(now time.Time, first, again time.Duration) (out []Transfer) {
	s.longOpen.mu.Lock()
	defer s.longOpen.mu.Unlock()
	for t := range maps.Values(s.longOpen.all) {
		if now.Sub(t.start) < first || !t.reported.IsZero() && now.Sub(t.reported) < again {
			continue
		}
		t.reported = now
		read, written := t.read.Load(), t.written.Load()
		out = append(out, Transfer{
			Path: t.path, Direction: t.direction.used(read > 0, written > 0 || t.changed), BytesRead: read, BytesWritten: written,
			Start: t.start, Duration: now.Sub(t.start),
		})
	}
	slices.SortFunc(out, func(a, b Transfer) int { return a.Start.Compare(b.Start) })
	return out
}
