package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
)

// home is where the clients of these tests come from.
var home = netip.MustParseAddr("192.0.2.7")

// attempt is a login in progress of a client, on a server with penalties.
type attempt struct {
	*login
	s      *Server
	dir    *configtest.Dir
	key    ssh.Signer
	log    *strings.Builder
	events *noted
	ssh    ssh.ServerConfig
}

func begin(t *testing.T) *attempt {
	t.Helper()
	a := &attempt{dir: configtest.New(t), log: &strings.Builder{}}
	a.key, _ = configtest.Key(t)
	a.dir.AddUser("ada", "", a.key.PublicKey())
	a.dir.Listener.Sources.Penalties = true
	s, current, _, events := loaded(t, a.dir)
	s.Log = slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.KeyUse = keyuse.New()
	a.s, a.events = s, events
	c := connect(t, s)
	c.client = home
	if reason := c.place.Connect(home, current); reason != "" {
		t.Fatal(reason)
	}
	t.Cleanup(c.place.Leave) // or the end of the server waits for it
	a.login = &login{conn: c}
	a.auth = s.Auth.NewLogin(t.Context(), home, a.named, c.place.Barred, a.refused)
	a.auth.Install(&a.ssh, current, current.CryptoAt(time.Now()).Policy)
	return a
}

// exchanged is a login whose client has exchanged keys, and named a user.
func (a *attempt) exchanged() { a.peer = named{user: "ada"} }

// plain is an event without the parts that other tests check.
func plain(e event.Event) event.Event {
	switch e := e.(type) {
	case event.LoginRefused:
		e.Connection = &event.Connection{User: e.User, Methods: e.Methods}
		return e
	case event.ConnectionRefused:
		e.Connection = &event.Connection{User: e.User}
		return e
	}
	return e
}

// TestOutcomes: how each end of a connection without a login is reported, and how its source is penalized.
func TestOutcomes(t *testing.T) {
	failure := errors.New("the error")
	fingerprint := func(a *attempt) []string { return []string{ssh.FingerprintSHA256(a.key.PublicKey())} }
	for name, tc := range map[string]struct {
		before    func(t *testing.T, a *attempt)
		failure   handshake.Failure
		want      func(a *attempt) []event.Event
		logged    string
		penalized bool // the source
		barred    bool // the user at the source
	}{
		"a probe": {
			failure: handshake.Failure{Outcome: handshake.Silent},
			want:    func(*attempt) []event.Event { return []event.Event{event.Probe{}} },
			logged:  "connection closed before any data",
		},
		"no SSH": {
			failure:   handshake.Failure{Outcome: handshake.ProtocolError, Err: failure},
			want:      func(*attempt) []event.Event { return []event.Event{event.Refused{Reason: event.ProtocolError}} },
			logged:    "the error",
			penalized: true,
		},
		"no algorithm": {
			failure: handshake.Failure{Outcome: handshake.NoCommonAlgorithm, Err: failure},
			want: func(*attempt) []event.Event {
				return []event.Event{event.ConnectionRefused{Connection: &event.Connection{}, Reason: event.NoCommonAlgorithm, Detail: "the error"}}
			},
		},
		"too late": {
			before:  func(_ *testing.T, a *attempt) { a.exchanged() },
			failure: handshake.Failure{Outcome: handshake.TimedOut},
			want: func(*attempt) []event.Event {
				return []event.Event{event.LoginRefused{Connection: &event.Connection{User: "ada"}, Reason: event.LoginGraceExceeded}}
			},
			penalized: true,
		},
		"a refused password": {
			before: func(_ *testing.T, a *attempt) {
				a.exchanged()
				a.refused(auth.Refusal{Username: "ada", Step: factor.Password, Reason: event.WrongPassword, Detail: "why"})
			},
			failure: handshake.Failure{Outcome: handshake.NotLoggedIn},
			want: func(*attempt) []event.Event {
				return []event.Event{event.LoginRefused{
					Connection: &event.Connection{User: "ada", Methods: []string{"Password"}}, Method: "Password", Reason: event.WrongPassword, Detail: "why",
				}}
			},
			barred: true,
		},
		"a password without a turn": {
			before: func(_ *testing.T, a *attempt) {
				a.exchanged()
				a.refused(auth.Refusal{Username: "ada", Step: factor.Password, Reason: event.PasswordQueueFull})
			},
			failure: handshake.Failure{Outcome: handshake.NotLoggedIn},
			want: func(*attempt) []event.Event {
				return []event.Event{event.LoginRefused{
					Connection: &event.Connection{User: "ada", Methods: []string{"Password"}}, Method: "Password", Reason: event.PasswordQueueFull,
				}}
			},
		},
		"a refused key": {
			before: func(_ *testing.T, a *attempt) {
				a.exchanged()
				a.refused(auth.Refusal{Username: "ada", Step: factor.PublicKey, Reason: event.KeyNotRegistered, Fingerprint: "k"})
			},
			failure: handshake.Failure{Outcome: handshake.NotLoggedIn},
			want: func(*attempt) []event.Event {
				return []event.Event{
					event.KeyRefused{Method: "PublicKey", Reason: event.KeyNotRegistered},
					event.LoginRefused{Connection: &event.Connection{User: "ada"}, Reason: event.KeyNotRegistered, KeysOffered: []string{"k"}},
				}
			},
			barred: true,
		},
		"a forged signature": {
			before: func(t *testing.T, a *attempt) {
				a.exchanged()
				if _, err := a.ssh.PublicKeyCallback(a.peer, a.key.PublicKey()); err != nil && !a.place.Barred("ada") {
					t.Error(err)
				}
			},
			failure: handshake.Failure{Outcome: handshake.NotLoggedIn, Err: rsa.ErrVerification},
			want: func(a *attempt) []event.Event {
				return []event.Event{
					event.KeyRefused{Method: "PublicKey", Reason: event.BadSignature},
					event.LoginRefused{Connection: &event.Connection{User: "ada"}, Reason: event.BadSignature, KeysOffered: fingerprint(a)},
				}
			},
			barred: true,
		},
		"closed by the server": {
			before:  func(_ *testing.T, a *attempt) { a.abort(event.ShuttingDown) },
			failure: handshake.Failure{Outcome: handshake.Left},
			want: func(*attempt) []event.Event {
				return []event.Event{event.ConnectionRefused{Connection: &event.Connection{}, Reason: event.ShuttingDown}}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := begin(t)
			if tc.before != nil {
				tc.before(t, a)
			}
			a.failed(&tc.failure)
			var got []event.Event
			for _, e := range a.events.events {
				got = append(got, plain(e))
			}
			if want := tc.want(a); !reflect.DeepEqual(got, want) {
				t.Errorf("told\n%+v, want\n%+v", got, want)
			}
			if log := a.log.String(); !strings.Contains(log, tc.logged) || (log == "") != (tc.logged == "") || log != "" && !strings.Contains(log, a.about.ID) {
				t.Errorf("logged %q", log)
			}
			for range 20 { // one alone is forgiven
				if tc.before != nil {
					tc.before(t, a)
				}
				a.failed(&tc.failure)
			}
			if penalized := a.s.Penalized() > 0; penalized != tc.penalized {
				t.Errorf("its source is penalized: %v", penalized)
			}
			if barred := a.place.Barred("ada"); barred != tc.barred {
				t.Errorf("the user is penalized: %v", barred)
			}
		})
	}
}

// TestNamesOfALogin: each new name that a client gives counts once for its namespace. Where that has no place left, and on a
// connection that is closed, the login cannot continue.
func TestNamesOfALogin(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.AddUser("bob", "secret").Namespace = "other"
	dir.Listener.Startups = config.Startups{Begin: 3, Full: 100} // so each namespace has one place
	s, current, _, _ := loaded(t, dir)
	arrive := func() *login {
		t.Helper()
		l := &login{conn: connect(t, s)}
		if reason := l.place.Connect(home, current); reason != "" {
			t.Fatal(reason)
		}
		t.Cleanup(l.place.Leave)
		return l
	}
	first, second := arrive(), arrive()
	for range 3 {
		if !first.named("ada") || first.closed() != "" {
			t.Errorf("the first is refused: %q", first.closed())
		}
	}
	if second.named("ada") || second.closed() != event.NamespaceStartups {
		t.Errorf("the second is closed for %q", second.closed())
	}
	if second.named("ada") {
		t.Error("a login continues on a closed connection")
	}
	if !first.named("bob") || *first.name != "bob" {
		t.Errorf("another name is refused: %q", first.closed())
	}
	if third := arrive(); !third.named("ada") {
		t.Errorf("the place was not given back: %q", third.closed())
	}
}

// TestBehindAProxy: the client is the one that the proxy names, which is judged as one that connects itself.
func TestBehindAProxy(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 22\r\n"
	for name, tc := range map[string]struct {
		sent   string
		change func(dir *configtest.Dir)
		abort  event.Reason
		want   event.Event // nil for a client that may continue
		detail bool
	}{
		"a client":        {sent: header},
		"a probe":         {want: event.Probe{}},
		"no header":       {sent: "SSH-2.0-client\r\n", want: event.ConnectionRefused{Reason: event.ProxyHeader}, detail: true},
		"closed":          {sent: "PROXY", abort: event.ShuttingDown, want: event.ConnectionRefused{Reason: event.ShuttingDown}},
		"another network": {sent: header, change: func(dir *configtest.Dir) { dir.Listener.AllowFrom = []string{"198.51.100.0/24"} }, want: event.ConnectionRefused{Reason: event.SourceNotAllowed}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := configtest.New(t)
			dir.Listener.ProxyProtocol = &config.ProxyProtocol{TrustedFrom: []string{"203.0.113.0/24"}}
			if tc.change != nil {
				tc.change(dir)
			}
			s, current, log, events := loaded(t, dir)
			s.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			here, there := net.Pipe()
			defer there.Close()
			c := newConn(s, here)
			proxy := c.about.Source
			if tc.abort != "" {
				c.abort(tc.abort)
			}
			go func() {
				_, _ = io.WriteString(there, tc.sent)
				there.Close()
			}()
			stream, ok := c.behindProxy(current)
			if ok != (tc.want == nil) || (stream != nil) != ok {
				t.Errorf("may continue: %v", ok)
			}
			if tc.want == nil {
				if c.about.Proxy != proxy || c.about.Source != "192.0.2.7:4711" || c.client != home || c.place.Source().String() != "192.0.2.7/32" || len(events.events) > 0 {
					t.Errorf("%+v from %s, %+v", c.about, c.client, events.events)
				}
				return
			}
			if len(events.events) != 1 {
				t.Fatalf("%+v", events.events)
			}
			got := events.events[0]
			if r, isRefusal := got.(event.ConnectionRefused); isRefusal {
				if (r.Detail != "") != tc.detail || r.ID != c.about.ID {
					t.Errorf("%+v", r)
				}
				got = event.ConnectionRefused{Reason: r.Reason}
			} else if !strings.Contains(log.String(), c.about.ID) || !strings.Contains(log.String(), "proxy="+proxy) {
				t.Errorf("logged %q", log)
			}
			if got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

// TestConfigurationOfALogin: negotiation follows the listener's policy, and the client's offer determines the order of
// ciphers.
func TestConfigurationOfALogin(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.Listener.Authentication.Banner = "Hello"
	coming, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir.HostKeys = append(dir.HostKeys, configtest.PEM(t, coming))
	dir.Listener.HostKeys = []config.HostKey{{}, {State: config.HostKeyAdvertised}}
	s, current, _, _ := loaded(t, dir)
	policy := current.CryptoAt(time.Now()).Policy
	l := &login{conn: connect(t, s), maxTries: 3}
	h := handshake.New(l.ctx, l.raw, "SSH-2.0-test", time.Now().Add(time.Minute), s.handshake)
	c, own := l.config(h, current, nil)
	if c.MaxAuthTries != 3 || c.PreAuthConnCallback == nil || c.PasswordCallback == nil || l.auth == nil || c.BannerCallback == nil || c.BannerCallback(nil) != "Hello\r\n" {
		t.Errorf("%+v", c)
	}
	if !slices.Equal(c.KeyExchanges, policy.KeyExchanges) || !slices.Equal(c.Ciphers, policy.Ciphers) || !slices.Equal(c.MACs, policy.MACs) {
		t.Errorf("%v, want %+v", c.Config, policy)
	}
	if len(own.HostKeys) != 1 || own.RekeyAfter != policy.RekeyTime || own.RekeyAfter == 0 || c.RekeyThreshold == 7 {
		t.Errorf("%+v", own)
	}
	s.rekeyTime, s.rekeyBytes = time.Hour/2, 7
	up, down := []string{ssh.CipherChaCha20Poly1305, ssh.CipherAES128GCM}, []string{ssh.CipherAES256CTR, ssh.CipherAES128GCM}
	c, own = l.config(h, current, &handshake.KexInit{HostKeys: []string{ssh.KeyAlgoED25519}, CiphersClientServer: up, CiphersServerClient: down})
	if !slices.Equal(c.Ciphers, policy.CiphersFor(up, down)) || own.RekeyAfter != time.Hour/2 || c.RekeyThreshold != 7 || len(own.HostKeys) != 1 {
		t.Errorf("%v, %+v, rekeyed after %d bytes", c.Ciphers, own, c.RekeyThreshold)
	}
	if _, own = l.config(h, current, &handshake.KexInit{HostKeys: []string{ssh.KeyAlgoECDSA256}}); len(own.HostKeys) != 2 {
		t.Errorf("for a client that knows the coming key only: %+v", own)
	}
	current.Listener.Authentication.Banner = ""
	if c, _ = l.config(h, current, nil); c.BannerCallback != nil {
		t.Error("there is a banner")
	}
}
