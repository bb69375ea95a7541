package peruser

import (
	"context"
	"sync"
	"time"
)

// Limits on what a user may cause in the audit log. The kubelet keeps 50 MiB of a container's log by default. A line is about
// 500 bytes, so these are 33,000 files at once and then 2,000 a second: a synchronization of small files is not affected, and
// an attempt to flood the log takes a minute instead of two seconds (25 MB/s were measured without a limit).
const (
	logBurst = 16 << 20
	logRate  = 1 << 20 // bytes a second
)

// pace is a token bucket of bytes. Taking may leave it in debt, and then the next take waits. The zero value is full.
type pace struct {
	mu     sync.Mutex
	tokens float64
	at     time.Time
}

func (p *pace) refill(now time.Time) {
	p.tokens = min(logBurst, p.tokens+now.Sub(p.at).Seconds()*logRate)
	p.at = now
}

// take takes n bytes and returns how long to wait until they are available.
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

// usualLine is what a request that will be logged takes in advance, so that many waiting requests continue one by one.
const usualLine = 500

// Pace waits until the user may cause another line in the audit log. It returns the context's error.
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

// Logged takes the bytes of a line beyond what Pace took in advance. It never waits.
func (a *Account) Logged(line int) { a.log.take(max(0, line-usualLine), time.Now()) }
