package handshake

import (
	"context"
	"crypto/rand"
	"runtime"
)

// A read of at least modexpRead random bytes is for an exponent of a Diffie-Hellman group:
// the smallest in a policy has 2048 bits. All other reads of x/crypto (cookies, padding,
// keys on curves) are shorter than 100.
const modexpRead = 2048 / 8

// Slots limit concurrent expensive computations for clients: Diffie-Hellman key exchanges, and host-key proofs.
type Slots chan struct{}

// newSlots returns half as many slots as there are CPUs.
//
// One exchange in a group of 4096 bits takes 40 ms (measured), a hundred times as long as the rest of a login, and costs the
// client two random packets: the attack is known as DHEat (CVE-2002-20001). A few dozen a second, from many sources or from as
// many connections as may be in the login phase, would use up all CPUs. So they wait for each other, and exchanges on curves,
// which all recent clients use, do not wait.
func newSlots() Slots { return make(Slots, max(1, runtime.GOMAXPROCS(0)/2)) }

// Take waits for a slot, and reports whether it got one before ctx ended.
func (s Slots) Take(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// Release returns a slot.
func (s Slots) Release() { <-s }

// group is the randomness of a connection, which reveals an exchange in a group: x/crypto has
// no other hook between the client's packet and the work.
type group struct{ handshake *Handshake }

// Read is called by the goroutine that exchanges keys. During a connection's first exchange, x/crypto neither reads anything else
// from the connection nor ends it, so a client that leaves still counts as a login in progress, and no work outlives it. That
// does not hold for a second exchange, which therefore may not be in a group; no client does that.
func (g group) Read(p []byte) (int, error) {
	if len(p) >= modexpRead {
		if err := g.handshake.takeSlot(); err != nil {
			return 0, err
		}
	}
	return rand.Read(p)
}

// takeSlot is called before each computation of an exchange in a group.
func (h *Handshake) takeSlot() error {
	switch {
	case h.is(loggedIn) || h.slot.Load():
		return nil
	case h.exchanges.Load() > 0:
		return h.exceeded(errTooManyExchanges)
	case !h.limits.Slots.Take(h.ctx):
		return errLoginOver
	}
	h.slot.Store(true)
	return nil
}

// releaseSlot is called when the exchange is signed, and when the login has ended.
func (h *Handshake) releaseSlot() {
	if h.slot.CompareAndSwap(true, false) {
		h.limits.Slots.Release()
	}
}
