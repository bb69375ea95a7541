package hostproof

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/hostkeys"
)

// conn provides what proofs need from a connection.
type conn struct {
	ssh.Conn
	version string
	sent    []string
}

func (c *conn) SessionID() []byte     { return []byte("session") }
func (c *conn) ClientVersion() []byte { return []byte(c.version) }

func (c *conn) SendRequest(name string, _ bool, _ []byte) (bool, []byte, error) {
	c.sent = append(c.sent, name)
	return false, nil, nil
}

// oneKey returns a set of one host key, and the request for its proof.
func oneKey(t *testing.T) (hostKeys *hostkeys.Set, fingerprint string, request []byte) {
	t.Helper()
	policy, err := cryptopolicy.Lookup(cryptopolicy.Modern2026)
	if err != nil {
		t.Fatal(err)
	}
	key, file := configtest.Key(t)
	hostKeys, err = hostkeys.Load([][]byte{file}, []config.HostKey{{State: config.HostKeyActive}}, policy)
	if err != nil {
		t.Fatal(err)
	}
	return hostKeys, ssh.FingerprintSHA256(key.PublicKey()), appendString(nil, key.PublicKey().Marshal())
}

// TestProofsWaitForTheirTurn: a request that gets no slot for the expensive computation is refused after a while, or at once if
// its connection ends.
func TestProofsWaitForTheirTurn(t *testing.T) {
	hostKeys, fingerprint, request := oneKey(t)
	synctest.Test(t, func(t *testing.T) {
		slots := make(handshake.Slots, 1)
		if !slots.Take(t.Context()) {
			t.Fatal("no place")
		}
		waiting := func() *Proofs { return New(&conn{}, func() *hostkeys.Set { return hostKeys }, slots) }
		begin := time.Now()
		if _, proved, err := waiting().Answer(t.Context(), request); !errors.Is(err, ErrRefused) || proved != nil {
			t.Errorf("%v, %v", proved, err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("refused after %s", took)
		}
		ended, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		begin = time.Now()
		if _, _, err := waiting().Answer(ended, request); !errors.Is(err, ErrRefused) || time.Since(begin) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		go func() {
			time.Sleep(time.Second)
			slots.Release()
		}()
		for range 2 { // the slot is given back
			_, proved, err := waiting().Answer(t.Context(), request)
			if err != nil || len(proved) != 1 || proved[0] != fingerprint {
				t.Errorf("%v, %v", proved, err)
			}
		}
	})
}

// TestWithoutConfiguration: without a configuration, nothing is announced or proved.
func TestWithoutConfiguration(t *testing.T) {
	_, _, request := oneKey(t)
	c := &conn{version: "SSH-2.0-OpenSSH_10.5"}
	p := New(c, func() *hostkeys.Set { return nil }, make(handshake.Slots, 1))
	p.Announce()
	if _, _, err := p.Answer(t.Context(), request); !errors.Is(err, ErrRefused) || len(c.sent) > 0 {
		t.Errorf("%v, sent %v", err, c.sent)
	}
}
