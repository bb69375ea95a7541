package auth

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// sshPublicKey is the SSH name of the method of keys (RFC 4252 section 7).
const sshPublicKey = "publickey"

// errRefused is all that x/crypto learns about a refusal: the reason goes to Login.report.
var errRefused = errors.New("refused")

// Authenticator decides on logins. It is safe for concurrent use.
type Authenticator struct {
	current  func() *snapshot.Snapshot
	verifier *verifier
	codes    *codes
}

// New returns an Authenticator that calls current for the configuration at each decision.
func New(current func() *snapshot.Snapshot) *Authenticator {
	return &Authenticator{current: current, verifier: newVerifier(), codes: newCodes(time.Now())}
}

// Refusal is a credential that did not log in.
type Refusal struct {
	// Username is the name that the client gave: anything up to a packet's size.
	Username string
	// Step that the credential was offered for.
	Step factor.Step
	// Fingerprint of the key that was offered, "" with other methods.
	Fingerprint string
	// Certificate that the client says it has, nil for none.
	Certificate *Certificate
	Reason      event.Reason
	// Known is set if the key belongs to a suspended or expired user, so that its owner does not count as a stranger.
	Known bool
	// Detail for people, "" for none.
	Detail string
}

// Login is the authentication of one connection.
type Login struct {
	auth   *Authenticator
	ctx    context.Context
	source netip.Addr
	named  func(username string) bool
	barred func(username string) bool
	report func(Refusal)
	policy cryptopolicy.Policy
	done   *Grant
	// unproven are the keys that were accepted but whose signature has not been received.
	unproven []Refusal
}

// Done contains the steps that succeeded if the login needs more, nil for none. It belongs to the goroutine of the handshake.
func (l *Login) Done() *Grant { return l.done }

// NewLogin starts the authentication of a connection from source. Waiting for password verification ends with ctx. named is
// called with each login name before anything is done for it; if it returns false, the connection is ending, and the credential
// is refused without a report. Penalized login names are refused like any other, whatever the credential. Each refusal is
// passed to report. All of them are called by the goroutine of the handshake.
func (a *Authenticator) NewLogin(
	ctx context.Context, source netip.Addr, named, barred func(username string) bool, report func(Refusal),
) *Login {
	return &Login{auth: a, ctx: ctx, source: source.Unmap(), named: named, barred: barred, report: report}
}

// Install sets the callbacks of the methods that s offers, to known and unknown users
// alike. The policy is the one that the connection was negotiated with.
func (l *Login) Install(c *ssh.ServerConfig, s *snapshot.Snapshot, policy cryptopolicy.Policy) {
	l.policy = policy
	c.PublicKeyAuthAlgorithms = slices.Clone(policy.PublicKeys)
	c.AuthLogCallback = l.attempted
	if s.Offers(config.MethodPublicKey) {
		c.PublicKeyCallback = l.publicKeyOffered
		c.VerifiedPublicKeyCallback = l.publicKeyProven
	}
	if s.Offers(config.MethodPassword) {
		c.PasswordCallback = l.password
		c.KeyboardInteractiveCallback = l.keyboardInteractive
	}
}

// attempted is called for every attempt, and reports the keys that x/crypto refuses before it asks: those with a signature
// algorithm that the policy does not allow. x/crypto does not say which key that was.
func (l *Login) attempted(conn ssh.ConnMetadata, method string, err error) {
	partial := (*ssh.PartialSuccessError)(nil)
	if method == sshPublicKey && err != nil && !errors.Is(err, errRefused) && !errors.As(err, &partial) &&
		l.auth.current().Offers(config.MethodPublicKey) {
		l.refuse(conn, factor.PublicKey, event.AlgorithmRefused, "")
	}
}

// publicKeyOffered reports whether a key would be accepted. The client has not proven that it owns the key.
func (l *Login) publicKeyOffered(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if !l.named(conn.User()) {
		return nil, errRefused
	}
	if _, reason := l.checkKey(conn.User(), key); reason != "" {
		return nil, l.refuseKey(conn, key, reason)
	}
	l.unproven = append(l.unproven, describeKey(conn, key, event.BadSignature))
	return nil, nil
}

func (l *Login) publicKeyProven(conn ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, algorithm string) (*ssh.Permissions, error) {
	l.unproven = nil
	u, reason := l.checkKey(conn.User(), key)
	if reason != "" {
		return nil, l.refuseKey(conn, key, reason)
	}
	bare, certificate := split(key)
	proven := ProvenKey{Fingerprint: ssh.FingerprintSHA256(bare), SignatureAlgorithm: algorithm, wire: string(bare.Marshal())}
	if certificate != nil {
		proven.Certificate = describe(certificate)
	}
	g := l.granted(u).with(factor.PublicKey)
	g.Keys = append(g.Keys, proven)
	return l.proceed(u, g)
}

func (l *Login) checkKey(username string, offered ssh.PublicKey) (*snapshot.User, event.Reason) {
	s := l.auth.current()
	now := time.Now()
	key, certificate := split(offered)
	wire, fingerprint := key.Marshal(), ssh.FingerprintSHA256(key) // whether or not they will be looked up
	j := judge.Key{
		MethodNotOffered: judge.If(!s.Offers(config.MethodPublicKey)),
		LoginPenalized:   judge.If(l.barred(username)), KeyRevoked: judge.If(s.KeyRevoked(fingerprint)),
	}
	if certificate != nil {
		j.Certificate = l.checkCertificate(s, username, certificate, now)
	}
	u, ok := s.Lookup(username)
	if !ok {
		j.UnknownUser = judge.Yes
		return nil, unknown(s, username, j.Decide().Reason)
	}
	j.UserExpired, j.SourceNotAllowed = judge.If(u.Expired(now)), judge.If(!u.AllowFrom.Admits(l.source))
	j.KeyTooShort = judge.If(l.policy.TooShort(key))
	j.KeyUsedBefore = judge.If(l.done != nil && l.done.proved(wire))
	j.Order = l.outOfOrder(u, factor.PublicKey)
	switch k, registered := u.Key(wire); {
	case certificate != nil:
		j.CertificatesNotAccepted = judge.If(!u.Certificates)
	case !registered:
		j.KeyNotRegistered = judge.Yes
	default:
		j.SourceNotAllowed = judge.If(!u.AllowFrom.Admits(l.source) || !k.Admits(l.source))
		j.KeyExpired, j.KeyNotBegun = judge.If(k.Expired(now)), judge.If(!k.Begun(now))
	}
	return u, j.Decide().Reason
}

// unknown returns the reason against an unknown login name, which is different for a user who is suspended or expired.
func unknown(s *snapshot.Snapshot, username string, reason event.Reason) event.Reason {
	if reason == event.UnknownUser {
		return s.WhyUnknown(username)
	}
	return reason
}

// refuseKey reports a refused key, and returns what x/crypto is told.
func (l *Login) refuseKey(conn ssh.ConnMetadata, offered ssh.PublicKey, reason event.Reason) error {
	r := describeKey(conn, offered, reason)
	r.Known = l.knows(r)
	l.report(r)
	return errRefused
}

// knows reports whether a refused key belongs to the user nevertheless.
func (l *Login) knows(r Refusal) bool {
	if r.Reason != event.UserExpired && r.Reason != event.UserSuspended {
		return false
	}
	s := l.auth.current()
	if _, ok := s.Lookup(r.Username); ok {
		return true // expiry is checked after the key
	}
	return s.KnownKey(r.Username, r.Fingerprint)
}

func describeKey(conn ssh.ConnMetadata, offered ssh.PublicKey, reason event.Reason) Refusal {
	key, certificate := split(offered)
	r := Refusal{Username: conn.User(), Step: factor.PublicKey, Fingerprint: ssh.FingerprintSHA256(key), Reason: reason}
	if certificate != nil {
		r.Certificate = describe(certificate)
	}
	return r
}

func (l *Login) password(conn ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
	if !l.named(conn.User()) {
		return nil, errRefused
	}
	return l.decidePassword(conn, given)
}

// keyboardInteractive asks for the password as its only question (RFC 4256 section 3.2). Scripts wait for "password:", which is
// the prompt of OpenSSH's client for the method password; if the server offers both methods, the client prefers this one and
// prints the server's prompt.
func (l *Login) keyboardInteractive(conn ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	if !l.named(conn.User()) {
		return nil, errRefused
	}
	answers, err := ask("", "", []string{"password: "}, []bool{false})
	if err != nil {
		return nil, err
	}
	return l.decidePassword(conn, []byte(answers[0]))
}

func (l *Login) decidePassword(conn ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
	u, reason := l.checkPassword(conn.User(), given)
	if reason != "" {
		l.refuse(conn, factor.Password, reason, "")
		return nil, errRefused
	}
	g := l.granted(u).with(factor.Password)
	g.passwordText = u.Password.Text
	return l.proceed(u, g)
}

func (l *Login) checkPassword(username string, given []byte) (*snapshot.User, event.Reason) {
	s := l.auth.current()
	u, known := s.Lookup(username)
	// The hash is computed before anything that could distinguish users.
	hash := s.Decoy(username)
	if known && u.Password != nil {
		hash = u.Password.Hash
	}
	matches, err := l.auth.verifier.verify(l.ctx, s.NamespaceOf(username), s.Shared(), hash, given)
	j := judge.Password{
		QueueFull: judge.If(err != nil), LoginPenalized: judge.If(l.barred(username)),
		MethodNotOffered: judge.If(!s.Offers(config.MethodPassword)), UnknownUser: judge.If(!known), Wrong: judge.If(!matches),
	}
	if known {
		j.SourceNotAllowed, j.UserExpired = judge.If(!u.AllowFrom.Admits(l.source)), judge.If(u.Expired(time.Now()))
		j.NoPassword, j.Order = judge.If(u.Password == nil), l.outOfOrder(u, factor.Password)
	}
	if reason := j.Decide().Reason; reason != "" {
		return nil, unknown(s, username, reason)
	}
	return u, ""
}

func (l *Login) refuse(conn ssh.ConnMetadata, step factor.Step, reason event.Reason, detail string) {
	l.report(Refusal{Username: conn.User(), Step: step, Reason: reason, Detail: detail})
}
