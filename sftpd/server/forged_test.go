package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// forger offers a key whose private key it does not have; another key of the same type signs.
type forger struct {
	ssh.AlgorithmSigner
	offered ssh.PublicKey
}

func (f forger) PublicKey() ssh.PublicKey { return f.offered }

func (f forger) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	return f.SignWithAlgorithm(r, data, "")
}

// TestForgedSignature: a signature that does not verify with the registered key has its own reason, names the key, and counts
// as a refused credential. x/crypto ends the connection without calling back: if it changes the error's text, this test fails.
func TestForgedSignature(t *testing.T) {
	t.Parallel()
	pair := func(name string) (registered, other ssh.Signer) {
		keys := make([]ssh.Signer, 2)
		for i := range keys {
			switch name {
			case "rsa":
				k, err := rsa.GenerateKey(rand.Reader, 2048)
				if err != nil {
					t.Fatal(err)
				}
				keys[i] = configtest.Signer(t, k)
			case "ecdsa":
				k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				keys[i] = configtest.Signer(t, k)
			default:
				keys[i], _ = configtest.Key(t)
			}
		}
		return keys[0], keys[1]
	}
	second, _ := configtest.Key(t)
	touchless := newSecurityKey(t)
	dir := configtest.New(t)
	dir.Listener.Sources.Penalties = true
	forgers := map[string][]ssh.Signer{"sk": {touchless}}
	dir.AddUser("sk", "", touchless.PublicKey())
	for _, name := range []string{"ed25519", "ecdsa", "rsa"} {
		registered, other := pair(name)
		dir.AddUser(name, "", registered.PublicKey(), second.PublicKey())
		forgers[name] = []ssh.Signer{forger{other.(ssh.AlgorithmSigner), registered.PublicKey()}}
	}
	d := daemontest.Start(t, dir)
	for name, signers := range forgers {
		t.Run(name, func(t *testing.T) {
			before := len(d.Audit(t, "login_refused"))
			c, err := d.Dial(name, ssh.PublicKeys(signers...))
			if err == nil {
				c.Close()
				t.Fatal("logged in")
			}
			line := d.WaitAudit(t, "login_refused", before+1)
			keys, _ := line["keys_offered"].([]any)
			if line["reason"] != "bad_signature" || line["user"] != name || !slices.Contains(keys, any(ssh.FingerprintSHA256(signers[0].PublicKey()))) {
				t.Errorf("audit: %v", line)
			}
		})
	}
	// Each failure costs 5 seconds, and at 30 or more the user is refused from this source. It takes more than six because time
	// passes, but fewer than it takes to refuse the source itself.
	for range 12 {
		if c, err := d.Dial("ed25519", ssh.PublicKeys(forgers["ed25519"]...)); err == nil {
			c.Close()
		}
		connected(t, d, 0) // a failure costs something when its connection has ended
	}
	if c, err := d.Dial("ed25519", ssh.PublicKeys(second)); err == nil {
		c.Close()
		t.Fatal("the user is not penalized")
	}
	d.Eventually(t, "the audit log has it", func() bool {
		return slices.ContainsFunc(d.Audit(t, "login_refused"), func(line map[string]any) bool {
			return line["reason"] == "login_penalized" && line["user"] == "ed25519"
		})
	})
}
