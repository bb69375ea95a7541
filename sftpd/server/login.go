package server

import (
	"context"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/directories"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/report"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/unexported"
	"github.com/sftp-operator/sftp-operator/sftpd/verdict"
)

// login is a connection before it is a session.
type login struct {
	*conn
	auth     *auth.Login
	attempts verdict.Attempts
	peer     ssh.ConnMetadata // nil until the key exchange is done
	maxTries int
	// name is the user that the client named last, nil for none.
	name *string
}

// farewells are sent to a client that had valid credentials but was not admitted. They may be shown to the user.
var farewells = map[event.Reason]string{
	event.MaxConnectionsOfUser: "this user already has the maximum number of connections; close one and try again",
	event.NamespaceConnections: "the users of this namespace already have the maximum number of connections; close one and try again",
	event.ShuttingDown:         "the server is shutting down; try again",
	event.ChangedDuringLogin:   "the login has changed in the meantime; try again",
}

// logIn performs the SSH handshake and registers the session. If it returns false, the client has been informed and everything
// has been logged.
func (c *conn) logIn(ctx context.Context, s *snapshot.Snapshot, stream net.Conn) (handshake.Connection, bool) {
	settings := s.Listener.Authentication
	deadline := time.Now().Add(settings.LoginGrace())
	h := handshake.New(ctx, stream, handshake.Identification(s.Listener.SoftwareVersion), deadline, c.server.handshake)
	c.handshake = h
	l := &login{conn: c, maxTries: settings.MaxTries}
	client := h.Hello()
	sc, failure := h.LogIn(l.config(h, s, client))
	if failure != nil {
		l.failed(failure)
		return handshake.Connection{}, false
	}
	c.mu.Lock()
	c.lastUsed = time.Now() // the login's duration is not idle time
	c.mu.Unlock()
	g := auth.GrantOf(sc.Permissions)
	if reason := c.server.sessions.admit(c, g, time.Now()); reason != "" {
		l.notAdmitted(g, reason)
		h.Dismiss(sc, farewells[reason]) // until then it counts as a login in progress
		return handshake.Connection{}, false
	}
	c.watch.Begin() // the session's time may be over before the log has accepted its line
	for _, k := range g.Keys {
		// A certificate login does not count as use of the user's own key: it did not need
		// that key, and a CA can certify any number of keys.
		if k.Certificate == nil {
			c.server.KeyUse.Note(g.UID, k.Fingerprint, time.Now())
		}
	}
	c.place.ResetPenalty(g.Username)
	c.described = c.describeGrant(g)
	c.directories = directories.New(c.openTree, c.Panicked)
	c.report = report.New(c.described, c.server.emit, c.account.Logged)
	c.opener = c.server.open.Of(c.reportOpen)
	c.server.emit(event.Login{Connection: c.described, Detail: g.Detail, Algorithms: algorithms(sc.ServerConn, g)})
	return sc, true
}

// config returns the SSH configuration of this connection. The client's KexInit is nil if
// it is not known.
func (l *login) config(h *handshake.Handshake, s *snapshot.Snapshot, client *handshake.KexInit) (*ssh.ServerConfig, handshake.Config) {
	now := time.Now()
	crypto := s.CryptoAt(now)
	c := &ssh.ServerConfig{MaxAuthTries: l.maxTries, PreAuthConnCallback: l.exchangedKeys}
	if text := handshake.Banner(s.Listener.Authentication.Banner); text != "" {
		c.BannerCallback = func(ssh.ConnMetadata) string { return text }
	}
	crypto.Policy.Apply(&c.Config)
	if l.server.rekeyBytes > 0 {
		c.RekeyThreshold = l.server.rekeyBytes
	}
	if client != nil {
		c.Ciphers = crypto.Policy.CiphersFor(client.CiphersClientServer, client.CiphersServerClient)
	}
	l.auth = l.server.Auth.NewLogin(h.Context(), l.client, l.named, l.place.Barred, l.refused)
	l.auth.Install(c, s, crypto.Policy)
	own := handshake.Config{HostKeys: crypto.HostKeys.Signers(now), RekeyAfter: crypto.Policy.RekeyTime}
	if client != nil {
		own.HostKeys = crypto.HostKeys.SignersFor(client.HostKeys, now)
	}
	if l.server.rekeyTime > 0 {
		own.RekeyAfter = l.server.rekeyTime
	}
	return c, own
}

// named counts the login with those of its user's namespace, and reports whether it may continue.
func (l *login) named(username string) bool {
	if l.name != nil && *l.name == username {
		return l.closed() == ""
	}
	l.name = &username
	s := l.server.Current()
	reason := l.place.Named(s.NamespaceOf(username), s)
	if reason != "" {
		l.abort(reason)
	}
	return reason == ""
}

func (l *login) exchangedKeys(peer ssh.ServerPreAuthConn) {
	l.peer = peer
	l.about.ClientVersion = string(peer.ClientVersion())
	l.raw.SetExchange(unexported.KeyExchangeOf(peer))
	l.place.KeysExchanged()
}
