package penalty

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// Event is a kind of misbehaviour.
type Event int

// Events, with their weights in OpenSSH where it has one.
const (
	// AuthFailed is a credential that was refused, whether or not the user exists: 5 s
	// for the user from the source, and 1 s for the source.
	AuthFailed Event = iota
	// NoAuth is a connection that said something and ended without a credential: 1 s.
	NoAuth
	// GraceExceeded is a connection that did not log in within its time: 10 s.
	GraceExceeded
	// ProtocolError is one that spoke something else than SSH, or far too much of it: 5 s.
	ProtocolError
	// Crash is one that made the daemon's code panic: 90 s.
	Crash
)

const (
	// Minimum is the sum from which on a penalty is enforced. With OpenSSH it is 15 s;
	// here it admits the six passwords that one connection may try by default.
	Minimum = 30 * time.Second
	// MaxEntries bounds each account.
	MaxEntries = 65536

	failedLogin = 5 * time.Second
)

// weight of an event for its source.
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

// Book has the penalties of all sources. It is safe for concurrent use.
type Book struct {
	clock func() time.Time

	mu      sync.Mutex
	sources table[netip.Prefix]
	logins  table[login]
}

// New returns an empty Book that goes by a clock.
func New(clock func() time.Time) *Book {
	return &Book{clock: clock, sources: newTable[netip.Prefix](MaxEntries), logins: newTable[login](MaxEntries)}
}

// Add counts an event of a source. The limit is the longest that its penalty may be.
func (b *Book) Add(source netip.Prefix, e Event, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources.add(b.clock(), source, e.weight(), limit)
}

const (
	// heldPerSecond is for how long a place has to be held to weigh a second: who holds one for the
	// whole of the time that a login may take by default weighs as much as GraceExceeded.
	heldPerSecond = 3
	maxHeld       = 10 * time.Second
)

// AddHeld counts a connection that ended without a credential, as NoAuth, by how long it held a place of those that log
// in. Otherwise who leaves just before its time is over keeps others out for the weight of a second.
func (b *Book) AddHeld(source netip.Prefix, held, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources.add(b.clock(), source, min(max(NoAuth.weight(), held/heldPerSecond), maxHeld), limit)
}

// AddLogin counts an AuthFailed of a user from a source, on both accounts. While the user
// is refused from there, it counts for the source alone: an attempt that is refused
// anyway does not prolong the refusal.
func (b *Book) AddLogin(source netip.Prefix, name string, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	b.sources.add(now, source, AuthFailed.weight(), limit)
	if l := loginOf(source, name); !b.logins.enforced(now, l) {
		b.logins.add(now, l, failedLogin, limit)
	}
}

// Forgive forgets the failures of a user from a source, who has logged in.
func (b *Book) Forgive(source netip.Prefix, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logins.remove(loginOf(source, name))
}

// Refuses says whether a source is to be refused.
func (b *Book) Refuses(source netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sources.enforced(b.clock(), source)
}

// RefusesLogin says whether a user is to be refused from a source.
func (b *Book) RefusesLogin(source netip.Prefix, name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.logins.enforced(b.clock(), loginOf(source, name))
}

// Refused is how many sources are to be refused.
func (b *Book) Refused() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sources.countEnforced(b.clock())
}
