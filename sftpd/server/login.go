package server

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// maxKeysLogged bounds the fingerprints in one line of the audit log.
const maxKeysLogged = 16

// wire counts what came in, and tells when nothing more will.
type wire struct {
	net.Conn
	received atomic.Int64
	broken   context.CancelFunc
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.received.Add(int64(n))
	if err != nil {
		w.broken()
	}
	return n, err
}

// login is a connection before it is a session.
type login struct {
	*conn
	wire     *wire
	auth     *auth.Login
	peer     ssh.ConnMetadata // nil until the key exchange is done
	refusals int
	keys     []string    // fingerprints that were offered in vain
	keyIssue auth.Reason // of the last of them
}

// logIn shakes hands and registers the session. If it returns false, the connection has
// been told and logged all that there is.
func (c *conn) logIn(ctx context.Context, s *snapshot.Snapshot) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, bool) {
	deadline := time.Now().Add(s.Listener.Authentication.LoginGrace())
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	l := &login{conn: c, wire: &wire{Conn: c.raw, broken: cancel}}
	// x/crypto waits for a client as long as the connection does.
	_ = c.raw.SetDeadline(deadline)
	sc, channels, requests, err := ssh.NewServerConn(l.wire, l.config(ctx, s))
	if err != nil {
		l.failed(err, !time.Now().Before(deadline), s.Listener.Authentication.MaxTries)
		return nil, nil, nil, false
	}
	_ = c.raw.SetDeadline(time.Time{})
	g := auth.GrantOf(sc.Permissions)
	if reason := c.server.registry.admit(c, g, time.Now()); reason != "" {
		l.notAdmitted(g, reason)
		_ = sc.Close() // nothing more is to be said
		return nil, nil, nil, false
	}
	c.server.Metrics.Login(strings.Join(g.Methods, "+"))
	e := c.entry(audit.Login, audit.OK, "")
	c.negotiated(sc, g, &e)
	c.server.Audit.Write(e)
	return sc, channels, requests, true
}

// config is the SSH configuration of this connection.
func (l *login) config(ctx context.Context, s *snapshot.Snapshot) *ssh.ServerConfig {
	crypto := s.CryptoAt(time.Now())
	c := &ssh.ServerConfig{
		ServerVersion: version(s.Listener.SoftwareVersion),
		MaxAuthTries:  s.Listener.Authentication.MaxTries,
		PreAuthConnCallback: func(peer ssh.ServerPreAuthConn) {
			l.peer = peer
			l.client = string(peer.ClientVersion())
		},
	}
	crypto.Policy.Apply(&c.Config)
	pace := &pace{}
	for _, k := range crypto.HostKeys {
		c.AddHostKey(pace.paced(k))
	}
	l.auth = l.server.Auth.NewLogin(ctx, l.source(), l.refused)
	l.auth.Install(c, s, crypto.Policy)
	return c
}

// refused takes note of a refused credential. Keys are gathered, since a client with an
// agent offers them one after another and mostly ends with the right one.
func (l *login) refused(r auth.Refusal) {
	l.refusals++
	l.server.Metrics.LoginRefused(r.Method, string(r.Reason))
	if r.Method == auth.PublicKey && r.Fingerprint != "" {
		l.keyIssue = r.Reason
		if len(l.keys) < maxKeysLogged && !slices.Contains(l.keys, r.Fingerprint) {
			l.keys = append(l.keys, r.Fingerprint)
		}
		return
	}
	l.write(audit.LoginRefused, string(r.Reason), r.Method)
}

// failed logs why a connection ended without a login.
func (l *login) failed(err error, tooLate bool, maxTries int) {
	reason := reasonLoginAbandoned
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case l.endReason.Load() != nil: // by the server itself
		reason, _ = l.endReason.Load().(string)
	case l.wire.received.Load() == 0 && !tooLate:
		// A load balancer's probe.
		l.server.Metrics.TCPProbe()
		l.server.Log.Debug("connection without a word", "connection", l.id, "source", l.raw.RemoteAddr().String())
		return
	case errors.As(err, &negotiation):
		l.server.Metrics.Refusal(reasonNoAlgorithm)
		e := l.entry(audit.ConnectionRefused, audit.Refused, reasonNoAlgorithm)
		e.Detail = negotiation.Error()
		l.server.Audit.Write(e)
		return
	case tooLate:
		reason = string(auth.LoginGraceExceeded)
	case l.peer == nil:
		l.server.Metrics.Refusal(reasonHandshakeLeft)
		l.server.Log.Debug("handshake failed", "connection", l.id, "source", l.raw.RemoteAddr().String(), "error", err)
		return
	case l.refusals >= maxTries:
		// A client with a full agent, above all.
		reason = string(auth.MaxTriesReached)
	case l.auth.FirstFactor() != nil && l.refusals == 0:
		reason = string(auth.PasswordMissing)
	case len(l.keys) > 0:
		reason = string(l.keyIssue)
	case l.refusals > 0:
		return // each has its line
	}
	event := audit.LoginRefused
	if l.peer == nil {
		event = audit.ConnectionRefused
	}
	l.server.Metrics.Refusal(reason)
	l.write(event, reason, "")
}

// notAdmitted logs a login with valid credentials that found no room, or came too late.
func (l *login) notAdmitted(g *auth.Grant, reason string) {
	l.server.Metrics.LoginRefused(strings.Join(g.Methods, "+"), reason)
	e := l.entry(audit.LoginRefused, audit.Refused, reason)
	e.User, e.Account, e.Methods, e.KeyFingerprint = g.Username, g.Account, g.Methods, g.Fingerprint
	l.server.Audit.Write(e)
}

func (l *login) write(event audit.Event, reason, method string) {
	e := l.entry(event, audit.Refused, reason)
	e.KeysOffered = l.keys
	if method != "" {
		e.Methods = []string{method}
	}
	if g := l.auth.FirstFactor(); g != nil {
		e.KeyFingerprint = g.Fingerprint
	}
	if l.peer != nil {
		e.User = l.peer.User()
		if s := l.server.Current(); s != nil {
			if u, ok := s.Lookup(e.User); ok {
				e.Account = u.Account
			}
		}
	}
	l.server.Audit.Write(e)
}
