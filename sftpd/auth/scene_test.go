package auth

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// anyHash is quick to verify; the scene's passwords are accepted whatever the hash is.
const anyHash = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"

var (
	homeOf    = netip.MustParseAddr("192.0.2.1")
	elsewhere = []string{"198.51.100.0/24"}
	nearby    = []string{"192.0.2.0/24"}
)

// scene is a listener with one user, ada, who logs in with a key, a certificate, or the password "secret". Each test changes
// one thing.
type scene struct {
	*testing.T
	dir           *configtest.Dir
	key, more, ca ssh.Signer
	certificate   *ssh.Certificate
	phone         totp.Key
	policy        cryptopolicy.Policy
	source        netip.Addr
	username      string
	offered       ssh.PublicKey
	given         string
	barred        bool
	now           time.Time

	refusals []Refusal
	current  *snapshot.Snapshot
}

// play runs a test with a clock that does not advance.
func play(t *testing.T, do func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, dir: configtest.New(t), source: homeOf, username: "ada", given: "secret", phone: totp.Generate(), now: time.Now()}
		s.key, _ = configtest.Key(t)
		s.more, _ = configtest.Key(t)
		s.ca, _ = configtest.Key(t)
		s.offered = s.key.PublicKey()
		var err error
		if s.policy, err = cryptopolicy.Lookup(cryptopolicy.Modern2026); err != nil {
			t.Fatal(err)
		}
		s.certificate = configtest.Certificate(t, s.ca, ssh.UserCert, s.more.PublicKey(), "ada", "nobody")
		s.dir.Listener.Authentication.TrustedUserCAs = []string{configtest.Line(s.ca.PublicKey())}
		u := s.dir.AddUser("ada", "", s.key.PublicKey())
		u.Password, u.Certificates = &config.Password{Hash: anyHash}, true
		u.TOTP = &config.TOTP{Secret: s.phone.Secret(), Digits: s.phone.Digits(), Algorithm: s.phone.Algorithm()}
		u.Methods = []string{"PublicKey", "Password"}
		do(s)
	})
}

func (s *scene) user() *config.User { return s.dir.User(s, "ada") }

// refuse makes the user known but unable to log in.
func (s *scene) refuse(reason string) {
	u := *s.user()
	s.dir.Remove("ada")
	s.dir.Listener.RefusedUsers = []config.RefusedUser{{Username: u.Username, UID: u.UID, Reason: reason, Keys: []string{ssh.FingerprintSHA256(s.key.PublicKey())}}}
}

func (s *scene) at(d time.Duration) *time.Time {
	t := s.now.Add(d)
	return &t
}

// login begins a login with the current configuration.
func (s *scene) login() *Login {
	s.Helper()
	s.current = load(s.T, s.dir)
	a := New(func() *snapshot.Snapshot { return s.current })
	a.verifier.match = func(_ password.Hash, given []byte) bool { return string(given) == "secret" }
	l := a.NewLogin(s.Context(), s.source, anyone, func(string) bool { return s.barred }, func(r Refusal) { s.refusals = append(s.refusals, r) })
	l.Install(&ssh.ServerConfig{}, s.current, s.policy)
	return l
}

// changed is a way to make a login fail.
type changed struct {
	name   string
	change func(s *scene)
	reason event.Reason
}

// resign has the CA sign a changed certificate.
func (s *scene) resign(change func(c *ssh.Certificate)) {
	change(s.certificate)
	configtest.Certify(s, s.ca, s.certificate)
}
