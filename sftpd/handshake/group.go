package handshake

import (
	"context"
	"crypto/rand"
	"runtime"
)

// modexpRead is from how many bytes of randomness at once on they are an exponent of a
// Diffie-Hellman group: the smallest in a policy has 2048 bits. All else that x/crypto
// reads (cookies, padding, keys on curves) is shorter than 100.
const modexpRead = 2048 / 8

// Slots are the places of expensive computations for clients: exchanges of keys in Diffie-Hellman groups, and proofs of host
// keys.
type Slots chan struct{}

// newSlots returns as many as half of the CPUs.
//
// One in a group of 4096 bits takes 40 ms (measured), hundred times as long as all else of
// a login, and costs the client two random packets: the attack is known as DHEat
// (CVE-2002-20001). A few dozen a second, from many sources or in as many connections as
// may be starting, would use up all CPUs. So they wait for each other, and those who use
// curves, as all clients of the last years, for none of them.
func newSlots() Slots { return make(Slots, max(1, runtime.GOMAXPROCS(0)/2)) }

// Take waits for a place, and reports whether there was one before ctx ended.
func (s Slots) Take(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// Release gives a place back.
func (s Slots) Release() { <-s }

// group is the randomness of a connection, by which an exchange in a group is noticed: x/crypto
// has no other hook between the client's packet and the work.
type group struct{ handshake *Handshake }

// Read is called by the goroutine that exchanges keys. During a connection's first
// exchange x/crypto neither reads nor ends anything else of it, so that whoever leaves
// still counts as a login in progress, and no work goes on behind the last done. During a
// second one that is not so, and it may not be in a group; no client does that.
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
