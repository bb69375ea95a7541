package handshake

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/unexported"
)

// Limits are what a client can use before it is logged in.
type Limits struct {
	// Bytes is how much it may send.
	Bytes int64
	// Exchanges is how many key exchanges it may perform.
	Exchanges int32
	// AlgorithmsTimeout is how long to wait for its version line and algorithms.
	AlgorithmsTimeout time.Duration
	// Slots limit expensive key exchanges, and are shared by all connections.
	Slots Slots
}

const (
	// maxBytes: a login takes some kilobytes; without a bound, 16 packets of 256 KiB would be queued
	// in x/crypto for each connection.
	maxBytes = 128 << 10
	// maxExchanges: clients need and perform one; a connection that kept requesting more would take a CPU.
	maxExchanges = 2
	// algorithmsTimeout is how long the daemon waits for a client's algorithms before it sends its
	// own. Clients send theirs with or right after their version line; one that waits for
	// the daemon's first, as scanners do, receives them after that.
	algorithmsTimeout = time.Second
)

// StandardLimits returns the limits of a process, with new slots.
func StandardLimits() Limits {
	return Limits{Bytes: maxBytes, Exchanges: maxExchanges, AlgorithmsTimeout: algorithmsTimeout, Slots: newSlots()}
}

// state is how far a connection has come; see the package comment.
type state int32

const (
	exchanging state = iota
	signed
	authenticating
	loggedIn
	over
)

// Handshake is the handshake of one connection.
type Handshake struct {
	limits   Limits
	version  string
	deadline time.Time
	wire     *wire
	// ctx ends with the login: at its deadline, when the connection fails, and when it is decided.
	ctx    context.Context //nolint:containedctx // x/crypto's callbacks take none
	cancel context.CancelFunc

	state atomic.Int32
	// asked is closed in the state authenticating.
	asked chan struct{}
	// received counts bytes before the login, and exchanges counts key exchanges.
	received  atomic.Int64
	exchanges atomic.Int32
	// broken is set when the client or the network ended the connection, and excess when the client asked for more
	// than a login takes.
	broken, excess atomic.Bool
	// slot is set while this connection holds one of limits.Slots.
	slot atomic.Bool

	peer     ssh.ConnMetadata // nil before the state authenticating
	pace     pace
	rekeying rekeying
}

// New begins the handshake of a connection, as a server with an identification (RFC 4253 section 4.2), and bounds it by a
// deadline. Call LogIn next.
func New(ctx context.Context, c net.Conn, version string, deadline time.Time, l Limits) *Handshake {
	h := &Handshake{limits: l, version: version, deadline: deadline, asked: make(chan struct{})}
	h.ctx, h.cancel = context.WithDeadline(ctx, deadline)
	h.wire = &wire{Conn: c, handshake: h}
	// x/crypto waits for a client for as long as the connection allows.
	_ = c.SetDeadline(deadline) // fails if the connection does
	return h
}

// Context returns a context that ends with the login.
func (h *Handshake) Context() context.Context { return h.ctx }

// Connection is a connection that is logged in.
type Connection struct {
	*ssh.ServerConn
	Channels <-chan ssh.NewChannel
	Requests <-chan *ssh.Request
}

// Config is what LogIn needs in addition to the SSH configuration.
type Config struct {
	// HostKeys sign key exchanges.
	HostKeys []ssh.MultiAlgorithmSigner
	// RekeyAfter is the time between key exchanges, 0 to leave it to x/crypto.
	RekeyAfter time.Duration
}

// LogIn exchanges keys and lets the client log in. It completes the configuration, whose callbacks it calls. If it fails,
// the connection is closed and leaves nothing behind.
func (h *Handshake) LogIn(c *ssh.ServerConfig, own Config) (Connection, *Failure) {
	defer h.cancel()
	h.rekeying.after = own.RekeyAfter
	h.configure(c, own.HostKeys)
	sc, channels, requests, err := ssh.NewServerConn(h.wire, c)
	h.releaseSlot() // of an exchange that failed before it was signed
	if err != nil {
		h.reach(over)
		if h.peer != nil {
			unexported.DrainTransport(h.peer)
		}
		return Connection{}, h.failure(err)
	}
	h.reach(loggedIn)
	_ = h.wire.SetDeadline(time.Time{}) // fails with the connection
	return Connection{sc, channels, requests}, nil
}

func (h *Handshake) configure(c *ssh.ServerConfig, keys []ssh.MultiAlgorithmSigner) {
	c.ServerVersion = h.version
	c.Rand = group{h}
	for _, k := range keys {
		c.AddHostKey(hostKey{k, h})
	}
	callback := c.PreAuthConnCallback
	c.PreAuthConnCallback = func(peer ssh.ServerPreAuthConn) {
		h.peer = peer
		if callback != nil {
			callback(peer)
		}
		h.rekeying.ask = unexported.KeyExchangeRequests(peer)
		h.reach(authenticating)
		close(h.asked)
	}
}

// is reports whether the handshake is in a state.
func (h *Handshake) is(s state) bool { return state(h.state.Load()) == s }

// reach enters a state, unless it or a later one has been reached.
func (h *Handshake) reach(s state) {
	for {
		now := h.state.Load()
		if now >= int32(s) || h.state.CompareAndSwap(now, int32(s)) {
			return
		}
	}
}

// exceeded records that a client requested more than a login needs.
func (h *Handshake) exceeded(err error) error {
	h.excess.Store(true)
	return err
}
