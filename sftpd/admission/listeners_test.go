package admission

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// full is the listener of a process that has run out of file descriptors.
type full struct {
	accepts atomic.Int32
	closed  chan struct{}
}

func (l *full) Accept() (net.Conn, error) {
	l.accepts.Add(1)
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
}
func (l *full) Close() error   { close(l.closed); return nil }
func (l *full) Addr() net.Addr { return &net.TCPAddr{} }

// TestAcceptBacksOff: when file descriptors run out, the loop waits, and logs it once.
func TestAcceptBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New()
		l := &full{closed: make(chan struct{})}
		done := make(chan error)
		first, all := 0, 0
		go func() {
			done <- a.Serve(onceClosed{l}, func(net.Conn) { t.Error("a connection") }, func(err error, isFirst bool) {
				if all++; isFirst {
					first++
				}
				if !errors.Is(err, syscall.EMFILE) {
					t.Error(err)
				}
			})
		}()
		time.Sleep(300 * time.Millisecond)
		a.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
		// After 0, 5, 15, 35, 75 and 155 ms, and after 315 ms because the last wait was not cut short.
		if n := l.accepts.Load(); n != 7 || all != 6 || first != 1 {
			t.Errorf("%d accepts, %d errors, %d said", n, all, first)
		}
	})
}

// onceClosed may be closed twice, like a real listener.
type onceClosed struct{ *full }

func (l onceClosed) Close() error {
	select {
	case <-l.closed:
		return net.ErrClosed
	default:
		return l.full.Close()
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestServeAfterClose(t *testing.T) {
	a := New()
	a.Close()
	l := listen(t)
	if err := a.Serve(l, func(net.Conn) {}, func(error, bool) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error("the listener is still open")
	}
}

// TestCloseEndsServe: Close closes every listener being served, and connections are passed on until then.
func TestCloseEndsServe(t *testing.T) {
	a := New()
	accepted, done := make(chan net.Conn, 2), make(chan error, 2)
	for range 2 {
		l := listen(t)
		go func() {
			done <- a.Serve(l, func(c net.Conn) { accepted <- c }, func(err error, _ bool) { t.Error(err) })
		}()
		var dialer net.Dialer
		c, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		(<-accepted).Close()
		c.Close()
	}
	if a.Closed() {
		t.Error("closed")
	}
	a.Close()
	for range 2 {
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	}
}
