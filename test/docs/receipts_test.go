package docs

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
	"github.com/sftp-operator/sftp-operator/test/pages"
)

// partner is a directory with a partner's files, their receipts, the keys, and events.
type partner struct{ dir string }

func (p partner) write(t *testing.T, name string, data []byte) {
	t.Helper()
	name = filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newPartner returns a partner with receipts for three files, whose key has since been replaced.
func newPartner(t *testing.T) partner {
	t.Helper()
	p := partner{t.TempDir()}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := receipt.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	line := receipt.AllowedSigner{
		Principal: "sftp-demo/partners", Key: signer.PublicKey(), ValidAfter: now.Add(-72 * time.Hour), ValidBefore: now.Add(-time.Hour),
	}
	p.write(t, "allowed_signers", []byte(line.Line()))
	var lines []byte
	previous := ""
	for i, id := range []string{"ONE", "TWO", "THREE"} {
		content := []byte("content of " + id)
		sum := sha256.Sum256(content)
		raw, err := receipt.Encode(&receipt.Receipt{
			Version: 1, ID: id, Listener: "sftp-demo/partners", User: "sftp-demo/acme", Path: "/in/" + id + ".csv", Size: int64(len(content)),
			SHA256: hex.EncodeToString(sum[:]), Published: now.Add(-48 * time.Hour), Connection: "c", Chain: "c1", Sequence: uint64(i + 1),
			Previous: previous, Key: signer.Fingerprint(),
		})
		if err != nil {
			t.Fatal(err)
		}
		previous = receipt.Hash(raw)
		e := signer.Sign(raw)
		p.write(t, "outbox/in/"+id+".csv", content)
		p.write(t, "receipts/"+id+".json", raw)
		p.write(t, "receipts/"+id+".json.sig", []byte(e.SSHSig))
		event, err := json.Marshal(map[string]any{"specversion": "1.0", "type": "io.sftp-operator.file.published.v1", "data": map[string]any{"receipt": e.Plain()}})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, event...), '\n')
	}
	p.write(t, "events.jsonl", lines)
	return p
}

var zeros = regexp.MustCompile(`"sha256":"[0-9a-f]{8}`)

// TestReceiptCommands: the commands with which docs/receipts.md verifies receipts accept valid ones, and each of them refuses a
// changed one, or notices a missing one.
func TestReceiptCommands(t *testing.T) {
	bin := build(t, "kubectl-sftp")
	kubectl := "#!/bin/sh\nshift\nexec " + filepath.Join(bin, "kubectl-sftp") + " \"$@\"\n" // plug-ins need no cluster for this
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(kubectl), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(p partner, c pages.Command) (string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", c.Script())
		cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	commands, err := pages.Commands("docs/receipts.md", pages.Docs)
	if err != nil || len(commands) != 4 {
		t.Fatalf("%d commands, %v", len(commands), err)
	}
	right, changed, missing := newPartner(t), newPartner(t), newPartner(t)
	two := filepath.Join(changed.dir, "receipts", "TWO.json")
	raw, err := os.ReadFile(two)
	if err != nil {
		t.Fatal(err)
	}
	changed.write(t, "receipts/TWO.json", zeros.ReplaceAll(raw, []byte(`"sha256":"00000000`)))
	changed.write(t, "events.jsonl", []byte(`{"specversion":"1.0","data":{"receipt":{"payloadType":"`+receipt.PayloadType+`","payload":"e30K","signatures":[]}}}`))
	for _, name := range []string{"TWO.json", "TWO.json.sig"} {
		if err := os.Remove(filepath.Join(missing.dir, "receipts", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range commands {
		if out, err := run(right, c); err != nil {
			t.Errorf("%s: %s\n%v: %s", c.Where(), c.Text, err, out)
		}
		if out, err := run(changed, c); err == nil {
			t.Errorf("%s accepts a receipt that was changed: %s\n%s", c.Where(), c.Text, out)
		}
		if out, err := run(missing, c); strings.HasSuffix(c.Text, " receipts") && (err == nil || !strings.Contains(out, "receipt 2 of chain c1 is missing")) {
			t.Errorf("%s does not notice what is missing: %s\n%v: %s", c.Where(), c.Text, err, out)
		}
	}
}
