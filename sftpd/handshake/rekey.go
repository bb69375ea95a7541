package handshake

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// started is where the monotonic clock of this package starts.
var started = time.Now()

const (
	// rekeyBurst and rekeyInterval are how often a client may exchange keys: so many times
	// at once, and then once in an interval. Clients do so after a gigabyte or an hour, and
	// without a bound may do so 500 times a second (measured), which takes a CPU.
	rekeyBurst    = 8
	rekeyInterval = time.Second
)

// rekeying is when a session's keys were exchanged, and how to have that done again: x/crypto
// does so by volume alone, and by time as well only if it is asked in a way that is not
// exported.
type rekeying struct {
	after time.Duration // of the policy
	last  atomic.Int64  // since started
	ask   chan<- struct{}
}

// exchanged is called for each exchange, whoever asked for it.
func (r *rekeying) exchanged() { r.last.Store(int64(time.Since(started))) }

// RekeyIfDue asks for an exchange of keys if the last one was long ago, and not again until as much time
// has passed: a client may take its time to answer. It is for a connection that is logged in.
func (h *Handshake) RekeyIfDue() {
	r := &h.rekeying
	if r.after == 0 || time.Since(started)-time.Duration(r.last.Load()) < r.after {
		return
	}
	r.exchanged()
	select {
	case r.ask <- struct{}{}:
	default: // asked for already
	}
}

// UntilRekey returns how long it is until keys are to be exchanged.
func (h *Handshake) UntilRekey() time.Duration {
	r := &h.rekeying
	if r.after == 0 {
		return math.MaxInt64
	}
	return time.Duration(r.last.Load()) + r.after - time.Since(started)
}

// pace makes a connection's key exchanges wait.
type pace struct {
	mu   sync.Mutex
	free time.Time // when the next exchange would not have to wait, if there were no burst
}

// reserve takes an exchange's place and returns how long it has to wait for it.
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
