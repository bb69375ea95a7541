package event

import (
	"net/netip"
	"time"
)

// Event is one of the types of this package.
type Event interface{ event() }

// Sink receives events. It must be safe for concurrent use.
type Sink interface{ Emit(e Event) }

// Sinks receive each event in turn. Those that may wait belong at the end.
type Sinks []Sink

// Emit implements Sink.
func (s Sinks) Emit(e Event) {
	for _, sink := range s {
		sink.Emit(e)
	}
}

// Result is how something ended.
type Result string

// Results.
const (
	OK         Result = "ok"
	WasRefused Result = "refused"
	Failed     Result = "failed"
	Aborted    Result = "aborted"
)

// Connection is what is known about a connection. It does not change.
type Connection struct {
	// ID is random, 16 hexadecimal digits.
	ID string
	// Accepted is when it was accepted.
	Accepted time.Time
	// Source is the client's address and port, and Proxy is the address of the proxy that it came through.
	Source, Proxy string
	// Network is the network whose refusals count together, invalid if the connection is not TCP.
	Network netip.Prefix
	// ClientVersion is the client's identification, "" before it is known.
	ClientVersion string
	// User is the login name as the client gave it, and Account is namespace/name of the user that it belongs to, "" if unknown.
	User, Account string
	// Methods are those that succeeded, followed by the one that was refused. Keys are the fingerprints of the keys that succeeded.
	Methods, Keys []string
	// Certificate of the last key, nil for none.
	Certificate *Certificate
}

// Certificate identifies a certificate.
type Certificate struct {
	CA, KeyID string
	Serial    uint64
}

// Algorithms that a connection was negotiated with; "" for none.
type Algorithms struct {
	KeyExchange, Cipher, MAC string
	// HostKey and PublicKey are signature algorithms.
	HostKey, PublicKey string
}

// ConnectionOpened is a connection that was accepted.
type ConnectionOpened struct{}

// ConnectionClosed is the end of one that was opened.
type ConnectionClosed struct{}

// Probe is a connection on which the client sent nothing.
type Probe struct{}

// Refused is something that was refused and is only counted.
type Refused struct{ Reason Reason }

// ConnectionRefused is a connection that was closed before a user was named.
type ConnectionRefused struct {
	*Connection
	Reason Reason
	Detail string
}

// KeyRefused is a key that was refused. A Login or LoginRefused reports the result of the login.
type KeyRefused struct {
	Method string
	Reason Reason
}

// LoginRefused is a credential other than a key that was refused, or the end of a connection without a login.
type LoginRefused struct {
	*Connection
	// Method that the refusal counts for, "" for the end of a connection.
	Method string
	Reason Reason
	Detail string
	// KeysOffered are the fingerprints of keys that were refused earlier.
	KeysOffered []string
}

// Login is a login that succeeded. A Logout follows.
type Login struct {
	*Connection
	Detail     string
	Algorithms Algorithms
}

// SessionEnding is a session that the daemon is about to close. No sink may block.
type SessionEnding struct{ Reason Reason }

// SessionRevoked is a session that the daemon has closed because its user is no longer entitled to it. A Logout
// follows.
type SessionRevoked struct {
	*Connection
	Reason Reason
}

// Logout is the end of a session.
type Logout struct {
	*Connection
	Reason Reason // "" if the client ended it
	// Duration since the login.
	Duration time.Duration
}

// HostKeyProof is a request for host-key proofs.
type HostKeyProof struct{ Answered bool }

func (ConnectionOpened) event()  {}
func (ConnectionClosed) event()  {}
func (Probe) event()             {}
func (Refused) event()           {}
func (ConnectionRefused) event() {}
func (KeyRefused) event()        {}
func (LoginRefused) event()      {}
func (Login) event()             {}
func (SessionEnding) event()     {}
func (SessionRevoked) event()    {}
func (Logout) event()            {}
func (HostKeyProof) event()      {}
