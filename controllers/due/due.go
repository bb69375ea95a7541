// Package due finds the time of the next look at something.
package due

import "time"

// Earliest is the earliest of some times. The zero value has none.
type Earliest struct{ time time.Time }

// At takes a time into account, unless it is zero.
func (e *Earliest) At(t time.Time) {
	if !t.IsZero() && (e.time.IsZero() || t.Before(e.time)) {
		e.time = t
	}
}

// In takes the end of a duration from now into account, unless it is 0.
func (e *Earliest) In(now time.Time, d time.Duration) {
	if d > 0 {
		e.At(now.Add(d))
	}
}

// minWait keeps a time that has passed from being taken for none.
const minWait = 10 * time.Millisecond

// Wait returns how long it is until then, 0 if there is nothing to wait for.
func (e *Earliest) Wait(now time.Time) time.Duration {
	if e.time.IsZero() {
		return 0
	}
	return max(e.time.Sub(now), minWait)
}
