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
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// errRefused is all that x/crypto learns of a refusal: the reason goes to Login.report.
var errRefused = errors.New("refused")

// Authenticator decides on logins. It is safe for concurrent use.
type Authenticator struct {
	current  func() *snapshot.Snapshot
	verifier *verifier
	codes    *codes
}

// New returns an Authenticator that asks current for the configuration at each decision.
func New(current func() *snapshot.Snapshot) *Authenticator {
	return &Authenticator{current: current, verifier: newVerifier(), codes: newCodes(time.Now())}
}

// Refusal is a credential that did not log in.
type Refusal struct {
	// Username is what the client called itself: anything up to a packet's size.
	Username string
	// Method is the SSH name of the method, and factor.TOTP for a code.
	Method string
	// Fingerprint of the key that was offered, "" with other methods.
	Fingerprint string
	// Certificate that the client says it has, nil for none.
	Certificate *Certificate
	Reason      event.Reason
	// Detail for people, "" for none.
	Detail string
}

// Login is the authentication of one connection.
type Login struct {
	auth   *Authenticator
	ctx    context.Context
	source netip.Addr
	barred func(username string) bool
	report func(Refusal)
	policy cryptopolicy.Policy
	done   *Grant
	// unproven are the keys that were accepted and whose signature has not come.
	unproven []Refusal
}

// Done is what succeeded of a login that needs more, nil for none. It belongs to the
// goroutine that does the handshake.
func (l *Login) Done() *Grant { return l.done }

// NewLogin starts the authentication of a connection from source. Passwords are not
// waited for beyond the end of ctx. Who is barred, by login name, is refused like everybody
// else, whatever the credential. Each refusal is given to report. Both are called by the
// goroutine that does the handshake.
func (a *Authenticator) NewLogin(ctx context.Context, source netip.Addr, barred func(username string) bool, report func(Refusal)) *Login {
	return &Login{auth: a, ctx: ctx, source: source.Unmap(), barred: barred, report: report}
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

// attempted hears of every attempt, and reports the keys that x/crypto refuses before it
// asks: those with a signature algorithm that the policy does not have. It does not tell
// which key that was.
func (l *Login) attempted(conn ssh.ConnMetadata, method string, err error) {
	partial := (*ssh.PartialSuccessError)(nil)
	if method == PublicKey && err != nil && !errors.Is(err, errRefused) && !errors.As(err, &partial) &&
		l.auth.current().Offers(config.MethodPublicKey) {
		l.refuse(conn, PublicKey, event.AlgorithmRefused, "")
	}
}

// publicKeyOffered answers whether a key would do. The client has not proven that it
// has it.
func (l *Login) publicKeyOffered(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
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
	g := l.granted(u).with(factor.PublicKey, PublicKey)
	g.Keys = append(g.Keys, proven)
	return l.proceed(u, g)
}

func (l *Login) checkKey(username string, offered ssh.PublicKey) (*snapshot.User, event.Reason) {
	s := l.auth.current()
	if !s.Offers(config.MethodPublicKey) {
		return nil, event.MethodNotOffered
	}
	now := time.Now()
	key, certificate := split(offered)
	wire, fingerprint := key.Marshal(), ssh.FingerprintSHA256(key) // whether or not they will be looked up
	var flaw event.Reason
	if certificate != nil {
		flaw = l.checkCertificate(s, username, certificate, now)
	}
	u, ok := s.Lookup(username)
	switch {
	case l.barred(username):
		return nil, event.LoginPenalised
	case s.KeyRevoked(fingerprint):
		return nil, event.KeyRevoked
	case flaw != "":
		return nil, flaw
	case !ok:
		return nil, event.UnknownUser
	}
	k, registered := u.Key(wire)
	switch {
	case certificate != nil && !u.Certificates:
		return nil, event.CertificatesNotAccepted
	case certificate == nil && !registered:
		return nil, event.KeyNotRegistered
	case l.policy.TooShort(key):
		return nil, event.KeyTooShort
	case certificate == nil && !k.Admits(l.source), !u.AllowFrom.Admits(l.source):
		return nil, event.SourceNotAllowed
	case u.Expired(now):
		return nil, event.UserExpired
	case l.done != nil && l.done.proved(wire):
		return nil, event.KeyUsedBefore
	case certificate == nil && keyTime(k, now) != "":
		return nil, keyTime(k, now)
	}
	return u, l.outOfOrder(u, factor.PublicKey)
}

// refuseKey reports a refused key, and returns what x/crypto is told.
func (l *Login) refuseKey(conn ssh.ConnMetadata, offered ssh.PublicKey, reason event.Reason) error {
	l.report(describeKey(conn, offered, reason))
	return errRefused
}

func describeKey(conn ssh.ConnMetadata, offered ssh.PublicKey, reason event.Reason) Refusal {
	key, certificate := split(offered)
	r := Refusal{Username: conn.User(), Method: PublicKey, Fingerprint: ssh.FingerprintSHA256(key), Reason: reason}
	if certificate != nil {
		r.Certificate = describe(certificate)
	}
	return r
}

func (l *Login) password(conn ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
	return l.decidePassword(conn, Password, given)
}

// keyboardInteractive asks for the password as the one question (RFC 4256 section 3.2). Scripts wait
// for "password:", which is how OpenSSH's client asks where the server has the method password; of
// two methods it prefers this one, and then the server's words are what it prints.
func (l *Login) keyboardInteractive(conn ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	answers, err := ask("", "", []string{"password: "}, []bool{false})
	if err != nil {
		return nil, err
	}
	return l.decidePassword(conn, KeyboardInteractive, []byte(answers[0]))
}

func (l *Login) decidePassword(conn ssh.ConnMetadata, method string, given []byte) (*ssh.Permissions, error) {
	u, reason := l.checkPassword(conn.User(), given)
	if reason != "" {
		l.refuse(conn, method, reason, "")
		return nil, errRefused
	}
	g := l.granted(u).with(factor.Password, method)
	g.passwordText = u.Password.Text
	return l.proceed(u, g)
}

func (l *Login) checkPassword(username string, given []byte) (*snapshot.User, event.Reason) {
	s := l.auth.current()
	u, known := s.Lookup(username)
	// The work comes before all that could tell users apart.
	hash := s.Decoy(username)
	if known && u.Password != nil {
		hash = u.Password.Hash
	}
	matches, err := l.auth.verifier.verify(l.ctx, hash, given)
	switch {
	case err != nil:
		return nil, event.PasswordQueueFull
	case l.barred(username):
		return nil, event.LoginPenalised
	case !s.Offers(config.MethodPassword):
		return nil, event.MethodNotOffered
	case !known:
		return nil, event.UnknownUser
	case !u.AllowFrom.Admits(l.source):
		return nil, event.SourceNotAllowed
	case u.Expired(time.Now()):
		return nil, event.UserExpired
	case u.Password == nil:
		return nil, event.NoPassword
	case l.outOfOrder(u, factor.Password) != "":
		return nil, l.outOfOrder(u, factor.Password)
	case !matches:
		return nil, event.WrongPassword
	}
	return u, ""
}

func (l *Login) refuse(conn ssh.ConnMetadata, method string, reason event.Reason, detail string) {
	l.report(Refusal{Username: conn.User(), Method: method, Reason: reason, Detail: detail})
}
