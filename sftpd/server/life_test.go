package server

import (
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	client "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/hostproof"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// heard receives the events of a server that runs.
type heard chan event.Event

func (h heard) Emit(e event.Event) { h <- e }

// until returns the next event of a type, and those before it.
func until[E event.Event](t *testing.T, h heard) (last E, before []event.Event) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case e := <-h:
			if last, ok := e.(E); ok {
				return last, before
			}
			before = append(before, e)
		case <-late:
			t.Fatalf("no %T after %+v", last, before)
		}
	}
}

// running serves a configuration until the end of the test.
func running(t *testing.T, dir *configtest.Dir) (*Server, *snapshot.Snapshot, string, heard) {
	t.Helper()
	s, current, _, _ := loaded(t, dir)
	events := make(heard, 10_000)
	s.Events, s.KeyUse = events, keyuse.New()
	l := listen(t)
	go func() { _ = s.Serve(l) }()
	return s, current, l.Addr().String(), events
}

// dial logs in to a server of this test.
func dial(t *testing.T, addr, user string, auth ...ssh.AuthMethod) (*ssh.Client, net.Conn, error) {
	t.Helper()
	var dialer net.Dialer
	tcp, err := dialer.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	sc, channels, requests, err := ssh.NewClientConn(tcp, addr, &ssh.ClientConfig{
		User: user, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), // a server within this test
	})
	if err != nil {
		return nil, tcp, err
	}
	return ssh.NewClient(sc, channels, requests), tcp, nil
}

// served is a session of ada, who has a key.
type served struct {
	*testing.T
	s      *Server
	key    ssh.Signer
	dir    *configtest.Dir
	client *ssh.Client
	events heard
	login  event.Login
}

func serve(t *testing.T) *served {
	t.Helper()
	a := &served{T: t, dir: configtest.New(t)}
	a.key, _ = configtest.Key(t)
	a.dir.AddUser("ada", "", a.key.PublicKey())
	var addr string
	a.s, _, addr, a.events = running(t, a.dir)
	var err error
	if a.client, _, err = dial(t, addr, "ada", ssh.PublicKeys(a.key)); err != nil {
		t.Fatal(err)
	}
	var before []event.Event
	if a.login, before = until[event.Login](t, a.events); !slices.Equal(before, []event.Event{event.ConnectionOpened{}}) {
		t.Errorf("before the login: %+v", before)
	}
	return a
}

// ended waits for the end of the connection. It returns the logout and what came before, without SessionEnding, which is emitted
// by whatever closes a session, while the connection's goroutine ends.
func (a *served) ended() (logout event.Logout, before []event.Event) {
	a.Helper()
	logout, before = until[event.Logout](a.T, a.events)
	_, after := until[event.ConnectionClosed](a.T, a.events)
	n := len(before) + len(after)
	isEnding := func(e event.Event) bool { return e == event.Event(event.SessionEnding{Reason: logout.Reason}) }
	before, after = slices.DeleteFunc(before, isEnding), slices.DeleteFunc(after, isEnding)
	n -= len(before) + len(after)
	if logout.Reason != "" && n == 0 {
		e, others := until[event.SessionEnding](a.T, a.events)
		if e.Reason == logout.Reason {
			n++
		}
		after = append(after, others...)
	}
	if ends := logout.Reason != ""; n > 1 || (n == 1) != ends || len(after) > 0 {
		a.Errorf("closed for %q: %d times SessionEnding, and %+v after the logout", logout.Reason, n, after)
	}
	if logout.Connection != a.login.Connection {
		a.Errorf("the logout is of %+v, the login of %+v", logout.Connection, a.login.Connection)
	}
	if a.s.Connections() != 0 || a.s.Sessions() != 0 || a.s.LoginsInProgress() != 0 {
		a.Errorf("%d connections and %d sessions are left", a.s.Connections(), a.s.Sessions())
	}
	return logout, before
}

// TestLoginIsDescribed: the login's event contains what is known about the connection, and the use of its key is recorded.
func TestLoginIsDescribed(t *testing.T) {
	begin := time.Now()
	a := serve(t)
	d, fingerprint := a.login.Connection, ssh.FingerprintSHA256(a.key.PublicKey())
	if d.User != "ada" || d.Account != "team/ada" || d.Source != a.client.LocalAddr().String() || d.Proxy != "" || len(d.ID) != 16 ||
		d.Accepted.Before(begin) || d.Accepted.After(time.Now()) || d.ClientVersion != string(a.client.ClientVersion()) ||
		!slices.Equal(d.Methods, []string{"PublicKey"}) || !slices.Equal(d.Keys, []string{fingerprint}) || d.Certificate != nil ||
		d.Network.String() != "127.0.0.1/32" {
		t.Errorf("%+v", d)
	}
	negotiated, _ := a.client.Conn.(ssh.AlgorithmsConnMetadata)
	n := negotiated.Algorithms()
	want := event.Algorithms{KeyExchange: n.KeyExchange, Cipher: n.Write.Cipher, MAC: n.Write.MAC, HostKey: n.HostKey, PublicKey: ssh.KeyAlgoED25519}
	if a.login.Algorithms != want || want.Cipher == "" || want.HostKey != ssh.KeyAlgoED25519 {
		t.Errorf("%+v, want %+v", a.login.Algorithms, want)
	}
	if uses := a.s.KeyUse.Since("", 0, 100).Uses; len(uses) != 1 || uses[0].UID != "uid-ada" || uses[0].Fingerprint != fingerprint {
		t.Errorf("noted uses: %+v", uses)
	}
	if a.s.Connections() != 1 || a.s.Sessions() != 1 || a.s.LoginsInProgress() != 0 || a.s.Received() < 1000 {
		t.Errorf("%d connections, %d sessions, %d logins, %d bytes", a.s.Connections(), a.s.Sessions(), a.s.LoginsInProgress(), a.s.Received())
	}
	if tree := a.s.sessions.all()[0].settings.mounts; len(tree) != 1 || tree[0].SubPath != "ada" {
		t.Errorf("mounts %+v", tree)
	}
}

// TestRequestsOfAConnection: anything that is not SFTP is refused, each request for host keys is answered and counted, and only
// keys that were proved are recorded.
func TestRequestsOfAConnection(t *testing.T) {
	a := serve(t)
	if ok, _, err := a.client.SendRequest("keepalive@openssh.com", true, nil); ok || err != nil {
		t.Errorf("a keepalive: %v, %v", ok, err)
	}
	_, _, err := a.client.OpenChannel("direct-tcpip", nil)
	if refused := (*ssh.OpenChannelError)(nil); !errors.As(err, &refused) || refused.Reason != ssh.UnknownChannelType {
		t.Errorf("a channel that is no session: %v", err)
	}
	if r, before := until[event.Refused](t, a.events); r.Reason != event.ChannelRefused || len(before) > 0 {
		t.Errorf("%+v after %+v", r, before)
	}
	signer, err := ssh.ParsePrivateKey(a.dir.HostKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	wire := ssh.Marshal(struct{ Key []byte }{signer.PublicKey().Marshal()})
	for _, want := range []bool{true, false} { // once for each connection
		ok, answer, err := a.client.SendRequest(hostproof.Request, true, wire)
		if ok != want || err != nil || (len(answer) > 0) != want {
			t.Errorf("proof: %v with %d bytes, %v, want %v", ok, len(answer), err, want)
		}
		if e, _ := until[event.HostKeyProof](t, a.events); e.Answered != want {
			t.Errorf("answered %v, want %v", e.Answered, want)
		}
		proofs := a.s.KeyUse.Since("", 0, 100).HostKeyProofs
		if len(proofs) != 1 || proofs[0].UID != "uid-ada" || proofs[0].Fingerprint != ssh.FingerprintSHA256(signer.PublicKey()) {
			t.Errorf("noted proofs: %+v", proofs)
		}
	}
}

// TestNothingOfAConnectionIsLeft: after a client has left, its logout event has the duration, and the server keeps nothing
// of the connection: no place, no descriptor, and no scheduled check.
func TestNothingOfAConnectionIsLeft(t *testing.T) {
	begin := time.Now()
	a := serve(t)
	files, err := client.NewClient(a.client)
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.Create("/f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	c := a.s.sessions.all()[0]
	c.mu.Lock()
	channels := c.channels
	c.mu.Unlock()
	if c.OpenFiles() != 1 || channels != 1 {
		t.Errorf("%d files on %d channels", c.OpenFiles(), channels)
	}
	gone := weak.Make(c)
	a.client.Close()
	logout, _ := a.ended()
	if logout.Reason != "" || logout.Duration <= 0 || logout.Duration > time.Since(begin) {
		t.Errorf("%q after %s", logout.Reason, logout.Duration)
	}
	if c.ctx.Err() == nil || c.channels != 0 || len(c.files) != 0 {
		t.Errorf("%d channels and %d files are left, context %v", c.channels, len(c.files), c.ctx.Err())
	}
	if a.s.descriptors.Limit = 3; !a.s.descriptors.AcquireAll("probe", 2) {
		t.Error("descriptors are left")
	}
	for late := time.Now().Add(time.Minute); gone.Value() != nil && time.Now().Before(late); runtime.GC() {
		runtime.Gosched() // goroutines of x/crypto end with the connection
	}
	if gone.Value() != nil {
		t.Error("something still refers to the connection")
	}
}

// TestEndOfASession: a session that the daemon ends has the daemon's reason, and one whose user is gone also has its own line
// before that.
func TestEndOfASession(t *testing.T) {
	for name, tc := range map[string]struct {
		end    func(a *served)
		reason event.Reason
		before []event.Event
	}{
		"removed": {func(a *served) {
			a.dir.Remove("ada")
			a.s.Reloaded(built(a.T, a.dir))
		}, event.UserRemoved, []event.Event{event.SessionRevoked{Reason: event.UserRemoved}}},
		"idle":     {func(a *served) { a.s.sessions.all()[0].End(event.IdleTimeout) }, event.IdleTimeout, nil},
		"panicked": {func(a *served) { a.s.sessions.all()[0].Panicked("test") }, event.InternalError, []event.Event{event.Refused{Reason: event.InternalError}}},
		"shutdown": {func(a *served) {
			if err := a.s.Shutdown(a.Context()); err != nil || a.s.ctx.Err() == nil {
				a.Errorf("shut down: %v, %v", err, a.s.ctx.Err())
			}
		}, event.ShuttingDown, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t)
			tc.end(a)
			logout, before := a.ended()
			for i, e := range before {
				if r, ok := e.(event.SessionRevoked); ok {
					if r.Connection != a.login.Connection {
						t.Errorf("revoked: %+v", r.Connection)
					}
					before[i] = event.SessionRevoked{Reason: r.Reason}
				}
			}
			if logout.Reason != tc.reason || !slices.Equal(before, tc.before) {
				t.Errorf("%q after %+v, want %q after %+v", logout.Reason, before, tc.reason, tc.before)
			}
			if err := a.client.Wait(); err == nil {
				t.Error("the client is told nothing")
			}
		})
	}
}

// TestStatusOfAChannel: a client that ends its session gets status 0, and one that does not speak SFTP gets status 1. The end of a
// channel is activity of its connection.
func TestStatusOfAChannel(t *testing.T) {
	a := serve(t)
	c := a.s.sessions.all()[0]
	for input, want := range map[string]string{"": "\x00\x00\x00\x00", "\x00\x00\x00\x00": "\x00\x00\x00\x01"} {
		ch, requests, err := a.client.OpenChannel("session", nil)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"})); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := ch.Write([]byte(input)); err != nil {
			t.Fatal(err)
		}
		if err := ch.CloseWrite(); err != nil && !errors.Is(err, io.EOF) { // what does not speak SFTP may have been closed by now
			t.Fatal(err)
		}
		status := "none"
		for r := range requests { // ends with the channel
			if r.Type == "exit-status" {
				status = string(r.Payload)
			}
		}
		if status != want {
			t.Errorf("after %q: status %x, want %x", input, status, want)
		}
	}
	a.client.Close()
	a.ended()
	if c.LastActivity().Before(a.login.Accepted) || c.OpenFiles() != 0 {
		t.Errorf("last active %s, %d files", c.LastActivity(), c.OpenFiles())
	}
}
