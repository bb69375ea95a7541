package cryptopolicy_test

import (
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

func lookup(t *testing.T, name string) cryptopolicy.Policy {
	t.Helper()
	p, err := cryptopolicy.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAlgorithms: x/crypto implements every algorithm that the policies name (it silently ignores unknown ones), and considers
// all of them secure except those of exception policies.
func TestAlgorithms(t *testing.T) {
	good, bad := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	for _, p := range cryptopolicy.All() {
		for _, kind := range []struct{ have, good, bad []string }{
			{p.KeyExchanges, good.KeyExchanges, bad.KeyExchanges},
			{p.Ciphers, good.Ciphers, bad.Ciphers},
			{p.MACs, good.MACs, bad.MACs},
			{p.HostKeys, good.HostKeys, bad.HostKeys},
			{p.PublicKeys, good.PublicKeyAuths, bad.PublicKeyAuths},
		} {
			if len(kind.have) == 0 {
				t.Errorf("%s has an empty list", p.Name)
			}
			for i, name := range kind.have {
				if slices.Contains(kind.have[:i], name) {
					t.Errorf("%s: %s stands twice", p.Name, name)
				}
				if slices.Contains(kind.good, name) && (p.Exception || !strings.Contains(name, "sha1")) {
					continue
				}
				if !p.Exception || !slices.Contains(kind.bad, name) {
					t.Errorf("%s: %s", p.Name, name)
				}
			}
		}
	}
}

// TestDefaultTakesEveryHostKey: when a listener's policy expires, the default policy still accepts each of its host keys.
func TestDefaultTakesEveryHostKey(t *testing.T) {
	def := lookup(t, cryptopolicy.Default)
	if cryptopolicy.All()[0].Name != def.Name || def.Exception {
		t.Errorf("default: %+v", def)
	}
	for _, p := range cryptopolicy.All() {
		for _, name := range p.HostKeys {
			if name != ssh.KeyAlgoRSA && !slices.Contains(def.HostKeys, name) {
				t.Errorf("%s: %s", p.Name, name)
			}
		}
		if p.MinRSABits < def.MinRSABits {
			t.Errorf("%s: RSA of %d bits", p.Name, p.MinRSABits)
		}
	}
}

func TestLookup(t *testing.T) {
	_, err := cryptopolicy.Lookup("Modern1999")
	if err == nil || !strings.Contains(err.Error(), `"Modern1999" is not known to this daemon, which supports Modern2026, Strict2026, Fips2026, Legacy2026`) {
		t.Error(err)
	}
}

// TestSigner: an RSA host key signs with SHA-1 under Legacy2026 only, and must have as many bits as the policy requires.
func TestSigner(t *testing.T) {
	signers := map[int]ssh.Signer{}
	for _, bits := range []int{1024, 2048, 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		signers[bits] = configtest.Signer(t, key)
	}
	for _, tc := range []struct {
		policy string
		bits   int
		want   string // signature algorithms, or the error
	}{
		{cryptopolicy.Modern2026, 1024, "too short"},
		{cryptopolicy.Modern2026, 2048, "rsa-sha2-512 rsa-sha2-256"},
		{cryptopolicy.Strict2026, 2048, "RSA key of 2048 bits is too short for crypto policy Strict2026: at least 3072 are required; create a new key, preferably Ed25519"},
		{cryptopolicy.Strict2026, 3072, "rsa-sha2-512 rsa-sha2-256"},
		{cryptopolicy.Fips2026, 1024, "too short"},
		{cryptopolicy.Fips2026, 2048, "rsa-sha2-512 rsa-sha2-256"},
		{cryptopolicy.Legacy2026, 1024, "too short"},
		{cryptopolicy.Legacy2026, 2048, "rsa-sha2-512 rsa-sha2-256 ssh-rsa"},
	} {
		s, err := lookup(t, tc.policy).Signer(signers[tc.bits])
		if err != nil {
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, %d: %v", tc.policy, tc.bits, err)
			}
			continue
		}
		if have := strings.Join(s.Algorithms(), " "); have != tc.want {
			t.Errorf("%s, %d: %s", tc.policy, tc.bits, have)
		}
	}
}

// TestRekey: keys are exchanged again after the policy's volume of data. The test uses a copy of the policy with a smaller
// volume, so that it need not send a gigabyte.
func TestRekey(t *testing.T) {
	p := lookup(t, cryptopolicy.Modern2026)
	var c ssh.Config
	if p.Apply(&c); c.RekeyThreshold != p.RekeyBytes || p.RekeyBytes != 1<<30 {
		t.Errorf("%d of %d bytes", c.RekeyThreshold, p.RekeyBytes)
	}
	const threshold, chunk, rounds = 64 << 10, 32 << 10, 128
	p.RekeyBytes = threshold
	server := &ssh.ServerConfig{NoClientAuth: true}
	p.Apply(&server.Config)
	host, _ := configtest.Key(t)
	server.AddHostKey(host)
	l := daemontest.Listen(t, "127.0.0.1:0")
	defer l.Close()
	go echo(l, server)

	var exchanges atomic.Int32
	client, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{
		Timeout: 20 * time.Second,
		HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error { // at every key exchange
			exchanges.Add(1)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	channel, requests, err := client.OpenChannel("echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	for range rounds {
		if _, err := channel.Write(make([]byte, chunk)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, channel, chunk); err != nil {
			t.Fatal(err)
		}
	}
	// One exchange at the beginning. Packets pass while others are in flight, so the rest is not exactly the volume divided by
	// the threshold.
	if n := exchanges.Load(); n < 3 {
		t.Errorf("%d key exchanges for %d bytes", n, chunk*rounds)
	}
}

func echo(l net.Listener, config *ssh.ServerConfig) {
	raw, err := l.Accept()
	if err != nil {
		return
	}
	_, channels, requests, err := ssh.NewServerConn(raw, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		go func() { _, _ = io.Copy(channel, channel) }()
	}
}
