package server

import (
	"context"
	"crypto/rand"
	"errors"
	"runtime"
	"sync/atomic"
)

// modexpRead is from how many bytes of randomness at once on they are an exponent of a
// Diffie-Hellman group: the smallest in a policy has 2048 bits. All else that x/crypto
// reads (cookies, padding, keys on curves) is shorter than 100.
const modexpRead = 2048 / 8

var errLoginOver = errors.New("the login is over")

// newModexps returns the places of exchanges in Diffie-Hellman groups before a login: as
// many as half of the CPUs.
//
// One in a group of 4096 bits takes 40 ms (measured), hundred times as long as all else of
// a login, and costs the client two random packets: the attack is known as DHEat
// (CVE-2002-20001). A few dozen a second, from many sources or in as many connections as
// may be starting, would use up all CPUs. So they wait for each other, and those who use
// curves, as all clients of the last years, for none of them.
func newModexps() chan struct{} { return make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) }

// modexp is the randomness of a connection, by which it notices an exchange in a group:
// x/crypto has no other hook between the client's packet and the work.
type modexp struct {
	login *login
	ctx   context.Context
	held  atomic.Bool
}

// Read is called by the goroutine that exchanges keys. During a connection's first
// exchange x/crypto neither reads nor ends anything else of it, so that whoever leaves
// still counts as a login in progress, and no work goes on behind the last done. During a
// second one that is not so, and it may not be in a group; no client does that.
func (m *modexp) Read(p []byte) (int, error) {
	if len(p) < modexpRead || m.login.wire.loggedIn.Load() || m.held.Load() {
		return rand.Read(p)
	}
	if m.login.exchanges.Load() > 0 {
		m.login.wire.excess.Store(true)
		return 0, errTooManyExchanges
	}
	select {
	case m.login.server.modexps <- struct{}{}:
		m.held.Store(true)
		return rand.Read(p)
	case <-m.ctx.Done():
	}
	return 0, errLoginOver
}

// done is called when the exchange signs, and when the login has ended.
func (m *modexp) done() {
	if m.held.CompareAndSwap(true, false) {
		<-m.login.server.modexps
	}
}
