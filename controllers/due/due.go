// Package due computes when to check something next.
package due

import "time"

// Earliest is the earliest of several times. The zero value has none.
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

// minWait distinguishes a time that has passed from none.
const minWait = 10 * time.Millisecond

// Wait returns the time until then, 0 if there is nothing to wait for.
func (e *Earliest) Wait(now time.Time) time.Duration {
	if e.time.IsZero() {
		return 0
	}
	return max(e.time.Sub(now), minWait)
}
