package snapshot_test

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
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

func build(t *testing.T, dir *configtest.Dir) (*snapshot.Snapshot, error) {
	t.Helper()
	dir.Write(t)
	files, err := config.Read(dir.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Build(files, nil, time.Now())
}

func TestCryptoAt(t *testing.T) {
	end := time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	dir := configtest.New(t)
	dir.Listener.CryptoPolicy, dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Legacy2026, &end
	dir.Listener.AllowFrom = []string{"192.0.2.0/24"}
	dir.HostKeys = [][]byte{configtest.PEM(t, key)}
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		at   time.Time
		want string
		sha1 bool
	}{
		{end.Add(-time.Nanosecond), cryptopolicy.Legacy2026, true},
		{end, cryptopolicy.Modern2026, false},
		{end.AddDate(1, 0, 0), cryptopolicy.Modern2026, false},
		{end.Add(-time.Hour), cryptopolicy.Legacy2026, true}, // the clock was set back
	} {
		c := s.CryptoAt(tc.at)
		algorithms := c.HostKeys.Signers(tc.at)[0].Algorithms()
		if c.Policy.Name != tc.want || slices.Contains(algorithms, ssh.KeyAlgoRSA) != tc.sha1 || s.PolicyLapsed(tc.at) == tc.sha1 {
			t.Errorf("%s: %s, %v", tc.at, c.Policy.Name, algorithms)
		}
	}

	dir.Listener.CryptoPolicy, dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Fips2026, nil
	if s, err = build(t, dir); err != nil {
		t.Fatal(err)
	}
	if name := s.CryptoAt(end.AddDate(100, 0, 0)).Policy.Name; name != cryptopolicy.Fips2026 {
		t.Errorf("without an end: %s", name)
	}
}

// TestHostKeysOfThePolicy: a host key that the policy does not allow makes the configuration unusable, and the error names the
// key and the reason.
func TestHostKeysOfThePolicy(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		key any
		say string
	}{
		{ec, "host key 1: crypto policy Strict2026 does not allow keys of type ecdsa-sha2-nistp256; create a new key, preferably Ed25519"},
		{short, "host key 1: RSA key of 2048 bits is too short for crypto policy Strict2026: at least 3072 are required; create a new key, preferably Ed25519"},
	} {
		dir := configtest.New(t)
		dir.Listener.CryptoPolicy = cryptopolicy.Strict2026
		dir.HostKeys = append(dir.HostKeys, configtest.PEM(t, tc.key))
		if _, err := build(t, dir); err == nil || !strings.Contains(err.Error(), tc.say) {
			t.Error(err)
		}
	}
}
