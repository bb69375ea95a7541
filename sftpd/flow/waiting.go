package flow

import (
	"sync/atomic"
	"time"
)

// started is the origin of this package's monotonic clock.
var started = time.Now()

// waiting records when something began to wait. The zero value is not waiting.
type waiting struct{ since atomic.Int64 }

func (w *waiting) begin() { w.since.Store(int64(time.Since(started))) }
func (w *waiting) end()   { w.since.Store(0) }

// atLeast reports whether it has waited for at least a duration.
func (w *waiting) atLeast(d time.Duration) bool {
	since := w.since.Load()
	return since != 0 && time.Since(started)-time.Duration(since) >= d
}
