package handshake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/unexported"
)

// script is a connection that returns a fixed text and accepts writes until it fails.
type script struct {
	net.Conn
	text   io.Reader
	sent   bytes.Buffer
	err    error  // of writes, and of reads at the end
	during func() // called by Read
}

func (s *script) Read(p []byte) (int, error) {
	if s.during != nil {
		s.during()
	}
	n, err := s.text.Read(p)
	if err != nil && s.err != nil {
		err = s.err
	}
	return n, err
}

func (s *script) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.sent.Write(p)
}

func (*script) Close() error                    { return nil }
func (*script) SetDeadline(time.Time) error     { return nil }
func (*script) SetReadDeadline(time.Time) error { return nil }

// scripted returns a handshake in a given state whose client sends a fixed text.
func scripted(t *testing.T, text string, s state) (*Handshake, *script) {
	t.Helper()
	c := &script{text: strings.NewReader(text)}
	h := New(t.Context(), c, "SSH-2.0-x", time.Now().Add(time.Hour), Limits{Bytes: 1 << 20, Exchanges: 2, AlgorithmsTimeout: time.Minute, Slots: make(Slots, 1)})
	h.reach(s)
	return h, c
}

// TestBytesBeforeTheLogin: exactly as many bytes as the limit are accepted before the login; after it they are not counted.
func TestBytesBeforeTheLogin(t *testing.T) {
	for _, tc := range []struct {
		state state
		bytes int
		ok    bool
	}{{exchanging, 10, true}, {exchanging, 11, false}, {authenticating, 10, true}, {authenticating, 11, false}, {loggedIn, 11, true}} {
		h, _ := scripted(t, strings.Repeat("x", tc.bytes), tc.state)
		h.limits.Bytes = 10
		n, err := h.wire.Read(make([]byte, 100))
		if tc.ok && (n != tc.bytes || err != nil) || !tc.ok && (n != 0 || !errors.Is(err, errTooMuch)) || h.excess.Load() == tc.ok {
			t.Errorf("%+v: %d, %v", tc, n, err)
		}
		if counted := h.received.Load(); counted != int64(tc.bytes) && tc.state != loggedIn || counted != 0 && tc.state == loggedIn {
			t.Errorf("%+v: %d counted", tc, counted)
		}
	}
	in, lost := scripted(t, "", loggedIn)
	lost.err = io.ErrUnexpectedEOF
	if _, err := in.wire.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) || in.Context().Err() != nil {
		t.Errorf("the end after the login: %v, %v", err, in.Context().Err())
	}
	h, c := scripted(t, "much", authenticating)
	h.limits.Bytes = 1
	c.during = func() { h.reach(loggedIn) }
	if n, err := h.wire.Read(make([]byte, 100)); n != 4 || err != nil {
		t.Errorf("logged in meanwhile: %d, %v", n, err)
	}
}

// TestReplay: data that was read before x/crypto starts is replayed to it first, in pieces of any size.
func TestReplay(t *testing.T) {
	h, _ := scripted(t, "after", exchanging)
	h.wire.replay = []byte("before")
	var got []byte
	for {
		one := make([]byte, 1)
		n, err := h.wire.Read(one)
		got = append(got, one[:n]...)
		if err != nil {
			break
		}
	}
	if string(got) != "beforeafter" {
		t.Errorf("%q", got)
	}
	if h.Context().Err() == nil || !h.broken.Load() {
		t.Error("the end of the connection is not that of the login")
	}
}

// TestAhead: before a client has requested the service, no more is received than x/crypto reads ahead; then reading waits until
// the client has requested it or the login has ended.
func TestAhead(t *testing.T) {
	const most = unexported.PacketsAhead * 26
	for _, tc := range []struct {
		then func(*Handshake)
		err  error
	}{
		{func(h *Handshake) { h.reach(authenticating); close(h.asked) }, nil},
		{func(h *Handshake) { close(h.asked) }, nil},
		{func(h *Handshake) { h.cancel() }, errLoginOver},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, _ := scripted(t, strings.Repeat("x", most+5), signed)
			n := 0
			for n < most {
				got, err := h.wire.Read(make([]byte, 100))
				if n += got; err != nil {
					t.Fatal(err)
				}
			}
			if n != most {
				t.Errorf("%d bytes came in, want %d", n, most)
			}
			type result struct {
				n   int
				err error
			}
			done := make(chan result, 1)
			go func() {
				n, err := h.wire.Read(make([]byte, 100))
				done <- result{n, err}
			}()
			synctest.Wait()
			select {
			case r := <-done:
				t.Fatalf("more came in: %+v", r)
			default:
			}
			tc.then(h)
			want := 5
			if tc.err != nil {
				want = 0
			}
			if r := <-done; r.n != want || !errors.Is(r.err, tc.err) {
				t.Errorf("%+v, want %v", r, tc.err)
			}
		})
	}
	h, _ := scripted(t, strings.Repeat("x", most+5), exchanging)
	if n, err := h.wire.Read(make([]byte, most+5)); n != most+5 || err != nil {
		t.Errorf("before the exchange is signed: %d, %v", n, err)
	}
}

// TestGreetingOnce: x/crypto's version line is dropped because it has been sent already; everything else is sent.
func TestGreetingOnce(t *testing.T) {
	for _, tc := range []struct {
		greeting string
		writes   []string
		sent     string
	}{
		{"SSH\r\n", []string{"SSH\r\n", "more"}, "more"},
		{"SSH\r\n", []string{"SSH\r\n", "SSH\r\n"}, "SSH\r\n"},
		{"SSH\r\n", []string{"other", "SSH\r\n"}, "otherSSH\r\n"},
		{"", []string{"SSH\r\n", ""}, "SSH\r\n"},
	} {
		h, c := scripted(t, "", exchanging)
		if tc.greeting != "" {
			h.wire.greeting = []byte(tc.greeting)
		}
		for _, w := range tc.writes {
			if n, err := h.wire.Write([]byte(w)); n != len(w) || err != nil {
				t.Errorf("%q: %d, %v", w, n, err)
			}
		}
		if c.sent.String() != tc.sent {
			t.Errorf("%+v: sent %q", tc, c.sent.String())
		}
	}
}

// TestBroken: a failed connection ends its login, and counts as broken unless the daemon closed it.
func TestBroken(t *testing.T) {
	for err, broken := range map[error]bool{io.ErrUnexpectedEOF: true, net.ErrClosed: false} {
		h, c := scripted(t, "", exchanging)
		c.err = err
		if _, got := h.wire.Write([]byte("x")); !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
		if h.broken.Load() != broken || h.Context().Err() == nil {
			t.Errorf("%v: broken is %v", err, h.broken.Load())
		}
	}
}

// TestHello: the version line is sent before anything is waited for; the client's first message is recorded and kept; a client
// that sends something else, or nothing, loses no data.
func TestHello(t *testing.T) {
	hello := string(saidFirst("SSH-2.0-test\r\n", []string{"aes128-ctr"}, nil))
	for name, tc := range map[string]struct {
		said    string
		err     error
		ciphers int
		over    bool
	}{
		"a hello":        {hello + "more", nil, 1, false},
		"something else": {"GET / HTTP/1.0\r\n", nil, 0, false},
		"half a hello":   {hello[:30], nil, 0, true},
		"nothing yet":    {hello[:30], os.ErrDeadlineExceeded, 0, false},
	} {
		h, c := scripted(t, tc.said, exchanging)
		readErr := tc.err
		c.during = func() { c.err = readErr }
		k := h.Hello()
		if (k != nil) != (tc.ciphers > 0) || k != nil && len(k.CiphersClientServer) != tc.ciphers {
			t.Errorf("%s: %+v", name, k)
		}
		if c.sent.String() != "SSH-2.0-x\r\n" || (h.Context().Err() != nil) != tc.over {
			t.Errorf("%s: sent %q, the login is over: %v", name, c.sent.String(), h.Context().Err())
		}
		if !strings.HasPrefix(tc.said, string(h.wire.replay)) || len(h.wire.replay) == 0 || int64(len(h.wire.replay)) != h.received.Load() {
			t.Errorf("%s: %q is kept", name, h.wire.replay)
		}
	}
	h, c := scripted(t, hello, exchanging)
	c.err = net.ErrClosed
	c.during = func() { t.Error("a connection is read although it failed") }
	if k := h.Hello(); k != nil || h.wire.greeting != nil {
		t.Errorf("%+v, greeting %q", k, h.wire.greeting)
	}
}

// TestPatience: silence is tolerated as long as the limits say, and never beyond the deadline.
func TestPatience(t *testing.T) {
	for _, tc := range []struct{ algorithmsTimeout, deadline, want time.Duration }{
		{time.Second, time.Minute, time.Second},
		{time.Minute, time.Second, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			here, there := net.Pipe()
			defer there.Close()
			go func() { _, _ = io.Copy(io.Discard, there) }()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			started := time.Now()
			h := New(ctx, here, "SSH-2.0-x", started.Add(tc.deadline), Limits{AlgorithmsTimeout: tc.algorithmsTimeout})
			h.Hello()
			if took := time.Since(started); took != tc.want {
				t.Errorf("%+v: %s", tc, took)
			}
			if _, err := here.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(started) != tc.deadline {
				t.Errorf("%+v: afterwards %v at %s", tc, err, time.Since(started))
			}
		})
	}
}

func TestIdentification(t *testing.T) {
	if a, b := Identification(""), Identification("files_1.0"); a != "SSH-2.0-sftpd" || b != "SSH-2.0-files_1.0" {
		t.Errorf("%q, %q", a, b)
	}
}
