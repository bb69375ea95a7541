package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

func TestKexInit(t *testing.T) {
	t.Parallel()
	dir := configtest.New(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir.HostKeys = append(dir.HostKeys, configtest.PEM(t, rsaKey), configtest.PEM(t, ec))
	d := daemontest.Start(t, dir)
	version, lists := daemontest.KexInit(t, d.Addr)
	if version != "SSH-2.0-sftpd" {
		t.Errorf("version %q", version)
	}
	ciphers := []string{
		"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com",
		"aes128-ctr", "aes192-ctr", "aes256-ctr",
	}
	macs := []string{"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"}
	for i, want := range [][]string{
		{
			"mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "diffie-hellman-group16-sha512",
			"diffie-hellman-group-exchange-sha256", "kex-strict-s-v00@openssh.com",
		},
		{"ssh-ed25519", "rsa-sha2-256", "rsa-sha2-512", "ecdsa-sha2-nistp256"},
		ciphers,
		ciphers,
		macs,
		macs,
		{"none"}, // compression
		{"none"},
		nil, // languages
		nil,
	} {
		if !slices.Equal(lists[i], want) {
			t.Errorf("list %d:\n have %v\n want %v", i, lists[i], want)
		}
	}
}
