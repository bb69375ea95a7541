package handshake

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// started is the origin of this package's monotonic clock.
var started = time.Now()

const (
	// rekeyBurst and rekeyInterval are how often a client may exchange keys: a burst, and
	// then once per interval. Clients do so after a gigabyte or an hour; without a limit
	// they could do so 500 times a second (measured), which takes a CPU.
	rekeyBurst    = 8
	rekeyInterval = time.Second
)

// rekeying is when a session's keys were exchanged, and how to request the next exchange:
// x/crypto does so by volume only; requesting one by time needs an unexported channel.
type rekeying struct {
	after time.Duration // of the policy
	last  atomic.Int64  // since started
	ask   chan<- struct{}
}

// exchanged is called for each exchange, whichever side asked for it.
func (r *rekeying) exchanged() { r.last.Store(int64(time.Since(started))) }

// RekeyIfDue requests a key exchange if the last one is due for renewal, and does not repeat the request
// for the same time: a client may be slow to answer. The connection must be logged in.
func (h *Handshake) RekeyIfDue() {
	r := &h.rekeying
	if r.after == 0 || time.Since(started)-time.Duration(r.last.Load()) < r.after {
		return
	}
	r.exchanged()
	select {
	case r.ask <- struct{}{}:
	default: // already requested
	}
}

// UntilRekey returns the time until the next key exchange is due.
func (h *Handshake) UntilRekey() time.Duration {
	r := &h.rekeying
	if r.after == 0 {
		return math.MaxInt64
	}
	return time.Duration(r.last.Load()) + r.after - time.Since(started)
}

// pace delays a connection's key exchanges.
type pace struct {
	mu   sync.Mutex
	free time.Time // when the next exchange could start without waiting, if there were no burst
}

// reserve accounts for an exchange and returns how long it has to wait.
func (p *pace) reserve(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	wait := p.free.Sub(now) - (rekeyBurst-1)*rekeyInterval
	p.free = p.free.Add(rekeyInterval)
	return max(wait, 0)
}

func (p *pace) wait() { time.Sleep(p.reserve(time.Now())) }
