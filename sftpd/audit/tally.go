package audit

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// TallyInterval is how often a repeated refusal gets a line.
	TallyInterval = time.Minute
	// maxTallied bounds the refusals that are told apart, and so the lines in an interval:
	// a first and a last one for each.
	maxTallied = 1024
)

// Refusal is what a Tally counts by.
type Refusal struct {
	Event  Event
	Reason string
	// Source is not valid for those of all sources beyond the bound together.
	Source netip.Prefix
}

// Tally keeps refusals that may come a thousand times a second from filling the log: the
// first of a kind is to be written at once, those that follow get one line in an
// interval, with their number. It is safe for concurrent use.
type Tally struct {
	clock func() time.Time

	mu      sync.Mutex
	counted map[Refusal]*tallied
}

type tallied struct {
	since time.Time
	count int
}

// NewTally returns an empty Tally that goes by a clock.
func NewTally(clock func() time.Time) *Tally {
	return &Tally{clock: clock, counted: map[Refusal]*tallied{}}
}

// Count counts a refusal, and says whether it is the first of its kind.
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

// Unwritten takes back what Count said: the first of its kind could not be written and counts as one that came again.
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

// Repeated is how often a refusal came again, after the first.
type Repeated struct {
	Refusal
	Count int
}

// Due returns what was repeated in an interval that is over, and begins the next. What
// was not is forgotten: it will have a line at once when it comes again.
func (t *Tally) Due() []Repeated { return t.take(TallyInterval) }

// All returns all that was repeated, whether or not its interval is over.
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
