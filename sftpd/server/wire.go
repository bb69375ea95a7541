package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/unexported"
)

const (
	// maxBeforeLogin bounds what a client may send before it is logged in, in bytes. A
	// login takes some kilobytes; without a bound, 16 packets of 256 KiB would be queued
	// in x/crypto for each connection.
	maxBeforeLogin = 128 << 10
	// maxExchanges bounds the key exchanges before a login. One is needed, and clients
	// do no more; a connection that asks for them without end would take a CPU.
	maxExchanges = 2
	// maxAhead is what may come in before a client has asked for its first service, in bytes: the packets that
	// x/crypto reads ahead, in the smallest size that it takes from ciphers and MACs that there are. More would leave
	// its reader waiting before it can be found, see unexported.DrainTransport.
	maxAhead = unexported.PacketsAhead * (4 + 1 + 1 + 4 + 16)
)

var (
	errTooMuch          = errors.New("more than a login takes")
	errTooManyExchanges = errors.New("more key exchanges than a login takes")
)

// wire bounds and counts what comes in, and tells when nothing more will.
type wire struct {
	net.Conn
	greeting []byte // the version line, if it was sent before x/crypto sends it
	replay   []byte // what was read before x/crypto reads it
	received atomic.Int64
	loggedIn atomic.Bool
	broken   atomic.Bool // by the client or the network
	excess   atomic.Bool // more came than a login takes
	ended    context.CancelFunc
	// signed is whether the server's part of the first key exchange has been sent, or is
	// about to be, welcome closed when the client has asked for the service after it, and
	// over when the login is.
	signed  atomic.Bool
	welcome chan struct{}
	over    <-chan struct{}
	ahead   int // bytes received since it was signed
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.replay) > 0 {
		n := copy(p, w.replay)
		w.replay = w.replay[n:]
		return n, nil
	}
	w.replay = nil
	most, err := w.mayRead(len(p))
	if err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(p[:most])
	if w.signed.Load() {
		w.ahead += n
	}
	w.failed(err)
	if total := w.received.Add(int64(n)); total > maxBeforeLogin && !w.loggedIn.Load() {
		w.excess.Store(true)
		return 0, errTooMuch
	}
	return n, err
}

// mayRead is how much of n bytes may be read now. It keeps a client from filling the packets
// that x/crypto reads ahead before it has asked for the service that follows a key exchange.
// Nothing that is encrypted can have come before the exchange is signed. Clients send two
// packets and wait.
func (w *wire) mayRead(n int) (int, error) {
	if !w.signed.Load() {
		return n, nil
	}
	select {
	case <-w.welcome:
		return n, nil
	default:
	}
	if w.ahead < maxAhead {
		return min(n, maxAhead-w.ahead), nil
	}
	select {
	case <-w.welcome:
		return n, nil
	case <-w.over:
		return 0, errLoginOver
	}
}

func (w *wire) Write(p []byte) (int, error) {
	if g := w.greeting; g != nil {
		w.greeting = nil
		if bytes.Equal(p, g) {
			return len(p), nil
		}
	}
	n, err := w.Conn.Write(p)
	w.failed(err)
	return n, err
}

func (w *wire) failed(err error) {
	if err == nil {
		return
	}
	w.ended()
	if !errors.Is(err, net.ErrClosed) { // else by the daemon
		w.broken.Store(true)
	}
}

// hostKey is a host key that signs no more than maxExchanges key exchanges before the
// login.
type hostKey struct {
	ssh.MultiAlgorithmSigner
	login *login
}

// Every key exchange ends with one of these.

func (k hostKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	if err := k.exchange(); err != nil {
		return nil, err
	}
	return k.MultiAlgorithmSigner.Sign(rand, data)
}

func (k hostKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if err := k.exchange(); err != nil {
		return nil, err
	}
	return k.MultiAlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

func (k hostKey) exchange() error {
	k.login.modexp.done()
	k.login.wire.signed.Store(true)
	k.login.rekeying.exchanged()
	if k.login.exchanges.Add(1) > maxExchanges && !k.login.wire.loggedIn.Load() {
		k.login.wire.excess.Store(true)
		return errTooManyExchanges
	}
	return nil
}
