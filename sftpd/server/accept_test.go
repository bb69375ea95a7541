package server

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/admission"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// arrived returns both ends of a TCP connection.
func arrived(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l := listen(t)
	defer l.Close()
	var dialer net.Dialer
	far, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// TestKeepAlive: a peer that is gone is probed after two minutes without a packet, and given up a minute later.
func TestKeepAlive(t *testing.T) {
	s, _, _, _ := loaded(t, configtest.New(t))
	near, far := arrived(t)
	s.accepted(near)
	tcp, _ := near.(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	if err := raw.Control(func(fd uintptr) {
		for name, option := range map[string][2]int{
			"on": {unix.SOL_SOCKET, unix.SO_KEEPALIVE}, "idle": {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
			"interval": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}, "count": {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
		} {
			got[name], _ = unix.GetsockoptInt(int(fd), option[0], option[1])
		}
	}); err != nil {
		t.Fatal(err)
	}
	if got["on"] != 1 || got["idle"] != 120 || got["interval"]*got["count"] != 60 {
		t.Errorf("%v", got)
	}
	far.Close() // so that the connection ends
}

// waiting is a context that counts those who wait for its end.
type waiting struct {
	context.Context
	done chan struct{}
	n    *atomic.Int32
}

func (w waiting) Done() <-chan struct{} { return w.done }

// AfterFunc is what package context uses for the contexts below this one.
func (w waiting) AfterFunc(func()) func() bool {
	w.n.Add(1)
	return func() bool { w.n.Add(-1); return true }
}

// TestRefusedAtAccept: a client from a network that may not connect is closed at once. It is reported as refused, was never
// open, and leaves nothing behind.
func TestRefusedAtAccept(t *testing.T) {
	dir := configtest.New(t)
	dir.Listener.AllowFrom = []string{"192.0.2.0/24"}
	s, _, _, events := loaded(t, dir)
	var left atomic.Int32
	s.ctx = waiting{context.Background(), make(chan struct{}), &left}
	near, far := arrived(t)
	s.accepted(near)
	_ = far.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := far.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	if len(events.events) != 1 {
		t.Fatalf("%+v", events.events)
	}
	r, _ := events.events[0].(event.ConnectionRefused)
	if r.Reason != event.SourceNotAllowed || r.Detail != "" || r.Source != far.LocalAddr().String() || r.Network.String() != "127.0.0.1/32" {
		t.Errorf("%+v", events.events[0])
	}
	if s.Connections() != 0 || left.Load() != 0 {
		t.Errorf("%d connections, %d contexts are left", s.Connections(), left.Load())
	}
}

// failing is a listener that fails some times before it is closed.
type failing struct{ left int }

var errAccept = errors.New("too many open files")

func (f *failing) Accept() (net.Conn, error) {
	if f.left--; f.left < 0 {
		return nil, net.ErrClosed
	}
	return nil, errAccept
}

func (f *failing) Close() error   { return nil }
func (f *failing) Addr() net.Addr { return nil }

// TestAcceptFails: connections that cannot be accepted are counted, and the log has the first of several in a row.
func TestAcceptFails(t *testing.T) {
	s, _, log, events := loaded(t, configtest.New(t))
	if err := s.Serve(&failing{left: 3}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if len(events.events) != 3 || events.events[0] != (event.Refused{Reason: event.AcceptFailed}) {
		t.Errorf("%+v", events.events)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, errAccept.Error()) {
		t.Errorf("logged %q", text)
	}
	s.Close()
	if err := s.Serve(&failing{}); !errors.Is(err, admission.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
