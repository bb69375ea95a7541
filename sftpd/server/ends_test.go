package server

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/directories"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestConnectionsAreClosed: whatever ends a connection, the daemon closes it, and does not keep its descriptor until the peer
// closes it.
func TestConnectionsAreClosed(t *testing.T) {
	for name, tc := range map[string]struct {
		behindProxy bool
		sent        string
	}{
		"a probe of a proxy":    {true, ""},
		"no header of a proxy":  {true, "SSH-2.0-x\r\n"},
		"a client that says no": {false, ""},
		"no SSH":                {false, "GET / HTTP/1.1\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := configtest.New(t)
			if tc.behindProxy {
				dir.Listener.ProxyProtocol = &config.ProxyProtocol{TrustedFrom: []string{"127.0.0.0/8"}}
			}
			s, current, _, _ := loaded(t, dir)
			near, far := arrived(t)
			c := newConn(s, near)
			connect := c.place.Connect
			if tc.behindProxy {
				connect = c.place.ConnectProxy
			}
			if reason := connect(c.client, current); reason != "" {
				t.Fatal(reason)
			}
			if _, err := io.WriteString(far, tc.sent); err != nil {
				t.Fatal(err)
			}
			tcp, _ := far.(*net.TCPConn)
			if err := tcp.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			c.serve(current)
			if err := near.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("it is open: %v", err)
			}
			if s.Connections() != 0 || c.ctx.Err() == nil {
				t.Errorf("%d connections are left, %v", s.Connections(), c.ctx.Err())
			}
		})
	}
}

// TestClientBehindAProxyIsReset: the connection of a client behind a proxy that may not connect is closed without lingering,
// like that of one that connects directly.
func TestClientBehindAProxyIsReset(t *testing.T) {
	dir := configtest.New(t)
	dir.Listener.ProxyProtocol = &config.ProxyProtocol{TrustedFrom: []string{"127.0.0.0/8"}}
	dir.Listener.AllowFrom = []string{"198.51.100.0/24"}
	s, current, _, _ := loaded(t, dir)
	near, far := arrived(t)
	c := newConn(s, near)
	if reason := c.place.ConnectProxy(c.client, current); reason != "" {
		t.Fatal(reason)
	}
	if _, err := io.WriteString(far, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 22\r\n"); err != nil {
		t.Fatal(err)
	}
	c.serve(current)
	_ = far.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
}

// at is a connection whose peer has an address.
type at struct {
	net.Conn
	net.Addr
}

func (a at) RemoteAddr() net.Addr { return a.Addr }

// TestAddressesOfClients: on a listener with both address families, IPv4 clients have the same addresses as on one with IPv4
// only.
func TestAddressesOfClients(t *testing.T) {
	s, _, _, _ := loaded(t, configtest.New(t))
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	for _, tc := range []struct {
		from net.Addr
		want netip.Addr
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}, home},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.7"), Port: 4711}, home},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 4711}, netip.MustParseAddr("2001:db8::7")},
		{here.RemoteAddr(), netip.Addr{}},
	} {
		if c := newConn(s, at{here, tc.from}); c.client != tc.want || c.about.Source != tc.from.String() {
			t.Errorf("%s: %s, %s", tc.from, c.client, c.about.Source)
		}
	}
}

// TestStandardErrorOfAClient: data that a client sends as standard error is discarded, and does not use up the window of its
// requests.
func TestStandardErrorOfAClient(t *testing.T) {
	a := serve(t)
	ch, requests, err := a.client.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	if ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	files, err := client.NewClientPipe(ch, ch)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		const windows = 3
		_, err := ch.Stderr().Write(make([]byte, windows*(2<<20)))
		sent <- err
	}()
	select {
	case err := <-sent:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Minute):
		t.Fatal("the window is used up")
	}
	if _, err := files.Stat("/"); err != nil {
		t.Error(err)
	}
	a.client.Close()
	a.ended()
}

// broken is a channel on which a method panics.
type broken struct {
	ssh.Channel
	close bool // or else Stderr
}

func (b broken) Stderr() io.ReadWriter {
	if !b.close {
		panic("test")
	}
	return ended{}
}

func (b broken) Close() error {
	if b.close {
		panic("test")
	}
	return nil
}

// ended is a stream that has nothing.
type ended struct{ io.Writer }

func (ended) Read([]byte) (int, error) { return 0, io.EOF }

// TestPanicOfAChannel: a panic in a goroutine of a channel ends only its connection.
func TestPanicOfAChannel(t *testing.T) {
	for _, inClose := range []bool{false, true} {
		panicOfAChannel(t, broken{close: inClose})
	}
}

func panicOfAChannel(t *testing.T, ch broken) {
	t.Helper()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, log, _ := loaded(t, dir)
	c := entered(t, s, current, "ada")
	other := entered(t, s, current, "ada")
	requests := make(chan *ssh.Request)
	if _, text := c.openChannel("session"); text != "" {
		t.Fatal(text)
	}
	c.working.Add(1)
	served := make(chan struct{})
	go func() {
		c.serveChannel(c.ctx, ch, requests)
		close(served)
	}()
	if ch.close { // it ends when there are no more requests
		close(requests)
	}
	<-c.ctx.Done()
	if !ch.close {
		close(requests) // as they are with the connection
	}
	<-served
	if c.closed() != event.InternalError || other.closed() != "" || c.channels != 0 || !strings.Contains(log.String(), c.about.ID) {
		t.Errorf("closed for %q, the other one for %q, %d channels; %s", c.closed(), other.closed(), c.channels, log)
	}
}

// TestReceiptsOfASession: users see their receipts, and if their directory of receipts cannot be opened, they still reach
// their files.
func TestReceiptsOfASession(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, log, _ := loaded(t, dir)
	c := entered(t, s, current, "ada")
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		mount  vfs.Mount
		shown  bool
		logged bool
	}{
		"none":      {vfs.Mount{}, false, false},
		"there":     {vfs.Mount{Path: receiptsPath, Volume: volume, Access: vfs.ReadOnly, Internal: true}, true, false},
		"a file":    {vfs.Mount{Path: receiptsPath, Volume: filepath.Join(volume, "file"), SubPath: "sub", Access: vfs.ReadOnly, Internal: true}, false, true},
		"no volume": {vfs.Mount{Path: receiptsPath, Volume: filepath.Join(volume, "none"), Access: vfs.ReadOnly, Internal: true}, false, false},
	} {
		log.Reset()
		c.settings.receipts = tc.mount
		mounts := len(c.settings.mounts)
		tree, release, err := c.openTree()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = tree.Stat(receiptsPath)
		if shown := err == nil; shown != tc.shown {
			t.Errorf("%s: receipts are shown: %v, %v", name, shown, err)
		}
		if _, err := tree.Stat("/"); err != nil || len(c.settings.mounts) != mounts {
			t.Errorf("%s: %v, %d mounts", name, err, len(c.settings.mounts))
		}
		if logged := strings.Contains(log.String(), "receipts") && strings.Contains(log.String(), c.about.ID); logged != tc.logged {
			t.Errorf("%s: logged %q", name, log)
		}
		_ = tree.Close()
		release()
	}
	if s.descriptors.Limit = 2; !s.descriptors.AcquireAll("probe", 1) {
		t.Error("descriptors are left")
	}
}

// TestClientVersionOfASession: clients that send the path of a link first are recognized by their version.
func TestClientVersionOfASession(t *testing.T) {
	for version, link := range map[string]string{"SSH-2.0-WinSCP_release_6.3": "/a", "SSH-2.0-OpenSSH_10.0": "/b"} {
		a := serve(t)
		var dialer net.Dialer
		tcp, err := dialer.DialContext(t.Context(), "tcp", a.client.RemoteAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tcp.Close() })
		sc, channels, requests, err := ssh.NewClientConn(tcp, "", &ssh.ClientConfig{
			User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(a.key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
			ClientVersion: version,
		})
		if err != nil {
			t.Fatal(err)
		}
		files, err := client.NewClient(ssh.NewClient(sc, channels, requests))
		if err != nil {
			t.Fatal(err)
		}
		if err := files.Symlink("/a", "/b"); err != nil { // in the order of OpenSSH
			t.Fatal(err)
		}
		if info, err := files.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s: %v, %v", version, info, err)
		}
	}
}

// TestKeysOfARefusedPassword: a refused password is reported with the keys that were refused before it.
func TestKeysOfARefusedPassword(t *testing.T) {
	a := begin(t)
	a.exchanged()
	for _, k := range []string{"k1", "k2"} {
		a.refused(auth.Refusal{Username: "ada", Step: factor.PublicKey, Reason: event.KeyNotRegistered, Fingerprint: k})
	}
	a.refused(auth.Refusal{Username: "ada", Step: factor.Password, Reason: event.WrongPassword})
	last, _ := a.events.events[len(a.events.events)-1].(event.LoginRefused)
	if len(a.events.events) != 3 || last.Reason != event.WrongPassword || !slices.Equal(last.KeysOffered, []string{"k1", "k2"}) {
		t.Errorf("%+v", a.events.events)
	}
}

// TestLoginWithoutAPlace: a login that got no place is reported with the factors that it proved.
func TestLoginWithoutAPlace(t *testing.T) {
	a := begin(t)
	a.exchanged()
	a.notAdmitted(&auth.Grant{Username: "ada", Account: "team/ada", Steps: factor.Combination{factor.PublicKey, factor.Password}}, event.MaxConnectionsOfUser)
	e, _ := a.events.events[0].(event.LoginRefused)
	if e.Reason != event.MaxConnectionsOfUser || e.Account != "team/ada" || !slices.Equal(e.Methods, []string{"PublicKey", "Password"}) ||
		!strings.Contains(e.Method, "PublicKey") || !strings.Contains(e.Method, "Password") {
		t.Errorf("%+v", e)
	}
}

// TestPlacesThatAreHeld: a source whose clients leave before they authenticate is penalized for the places that they held.
func TestPlacesThatAreHeld(t *testing.T) {
	a := begin(t)
	for range 300 {
		a.failed(&handshake.Failure{Outcome: handshake.Left, Err: errors.New("left")})
	}
	if a.s.Penalized() == 0 {
		t.Error("nothing is paid")
	}
	if got := a.events.events[0]; got != (event.Refused{Reason: event.ClientLeft}) {
		t.Errorf("%+v", got)
	}
}

// TestDirectoriesThatCannotBeOpened: the user's client is refused, and the reason is counted and logged.
func TestDirectoriesThatCannotBeOpened(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(s *Server, c *conn)
		want  event.Reason
	}{
		"too many are open": {func(s *Server, _ *conn) { s.descriptors.Limit = 0 }, event.OpenFiles},
		"no volume":         {func(_ *Server, c *conn) { c.settings.mounts[0].Volume += "/missing" }, event.StorageUnavailable},
	} {
		dir := configtest.New(t)
		dir.AddUser("ada", "secret")
		s, current, log, events := loaded(t, dir)
		c := entered(t, s, current, "ada")
		c.directories = directories.New(c.openTree, c.Panicked)
		tc.spoil(s, c)
		if serve, ok := c.prepareFiles(t.Context(), nil); ok || serve != nil {
			t.Errorf("%s: it is served", name)
		}
		if !slices.Equal(events.events, []event.Event{event.Refused{Reason: tc.want}}) || !strings.Contains(log.String(), c.about.ID) {
			t.Errorf("%s: %+v; %s", name, events.events, log)
		}
		c.directories.Close()
	}
}

// TestAllSessionsAreDrained: the end of a server ends each of its sessions.
func TestAllSessionsAreDrained(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret").MaxConnections = 5
	s, current, _, _ := loaded(t, dir)
	if n := len(s.draining()); n != 0 {
		t.Errorf("%d sessions", n)
	}
	for range 3 {
		entered(t, s, current, "ada")
	}
	if n := len(s.draining()); n != 3 {
		t.Errorf("%d of 3 sessions are ended", n)
	}
}
