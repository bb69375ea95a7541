package interop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// TestReceiptsElsewhere: an implementation of DSSE and SSH signatures in another language accepts a receipt,
// and refuses one in which a byte was changed.
func TestReceiptsElsewhere(t *testing.T) {
	need(t, "python3-paramiko") // which needs the module cryptography
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := receipt.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := receipt.Encode(&receipt.Receipt{
		Version: 1, ID: "J5KQ2Z", Listener: "files/public", User: "team/ada", Path: "/in/ä\u2028.csv", SHA256: strings.Repeat("0a", 32),
		Published: time.Now().UTC(), Chain: "c1", Sequence: 1, Key: signer.Fingerprint(),
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	public := filepath.Join(dir, "key.pub")
	if err := os.WriteFile(public, ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(e *receipt.Envelope) (string, error) {
		t.Helper()
		line, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "envelope.json")
		if err := os.WriteFile(file, line, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "testdata/receipt_verify.py", public, file).CombinedOutput()
		return string(out), err
	}
	e := signer.Sign(raw)
	if out, err := verify(e); err != nil || strings.TrimSpace(out) != "J5KQ2Z "+receipt.Hash(raw) {
		t.Errorf("%s%v", out, err)
	}
	documented(t, signer, e)
	changed := *e
	changed.Payload = bytes.Replace(raw, []byte(`"size":0`), []byte(`"size":1`), 1)
	if out, err := verify(&changed); err == nil || !strings.Contains(out, "InvalidSignature") {
		t.Errorf("a changed receipt: %s%v", out, err)
	}
	mixed := *e
	mixed.SSHSig = string(signer.SignSSH(changed.Payload))
	if out, err := verify(&mixed); err == nil || !strings.Contains(out, "InvalidSignature") {
		t.Errorf("an SSH signature of another receipt: %s%v", out, err)
	}
}

var pythonBlock = regexp.MustCompile("(?s)```python\n(.*?)```")

// documented runs the program of docs/receipts.md with an event that has a receipt, and with one whose receipt was changed.
func documented(t *testing.T, signer *receipt.Signer, e *receipt.Envelope) {
	t.Helper()
	page, err := os.ReadFile("../../docs/receipts.md")
	if err != nil {
		t.Fatal(err)
	}
	program := pythonBlock.FindSubmatch(page)
	if program == nil {
		t.Fatal("docs/receipts.md has no program")
	}
	dir := t.TempDir()
	line := receipt.AllowedSigner{Principal: "files/public", Key: signer.PublicKey(), ValidAfter: time.Now().Add(-time.Hour)}.Line()
	if err := os.WriteFile(filepath.Join(dir, "allowed_signers"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(e *receipt.Envelope) (string, error) {
		t.Helper()
		event, err := json.Marshal(map[string]any{"data": map[string]any{"receipt": e.Plain()}})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), python, "-c", string(program[1]))
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(event)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(e); err != nil || out != string(e.Payload) {
		t.Errorf("the program of docs/receipts.md: %s%v", out, err)
	}
	changed := *e
	changed.Payload = bytes.Replace(e.Payload, []byte(`"size":0`), []byte(`"size":1`), 1)
	if out, err := run(&changed); err == nil || !strings.Contains(out, "InvalidSignature") {
		t.Errorf("the program of docs/receipts.md, with a changed receipt: %s%v", out, err)
	}
}
