package listener

import (
	"testing"
	"time"
)

// Pods that are late are tried less and less often, and soon again when one has come or gone.
func TestTryAgainIn(t *testing.T) {
	m := &memory{}
	for i, step := range []struct {
		ready int
		want  time.Duration
	}{
		{2, time.Second},
		{2, 2 * time.Second},
		{2, 4 * time.Second},
		{2, 8 * time.Second},
		{2, maxAckRetry},
		{2, maxAckRetry},
		{1, time.Second},
		{1, 2 * time.Second},
		{2, time.Second},
	} {
		if got := m.tryAgainIn(step.ready); got != step.want {
			t.Errorf("step %d, %d pods ready: again after %s, want %s", i, step.ready, got, step.want)
		}
	}
}
