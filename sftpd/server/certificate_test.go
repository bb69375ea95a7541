package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// certify returns a signer with a user certificate for ada, issued by a CA for a key. It is valid for an hour and has serial
// number 7 and key ID "ada@corp", unless edit changes it.
func certify(t *testing.T, ca, key ssh.Signer, edit func(*ssh.Certificate)) ssh.Signer {
	t.Helper()
	now := time.Now()
	c := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.UserCert, KeyId: "ada@corp", Serial: 7, ValidPrincipals: []string{"ada"},
		ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix()),
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{}, Extensions: map[string]string{"permit-pty": ""}},
	}
	if edit != nil {
		edit(c)
	}
	configtest.Certify(t, ca, c)
	s, err := ssh.NewCertSigner(c, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trusting returns a configuration with a CA, and a user ada who may log in with its certificates.
func trusting(t *testing.T, cas ...ssh.Signer) *configtest.Dir {
	t.Helper()
	dir := configtest.New(t)
	for _, ca := range cas {
		dir.Listener.Authentication.TrustedUserCAs = append(dir.Listener.Authentication.TrustedUserCAs, configtest.Line(ca.PublicKey()))
	}
	dir.AddUser("ada", "").Certificates = true
	return dir
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ca, _ := configtest.Key(t)
	stranger, _ := configtest.Key(t)
	key, _ := configtest.Key(t)
	lost, _ := configtest.Key(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	withRSA := configtest.Signer(t, private)
	sha1, err := ssh.NewSignerWithAlgorithms(withRSA.(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	if err != nil {
		t.Fatal(err)
	}
	dir := trusting(t, ca, withRSA)
	dir.AddUser("plain", "", stranger.PublicKey())
	dir.AddUser("both", "secret").Certificates = true
	dir.User(t, "both").Methods = []string{"PublicKey,Password"}
	dir.AddUser("far", "").Certificates = true
	dir.User(t, "far").AllowFrom = []string{"192.0.2.0/24"}
	fingerprint := ssh.FingerprintSHA256(ca.PublicKey())
	dir.Listener.Revoked = config.Revoked{
		Keys:         []string{ssh.FingerprintSHA256(lost.PublicKey())},
		Certificates: []config.RevokedCertificate{{CA: fingerprint, Serial: 66}, {CA: fingerprint, KeyID: "gone"}, {KeyID: "gone everywhere"}, {CA: fingerprint, Serial: 70, LastSerial: 79}},
	}
	d := daemontest.Start(t, dir)

	for _, tc := range []struct {
		name, user string
		ca, key    ssh.Signer
		edit       func(*ssh.Certificate)
		reason     string // "" for a login
	}{
		{"right", "ada", ca, key, nil, ""},
		{"RSA key and CA", "ada", withRSA, withRSA, nil, ""},
		{"without an end", "ada", ca, key, func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }, ""},
		{"until the end of signed time", "ada", ca, key, func(c *ssh.Certificate) { c.ValidBefore = 1<<63 - 1 }, ""},
		{"until after signed time", "ada", ca, key, func(c *ssh.Certificate) { c.ValidBefore = 1 << 63 }, ""},
		{"until after the year 9999", "ada", ca, key, func(c *ssh.Certificate) { c.ValidBefore = 253402300800 }, ""},
		{"several principals", "ada", ca, key, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"bob", "ada"} }, ""},
		{"from here", "ada", ca, key, option("source-address", "192.0.2.1,127.0.0.0/8"), ""},
		{"internal-sftp forced", "ada", ca, key, option("force-command", "internal-sftp"), ""},
		{"serial of another CA", "ada", withRSA, key, func(c *ssh.Certificate) { c.Serial = 66 }, ""},

		{"of another CA", "ada", stranger, key, nil, "ca_not_trusted"},
		{"of its own key", "ada", key, key, nil, "ca_not_trusted"},
		{"of a host", "ada", ca, key, func(c *ssh.Certificate) { c.CertType = ssh.HostCert }, "not_a_user_certificate"},
		{"for someone else", "ada", ca, key, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"bob", "ada2", "ad"} }, "certificate_principal"},
		{"for no one by name", "ada", ca, key, func(c *ssh.Certificate) { c.ValidPrincipals = nil }, "certificate_principal"},
		{"expired", "ada", ca, key, func(c *ssh.Certificate) { c.ValidBefore = uint64(time.Now().Unix()) }, "certificate_expired"},
		{"not yet valid", "ada", ca, key, func(c *ssh.Certificate) { c.ValidAfter = uint64(time.Now().Add(time.Minute).Unix()) }, "certificate_not_yet_valid"},
		{"of no time", "ada", ca, key, func(c *ssh.Certificate) { c.ValidAfter = 1 << 63 }, "certificate_not_yet_valid"},
		{"from elsewhere", "ada", ca, key, option("source-address", "192.0.2.0/24"), "source_not_allowed"},
		{"from a place that cannot be read", "ada", ca, key, option("source-address", "localhost"), "source_not_allowed"},
		{"from nowhere", "ada", ca, key, option("source-address", ""), "source_not_allowed"},
		{"command forced", "ada", ca, key, option("force-command", "/bin/sh"), "certificate_option"},
		{"internal-sftp with arguments", "ada", ca, key, option("force-command", "internal-sftp -R"), "certificate_option"},
		{"unknown critical option", "ada", ca, key, option("no-writes@example.com", ""), "certificate_option"},
		{"verify-required", "ada", ca, key, option("verify-required", ""), "certificate_option"},
		{"revoked serial", "ada", ca, key, func(c *ssh.Certificate) { c.Serial = 66 }, "certificate_revoked"},
		{"serial at the end of a revoked range", "ada", ca, key, func(c *ssh.Certificate) { c.Serial = 79 }, "certificate_revoked"},
		{"serial after a revoked range", "ada", ca, key, func(c *ssh.Certificate) { c.Serial = 80 }, ""},
		{"range of another CA", "ada", withRSA, key, func(c *ssh.Certificate) { c.Serial = 75 }, ""},
		{"revoked key ID", "ada", ca, key, func(c *ssh.Certificate) { c.KeyId = "gone" }, "certificate_revoked"},
		{"key ID revoked of every CA", "ada", withRSA, key, func(c *ssh.Certificate) { c.KeyId = "gone everywhere" }, "certificate_revoked"},
		{"revoked key", "ada", ca, lost, nil, "key_revoked"},
		{"CA signs with SHA-1", "ada", sha1, key, nil, "ca_not_allowed"},
		{"user without certificates", "plain", ca, stranger, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"plain"} }, "certificates_not_accepted"},
		{"user from elsewhere", "far", ca, key, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"far"} }, "source_not_allowed"},
		{"user that does not exist", "nobody", ca, key, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"nobody"} }, "unknown_user"},
		{"password is missing", "both", ca, key, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"both"} }, "next_factor_missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(d.Audit(t, "login_refused"))
			c, err := d.Dial(tc.user, ssh.PublicKeys(certify(t, tc.ca, tc.key, tc.edit)))
			if tc.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				daemontest.StillWorks(t, c)
				c.Close()
				return
			}
			if err == nil {
				c.Close()
				t.Fatal("logged in")
			}
			got := d.WaitAudit(t, "login_refused", before+1)
			if got["reason"] != tc.reason || got["user"] != tc.user || got["certificate_ca"] != ssh.FingerprintSHA256(tc.ca.PublicKey()) {
				t.Errorf("want %s, audit has %v", tc.reason, got)
			}
		})
	}
	mine := func(c *ssh.Certificate) { c.ValidPrincipals = []string{"both"} }
	daemontest.StillWorks(t, d.MustDial(t, "both", ssh.PublicKeys(certify(t, ca, key, mine)), ssh.Password("secret")))
	logins := d.Audit(t, "login")
	want := map[string]any{
		"certificate_ca": fingerprint, "certificate_serial": "7", "certificate_key_id": "ada@corp",
		"key_fingerprint": ssh.FingerprintSHA256(key.PublicKey()), "public_key_algorithm": ssh.KeyAlgoED25519,
	}
	for field, value := range want {
		if logins[0][field] != value {
			t.Errorf("audit of a login: %s is %v, want %v", field, logins[0][field], value)
		}
	}
}

func option(name, value string) func(*ssh.Certificate) {
	return func(c *ssh.Certificate) { c.CriticalOptions[name] = value }
}

// TestForgedCertificate: a certificate that was changed after the CA signed it does not log in.
func TestForgedCertificate(t *testing.T) {
	t.Parallel()
	ca, _ := configtest.Key(t)
	key, _ := configtest.Key(t)
	d := daemontest.Start(t, trusting(t, ca))
	forged := certify(t, ca, key, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"bob"} })
	forged.PublicKey().(*ssh.Certificate).ValidPrincipals = []string{"ada"}
	if c, err := d.Dial("ada", ssh.PublicKeys(forged)); err == nil {
		c.Close()
		t.Fatal("logged in")
	}
	if got := d.WaitAudit(t, "login_refused", 1); got["reason"] != "certificate_invalid" {
		t.Errorf("audit: %v", got)
	}
}

// TestCertificatesUnderAPolicy: the policy applies to the user's key and to the CA's.
func TestCertificatesUnderAPolicy(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := configtest.Key(t)
	nist, rsa2048 := configtest.Signer(t, private), configtest.Signer(t, short)
	dir := trusting(t, ca, nist, rsa2048)
	dir.Listener.CryptoPolicy = cryptopolicy.Strict2026
	d := daemontest.Start(t, dir)
	for _, tc := range []struct {
		ca, key ssh.Signer
		reason  string
	}{
		{nist, ca, "ca_not_allowed"}, {rsa2048, ca, "ca_not_allowed"}, {ca, nist, "algorithm_not_allowed"}, {ca, rsa2048, "key_too_short"},
	} {
		before := len(d.Audit(t, "login_refused"))
		if c, err := d.Dial("ada", ssh.PublicKeys(certify(t, tc.ca, tc.key, nil))); err == nil {
			c.Close()
			t.Errorf("logged in, want %s", tc.reason)
		}
		// The client also offers an RSA key with SHA-1, which is logged separately.
		d.Eventually(t, "audit log has "+tc.reason, func() bool {
			return slices.ContainsFunc(d.Audit(t, "login_refused")[before:], func(e map[string]any) bool { return e["reason"] == tc.reason })
		})
	}
}

// TestSecurityKeyCertificate: a certificate of a security key requires touch, unless the CA waived it.
func TestSecurityKeyCertificate(t *testing.T) {
	t.Parallel()
	ca, _ := configtest.Key(t)
	key := newSecurityKey(t)
	d := daemontest.Start(t, trusting(t, ca))
	if c, err := d.Dial("ada", ssh.PublicKeys(certify(t, ca, key, nil))); err == nil {
		c.Close()
		t.Error("logged in without a touch")
	}
	untouched := certify(t, ca, key, func(c *ssh.Certificate) { c.Extensions["no-touch-required"] = "" })
	daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.PublicKeys(untouched)))
	key.touched = true
	daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.PublicKeys(certify(t, ca, key, nil))))
}

// TestCertificateSessionsEnd: a session ends when its certificate loses its basis.
func TestCertificateSessionsEnd(t *testing.T) {
	ca, _ := configtest.Key(t)
	other, _ := configtest.Key(t)
	key, _ := configtest.Key(t)
	fingerprint := ssh.FingerprintSHA256(ca.PublicKey())
	for _, tc := range []struct {
		name   string
		change func(d *configtest.Dir, u *config.User)
		reason string // "" for a session that continues
	}{
		{"serial revoked", func(d *configtest.Dir, _ *config.User) {
			d.Listener.Revoked.Certificates = []config.RevokedCertificate{{CA: fingerprint, Serial: 7}}
		}, "certificate_revoked"},
		{"key ID revoked", func(d *configtest.Dir, _ *config.User) {
			d.Listener.Revoked.Certificates = []config.RevokedCertificate{{KeyID: "ada@corp"}}
		}, "certificate_revoked"},
		{"CA revoked", func(d *configtest.Dir, _ *config.User) { d.Listener.Revoked.Keys = []string{fingerprint} }, "certificate_revoked"},
		{"key revoked", func(d *configtest.Dir, _ *config.User) {
			d.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(key.PublicKey())}
		}, "key_revoked"},
		{"CA not trusted anymore", func(d *configtest.Dir, _ *config.User) {
			d.Listener.Authentication.TrustedUserCAs = d.Listener.Authentication.TrustedUserCAs[1:]
		}, "ca_not_trusted"},
		{"certificates not accepted anymore", func(_ *configtest.Dir, u *config.User) { u.Certificates = false }, "certificates_not_accepted"},
		{"other certificates revoked", func(d *configtest.Dir, _ *config.User) {
			d.Listener.Revoked.Certificates = []config.RevokedCertificate{
				{CA: fingerprint, Serial: 8}, {CA: ssh.FingerprintSHA256(other.PublicKey()), Serial: 7}, {KeyID: "ada"},
			}
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := trusting(t, ca, other)
			dir.User(t, "ada").Keys = []config.Key{{PublicKey: configtest.Line(other.PublicKey())}}
			d := daemontest.Start(t, dir)
			c := d.MustDial(t, "ada", ssh.PublicKeys(certify(t, ca, key, nil)))
			bystander := d.MustDial(t, "ada", ssh.PublicKeys(other))
			tc.change(dir, dir.User(t, "ada"))
			d.Reload(t, dir)
			if tc.reason == "" {
				daemontest.StillWorks(t, c)
				return
			}
			_ = c.Wait()
			if got := d.WaitAudit(t, "session_revoked", 1); got["reason"] != tc.reason || got["certificate_serial"] != "7" {
				t.Errorf("want %s, audit has %v", tc.reason, got)
			}
			daemontest.StillWorks(t, bystander)
		})
	}
}

// TestCertificateEnds: when the certificate expires, the session ends without a reload.
func TestCertificateEnds(t *testing.T) {
	t.Parallel()
	ca, _ := configtest.Key(t)
	key, _ := configtest.Key(t)
	inTime(t, 3*time.Second, func(soon time.Duration) bool {
		d := daemontest.Start(t, trusting(t, ca))
		end := time.Now().Add(soon).Truncate(time.Second)
		brief := certify(t, ca, key, func(c *ssh.Certificate) { c.ValidBefore = uint64(end.Unix()) })
		c, err := use(d, "ada", ssh.PublicKeys(brief))
		if !time.Now().Before(end) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if time.Now().Before(end) {
			t.Error("closed before the end")
		}
		if got := d.WaitAudit(t, "session_revoked", 1); got["reason"] != "certificate_expired" {
			t.Errorf("audit: %v", got)
		}
		if _, err := d.Dial("ada", ssh.PublicKeys(brief)); err == nil {
			t.Error("logged in with a certificate whose time is over")
		}
		return true
	})
}

// TestCertificateOfARegisteredKey: a certificate is judged on its own. If its key is also registered for the user, the
// restrictions of that key do not apply to the certificate, and its logins do not count as uses of the key.
func TestCertificateOfARegisteredKey(t *testing.T) {
	t.Parallel()
	ca, _ := configtest.Key(t)
	key, _ := configtest.Key(t)
	dir := trusting(t, ca)
	end := time.Now().Add(-time.Hour)
	dir.User(t, "ada").Keys = []config.Key{{PublicKey: configtest.Line(key.PublicKey()), From: []string{"192.0.2.0/24"}, NotAfter: &end}}
	d := daemontest.Start(t, dir)
	if c, err := d.Dial("ada", ssh.PublicKeys(key)); err == nil {
		c.Close()
		t.Error("logged in with the key alone")
	}
	c := d.MustDial(t, "ada", ssh.PublicKeys(certify(t, ca, key, nil)))
	time.Sleep(2500 * time.Millisecond) // sessions are checked once a second
	daemontest.StillWorks(t, c)
	dir.User(t, "ada").AllowFrom = []string{"127.0.0.0/8"}
	d.Reload(t, dir)
	daemontest.StillWorks(t, c)
	dir.User(t, "ada").Keys = nil
	d.Reload(t, dir)
	daemontest.StillWorks(t, c)
	if got := d.KeyUse(t, dir, config.KeyUseReport{}); len(got.Uses) != 0 {
		t.Errorf("uses of keys: %v", got.Uses)
	}
}

// TestCertificateTellsNothingOfUsers: a problem with a certificate is found and logged before the user is looked up, so a
// refusal takes equally long for all names.
func TestCertificateTellsNothingOfUsers(t *testing.T) {
	t.Parallel()
	ca, _ := configtest.Key(t)
	key, _ := configtest.Key(t)
	dir := trusting(t, ca)
	dir.AddUser("plain", "secret")
	d := daemontest.Start(t, dir)
	users := []string{"ada", "plain", "nobody"}
	expired := certify(t, ca, key, func(c *ssh.Certificate) {
		c.ValidPrincipals, c.ValidBefore = slices.Clone(users), uint64(time.Now().Unix())
	})
	var answers []string
	for i, user := range users {
		c, err := d.Dial(user, ssh.PublicKeys(expired))
		if err == nil {
			c.Close()
			t.Fatal("logged in")
		}
		answers = append(answers, strings.ReplaceAll(err.Error(), user, "USER"))
		if got := d.WaitAudit(t, "login_refused", i+1); got["reason"] != "certificate_expired" {
			t.Errorf("%s: audit has %v", user, got)
		}
	}
	if len(slices.Compact(answers)) != 1 {
		t.Errorf("the answers differ: %q", answers)
	}
}

// TestCertificateSourceBehindAProxy: the networks of a certificate are compared with the client's address, not the proxy's.
func TestCertificateSourceBehindAProxy(t *testing.T) {
	t.Parallel()
	ca, _ := configtest.Key(t)
	key, _ := configtest.Key(t)
	dir := trusting(t, ca)
	dir.Listener.ProxyProtocol = &config.ProxyProtocol{TrustedFrom: []string{"127.0.0.0/8"}}
	d := daemontest.Start(t, dir)
	for networks, ok := range map[string]bool{"192.0.2.7": true, "192.0.2.0/24,127.0.0.0/8": true, "127.0.0.0/8": false, "192.0.2.8": false} {
		raw := daemontest.Connect(t, d.Addr)
		if _, err := raw.Write([]byte("PROXY TCP4 192.0.2.7 192.0.2.254 40000 22\r\n")); err != nil {
			t.Fatal(err)
		}
		signer := certify(t, ca, key, option("source-address", networks))
		c, _, _, err := ssh.NewClientConn(raw, d.Addr, &ssh.ClientConfig{
			User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		})
		if err == nil {
			c.Close()
		}
		if (err == nil) != ok {
			t.Errorf("source-address=%s, the client is 192.0.2.7: %v", networks, err)
		}
	}
}
