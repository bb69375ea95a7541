package command

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// TestReceiptsVerify: the exit code shows what kind of problem there is.
func TestReceiptsVerify(t *testing.T) {
	signer, err := receipt.NewSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte("s"), ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	previous := ""
	for i, id := range []string{"one", "two", "three"} {
		raw, err := receipt.Encode(&receipt.Receipt{
			Version: 1, ID: id, Listener: "files/public", User: "team/ada", Path: "/" + id, SHA256: strings.Repeat("0", 64),
			Published: time.Date(2026, 11, 25, 10, i, 0, 0, time.UTC), Chain: "c1", Sequence: uint64(i + 1), Previous: previous, Key: signer.Fingerprint(),
		})
		if err != nil {
			t.Fatal(err)
		}
		previous = receipt.Hash(raw)
		for name, data := range map[string][]byte{id + ".json": raw, id + ".json.sig": signer.SignSSH(raw)} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	signers := func(principal string) string {
		name := filepath.Join(t.TempDir(), "allowed_signers")
		if err := os.WriteFile(name, []byte(receipt.AllowedSigner{Principal: principal, Key: signer.PublicKey()}.Line()), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	right, other := signers("files/public"), signers("files/other")
	expect := func(code int, say string, args ...string) {
		t.Helper()
		if r := plug(t, append([]string{"receipts", "verify"}, args...)...); r.code != code || !strings.Contains(r.out+r.err, say) {
			t.Errorf("%q: exit code %d, want %d with %q:\n%s%s", args, r.code, code, say, r.out, r.err)
		}
	}
	expect(0, "3 receipts with a valid signature, 0 problems", "--allowed-signers", right, dir)
	expect(exitUsage, "one of --allowed-signers and --listener", dir)
	expect(exitFailed, "no such file", "--allowed-signers", right, filepath.Join(dir, "none"))
	expect(exitFailed, "there are no receipts", "--allowed-signers", right, t.TempDir())
	expect(exitFailed, "keys of receipts", "--listener", "none", dir)
	expect(exitSignature, "not an allowed signer of this listener", "--allowed-signers", other, dir)
	expect(exitFiles, "NoFile", "--allowed-signers", right, "--files", t.TempDir(), dir)
	expect(0, `"ok": true`, "--allowed-signers", right, "-o", "json", dir)
	for _, name := range []string{"two.json", "two.json.sig"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	expect(exitChain, "receipt 2 of chain c1 is missing", "--allowed-signers", right, dir)
}
