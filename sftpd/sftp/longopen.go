package sftp

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// openTransfer is what other goroutines may read about an open file. Only the session's goroutine writes the numbers.
type openTransfer struct {
	path          string
	direction     Direction // opened for
	changed       bool      // by opening
	start         time.Time
	read, written atomic.Uint64
	reported      time.Time // guarded by openTransfers.mu
	place         int       // in openTransfers.all
}

// openTransfers are the open files of a session. The openTransfer of a closed file is reused for the next one: small files come
// by the thousand, and are closed before anything is read here.
type openTransfers struct {
	mu sync.Mutex
	// all contains the open ones, in any order, and behind them, within its capacity, those to be reused.
	all []*openTransfer
}

func (o *openTransfers) add(h *handle) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.all)
	if o.all = slices.Grow(o.all, 1)[:n+1]; o.all[n] == nil {
		o.all[n] = new(openTransfer)
	}
	t := o.all[n]
	t.place, t.path, t.direction, t.start, t.reported = n, h.path, h.opened(), h.start, time.Time{}
	t.changed = h.file.Created() || h.file.Truncated()
	t.read.Store(0)
	t.written.Store(0)
	h.seen = t
}

func (o *openTransfers) remove(h *handle) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t, last := h.seen, len(o.all)-1
	t.path = ""
	o.all[t.place], o.all[last] = o.all[last], t
	o.all[t.place].place = t.place
	o.all = o.all[:last]
}

// LongOpen returns files that have been open for at least one duration and were not returned within another
// one. They have no Result yet; their Transfer follows when they are closed. next is when the next of those that are
// open now is due, the zero time if none is open. It may be called at any time, from any goroutine.
func (s *Session) LongOpen(now time.Time, first, again time.Duration) (out []Transfer, next time.Time) {
	s.longOpen.mu.Lock()
	defer s.longOpen.mu.Unlock()
	for _, t := range s.longOpen.all {
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
