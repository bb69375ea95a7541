package pump

import (
	"log/slog"
	"time"
)

// tallyInterval is the interval between log lines about repeated failures.
const tallyInterval = time.Minute

// tallied keeps a sink with many failures from filling the log: the first of a kind is logged immediately, and those that
// follow within a minute are counted. The zero value with a log is ready.
type tallied struct {
	to *slog.Logger

	dead   uint64 // how many dead letters are logged
	deadAt time.Time

	failing  bool // it is logged that the receiver fails
	failedAt time.Time
	failures int // that are not logged
}

// deadLetters logs how many events became dead letters: now, if the last line was long ago or if there will be no later one. It
// returns how long to wait before calling it again.
func (t *tallied) deadLetters(total uint64, reason string, now time.Time, last bool) time.Duration {
	if total == t.dead {
		return maxWait
	}
	if left := t.deadAt.Add(tallyInterval).Sub(now); left > 0 && !last {
		return left
	}
	t.to.Warn("events became dead letters", "count", total-t.dead, "reason", reason)
	t.dead, t.deadAt = total, now
	return maxWait
}

// failed records a failed attempt that will be repeated. A receiver that keeps failing and recovering is logged once a minute,
// and one that fails for longer is logged when the failure begins.
func (t *tallied) failed(reason string, now time.Time) {
	switch {
	case t.failing:
	case now.Sub(t.failedAt) < tallyInterval:
		t.failures++
	default:
		t.to.Warn("events cannot be delivered and will be sent again", "reason", reason, "unlogged_before", t.failures)
		t.failing, t.failedAt, t.failures = true, now, 0
	}
}

// recovered records the first event that the receiver accepts after failures.
func (t *tallied) recovered() {
	if t.failing {
		t.failing = false
		t.to.Info("events are delivered again")
	}
}
