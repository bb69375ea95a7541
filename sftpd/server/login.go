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
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// maxKeysLogged bounds the fingerprints in one line of the audit log.
const maxKeysLogged = 16

// login is a connection before it is a session.
type login struct {
	*conn
	wire     *wire
	modexp   *modexp
	auth     *auth.Login
	peer     ssh.ConnMetadata // nil until the key exchange is done
	refusals int
	// repeated of them are keys that had succeeded before in this login: a client with
	// several offers them from the first on for each step.
	repeated int
	// exchanges counts those of keys.
	exchanges atomic.Int32
	keys      []string    // fingerprints that were offered in vain
	keyIssue  auth.Reason // of the last of them
	keyUsers  []string    // login names that they were for
	// certificate is what came with the last of them, nil for none, and certified that key.
	certificate *auth.Certificate
	certified   string
}

// logIn shakes hands and registers the session. If it returns false, the connection has
// been told and logged all that there is.
func (c *conn) logIn(ctx context.Context, s *snapshot.Snapshot, stream net.Conn) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, bool) {
	deadline := time.Now().Add(s.Listener.Authentication.LoginGrace())
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	l := &login{conn: c, wire: &wire{Conn: stream, ended: cancel, over: ctx.Done(), welcome: make(chan struct{})}}
	l.modexp = &modexp{login: l, ctx: ctx}
	// x/crypto waits for a client as long as the connection does.
	_ = c.raw.SetDeadline(deadline)
	hello := l.wire.hello(version(s.Listener.SoftwareVersion), c.server.helloPatience, deadline)
	sc, channels, requests, err := ssh.NewServerConn(l.wire, l.config(ctx, s, hello))
	l.modexp.done() // of an exchange that failed before it signed
	if err != nil {
		l.takeLeftovers()
		l.failed(err, !time.Now().Before(deadline), s.Listener.Authentication.MaxTries)
		return nil, nil, nil, false
	}
	l.wire.loggedIn.Store(true)
	_ = c.raw.SetDeadline(time.Time{})
	c.mu.Lock()
	c.lastUsed = time.Now() // the time that the login took is not idle
	c.mu.Unlock()
	g := auth.GrantOf(sc.Permissions)
	if reason := c.server.registry.admit(c, g, time.Now()); reason != "" {
		l.notAdmitted(g, reason)
		l.dismiss(sc, channels, requests, farewells[reason])
		return nil, nil, nil, false
	}
	c.server.watch(c) // from now on: its time may be over before the log has taken its line
	for _, k := range g.Keys {
		// A certificate's login is none of a key that the user may have beside: that one is
		// not needed for it, and the keys that a CA certifies are without number.
		if k.Certificate == nil {
			c.server.KeyUse.Note(g.UID, k.Fingerprint, time.Now())
		}
	}
	c.forgive(g.Username)
	c.server.Metrics.Login(strings.Join(g.Methods, "+"))
	e := c.entry(audit.Login, audit.OK, "")
	e.Detail = g.Detail
	c.negotiated(sc, g, &e)
	c.record(e)
	return sc, channels, requests, true
}

// config is the SSH configuration of this connection. What the client offers is nil if it
// is not known.
func (l *login) config(ctx context.Context, s *snapshot.Snapshot, client *kexInit) *ssh.ServerConfig {
	now := time.Now()
	crypto := s.CryptoAt(now)
	c := &ssh.ServerConfig{
		ServerVersion:       version(s.Listener.SoftwareVersion),
		MaxAuthTries:        s.Listener.Authentication.MaxTries,
		PreAuthConnCallback: l.exchangedKeys,
	}
	if text := banner(s.Listener.Authentication.Banner); text != "" {
		c.BannerCallback = func(ssh.ConnMetadata) string { return text }
	}
	crypto.Policy.Apply(&c.Config)
	l.rekeying.after = crypto.Policy.RekeyTime
	if l.server.rekeyTime > 0 {
		l.rekeying.after = l.server.rekeyTime
	}
	if client != nil {
		c.Ciphers = crypto.Policy.CiphersFor(client.CiphersClientServer, client.CiphersServerClient)
	}
	c.Rand = l.modexp
	pace := &pace{}
	for _, k := range crypto.HostKeys.Signers(now) {
		c.AddHostKey(pace.paced(l.bounded(k)))
	}
	l.auth = l.server.Auth.NewLogin(ctx, l.source(), l.barred, l.refused)
	l.auth.Install(c, s, crypto.Policy)
	return c
}

// bounded returns a host key for this connection alone.
func (l *login) bounded(k ssh.Signer) ssh.Signer {
	if m, ok := k.(ssh.MultiAlgorithmSigner); ok {
		return hostKey{m, l}
	}
	return k
}

func (l *login) exchangedKeys(peer ssh.ServerPreAuthConn) {
	l.peer = peer
	l.clientVersion = string(peer.ClientVersion())
	l.exchanged.Store(true)
	l.rekeying.ask = exchangeRequests(peer)
	l.rekeying.exchanged()
	close(l.wire.welcome)
}

// refused takes note of a refused credential. Keys are gathered, since a client with an
// agent offers them one after another and mostly ends with the right one.
func (l *login) refused(r auth.Refusal) {
	l.refusals++
	l.server.Metrics.LoginRefused(r.Method, string(r.Reason))
	if r.Reason == auth.KeyUsedBefore {
		l.repeated++
		return
	}
	if r.Method == auth.PublicKey && r.Fingerprint != "" {
		// A client offers the key of a certificate by itself, too. Why the certificate was
		// refused says more.
		if r.Reason == auth.BadSignature || r.Certificate != nil || l.certificate == nil || r.Fingerprint != l.certified {
			l.keyIssue, l.certificate, l.certified = r.Reason, r.Certificate, r.Fingerprint
		}
		if !slices.Contains(l.keyUsers, r.Username) { // no more than tries
			l.keyUsers = append(l.keyUsers, r.Username)
		}
		if len(l.keys) < maxKeysLogged && !slices.Contains(l.keys, r.Fingerprint) {
			l.keys = append(l.keys, r.Fingerprint)
		}
		return
	}
	// Neither of the two is the client's fault.
	if r.Reason != auth.PasswordQueueFull && r.Reason != auth.CodeOlderThanServer {
		l.penaliseLogin(r.Username)
	}
	l.write(audit.LoginRefused, string(r.Reason), r.Method, r.Detail)
}

// failed logs why a connection ended without a login, and counts it for its source.
func (l *login) failed(err error, tooLate bool, maxTries int) {
	if l.endReason.Load() == nil && l.wire.received.Load() == 0 && !tooLate {
		// A load balancer's probe.
		l.server.Metrics.TCPProbe()
		l.server.Log.Debug("connection without a word", "connection", l.id, "source", l.remote)
		return
	}
	if l.peer != nil {
		l.auth.Failed(err)
	}
	for _, username := range l.keyUsers {
		l.penaliseLogin(username)
	}
	if e, bad := l.offence(err, tooLate); bad {
		if e == penalty.NoAuth {
			l.penaliseHolding(time.Since(l.accepted))
		} else {
			l.penalise(e)
		}
	}
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &negotiation):
		l.refuse(reasonNoAlgorithm, negotiation.Error())
		return
	case l.endReason.Load() == nil && !tooLate && l.peer == nil && !l.wire.excess.Load():
		reason := reasonHandshakeLeft
		if !l.wire.broken.Load() {
			reason = reasonProtocolError
		}
		l.server.Metrics.Refusal(reason)
		l.server.Log.Debug("handshake failed", "connection", l.id, "source", l.remote, "error", err)
		return
	}
	reason := l.reason(tooLate, maxTries)
	switch {
	case reason == "": // each refusal has its line
	case l.peer == nil:
		l.refuse(reason, "")
	default:
		l.server.Metrics.Refusal(reason)
		l.write(audit.LoginRefused, reason, "", "")
	}
}

// offence is what a connection without a login did to deserve a penalty, beside
// credentials that were refused.
func (l *login) offence(err error, tooLate bool) (e penalty.Event, bad bool) {
	switch {
	case l.endReason.Load() != nil:
		// Whoever has to give its place up was silent or slow. All other reasons are
		// the daemon's.
		return penalty.NoAuth, l.endReason.Load() == reasonDisplaced
	case tooLate:
		return penalty.GraceExceeded, true
	case l.wire.excess.Load():
		return penalty.ProtocolError, true
	case l.refusals > 0 || l.auth.Done() != nil:
		return 0, false
	case l.peer == nil && !l.wire.broken.Load() && !isNegotiation(err):
		return penalty.ProtocolError, true
	}
	return penalty.NoAuth, true
}

func isNegotiation(err error) bool {
	var negotiation *ssh.AlgorithmNegotiationError
	return errors.As(err, &negotiation)
}

// reason is the one to log for a connection without a login, "" if there is a line already.
func (l *login) reason(tooLate bool, maxTries int) string {
	switch {
	case l.endReason.Load() != nil: // by the server itself
		reason, _ := l.endReason.Load().(string)
		return reason
	case tooLate:
		return string(auth.LoginGraceExceeded)
	case l.wire.excess.Load():
		return reasonTooMuch
	case l.keyIssue == auth.BadSignature:
		return string(l.keyIssue)
	case l.refusals >= maxTries:
		// A client with a full agent, above all.
		return string(auth.MaxTriesReached)
	case l.auth.Done() != nil && l.refusals == l.repeated:
		return string(auth.NextFactorMissing)
	case len(l.keys) > 0:
		return string(l.keyIssue)
	case l.refusals > 0:
		return ""
	}
	return reasonLoginAbandoned
}

// notAdmitted logs a login with valid credentials that found no room, or came too late.
func (l *login) notAdmitted(g *auth.Grant, reason string) {
	l.server.Metrics.LoginRefused(strings.Join(g.Methods, "+"), reason)
	e := l.entry(audit.LoginRefused, audit.Refused, reason)
	e.User, e.Account = g.Username, g.Account
	noteGrant(&e, g)
	noteCertificate(&e, g.Certificate())
	l.server.Audit.Write(e)
}

func (l *login) write(event audit.Event, reason, method, detail string) {
	e := l.entry(event, audit.Refused, reason)
	e.Detail = detail
	e.KeysOffered = l.keys
	noteCertificate(&e, l.certificate)
	if g := l.auth.Done(); g != nil {
		noteGrant(&e, g)
		noteCertificate(&e, g.Certificate())
	}
	if method != "" {
		e.Methods = append(slices.Clip(e.Methods), method)
	}
	if l.peer != nil {
		e.User = l.peer.User()
		if s := l.server.Current(); s != nil {
			if u, ok := s.Lookup(e.User); ok {
				e.Account = u.Account
			}
		}
	}
	if reason == string(auth.LoginPenalised) {
		l.log(e) // attempts that cannot succeed may go on for long
		return
	}
	l.server.Audit.Write(e)
}
