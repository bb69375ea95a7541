package server_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// securityKey signs as a FIDO token does (OpenSSH PROTOCOL.u2f).
type securityKey struct {
	private ed25519.PrivateKey
	public  ssh.PublicKey
	touched bool
}

const application = "ssh:"

func newSecurityKey(t *testing.T) *securityKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wire := ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, public, application})
	key, err := ssh.ParsePublicKey(wire)
	if err != nil {
		t.Fatal(err)
	}
	return &securityKey{private: private, public: key}
}

func (k *securityKey) PublicKey() ssh.PublicKey { return k.public }

func (k *securityKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	var flags byte
	if k.touched {
		flags = 1 // user presence
	}
	about, content := sha256.Sum256([]byte(application)), sha256.Sum256(data)
	extra := struct {
		Flags   byte
		Counter uint32
	}{flags, 7}
	signed := append(append(about[:], ssh.Marshal(extra)...), content[:]...)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.private, signed), Rest: ssh.Marshal(extra)}, nil
}

func TestSecurityKey(t *testing.T) {
	t.Parallel()
	key := newSecurityKey(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	if c, err := d.Dial("ada", ssh.PublicKeys(key)); err == nil {
		c.Close()
		t.Error("logged in without a touch")
	}
	key.touched = true
	daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.PublicKeys(key)))
	if got := d.WaitAudit(t, "login", 1); got["key_fingerprint"] != ssh.FingerprintSHA256(key.PublicKey()) {
		t.Errorf("audit: %v", got)
	}
}
