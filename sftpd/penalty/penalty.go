package penalty

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// Event is a kind of misbehavior.
type Event int

// Events, with OpenSSH's weights where it has them.
const (
	// AuthFailed is a credential that was refused, whether or not the user exists: 5 s
	// for the user from the source, and 1 s for the source.
	AuthFailed Event = iota
	// NoAuth is a connection that sent something and ended without a credential: 1 s.
	NoAuth
	// GraceExceeded is a connection that did not log in within its time: 10 s.
	GraceExceeded
	// ProtocolError is a connection that did not speak SSH, or sent far too much: 5 s.
	ProtocolError
	// Crash is a connection that made the daemon's code panic: 90 s.
	Crash
)

const (
	// Minimum is the sum at which a penalty is enforced. OpenSSH's is 15 s; this one allows
	// the six passwords that one connection may try by default.
	Minimum = 30 * time.Second
	// MaxEntries bounds each account.
	MaxEntries = 65536

	failedLogin = 5 * time.Second
)

// weight returns the weight of an event for its source.
func (e Event) weight() time.Duration {
	switch e {
	case GraceExceeded:
		return 10 * time.Second
	case ProtocolError:
		return 5 * time.Second
	case Crash:
		return 90 * time.Second
	default:
		return time.Second
	}
}

// login is a login name from a source. A name can be as long as a packet, so its digest
// stands for it.
type login struct {
	source netip.Prefix
	name   [sha256.Size]byte
}

func loginOf(source netip.Prefix, name string) login {
	return login{source, sha256.Sum256([]byte(name))}
}

// Tracker keeps the penalties of all sources. It is safe for concurrent use.
type Tracker struct {
	clock func() time.Time

	mu      sync.Mutex
	sources table[netip.Prefix]
	logins  table[login]
}

// New returns an empty Tracker that uses a clock.
func New(clock func() time.Time) *Tracker {
	return &Tracker{clock: clock, sources: newTable[netip.Prefix](MaxEntries), logins: newTable[login](MaxEntries)}
}

// Add counts an event of a source. The limit is the maximum duration of its penalty.
func (b *Tracker) Add(source netip.Prefix, e Event, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources.add(b.clock(), source, e.weight(), limit)
}

const (
	// heldPerSecond is how many seconds a place has to be held to weigh one second: holding one for the whole default login time
	// weighs as much as GraceExceeded.
	heldPerSecond = 3
	maxHeld       = 10 * time.Second
)

// AddHeld counts a connection that ended without a credential as NoAuth, weighted by how long it held a login's place.
// Otherwise a client that leaves just before its time is over could keep others out for the weight of a second.
func (b *Tracker) AddHeld(source netip.Prefix, held, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources.add(b.clock(), source, min(max(NoAuth.weight(), held/heldPerSecond), maxHeld), limit)
}

// AddLogin counts an AuthFailed of a user from a source, on both accounts. While the user
// is refused from there, it counts only for the source: an attempt that is refused anyway
// does not prolong the refusal.
func (b *Tracker) AddLogin(source netip.Prefix, name string, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	b.sources.add(now, source, AuthFailed.weight(), limit)
	if l := loginOf(source, name); !b.logins.enforced(now, l) {
		b.logins.add(now, l, failedLogin, limit)
	}
}

// Reset resets the penalty of a user who has logged in from a source.
func (b *Tracker) Reset(source netip.Prefix, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logins.remove(loginOf(source, name))
}

// Refuses reports whether a source is penalized.
func (b *Tracker) Refuses(source netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sources.enforced(b.clock(), source)
}

// RefusesLogin reports whether a user is penalized at a source.
func (b *Tracker) RefusesLogin(source netip.Prefix, name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.logins.enforced(b.clock(), loginOf(source, name))
}

// Refused returns how many sources are penalized.
func (b *Tracker) Refused() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sources.countEnforced(b.clock())
}
