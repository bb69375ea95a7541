package receipt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

func signersOf(s *receipt.Signer) receipt.Signers {
	return receipt.Signers{{Principal: "files/public", Key: s.PublicKey()}}
}

// keygen runs ssh-keygen, and returns its output and whether it succeeded.
func keygen(t *testing.T, stdin []byte, args ...string) (string, bool) {
	t.Helper()
	path, err := exec.LookPath("ssh-keygen")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no ssh-keygen")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOpenSSHVerifies: ssh-keygen accepts a receipt with the line of allowed signers, and nothing that was changed.
func TestOpenSSHVerifies(t *testing.T) {
	dir := t.TempDir()
	s := signer(t, 0)
	raw := encode(t, example(s))
	sig := write(t, dir, "r.json.sig", s.SignSSH(raw))
	line := receipt.AllowedSigner{Principal: "files/public", Key: s.PublicKey(), ValidAfter: published.Add(-time.Hour), ValidBefore: published.Add(time.Hour)}
	allowed := write(t, dir, "allowed_signers", []byte(line.Line()))
	verify := func(raw []byte, principal, namespace string, at time.Time) bool {
		t.Helper()
		out, ok := keygen(t, raw, "-Y", "verify", "-f", allowed, "-I", principal, "-n", namespace, "-s", sig, "-Overify-time="+at.Format("20060102150405Z"))
		t.Log(strings.TrimSpace(out))
		return ok
	}
	if !verify(raw, "files/public", receipt.Namespace, published) {
		t.Error("ssh-keygen refuses a receipt")
	}
	for name, ok := range map[string]bool{
		"a changed size":      verify(bytes.Replace(raw, []byte(`"size":12`), []byte(`"size":13`), 1), "files/public", receipt.Namespace, published),
		"no newline":          verify(bytes.TrimSpace(raw), "files/public", receipt.Namespace, published),
		"another listener":    verify(raw, "files/other", receipt.Namespace, published),
		"another purpose":     verify(raw, "files/public", "file", published),
		"before its validity": verify(raw, "files/public", receipt.Namespace, published.Add(-2*time.Hour)),
		"after its validity":  verify(raw, "files/public", receipt.Namespace, published.Add(2*time.Hour)),
	} {
		if ok {
			t.Errorf("ssh-keygen accepts %s", name)
		}
	}
}

// TestOpenSSHSigns: what ssh-keygen signs is verified, with either hash, and only for the purpose.
func TestOpenSSHSigns(t *testing.T) {
	dir := t.TempDir()
	if out, ok := keygen(t, nil, "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "key")); !ok {
		t.Fatal(out)
	}
	private, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := receipt.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	raw := encode(t, example(s))
	file := write(t, dir, "r.json", raw)
	for _, hash := range []string{"sha512", "sha256"} {
		for _, namespace := range []string{receipt.Namespace, "file"} {
			_ = os.Remove(file + ".sig")
			if out, ok := keygen(t, nil, "-q", "-Y", "sign", "-f", filepath.Join(dir, "key"), "-n", namespace, "-O", "hashalg="+hash, file); !ok {
				t.Fatal(out)
			}
			sig, err := os.ReadFile(file + ".sig")
			if err != nil {
				t.Fatal(err)
			}
			if hash == "sha512" && namespace == receipt.Namespace && !bytes.Equal(sig, s.SignSSH(raw)) {
				t.Errorf("not what ssh-keygen writes:\n%s%s", sig, s.SignSSH(raw))
			}
			if _, err := signersOf(s).VerifySSH(raw, sig); (err == nil) != (namespace == receipt.Namespace) {
				t.Errorf("%s, %s: %v", hash, namespace, err)
			}
		}
	}
}

// TestTampered: a change to any byte is detected, with either kind of signature.
func TestTampered(t *testing.T) {
	s := signer(t, 0)
	raw := encode(t, example(s))
	all := signersOf(s)
	sig, envelope := s.SignSSH(raw), s.Sign(raw)
	if _, err := all.VerifySSH(raw, sig); err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if _, err := all.VerifySSH(changed, sig); err == nil {
			t.Errorf("byte %d: accepted with its SSH signature", i)
		}
		e := *envelope
		e.Payload = changed
		line, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := all.VerifyEnvelope(line); err == nil {
			t.Errorf("byte %d: accepted in its envelope", i)
		}
	}
	other := signer(t, 1).Sign(raw)
	for name, e := range map[string]*receipt.Envelope{
		"signed by another key":      other,
		"no signature":               {PayloadType: receipt.PayloadType, Payload: raw, SSHSig: envelope.SSHSig},
		"SSH signature of another":   {PayloadType: receipt.PayloadType, Payload: raw, Signatures: envelope.Signatures, SSHSig: other.SSHSig},
		"SSH signature is something": {PayloadType: receipt.PayloadType, Payload: raw, Signatures: envelope.Signatures, SSHSig: "x"},
		"another payload type":       {PayloadType: "text/plain", Payload: raw, Signatures: envelope.Signatures},
		"many signatures":            {PayloadType: receipt.PayloadType, Payload: raw, Signatures: make([]receipt.Signature, 9)},
	} {
		line, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := all.VerifyEnvelope(line); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	both := receipt.Envelope{PayloadType: receipt.PayloadType, Payload: raw, Signatures: append(other.Signatures, envelope.Signatures...)}
	line, err := both.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if v, err := all.VerifyEnvelope(line); err != nil || v.ID != "J5KQ2Z" {
		t.Errorf("with a further signature: %v", err)
	}
}

// TestPAE: the example of the specification of DSSE, signed.
func TestPAE(t *testing.T) {
	s := signer(t, 0)
	raw := encode(t, example(s))
	want := fmt.Sprintf("DSSEv1 %d %s %d %s", len(receipt.PayloadType), receipt.PayloadType, len(raw), raw)
	public, err := receipt.Public(s.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(public, []byte(want), s.Sign(raw).Signatures[0].Sig) {
		t.Error("the signature is not over the pre-authentication encoding")
	}
}

// TestKeys: which keys may sign, and when.
func TestKeys(t *testing.T) {
	old, now := signer(t, 0), signer(t, 1)
	change := published.Truncate(time.Second) // the file has seconds
	file := "# keys\n\n" +
		receipt.AllowedSigner{Principal: "files/public", Key: old.PublicKey(), ValidBefore: change}.Line() +
		receipt.AllowedSigner{Principal: "files/public,files/second", Key: now.PublicKey(), ValidAfter: change}.Line()
	all, err := receipt.ParseAllowedSigners([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		by       *receipt.Signer
		listener string
		at       time.Time
		want     error
	}{
		"current":              {now, "files/public", published, nil},
		"at its beginning":     {now, "files/public", change, nil},
		"second principal":     {now, "files/second", published, nil},
		"current, too early":   {now, "files/public", change.Add(-1), receipt.ErrNotValidThen},
		"previous, then":       {old, "files/public", change.Add(-1), nil},
		"previous, at its end": {old, "files/public", change, receipt.ErrNotValidThen},
		"another listener":     {now, "files/third", published, receipt.ErrUnknownKey},
		"another key":          {signer(t, 2), "files/public", published, receipt.ErrUnknownKey},
	} {
		r := example(tc.by)
		r.Listener, r.Published = tc.listener, tc.at
		raw := encode(t, r)
		if _, err := all.VerifySSH(raw, tc.by.SignSSH(raw)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A receipt that names a key must be signed by that one.
	raw := encode(t, example(now))
	if _, err := all.VerifySSH(raw, old.SignSSH(raw)); !errors.Is(err, receipt.ErrUnknownKey) {
		t.Errorf("signed by another allowed key: %v", err)
	}
}

func TestAllowedSigners(t *testing.T) {
	key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer(t, 0).PublicKey())))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ssh.NewPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]int{
		"files/public " + key:   1,
		"a,b,* " + key:          3,
		`"files/public" ` + key: 1,
		`files/public namespaces="file,receipt@*" ` + key:         1,
		`files/public namespaces="file" ` + key:                   0,
		`files/public namespaces="*,!receipt@*" ` + key:           0,
		`files/public cert-authority ` + key:                      0,
		`files/public valid-after="20261130" ` + key:              1,
		`files/public valid-before="202611301200Z" ` + key:        1,
		"files/public " + string(ssh.MarshalAuthorizedKey(ecKey)): 0,
		"# " + key: 0,
	} {
		if s, err := receipt.ParseAllowedSigners([]byte(line)); err != nil || len(s) != want {
			t.Errorf("%s: %d signers, %v", line, len(s), err)
		}
	}
	for _, line := range []string{
		"files/public", "files/public x y", `files/public no-touch ` + key, `files/public valid-after="tomorrow" ` + key, `"files/public ` + key,
		"\"\r\" " + key, "\"a\u0085\" " + key, "files/p\u00fcblic " + key, "\"files/\tpublic\" " + key,
		strings.Repeat("x", 70<<10), strings.Repeat("a,", 5000) + " " + key, strings.Repeat("\n", 2<<20),
	} {
		if s, err := receipt.ParseAllowedSigners([]byte(line)); err == nil {
			t.Errorf("%.60s: accepted as %d signers", line, len(s))
		}
	}
}

func TestParseSigner(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	swapped := append(bytes.Clone(key[:32]), signer(t, 0).PublicKey().Marshal()[19:]...)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		key        any
		passphrase string
		ok         bool
	}{
		"Ed25519": {key, "", true}, "other halves": {ed25519.PrivateKey(swapped), "", false}, "ECDSA": {ec, "", false}, "passphrase": {key, "x", false},
	} {
		marshal := func() (*pem.Block, error) {
			if tc.passphrase != "" {
				return ssh.MarshalPrivateKeyWithPassphrase(tc.key, "", []byte(tc.passphrase))
			}
			return ssh.MarshalPrivateKey(tc.key, "")
		}
		block, err := marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := receipt.ParseSigner(pem.EncodeToMemory(block)); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
