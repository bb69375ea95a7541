package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// dialWith connects with only the algorithms of a configuration.
func dialWith(addr string, c ssh.ClientConfig) (*ssh.Client, error) {
	c.HostKeyCallback = ssh.InsecureIgnoreHostKey()
	c.Timeout = 20 * time.Second
	return ssh.Dial("tcp", addr, &c)
}

// TestPolicyLapses: when the policy expires, the default policy replaces it automatically. Nothing is reloaded, an open session
// stays, and new connections get the default policy.
func TestPolicyLapses(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	end := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	dir.Listener.CryptoPolicy, dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Legacy2026, &end
	dir.Listener.AllowFrom = []string{"127.0.0.0/8"}
	d := daemontest.Start(t, dir)
	old := ssh.ClientConfig{User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}}
	old.KeyExchanges = []string{ssh.InsecureKeyExchangeDH14SHA1}
	session, err := dialWith(d.Addr, old)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, line := range []string{
		`sftpd_crypto_policy_info{policy="Legacy2026"} 1`,
		"sftpd_crypto_policy_not_after_timestamp_seconds " + strconv.FormatFloat(float64(end.UnixMilli())/1000, 'g', -1, 64),
	} {
		if !d.HasMetric(t, line) {
			t.Errorf("no %s", line)
		}
	}
	soon := time.Now().Add(2 * time.Second)
	dir.Listener.CryptoPolicyNotAfter = &soon
	d.Reload(t, dir)
	d.Eventually(t, "the default policy is in effect", func() bool {
		return d.HasMetric(t, `sftpd_crypto_policy_info{policy="Modern2026"} 1`)
	})
	if _, err := dialWith(d.Addr, old); err == nil || !strings.Contains(err.Error(), "no common algorithm") && !strings.Contains(err.Error(), "EOF") {
		t.Errorf("the policy has ended: %v", err)
	}
	if refused := d.WaitAudit(t, "connection_refused", 1); refused["reason"] != "no_common_algorithm" {
		t.Errorf("audit: %v", refused)
	}
	d.MustDial(t, "ada", ssh.PublicKeys(key))
	if _, _, err := session.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Errorf("the open session: %v", err)
	}
	d.Eventually(t, "the log says so", func() bool { return strings.Contains(d.Log(), "crypto policy has ended") })
	if n := strings.Count(d.Log(), "crypto policy has ended"); n != 1 {
		t.Errorf("%d lines", n)
	}
	if n := strings.Count(d.Log(), "configuration loaded"); n != 2 {
		t.Errorf("%d configurations loaded", n)
	}
}

// TestKeyTooShort: the audit log gives the reason; the client sees what it would see for any refused key.
func TestKeyTooShort(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	short := configtest.Signer(t, private)
	dir := configtest.New(t)
	dir.Listener.CryptoPolicy = cryptopolicy.Strict2026
	dir.AddUser("ada", "", short.PublicKey())
	d := daemontest.Start(t, dir)
	_, err = d.Dial("ada", ssh.PublicKeys(short))
	refused := d.WaitAudit(t, "login_refused", 1) // before that of an unknown user
	_, other := d.Dial("nobody", ssh.PublicKeys(short))
	if err == nil || other == nil || err.Error() != other.Error() {
		t.Errorf("ada: %v; unknown user: %v", err, other)
	}
	if refused["user"] != "ada" || refused["reason"] != "key_too_short" {
		t.Errorf("audit: %v", refused)
	}
}

// TestSignatureAlgorithmOfThePolicy: a signature algorithm outside the policy is refused like any other key, with its own
// reason.
func TestSignatureAlgorithmOfThePolicy(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nist := configtest.Signer(t, private)
	dir := configtest.New(t)
	dir.Listener.CryptoPolicy = cryptopolicy.Strict2026
	dir.AddUser("ada", "", nist.PublicKey())
	d := daemontest.Start(t, dir)
	_, err = d.Dial("ada", ssh.PublicKeys(nist))
	refused := d.WaitAudit(t, "login_refused", 1) // before that of an unknown user
	_, other := d.Dial("nobody", ssh.PublicKeys(nist))
	if err == nil || other == nil || err.Error() != other.Error() {
		t.Errorf("ada: %v; unknown user: %v", err, other)
	}
	d.WaitAudit(t, "login_refused", 2)
	if refused["reason"] != "algorithm_not_allowed" || refused["user"] != "ada" {
		t.Errorf("audit: %v", refused)
	}
	if !d.HasMetric(t, `sftpd_refusals_total{reason="algorithm_not_allowed"} 2`) {
		t.Error("not counted")
	}
}

// TestNegotiated: the negotiated algorithms of a login are in its log line and in the metrics.
func TestNegotiated(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	c := ssh.ClientConfig{User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}}
	c.KeyExchanges = []string{"curve25519-sha256@libssh.org"}
	c.Ciphers, c.MACs = []string{ssh.CipherAES256CTR}, []string{ssh.HMACSHA256}
	session, err := dialWith(d.Addr, c)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	login := d.WaitAudit(t, "login", 1)
	for field, want := range map[string]struct{ kind, algorithm string }{
		"key_exchange":         {"key_exchange", "curve25519-sha256@libssh.org"},
		"cipher":               {"cipher", "aes256-ctr"},
		"mac":                  {"mac", "hmac-sha2-256"},
		"host_key_algorithm":   {"host_key", "ssh-ed25519"},
		"public_key_algorithm": {"public_key", "ssh-ed25519"},
	} {
		if login[field] != want.algorithm {
			t.Errorf("audit: %s is %v", field, login[field])
		}
		line := fmt.Sprintf("sftpd_negotiated_algorithms_total{algorithm=%q,kind=%q} 1", want.algorithm, want.kind)
		if !d.HasMetric(t, line) {
			t.Errorf("no %s", line)
		}
	}
	if !d.HasMetric(t, "sftpd_crypto_policy_not_after_timestamp_seconds 0") {
		t.Error("an end, but there is none")
	}
}

func TestSoftwareVersion(t *testing.T) {
	t.Parallel()
	dir := configtest.New(t)
	dir.Listener.SoftwareVersion = "files.example"
	d := daemontest.Start(t, dir)
	if version, _ := daemontest.KexInit(t, d.Addr); version != "SSH-2.0-files.example" {
		t.Errorf("version %q", version)
	}
}
