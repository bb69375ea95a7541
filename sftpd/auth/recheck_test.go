package auth

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// granted logs in with a key, a certificate, a password, or a key and a code.
func (s *scene) granted(how string) *Grant {
	s.Helper()
	if how == "code" {
		s.user().Methods = []string{"PublicKey,TOTP", "Password"}
	}
	l := s.login()
	var p *ssh.Permissions
	var err error
	switch how {
	case "key":
		p, err = l.publicKeyProven(named("ada"), s.key.PublicKey(), nil, "")
	case "certificate":
		p, err = l.publicKeyProven(named("ada"), s.certificate, nil, "")
	case "password":
		p, err = l.password(named("ada"), []byte("secret"))
	case "code":
		if p, _ = l.publicKeyProven(named("ada"), s.key.PublicKey(), nil, ""); GrantOf(p) != nil {
			s.Error("one step of two is enough")
		}
		time.Sleep(time.Hour)
		s.now = time.Now()
		p, err = l.code(named("ada"), func(string, string, []string, []bool) ([]string, error) {
			return []string{s.phone.Code(totp.Step(s.now))}, nil
		})
	}
	if err != nil {
		s.Fatal(err, s.refusals)
	}
	return GrantOf(p)
}

// TestRecheck: removing a credential ends the sessions that depend on it, with the reason, and no others.
func TestRecheck(t *testing.T) {
	all := []string{"key", "certificate", "password", "code"}
	for _, tc := range []struct {
		changed
		ends []string // the sessions that end
	}{
		{changed{"nothing", func(*scene) {}, ""}, nil},
		{changed{"the user is removed", func(s *scene) { s.dir.Remove("ada") }, event.UserRemoved}, all},
		{changed{"the user is suspended", func(s *scene) { s.refuse(config.RefusedSuspended) }, event.UserSuspended}, all},
		{changed{"the user's time is over", func(s *scene) { s.refuse(config.RefusedExpired) }, event.UserExpired}, all},
		{changed{"another user of its name is suspended", func(s *scene) {
			s.refuse(config.RefusedSuspended)
			s.dir.Listener.RefusedUsers[0].UID = "other"
		}, event.UserRemoved}, all},
		{changed{"the user is another one", func(s *scene) { s.user().UID = "other" }, event.UserRemoved}, all},
		{changed{"the user has expired", func(s *scene) { s.user().NotAfter = s.at(0) }, event.UserExpired}, all},
		{changed{"the user will expire", func(s *scene) { s.user().NotAfter = s.at(time.Second) }, ""}, nil},
		{changed{"the listener's networks", func(s *scene) { s.dir.Listener.AllowFrom = elsewhere }, event.SourceNotAllowed}, all},
		{changed{"the user's networks", func(s *scene) { s.user().AllowFrom = elsewhere }, event.SourceNotAllowed}, all},
		{changed{"networks that admit", func(s *scene) { s.user().AllowFrom, s.dir.Listener.AllowFrom = nearby, nearby }, ""}, nil},
		{changed{"the key is revoked", func(s *scene) { s.dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(s.key.PublicKey())} }, event.KeyRevoked}, []string{"key", "code"}},
		{changed{"the certificate's key is revoked", func(s *scene) { s.dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(s.more.PublicKey())} }, event.KeyRevoked}, []string{"certificate"}},
		{changed{"the CA is revoked", func(s *scene) { s.dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(s.ca.PublicKey())} }, event.CertificateRevoked}, []string{"certificate"}},
		{changed{"the certificate is revoked", func(s *scene) {
			s.dir.Listener.Revoked.Certificates = []config.RevokedCertificate{{KeyID: "test"}}
		}, event.CertificateRevoked}, []string{"certificate"}},
		{changed{"another key", func(s *scene) { s.user().Keys[0].PublicKey = configtest.Line(s.more.PublicKey()) }, event.KeyRemoved}, []string{"key", "code"}},
		{changed{"the key's networks", func(s *scene) { s.user().Keys[0].From = elsewhere }, event.SourceNotAllowed}, []string{"key", "code"}},
		{changed{"the key has expired", func(s *scene) { s.user().Keys[0].NotAfter = s.at(0) }, event.KeyExpired}, []string{"key", "code"}},
		{changed{"the key begins later", func(s *scene) { s.user().Keys[0].NotBefore = s.at(time.Second) }, event.KeyNotYetValid}, []string{"key", "code"}},
		{changed{"the CA is not trusted", func(s *scene) {
			s.dir.Listener.Authentication.TrustedUserCAs = []string{configtest.Line(s.key.PublicKey())}
		}, event.CANotTrusted}, []string{"certificate"}},
		{changed{"no certificates", func(s *scene) { s.user().Certificates = false }, event.CertificatesNotAccepted}, []string{"certificate"}},
		{changed{"no keys on this listener", func(s *scene) { s.dir.Listener.Authentication.Methods = []string{config.MethodPassword} }, event.MethodNotOffered}, []string{"key", "certificate", "code"}},
		{changed{"no passwords on this listener", func(s *scene) { s.dir.Listener.Authentication.Methods = []string{config.MethodPublicKey} }, event.MethodNotOffered}, []string{"password"}},
		{changed{"another password", func(s *scene) { s.user().Password.Hash = strings.Replace(anyHash, "$05$", "$06$", 1) }, event.PasswordChanged}, []string{"password"}},
		{changed{"another phone", func(s *scene) { s.user().TOTP.Secret = totp.Generate().Secret() }, event.TOTPChanged}, []string{"code"}},
		{changed{"a second factor", func(s *scene) {
			s.user().Methods = []string{"PublicKey,TOTP", "Password,TOTP"}
		}, event.SecondFactorRequired}, []string{"key", "certificate", "password"}},
		{changed{"other mounts", func(s *scene) { s.user().Mounts[0].Access = config.ReadOnly }, event.MountsChanged}, all},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, how := range all {
				play(t, func(s *scene) {
					g := s.granted(how)
					tc.change(s)
					s.current = load(t, s.dir)
					want := tc.reason
					if !slices.Contains(tc.ends, how) {
						want = ""
					}
					u, reason := Recheck(s.current, g, s.now)
					if reason != want || (u != nil) != (want == "") {
						t.Errorf("%s: %q, want %q", how, reason, want)
					}
				})
			}
		})
	}
}

// TestPasswordIsGone: removing a password ends the sessions that logged in with it.
func TestPasswordIsGone(t *testing.T) {
	play(t, func(s *scene) {
		g := s.granted("password")
		s.user().Password, s.user().Methods = nil, []string{"PublicKey"}
		if _, reason := Recheck(load(t, s.dir), g, s.now); reason != event.PasswordChanged {
			t.Errorf("%q", reason)
		}
	})
}

// TestRevokedAndRemoved: the audit log records that a key was revoked even if its user was removed as well.
func TestRevokedAndRemoved(t *testing.T) {
	play(t, func(s *scene) {
		g := s.granted("key")
		s.dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(s.key.PublicKey())}
		s.dir.Remove("ada")
		if _, reason := Recheck(load(t, s.dir), g, s.now); reason != event.KeyRevoked {
			t.Errorf("%q", reason)
		}
	})
}

// TestCertificateEnds: a session ends with its certificate.
func TestCertificateEnds(t *testing.T) {
	play(t, func(s *scene) {
		g := s.granted("certificate")
		end := g.Certificate().NotAfter
		for at, want := range map[time.Time]event.Reason{end.Add(-time.Nanosecond): "", end: event.CertificateExpired} {
			if _, reason := Recheck(s.current, g, at); reason != want {
				t.Errorf("%s: %q, want %q", at, reason, want)
			}
		}
		s.resign(func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity })
		if _, reason := Recheck(s.current, s.granted("certificate"), end.AddDate(500, 0, 0)); reason != "" {
			t.Errorf("forever: %q", reason)
		}
	})
}

// TestEnd: a session ends at the earliest expiry of its credentials.
func TestEnd(t *testing.T) {
	for _, tc := range []struct {
		how       string
		user, key time.Duration // 0 for none
		end       time.Duration
		reason    event.Reason
	}{
		{"key", 0, 0, 0, ""},
		{"key", 5 * time.Minute, 0, 5 * time.Minute, event.UserExpired},
		{"key", 0, 5 * time.Minute, 5 * time.Minute, event.KeyExpired},
		{"key", 5 * time.Minute, 6 * time.Minute, 5 * time.Minute, event.UserExpired},
		{"key", 6 * time.Minute, 5 * time.Minute, 5 * time.Minute, event.KeyExpired},
		{"password", 0, 5 * time.Minute, 0, ""},
		{"certificate", 0, 5 * time.Minute, time.Hour, event.CertificateExpired},
		{"certificate", 5 * time.Minute, 0, 5 * time.Minute, event.UserExpired},
		{"certificate", 5 * time.Hour, 0, time.Hour, event.CertificateExpired},
	} {
		play(t, func(s *scene) {
			if tc.user != 0 {
				s.user().NotAfter = s.at(tc.user)
			}
			if tc.key != 0 {
				s.user().Keys[0].NotAfter = s.at(tc.key)
			}
			g := s.granted(tc.how)
			u, _ := s.current.Lookup("ada")
			end, reason := End(u, g)
			if reason != tc.reason || reason != "" && !end.Equal(s.now.Add(tc.end)) {
				t.Errorf("%+v: %s, %q", tc, end.Sub(s.now), reason)
			}
		})
	}
}

// TestEndWithoutTheKey: a removed key has no expiry; Recheck is what ends its session.
func TestEndWithoutTheKey(t *testing.T) {
	play(t, func(s *scene) {
		g := s.granted("key")
		s.user().Keys[0].PublicKey = configtest.Line(s.more.PublicKey())
		u, _ := load(t, s.dir).Lookup("ada")
		if end, reason := End(u, g); reason != "" {
			t.Errorf("%s, %q", end, reason)
		}
	})
}

// TestTwoKeys: a login with two keys needs two different ones, and the grant names both.
func TestTwoKeys(t *testing.T) {
	play(t, func(s *scene) {
		s.user().Keys = append(s.user().Keys, config.Key{PublicKey: configtest.Line(s.more.PublicKey())})
		s.user().Methods = []string{"PublicKey,PublicKey"}
		l := s.login()
		partial := (*ssh.PartialSuccessError)(nil)
		if _, err := l.publicKeyProven(named("ada"), s.key.PublicKey(), nil, ""); !errors.As(err, &partial) || partial.Next.PublicKeyCallback == nil || partial.Next.PasswordCallback != nil {
			t.Fatal(err)
		}
		if _, err := partial.Next.PublicKeyCallback(named("ada"), s.key.PublicKey()); !errors.Is(err, errRefused) || s.refusals[0].Reason != event.KeyUsedBefore {
			t.Errorf("%v, %+v", err, s.refusals)
		}
		p, err := l.publicKeyProven(named("ada"), s.more.PublicKey(), nil, "")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{ssh.FingerprintSHA256(s.key.PublicKey()), ssh.FingerprintSHA256(s.more.PublicKey())}
		if g := GrantOf(p); !slices.Equal(g.Fingerprints(), want) || !slices.Equal(g.Steps, factor.Combination{factor.PublicKey, factor.PublicKey}) || len(l.Done().Keys) != 1 {
			t.Errorf("%+v", g)
		}
	})
}

// TestNextSteps: after a key, the remaining methods of the user are offered: a password through both SSH methods, unless a code
// is required.
func TestNextSteps(t *testing.T) {
	for _, tc := range []struct {
		methods                    []string
		password, interactive, key bool
	}{
		{[]string{"PublicKey,Password"}, true, true, false},
		{[]string{"PublicKey,TOTP"}, false, true, false},
		{[]string{"PublicKey,Password", "PublicKey,TOTP"}, true, true, false},
		{[]string{"PublicKey,TOTP", "PublicKey,Password"}, true, true, false},
	} {
		play(t, func(s *scene) {
			s.user().Methods = tc.methods
			l := s.login()
			partial := (*ssh.PartialSuccessError)(nil)
			if _, err := l.publicKeyProven(named("ada"), s.key.PublicKey(), nil, ""); !errors.As(err, &partial) {
				t.Fatal(err)
			}
			next := partial.Next
			if (next.PasswordCallback != nil) != tc.password || (next.KeyboardInteractiveCallback != nil) != tc.interactive || (next.PublicKeyCallback != nil) != tc.key {
				t.Errorf("%v: %+v", tc.methods, next)
			}
			asked := ""
			_, _ = next.KeyboardInteractiveCallback(named("ada"), func(_, _ string, q []string, _ []bool) ([]string, error) {
				asked = q[0]
				return nil, errNoAnswer
			})
			if code := strings.Contains(fmt.Sprint(tc.methods), "TOTP"); (asked == "Verification code: ") != code {
				t.Errorf("%v: asked %q", tc.methods, asked)
			}
		})
	}
}

// TestInstall: the listener's methods are offered to known and unknown users alike.
func TestInstall(t *testing.T) {
	for _, methods := range [][]string{{config.MethodPublicKey}, {config.MethodPassword}, {config.MethodPublicKey, config.MethodPassword}} {
		play(t, func(s *scene) {
			s.dir.Listener.Authentication.Methods = methods
			l := s.login()
			var c ssh.ServerConfig
			l.Install(&c, s.current, s.policy)
			keys, passwords := slices.Contains(methods, config.MethodPublicKey), slices.Contains(methods, config.MethodPassword)
			if (c.PublicKeyCallback != nil) != keys || (c.VerifiedPublicKeyCallback != nil) != keys ||
				(c.PasswordCallback != nil) != passwords || (c.KeyboardInteractiveCallback != nil) != passwords {
				t.Errorf("%v: %+v", methods, c)
			}
			if !slices.Equal(c.PublicKeyAuthAlgorithms, s.policy.PublicKeys) {
				t.Errorf("algorithms %v", c.PublicKeyAuthAlgorithms)
			}
			// A key that x/crypto has refused because of its algorithm.
			c.AuthLogCallback(named("ada"), sshPublicKey, errNoAnswer)
			if (len(s.refusals) == 1) != keys || keys && (s.refusals[0].Reason != event.AlgorithmRefused || s.refusals[0].Step != factor.PublicKey || s.refusals[0].Username != "ada") {
				t.Errorf("%v: %+v", methods, s.refusals)
			}
			s.refusals = nil
			for _, err := range []error{nil, errRefused, &ssh.PartialSuccessError{}} {
				c.AuthLogCallback(named("ada"), sshPublicKey, err)
			}
			c.AuthLogCallback(named("ada"), "password", errNoAnswer)
			if len(s.refusals) != 0 {
				t.Errorf("reported twice: %+v", s.refusals)
			}
		})
	}
}

// TestForged: a signature that does not match is reported once for each key that it may belong to; other connection failures
// are not reported.
func TestForged(t *testing.T) {
	for _, tc := range []struct {
		err    error
		forged bool
	}{
		{rsa.ErrVerification, true},
		{fmt.Errorf("x: %w", rsa.ErrVerification), true},
		{errors.New("ssh: signature did not verify"), true},
		{errors.New("connection reset"), false},
		{nil, false},
	} {
		play(t, func(s *scene) {
			l := s.login()
			for range 2 {
				if _, err := l.publicKeyOffered(named("ada"), s.key.PublicKey()); err != nil {
					t.Fatal(err)
				}
			}
			l.Failed(tc.err)
			n := len(s.refusals)
			l.Failed(tc.err)
			if tc.forged && (n != 2 || s.refusals[0].Reason != event.BadSignature || s.refusals[0].Fingerprint != ssh.FingerprintSHA256(s.key.PublicKey())) || !tc.forged && n != 0 || len(s.refusals) != n {
				t.Errorf("%v: %+v", tc.err, s.refusals)
			}
			s.refusals = nil
			if _, err := l.publicKeyProven(named("ada"), s.key.PublicKey(), nil, ""); err != nil {
				t.Fatal(err)
			}
			if l.Failed(rsa.ErrVerification); len(s.refusals) != 0 {
				t.Errorf("after a good signature: %+v", s.refusals)
			}
		})
	}
}
