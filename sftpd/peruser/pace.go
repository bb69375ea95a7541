package peruser

import (
	"context"
	"sync"
	"time"
)

// What a user may write into the audit log. The kubelet keeps 50 MiB of a container's log by default. A line is about 500
// bytes, so these are 33,000 files at once and then 2,000 a second: a synchronization of small files does not notice, and
// who wants to drown the log needs a minute for it instead of two seconds (25 MB/s were measured without a bound).
const (
	logBurst = 16 << 20
	logRate  = 1 << 20 // bytes a second
)

// pace is a token bucket of bytes. A taker may leave it in debt: the next waits. The zero value is full, as it was last taken
// from long ago.
type pace struct {
	mu     sync.Mutex
	tokens float64
	at     time.Time
}

func (p *pace) refill(now time.Time) {
	p.tokens = min(logBurst, p.tokens+now.Sub(p.at).Seconds()*logRate)
	p.at = now
}

// take takes n bytes and returns how long to wait until they are there.
func (p *pace) take(n int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refill(now)
	p.tokens -= float64(n)
	return max(0, time.Duration(-p.tokens/logRate*float64(time.Second)))
}

func (p *pace) full(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refill(now)
	return p.tokens >= logBurst
}

// usualLine is what a request that will be logged takes in advance, so that many that wait at a time leave one by one.
const usualLine = 500

// Pace waits until the user may cause another line of the audit log. An error is the context's.
func (a *Account) Pace(ctx context.Context) error {
	wait := a.log.take(usualLine, time.Now())
	if wait == 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Logged takes what a line had more than Pace has taken for it. It never waits.
func (a *Account) Logged(line int) { a.log.take(max(0, line-usualLine), time.Now()) }
