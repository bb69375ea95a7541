package audit

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// TallyInterval is how often a repeated refusal gets a line.
	TallyInterval = time.Minute
	// maxTallied bounds the kinds of refusals that are distinguished, and so the lines per
	// interval: a first and a last one for each.
	maxTallied = 1024
)

// Refusal is the key of a Tally.
type Refusal struct {
	Event  Event
	Reason string
	// Source is invalid for the combined refusals of sources beyond the bound.
	Source netip.Prefix
}

// Tally keeps refusals that may come a thousand times a second from filling the log: the
// first of a kind is written at once, and later ones get one line per interval with their
// number. It is safe for concurrent use.
type Tally struct {
	clock func() time.Time

	mu      sync.Mutex
	counted map[Refusal]*tallied
}

type tallied struct {
	since time.Time
	count int
}

// NewTally returns an empty Tally that uses a clock.
func NewTally(clock func() time.Time) *Tally {
	return &Tally{clock: clock, counted: map[Refusal]*tallied{}}
}

// Count counts a refusal, and reports whether it is the first of its kind.
func (t *Tally) Count(r Refusal) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, known := t.counted[r]
	if !known && len(t.counted) >= maxTallied {
		r.Source = netip.Prefix{}
		c, known = t.counted[r]
	}
	if !known {
		t.counted[r] = &tallied{since: t.clock()}
		return true
	}
	c.count++
	return false
}

// Unwritten reverts a Count that returned true: the first refusal of its kind could not be written, and counts as a repetition.
func (t *Tally) Unwritten(r Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, known := t.counted[r]
	if !known {
		r.Source = netip.Prefix{}
		if c, known = t.counted[r]; !known {
			c = &tallied{since: t.clock()}
			t.counted[r] = c
		}
	}
	c.count++
}

// Repeated is how often a refusal was repeated after the first.
type Repeated struct {
	Refusal
	Count int
}

// Due returns the refusals that were repeated in an interval that is over, and starts the next interval. Refusals that were not
// repeated are dropped, so the next one is written at once.
func (t *Tally) Due() []Repeated { return t.take(TallyInterval) }

// All returns all repeated refusals, whether or not their interval is over.
func (t *Tally) All() []Repeated { return t.take(0) }

func (t *Tally) take(age time.Duration) (out []Repeated) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	for r, c := range t.counted {
		if now.Sub(c.since) < age {
			continue
		}
		if c.count == 0 {
			delete(t.counted, r)
			continue
		}
		out = append(out, Repeated{r, c.count})
		*c = tallied{since: now}
	}
	return out
}
