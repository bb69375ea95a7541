package cryptopolicy_test

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// plain builds an unencrypted packet (RFC 4253 section 6).
func plain(message []byte) []byte {
	const block, least = 8, 4
	padding := block - (5+len(message))%block
	if padding < least {
		padding += block
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(1+len(message)+padding))
	packet = append(packet, byte(padding))
	return append(append(packet, message...), make([]byte, padding)...)
}

// TestTerrapin: an attacker in the middle injects a message into the handshake, so that a later one can be removed unnoticed. A
// client that announces strict key exchange then gets no answer; without it the protocol allows such a message.
func TestTerrapin(t *testing.T) {
	policy, err := cryptopolicy.Lookup(cryptopolicy.Modern2026)
	if err != nil {
		t.Fatal(err)
	}
	d := daemontest.Start(t, endpoint(t, policy))
	const ignore, ecdhInit, ecdhReply = 2, 30, 31
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		announce string
		inject   bool
		answered bool
	}{
		"strict":              {",kex-strict-c-v00@openssh.com", false, true},
		"strict, injected":    {",kex-strict-c-v00@openssh.com", true, false},
		"no strict, injected": {"", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := daemontest.Connect(t, d.Addr)
			if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			init := append([]byte{20}, make([]byte, 16)...)
			for _, list := range []string{
				"curve25519-sha256" + tc.announce, "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com",
				"hmac-sha2-256", "hmac-sha2-256", "none", "none", "", "",
			} {
				init = append(init, ssh.Marshal(struct{ List string }{list})...)
			}
			out := append([]byte("SSH-2.0-test\r\n"), plain(append(init, 0, 0, 0, 0, 0))...)
			if tc.inject {
				out = append(out, plain(ssh.Marshal(struct {
					Type byte
					Data string
				}{ignore, ""}))...)
			}
			out = append(out, plain(ssh.Marshal(struct {
				Type byte
				Key  []byte
			}{ecdhInit, key.PublicKey().Bytes()}))...)
			if _, err := c.Write(out); err != nil {
				t.Fatal(err)
			}
			if answered := keyExchanged(t, bufio.NewReader(c), ecdhReply); answered != tc.answered {
				t.Errorf("answered: %v", answered)
			}
		})
	}
}

// keyExchanged reads what the server sends until the connection ends, and reports whether it included the given message.
func keyExchanged(t *testing.T, r *bufio.Reader, message byte) bool {
	t.Helper()
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := daemontest.ReadPlain(r)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("neither an answer nor an end")
		}
		if err != nil {
			return false // ended, or reset because of unread data
		}
		if m[0] == message {
			return true
		}
	}
}
