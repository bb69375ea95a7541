package hostproof

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/hostkeys"
)

// TestUnderstood: every client gets announcements except those that OpenSSH knows to fail.
func TestUnderstood(t *testing.T) {
	for version, want := range map[string]bool{
		"OpenSSH_10.5": true, "OpenSSH_9.2p1 Debian-2": true, "PuTTY_Release_0.83": true, "": true,
		"Cisco-1.25": false, "Cisco-1.": false, "Cisco-1": true, "Cisco-2.1": true, "cisco-1.25": true, "My Cisco-1.25": true,
		"TeraTerm SSH 1": false, "TTSSH/1.5.4": false, "TTSSH/1.6": true, "TTSSH/2.1": false, "TTSSH/2.2 Win32": false, "TTSSH/2.36": false,
		"TTSSH/2.40": false, "TTSSH/2.57": false, "TTSSH/2.6": false, "TTSSH/2.69": false, "TTSSH/2.70": false, "TTSSH/2.71": false,
		"TTSSH/2.72": false, "TTSSH/2.73": true, "TTSSH/2.80": true, "TTSSH/2.9": true, "TTSSH/3.0": true,
	} {
		if got := understood("SSH-2.0-" + version); got != want {
			t.Errorf("%s: %v", version, got)
		}
	}
}

// negotiated is a connection with a given host-key algorithm.
type negotiated struct {
	conn
	hostKey string
}

func (n *negotiated) Algorithms() ssh.NegotiatedAlgorithms {
	return ssh.NegotiatedAlgorithms{HostKey: n.hostKey}
}

// TestAlgorithmOfProofs: proofs use the connection's algorithm if the key supports it (including a certificate's), and
// otherwise the policy's first.
func TestAlgorithmOfProofs(t *testing.T) {
	policy, err := cryptopolicy.Lookup(cryptopolicy.Modern2026)
	if err != nil {
		t.Fatal(err)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := configtest.Signer(t, private).PublicKey()
	hostKeys, err := hostkeys.Load([][]byte{configtest.PEM(t, private)}, []config.HostKey{{State: config.HostKeyActive}}, policy)
	if err != nil {
		t.Fatal(err)
	}
	slots := make(handshake.Slots, 1)
	for hostKey, want := range map[string]string{
		ssh.KeyAlgoRSASHA256: ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512: ssh.KeyAlgoRSASHA512, ssh.CertAlgoRSASHA256v01: ssh.KeyAlgoRSASHA256,
		ssh.KeyAlgoED25519: ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSA: ssh.KeyAlgoRSASHA512, "": ssh.KeyAlgoRSASHA512,
	} {
		p := New(&negotiated{hostKey: hostKey}, func() *hostkeys.Set { return hostKeys }, slots)
		answer, _, err := p.Answer(t.Context(), appendString(nil, key.Marshal()))
		if err != nil {
			t.Fatal(err)
		}
		var proof struct{ Signature []byte }
		var sig ssh.Signature
		if err := errors.Join(ssh.Unmarshal(answer, &proof), ssh.Unmarshal(proof.Signature, &sig)); err != nil || sig.Format != want {
			t.Errorf("%q: signed with %q, %v, want %q", hostKey, sig.Format, err, want)
		}
		signed := ssh.Marshal(struct{ Request, Session, Key string }{"hostkeys-prove-00@openssh.com", "session", string(key.Marshal())})
		if err := key.Verify(signed, &sig); err != nil {
			t.Errorf("%q: %v", hostKey, err)
		}
	}
}

// broken is a signer that fails.
type broken struct{ ssh.MultiAlgorithmSigner }

var errBroken = errors.New("broken")

func (broken) SignWithAlgorithm(io.Reader, []byte, string) (*ssh.Signature, error) {
	return nil, errBroken
}

// TestKeyThatDoesNotSign: a signing failure is not a refusal, the error names the key, and its slot is released.
func TestKeyThatDoesNotSign(t *testing.T) {
	hostKeys, fingerprint, request := oneKey(t)
	k, _ := hostKeys.Find(request[4:])
	k.Signer = broken{k.Signer}
	slots := make(handshake.Slots, 1)
	answer, proved, err := New(&conn{}, func() *hostkeys.Set { return hostKeys }, slots).Answer(t.Context(), request)
	if !errors.Is(err, errBroken) || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), fingerprint) || answer != nil || proved != nil {
		t.Errorf("%q, %q, %v", answer, proved, err)
	}
	if len(slots) != 0 {
		t.Error("its place is taken")
	}
}

// TestAnnounce: the announcement is one request without a reply that lists the keys; a client that fails on it gets none.
func TestAnnounce(t *testing.T) {
	hostKeys, _, request := oneKey(t)
	for version, want := range map[string]int{"SSH-2.0-OpenSSH_10.5": 1, "SSH-2.0-TTSSH/2.72 Win32": 0} {
		c := &recorded{conn: conn{version: version}}
		New(c, func() *hostkeys.Set { return hostKeys }, nil).Announce()
		if len(c.payloads) != want || want > 0 && (c.payloads[0] != string(request) || c.names[0] != "hostkeys-00@openssh.com" || c.wanted) {
			t.Errorf("%s: %q, %q, an answer is wanted: %v", version, c.names, c.payloads, c.wanted)
		}
	}
}

// recorded is a connection that records what was sent.
type recorded struct {
	conn
	names, payloads []string
	wanted          bool
}

func (r *recorded) SendRequest(name string, wantReply bool, payload []byte) (bool, []byte, error) {
	r.names, r.payloads, r.wanted = append(r.names, name), append(r.payloads, string(payload)), wantReply
	return false, nil, nil
}

// TestOnceInAConnection: a key is not signed for again if it was proved before, or was part of a refused request with one that
// was.
func TestOnceInAConnection(t *testing.T) {
	hostKeys, _, request := oneKey(t)
	p := New(&conn{}, func() *hostkeys.Set { return hostKeys }, make(handshake.Slots, 1))
	if _, _, err := p.Answer(t.Context(), append(appendString(nil, []byte("stranger")), request...)); !errors.Is(err, ErrRefused) {
		t.Errorf("together with an unknown key: %v", err)
	}
	if answer, proved, err := p.Answer(t.Context(), request); err != nil || len(answer) == 0 || len(proved) != 1 {
		t.Errorf("first: %v, %v", proved, err)
	}
	if answer, proved, err := p.Answer(t.Context(), request); !errors.Is(err, ErrRefused) || answer != nil || proved != nil {
		t.Errorf("again: %q, %v, %v", answer, proved, err)
	}
}
