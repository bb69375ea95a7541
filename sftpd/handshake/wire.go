package handshake

import (
	"bytes"
	"errors"
	"net"

	"github.com/sftp-operator/sftp-operator/sftpd/unexported"
)

// maxAhead is what a client may send before it requests its first service, in bytes: the packets that x/crypto reads ahead, in
// the smallest size that the supported ciphers and MACs allow. If it sent more, x/crypto's reader would block before it can be
// found, see unexported.DrainTransport.
const maxAhead = unexported.PacketsAhead * (4 + 1 + 1 + 4 + 16)

var (
	errTooMuch          = errors.New("more than a login takes")
	errTooManyExchanges = errors.New("more key exchanges than a login takes")
	errLoginOver        = errors.New("the login is over")
)

// wire is the connection that x/crypto uses. It bounds and counts the received bytes, and reports when the connection has
// ended.
type wire struct {
	net.Conn
	handshake *Handshake
	greeting  []byte // the version line, if it was sent before x/crypto sends it
	replay    []byte // what was read before x/crypto reads it
	ahead     int    // bytes received in the state signed
}

func (w *wire) Read(p []byte) (int, error) {
	h := w.handshake
	if len(w.replay) > 0 {
		n := copy(p, w.replay)
		w.replay = w.replay[n:]
		return n, nil
	}
	w.replay = nil
	if h.is(loggedIn) {
		return w.Conn.Read(p)
	}
	most, err := w.mayRead(len(p))
	if err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(p[:most])
	if !h.is(exchanging) {
		w.ahead += n
	}
	w.failed(err)
	if total := h.received.Add(int64(n)); total > h.limits.Bytes && !h.is(loggedIn) {
		return 0, h.exceeded(errTooMuch)
	}
	return n, err
}

// mayRead returns how much of n bytes may be read now. It keeps a client from filling
// x/crypto's read-ahead before it has requested the service that follows a key exchange.
// Nothing encrypted can arrive before the exchange is signed. Clients send two packets and
// wait.
func (w *wire) mayRead(n int) (int, error) {
	switch {
	case !w.handshake.is(signed):
		return n, nil
	case w.ahead < maxAhead:
		return min(n, maxAhead-w.ahead), nil
	}
	select {
	case <-w.handshake.asked:
		return n, nil
	case <-w.handshake.ctx.Done():
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

// failed ends the login of a connection that failed.
func (w *wire) failed(err error) {
	if err == nil {
		return
	}
	w.handshake.cancel()
	if !errors.Is(err, net.ErrClosed) { // otherwise the daemon closed it
		w.handshake.broken.Store(true)
	}
}
