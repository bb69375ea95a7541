package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestKeyDecisions: a registered key logs in from its networks and within its validity period; each refusal names the reason
// and the key.
func TestKeyDecisions(t *testing.T) {
	for _, tc := range []changed{
		{"the user's key", func(*scene) {}, ""},
		{"from an IPv4 address in IPv6", func(s *scene) {
			s.source = netip.MustParseAddr("::ffff:192.0.2.1")
			s.user().Keys[0].From, s.user().AllowFrom = nearby, nearby
		}, ""},
		{"method not offered", func(s *scene) { s.dir.Listener.Authentication.Methods = []string{config.MethodPassword} }, event.MethodNotOffered},
		{"barred", func(s *scene) { s.barred = true }, event.LoginPenalized},
		{"revoked", func(s *scene) {
			s.dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(s.key.PublicKey())}
		}, event.KeyRevoked},
		{"unknown user", func(s *scene) { s.username = "nobody" }, event.UnknownUser},
		{"suspended user", func(s *scene) { s.refuse(config.RefusedSuspended) }, event.UserSuspended},
		{"former user", func(s *scene) { s.refuse(config.RefusedExpired) }, event.UserExpired},
		{"another key", func(s *scene) { s.offered = s.more.PublicKey() }, event.KeyNotRegistered},
		{"key from elsewhere", func(s *scene) { s.user().Keys[0].From = elsewhere }, event.SourceNotAllowed},
		{"user from elsewhere", func(s *scene) { s.user().AllowFrom = elsewhere }, event.SourceNotAllowed},
		{"user until now", func(s *scene) { s.user().NotAfter = s.at(0) }, event.UserExpired},
		{"user until soon", func(s *scene) { s.user().NotAfter = s.at(time.Second) }, ""},
		{"key from now on", func(s *scene) { s.user().Keys[0].NotBefore = s.at(0) }, ""},
		{"key from soon on", func(s *scene) { s.user().Keys[0].NotBefore = s.at(time.Second) }, event.KeyNotYetValid},
		{"key until now", func(s *scene) { s.user().Keys[0].NotAfter = s.at(0) }, event.KeyExpired},
		{"key until soon", func(s *scene) { s.user().Keys[0].NotAfter = s.at(time.Second) }, ""},
		{"password first", func(s *scene) { s.user().Methods = []string{"Password,PublicKey"} }, event.PasswordRequiredFirst},
		{"too short", func(s *scene) {
			short, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				s.Fatal(err)
			}
			s.offered = configtest.Signer(s, short).PublicKey()
			s.user().Keys[0].PublicKey = configtest.Line(s.offered)
			s.policy.MinRSABits = 3072
		}, event.KeyTooShort},
	} {
		t.Run(tc.name, func(t *testing.T) { play(t, func(s *scene) { tc.change(s); testKey(s, tc.reason, nil) }) })
	}
}

// testKey offers a key, and proves possession if the offer is accepted.
func testKey(s *scene, reason event.Reason, certificate *Certificate) {
	s.Helper()
	l := s.login()
	if _, err := l.publicKeyOffered(named(s.username), s.offered); (err == nil) != (reason == "") || err != nil && !errors.Is(err, errRefused) {
		s.Errorf("offered: %v, want %q", err, reason)
	}
	p, err := l.publicKeyProven(named(s.username), s.offered, nil, "algorithm")
	if reason != "" {
		if err == nil || GrantOf(p) != nil {
			s.Error("proven: granted")
		}
		if len(s.refusals) != 2 || s.refusals[0].Reason != reason || s.refusals[1].Reason != reason {
			s.Fatalf("%+v, want %q", s.refusals, reason)
		}
		bare, _ := split(s.offered)
		r := s.refusals[0]
		if r.Username != s.username || r.Step != factor.PublicKey || r.Fingerprint != ssh.FingerprintSHA256(bare) || (r.Certificate != nil) != (certificate != nil) {
			s.Errorf("%+v", r)
		}
		return
	}
	g := GrantOf(p)
	if err != nil || g == nil || len(s.refusals) != 0 {
		s.Fatalf("%v, %v", err, s.refusals)
	}
	bare, _ := split(s.offered)
	if g.Username != "ada" || g.UID != "uid-ada" || g.Account != "team/ada" || g.Namespace != "team" || !slices.Equal(g.Steps, factor.Combination{factor.PublicKey}) ||
		!slices.Equal(g.Fingerprints(), []string{ssh.FingerprintSHA256(bare)}) || g.Keys[0].SignatureAlgorithm != "algorithm" ||
		g.Source != s.source.Unmap() || len(g.Mounts) != 1 {
		s.Errorf("%+v", g)
	}
	if got := g.Certificate(); (got == nil) != (certificate == nil) || got != nil && *got != *certificate {
		s.Errorf("%+v, want %+v", got, certificate)
	}
	if _, reason := Recheck(s.current, g, s.now); reason != "" {
		s.Errorf("what was granted does not hold: %q", reason)
	}
}

// TestCertificateDecisions: a certificate logs in the principals that it names if its CA is trusted, within its validity period
// and source addresses, and only if every critical option is understood.
func TestCertificateDecisions(t *testing.T) {
	for _, tc := range []changed{
		{"good", func(*scene) {}, ""},
		{"certificates not accepted", func(s *scene) { s.user().Certificates = false }, event.CertificatesNotAccepted},
		{"unknown user", func(s *scene) { s.username = "nobody" }, event.UnknownUser},
		{"suspended user", func(s *scene) { s.refuse(config.RefusedSuspended) }, event.UserSuspended},
		{"CA not trusted", func(s *scene) {
			s.dir.Listener.Authentication.TrustedUserCAs = []string{configtest.Line(s.key.PublicKey())}
		}, event.CANotTrusted},
		{"host certificate", func(s *scene) { s.resign(func(c *ssh.Certificate) { c.CertType = ssh.HostCert }) }, event.NotAUserCertificate},
		{"serial revoked", func(s *scene) {
			s.resign(func(c *ssh.Certificate) { c.Serial = 7 })
			s.dir.Listener.Revoked.Certificates = []config.RevokedCertificate{{Serial: 7}}
		}, event.CertificateRevoked},
		{"another serial revoked", func(s *scene) {
			s.resign(func(c *ssh.Certificate) { c.Serial = 7 })
			s.dir.Listener.Revoked.Certificates = []config.RevokedCertificate{{Serial: 8}}
		}, ""},
		{"CA revoked", func(s *scene) { s.dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(s.ca.PublicKey())} }, event.CertificateRevoked},
		{"key revoked", func(s *scene) { s.dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(s.more.PublicKey())} }, event.KeyRevoked},
		{"CA's kind of key not allowed", func(s *scene) {
			s.policy.PublicKeys = []string{ssh.KeyAlgoRSASHA512}
		}, event.CANotAllowed},
		{"CA's signature not allowed", rsaCA(ssh.KeyAlgoRSA), event.CANotAllowed},
		{"CA's signature allowed", rsaCA(ssh.KeyAlgoRSASHA512), ""},
		{"unknown option", option("verify-required", ""), event.CertificateOption},
		{"another command", option("force-command", "rsync"), event.CertificateOption},
		{"our command", option("force-command", "internal-sftp"), ""},
		{"our command elsewhere", option("other", "internal-sftp"), event.CertificateOption},
		{"from here", option("source-address", "203.0.113.1,192.0.2.0/24"), ""},
		{"from elsewhere", option("source-address", "198.51.100.0/24"), event.SourceNotAllowed},
		{"from nowhere that can be read", option("source-address", "x"), event.SourceNotAllowed},
		{"another principal", func(s *scene) { s.resign(func(c *ssh.Certificate) { c.ValidPrincipals = []string{"grace"} }) }, event.CertificatePrincipal},
		{"no principal", func(s *scene) { s.resign(func(c *ssh.Certificate) { c.ValidPrincipals = nil }) }, event.CertificatePrincipal},
		{"from now on", func(s *scene) { s.resign(func(c *ssh.Certificate) { c.ValidAfter = uint64(s.now.Unix()) }) }, ""},
		{"from soon on", func(s *scene) { s.resign(func(c *ssh.Certificate) { c.ValidAfter = uint64(s.now.Unix()) + 1 }) }, event.CertificateNotYetValid},
		{"until now", func(s *scene) { s.resign(func(c *ssh.Certificate) { c.ValidBefore = uint64(s.now.Unix()) }) }, event.CertificateExpired},
		{"until soon", func(s *scene) { s.resign(func(c *ssh.Certificate) { c.ValidBefore = uint64(s.now.Unix()) + 1 }) }, ""},
		{"forever", func(s *scene) { s.resign(func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }) }, ""},
		{"changed", func(s *scene) { s.certificate.KeyId = "other" }, event.CertificateInvalid},
		{"user until now", func(s *scene) { s.user().NotAfter = s.at(0) }, event.UserExpired},
		{"user from elsewhere", func(s *scene) { s.user().AllowFrom = elsewhere }, event.SourceNotAllowed},
		// A certificate is judged on its own, even if its key is also registered with restrictions.
		{"of a key with bounds", func(s *scene) {
			s.user().Keys = append(s.user().Keys, config.Key{PublicKey: configtest.Line(s.more.PublicKey()), From: elsewhere, NotAfter: s.at(0)})
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, func(s *scene) {
				tc.change(s)
				s.offered = s.certificate
				testKey(s, tc.reason, describe(s.certificate))
			})
		})
	}
}

func option(name, value string) func(*scene) {
	return func(s *scene) {
		s.resign(func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{name: value} })
	}
}

// rsaCA replaces the CA's key with an RSA key that signs with the given algorithm.
func rsaCA(algorithm string) func(*scene) {
	return func(s *scene) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			s.Fatal(err)
		}
		all, ok := configtest.Signer(s, key).(ssh.AlgorithmSigner)
		if !ok {
			s.Fatal("no signer of several algorithms")
		}
		if s.ca, err = ssh.NewSignerWithAlgorithms(all, []string{algorithm}); err != nil {
			s.Fatal(err)
		}
		s.dir.Listener.Authentication.TrustedUserCAs = []string{configtest.Line(s.ca.PublicKey())}
		s.resign(func(*ssh.Certificate) {})
	}
}

// TestPasswordDecisions: the user's password logs in, and each refusal names the reason.
func TestPasswordDecisions(t *testing.T) {
	for _, tc := range []changed{
		{"right", func(*scene) {}, ""},
		{"wrong", func(s *scene) { s.given = "wrong" }, event.WrongPassword},
		{"barred", func(s *scene) { s.barred = true }, event.LoginPenalized},
		{"method not offered", func(s *scene) { s.dir.Listener.Authentication.Methods = []string{config.MethodPublicKey} }, event.MethodNotOffered},
		{"unknown user", func(s *scene) { s.username = "nobody" }, event.UnknownUser},
		{"suspended user", func(s *scene) { s.refuse(config.RefusedSuspended) }, event.UserSuspended},
		{"from elsewhere", func(s *scene) { s.user().AllowFrom = elsewhere }, event.SourceNotAllowed},
		{"until now", func(s *scene) { s.user().NotAfter = s.at(0) }, event.UserExpired},
		{"until soon", func(s *scene) { s.user().NotAfter = s.at(time.Second) }, ""},
		{"no password", func(s *scene) { s.user().Password, s.user().Methods = nil, []string{"PublicKey"} }, event.NoPassword},
		{"key first", func(s *scene) { s.user().Methods = []string{"PublicKey,Password"} }, event.KeyRequiredFirst},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, method := range []string{"password", "keyboard-interactive"} {
				play(t, func(s *scene) { tc.change(s); testPassword(s, method, tc.reason) })
			}
		})
	}
}

func testPassword(s *scene, method string, reason event.Reason) {
	s.Helper()
	l := s.login()
	var p *ssh.Permissions
	var err error
	if method == "password" {
		p, err = l.password(named(s.username), []byte(s.given))
	} else {
		p, err = l.keyboardInteractive(named(s.username), func(name, instruction string, questions []string, echos []bool) ([]string, error) {
			if name != "" || instruction != "" || len(questions) != 1 || questions[0] != "password: " || echos[0] {
				s.Errorf("asked %q, %q, %q, %v", name, instruction, questions, echos)
			}
			return []string{s.given}, nil
		})
	}
	if reason != "" {
		if !errors.Is(err, errRefused) || len(s.refusals) != 1 || s.refusals[0].Reason != reason || s.refusals[0].Step != factor.Password || s.refusals[0].Username != s.username {
			s.Errorf("%v, %+v, want %q", err, s.refusals, reason)
		}
		return
	}
	g := GrantOf(p)
	if err != nil || g == nil || !slices.Equal(g.Steps, factor.Combination{factor.Password}) || len(s.refusals) != 0 {
		s.Fatalf("%v, %+v, %+v", err, g, s.refusals)
	}
	if _, reason := Recheck(s.current, g, s.now); reason != "" {
		s.Errorf("what was granted does not hold: %q", reason)
	}
}

// TestConnectionThatIsEnding: on a connection that has no place for a name, each credential is refused before anything is done for
// it: no password is verified, no question asked, and nothing reported.
func TestConnectionThatIsEnding(t *testing.T) {
	play(t, func(s *scene) {
		l := s.login()
		var names []string
		l.named = func(name string) bool { names = append(names, name); return false }
		l.auth.verifier.match = func(password.Hash, []byte) bool {
			t.Error("a password is verified")
			return true
		}
		ask := func(string, string, []string, []bool) ([]string, error) {
			t.Error("a question is asked")
			return []string{s.given}, nil
		}
		for method, try := range map[string]func() (*ssh.Permissions, error){
			"publickey":            func() (*ssh.Permissions, error) { return l.publicKeyOffered(named("ada"), s.offered) },
			"password":             func() (*ssh.Permissions, error) { return l.password(named("ada"), []byte(s.given)) },
			"keyboard-interactive": func() (*ssh.Permissions, error) { return l.keyboardInteractive(named("ada"), ask) },
		} {
			if p, err := try(); p != nil || !errors.Is(err, errRefused) {
				t.Errorf("%s: %v, %v", method, p, err)
			}
		}
		if len(s.refusals) > 0 || len(l.unproven) > 0 || !slices.Equal(names, []string{"ada", "ada", "ada"}) {
			t.Errorf("%+v, %+v, for %q", s.refusals, l.unproven, names)
		}
	})
}

var errNoAnswer = errors.New("no answer")

// TestNoAnswer: a client that does not answer counts as disconnected, not as refused.
func TestNoAnswer(t *testing.T) {
	play(t, func(s *scene) {
		l := s.login()
		silent := func(string, string, []string, []bool) ([]string, error) { return nil, errNoAnswer }
		if _, err := l.keyboardInteractive(named("ada"), silent); !errors.Is(err, errNoAnswer) {
			t.Error(err)
		}
		if _, err := l.code(named("ada"), silent); !errors.Is(err, errNoAnswer) {
			t.Error(err)
		}
		if len(s.refusals) != 0 {
			t.Errorf("%+v", s.refusals)
		}
	})
}

// TestCodeDecisions: a code is the second factor of a user who may still log in; a correct one completes the login.
func TestCodeDecisions(t *testing.T) {
	for _, tc := range []changed{
		{"right", func(*scene) {}, ""},
		{"wrong", func(s *scene) { s.given = "x" }, event.WrongCode},
		{"barred", func(s *scene) { s.barred = true }, event.LoginPenalized},
		{"removed", func(s *scene) { s.dir.Remove("ada") }, event.ChangedDuringLogin},
		{"another user", func(s *scene) { s.user().UID = "other" }, event.ChangedDuringLogin},
		{"from elsewhere", func(s *scene) { s.user().AllowFrom = elsewhere }, event.SourceNotAllowed},
		{"until now", func(s *scene) { s.user().NotAfter = s.at(time.Hour) }, event.UserExpired},
		{"a code is not next anymore", func(s *scene) { s.user().Methods = []string{"PublicKey,Password"} }, event.ChangedDuringLogin},
		{"ten minutes ago", func(s *scene) { s.given = s.phone.Code(totp.Step(s.now.Add(time.Hour)) - 5) }, event.CodeClockSkew},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.user().Methods = []string{"PublicKey,TOTP"}
				l := s.login()
				time.Sleep(time.Hour)
				s.given = s.phone.Code(totp.Step(time.Now()))
				partial := (*ssh.PartialSuccessError)(nil)
				if _, err := l.publicKeyProven(named("ada"), s.offered, nil, "algorithm"); !errors.As(err, &partial) || partial.Next.KeyboardInteractiveCallback == nil || partial.Next.PasswordCallback != nil || partial.Next.PublicKeyCallback != nil {
					t.Fatalf("%v", err)
				}
				if g := l.Done(); g == nil || !slices.Equal(g.Steps, factor.Combination{factor.PublicKey}) {
					t.Fatalf("done: %+v", g)
				}
				tc.change(s)
				s.current = load(t, s.dir)
				p, err := partial.Next.KeyboardInteractiveCallback(named("ada"), func(_, _ string, questions []string, echos []bool) ([]string, error) {
					if len(questions) != 1 || questions[0] != "Verification code: " || echos[0] {
						t.Errorf("asked %q, %v", questions, echos)
					}
					return []string{s.given}, nil
				})
				if tc.reason != "" {
					if !errors.Is(err, errRefused) || len(s.refusals) != 1 || s.refusals[0].Reason != tc.reason || s.refusals[0].Step != factor.TOTP {
						t.Errorf("%v, %+v", err, s.refusals)
					}
					if (s.refusals[0].Detail != "") != (tc.reason == event.CodeClockSkew) {
						t.Errorf("detail %q", s.refusals[0].Detail)
					}
					return
				}
				if g := GrantOf(p); err != nil || g == nil || !slices.Equal(g.Steps, factor.Combination{factor.PublicKey, factor.TOTP}) {
					t.Fatalf("%v, %+v", err, g)
				}
				if _, reason := Recheck(s.current, GrantOf(p), time.Now()); reason != "" {
					t.Errorf("what was granted does not hold: %q", reason)
				}
			})
		})
	}
}
