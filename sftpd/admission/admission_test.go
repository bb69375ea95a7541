package admission

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// settings returns a listener's settings with penalties and at most two connections.
func settings(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	set := func(list ...string) networks.Set {
		s, err := networks.Parse(list)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	proxies := set("198.51.100.0/24")
	s := &snapshot.Snapshot{AllowFrom: set("192.0.2.0/24"), Exempt: set("192.0.2.9/32"), Proxies: &proxies}
	s.Listener.Limits.MaxConnections = 2
	s.Listener.Sources = config.Sources{Penalties: true}
	return s
}

var honest, other, exempt, proxy = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
	netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("198.51.100.1")

// connect requests a place and returns the outcome.
func connect(a *Admission, s *snapshot.Snapshot, from netip.Addr) (p *Place, reason event.Reason, ended *atomic.Value) {
	ended = new(atomic.Value)
	p = a.NewPlace(time.Now(), func(r event.Reason) { ended.Store(r) })
	reason = p.Connect(from, s)
	return p, reason, ended
}

// TestConnect: which addresses may connect, and which connection is dropped to make room for another.
func TestConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := New(), settings(t)
		if _, reason, _ := connect(a, s, netip.MustParseAddr("203.0.113.1")); reason != event.SourceNotAllowed {
			t.Errorf("a network that is not allowed: %q", reason)
		}
		first, reason, ended := connect(a, s, honest)
		if reason != "" || first.Source().String() != "192.0.2.1/32" {
			t.Errorf("%q, source %v", reason, first.Source())
		}
		second, reason, _ := connect(a, s, other)
		if reason != "" || a.Connections() != 2 || a.LoginsInProgress() != 2 {
			t.Errorf("%q, %d connections, %d logins in progress", reason, a.Connections(), a.LoginsInProgress())
		}
		if _, reason, _ := connect(a, s, other); reason != event.MaxConnections {
			t.Errorf("a third one: %q", reason)
		}
		time.Sleep(time.Second)
		first.KeysExchanged()
		if reason := second.LogIn(func() event.Reason { return "" }); reason != "" || a.LoginsInProgress() != 1 {
			t.Errorf("login: %q, %d in progress", reason, a.LoginsInProgress())
		}
		if ended.Load() != nil {
			t.Error("the first one had to go too early")
		}
		third, reason, _ := connect(a, s, other)
		if reason != "" || ended.Load() != event.Displaced {
			t.Errorf("%q; the first one: %v", reason, ended.Load())
		}
		for _, p := range []*Place{first, second, third} {
			p.Leave()
		}
		if n := a.Connections(); n != 0 {
			t.Errorf("%d connections at the end", n)
		}
	})
}

// TestConnectProxy: a proxy is recognized by its network, and its connection takes a place before the client's address is
// known.
func TestConnectProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := New(), settings(t)
		if reason := a.NewPlace(time.Now(), nil).ConnectProxy(honest, s); reason != event.NotAProxy {
			t.Errorf("a client as a proxy: %q", reason)
		}
		p := a.NewPlace(time.Now(), nil)
		if reason := p.ConnectProxy(proxy, s); reason != "" || a.Connections() != 1 || p.Source().String() != "198.51.100.1/32" {
			t.Errorf("%q, %d connections, source %v", reason, a.Connections(), p.Source())
		}
		if reason := p.Connect(honest, s); reason != "" || a.Connections() != 1 || p.Source().String() != "192.0.2.1/32" {
			t.Errorf("its client: %q, %d connections, source %v", reason, a.Connections(), p.Source())
		}
		if reason := a.NewPlace(time.Now(), nil).ConnectProxy(proxy, s); reason != "" {
			t.Errorf("a second one: %q", reason)
		}
		if reason := a.NewPlace(time.Now(), nil).ConnectProxy(proxy, s); reason != event.MaxConnections {
			t.Errorf("a third one: %q", reason)
		}
	})
}

// TestMostConnections: the number of connections that the process can hold caps the configured limits.
func TestMostConnections(t *testing.T) {
	for _, tc := range []struct{ configured, most, want int }{{2, 0, 2}, {2, 1, 1}, {2, 5, 2}} {
		a, s := New(), settings(t)
		a.MostConnections, s.Listener.Limits.MaxConnections = tc.most, tc.configured
		n := 0
		for range 4 {
			if _, reason, _ := connect(a, s, honest); reason == "" {
				n++
			}
		}
		if n != tc.want {
			t.Errorf("configured %d, at most %d: %d connections", tc.configured, tc.most, n)
		}
	}
}

// TestStartupsAreConfigured: the listener's own startup limits apply.
func TestStartupsAreConfigured(t *testing.T) {
	a, s := New(), settings(t)
	s.Listener.Limits.MaxConnections = 100
	s.Listener.Startups = config.Startups{Begin: 1, DropPercent: 100, Full: 1}
	if _, reason, _ := connect(a, s, honest); reason != "" {
		t.Errorf("the first one: %q", reason)
	}
	if _, reason, _ := connect(a, s, other); reason != event.Startups {
		t.Errorf("the second one: %q", reason)
	}
	s.Listener.Startups.PerSource = 1
	if _, reason, _ := connect(a, s, honest); reason != event.StartupsOfSource {
		t.Errorf("one more of the first source: %q", reason)
	}
}

// TestSilentOnesGoFirst: a client that has finished its key exchange keeps its place over one that has not, and the displaced
// connection decides whether its login has already succeeded.
func TestSilentOnesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := New(), settings(t)
		s.Listener.Startups = config.Startups{Begin: 2, DropPercent: 100, Full: 100}
		first, _, ended := connect(a, s, honest)
		first.KeysExchanged()
		time.Sleep(time.Second)
		_, _, endedToo := connect(a, s, other)
		time.Sleep(time.Second)
		if _, reason, _ := connect(a, s, exempt); reason != "" || ended.Load() != nil || endedToo.Load() != event.Displaced {
			t.Errorf("%q; the first one: %v; the silent one: %v", reason, ended.Load(), endedToo.Load())
		}
		if reason := first.LogIn(func() event.Reason { return event.MaxConnectionsOfUser }); reason != event.MaxConnectionsOfUser {
			t.Errorf("login that was refused: %q", reason)
		}
	})
}

// TestPenalties: a source is refused for what it does, a user's failed logins are penalized from that source only, and nothing
// is counted for exempt sources or without penalties.
func TestPenalties(t *testing.T) {
	for name, do := range map[string]func(*Place){
		"crash": func(p *Place) { p.Penalize(penalty.Crash) },
		"holding": func(p *Place) {
			for range 5 {
				p.PenalizeHolding()
			}
		},
		"logins": func(p *Place) {
			for i := range 30 {
				p.PenalizeLogin(string(rune('a' + i)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := New(), settings(t)
				s.Listener.Limits.MaxConnections = 100
				p, _, _ := connect(a, s, honest)
				x, _, _ := connect(a, s, exempt)
				time.Sleep(90 * time.Second)
				do(p)
				do(x)
				for from, want := range map[netip.Addr]event.Reason{honest: event.SourcePenalized, other: "", exempt: ""} {
					if _, reason, _ := connect(a, s, from); reason != want {
						t.Errorf("%s: %q, want %q", from, reason, want)
					}
				}
				if n := a.Penalized(); n != 1 {
					t.Errorf("%d sources are penalized", n)
				}
				s.Listener.Sources.Penalties = false
				if _, reason, _ := connect(a, s, honest); reason != "" {
					t.Errorf("without penalties: %q", reason)
				}
			})
		})
	}
}

// TestPenaltyOfAUser: a user who fails too often is blocked from that source; a successful login from there clears the penalty.
func TestPenaltyOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := New(), settings(t)
		s.Listener.Limits.MaxConnections = 100
		p, _, _ := connect(a, s, honest)
		q, _, _ := connect(a, s, other)
		x, _, _ := connect(a, s, exempt)
		for range 8 {
			p.PenalizeLogin("ada")
			x.PenalizeLogin("ada")
		}
		if !p.Barred("ada") || p.Barred("grace") || q.Barred("ada") || x.Barred("ada") {
			t.Error("not ada from that source only is barred")
		}
		off := *s
		off.Listener.Sources.Penalties = false
		if o, _, _ := connect(a, &off, honest); o.Barred("ada") {
			t.Error("barred although penalties are off")
		} else if o.ResetPenalty("ada"); !p.Barred("ada") {
			t.Error("reset although penalties are off")
		}
		p.ResetPenalty("ada")
		if p.Barred("ada") {
			t.Error("not reset")
		}
	})
}

// TestLongestPenalty: a source is refused for at most the configured time, which defaults to ten minutes.
func TestLongestPenalty(t *testing.T) {
	for configured, want := range map[int]time.Duration{0: 10 * time.Minute, 60: time.Minute, 1: time.Second} {
		s := settings(t)
		s.Listener.Sources.MaxPenaltySeconds = configured
		if got := originOf(honest, s).maxPenalty; got != want {
			t.Errorf("%d: %s, want %s", configured, got, want)
		}
	}
}

// TestEnd: after Close, no connection is accepted, every login in progress is asked to stop, and Wait waits for the last
// goroutine, including that of a connection that lost its place.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := New(), settings(t)
		var all []*Place
		var ends []*atomic.Value
		for _, from := range []netip.Addr{honest, other} {
			p, _, ended := connect(a, s, from)
			all, ends = append(all, p), append(ends, ended)
		}
		time.Sleep(time.Second)
		p, _, ended := connect(a, s, other)
		all, ends = append(all, p), append(ends, ended)
		a.Close()
		if _, reason, _ := connect(a, s, honest); reason != event.ShuttingDown {
			t.Errorf("after Close: %q", reason)
		}
		if reason := a.NewPlace(time.Now(), nil).ConnectProxy(proxy, s); reason != event.ShuttingDown {
			t.Errorf("a proxy after Close: %q", reason)
		}
		if n := a.AbortLogins(event.ShuttingDown); n != 2 {
			t.Errorf("%d logins were in progress", n)
		}
		for i, ended := range ends {
			if r := ended.Load(); r != event.ShuttingDown && r != event.Displaced {
				t.Errorf("connection %d: %v", i, r)
			}
		}
		var waited atomic.Bool
		go func() { a.Wait(); waited.Store(true) }()
		for _, p := range all {
			synctest.Wait()
			if waited.Load() {
				t.Fatal("Wait has not waited")
			}
			p.Leave()
		}
		synctest.Wait()
		if !waited.Load() {
			t.Error("Wait waits although no connection is left")
		}
	})
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (server net.Conn, client net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil { //nolint:noctx // loopback
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}

// TestDrop: a connection refused because of its source is closed with a reset, any other in the usual way; so is one that is
// not TCP.
func TestDrop(t *testing.T) {
	for reason, reset := range map[event.Reason]bool{
		event.SourceNotAllowed: true, event.SourcePenalized: true, event.NotAProxy: true, event.StartupsOfSource: true,
		event.Startups: false, event.MaxConnections: false, event.ShuttingDown: false,
	} {
		server, client := tcpPair(t)
		Drop(server, reason)
		_ = client.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := client.Read(make([]byte, 1))
		if got := errors.Is(err, syscall.ECONNRESET); got != reset || !reset && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	here, there := net.Pipe()
	Drop(here, event.SourcePenalized)
	if _, err := there.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a pipe: %v", err)
	}
}

// TestReadProxyHeader: the header determines the client's address, and the bytes after it belong to the client; a proxy that
// sends nothing is given only a few seconds.
func TestReadProxyHeader(t *testing.T) {
	server, client := tcpPair(t)
	if _, err := client.Write([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 12345 22\r\nSSH-2.0-")); err != nil {
		t.Fatal(err)
	}
	got, err := ReadProxyHeader(server)
	if err != nil || got.Address.String() != "192.0.2.1:12345" {
		t.Fatalf("%v, %v", got.Address, err)
	}
	more := "SSH-2.0-test" + strings.Repeat("x", 2*maxProxyHeader)
	if _, err := client.Write([]byte(more[len("SSH-2.0-"):])); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, len(more))
	if _, err := io.ReadFull(iotest.OneByteReader(got.Conn), rest); err != nil || string(rest) != more {
		t.Errorf("%q, %v", rest, err)
	}
	if got.Conn.RemoteAddr().String() != client.LocalAddr().String() {
		t.Error("not the same connection")
	}
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		started := time.Now()
		_, err := ReadProxyHeader(here)
		if took := time.Since(started); !errors.Is(err, os.ErrDeadlineExceeded) || took != 5*time.Second {
			t.Errorf("silence: %v after %s", err, took)
		}
	})
}

// TestLongestProxyHeader: a header may be exactly 4 KiB long, and no longer.
func TestLongestProxyHeader(t *testing.T) {
	header := func(n int) string {
		fill := n - 16 - len(addresses4) - 3
		return v2(1, 0x11, addresses4+"\x04"+string([]byte{byte(fill >> 8), byte(fill)})+strings.Repeat("x", fill))
	}
	client, buffered, err := readProxyHeader(strings.NewReader(header(4096)))
	if err != nil || client.String() != "192.0.2.1:12345" || buffered.Buffered() != 0 {
		t.Errorf("4096 bytes: %v, %v", client, err)
	}
	if _, _, err := readProxyHeader(strings.NewReader(header(4097))); err == nil {
		t.Error("4097 bytes are a header")
	}
	r := &atMost{strings.NewReader("abcdef"), 4}
	if got, err := io.ReadAll(r); string(got) != "abcd" || !errors.Is(err, errHeaderTooLong) {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errHeaderTooLong) {
		t.Errorf("%d, %v", n, err)
	}
}
