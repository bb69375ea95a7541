package receipts_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/receipts"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// store has receipts of uploads, their files, and the keys.
type store struct {
	dir, files string
	signer     *receipt.Signer
	previous   string
	n          uint64
}

func newStore(t *testing.T) *store {
	t.Helper()
	signer, err := receipt.NewSigner(ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", ed25519.SeedSize))))
	if err != nil {
		t.Fatal(err)
	}
	return &store{dir: t.TempDir(), files: t.TempDir(), signer: signer}
}

// upload writes a file, and its receipt.
func (s *store) upload(t *testing.T, path, content string) (*receipt.Receipt, *receipt.Envelope) {
	t.Helper()
	s.n++
	sum := sha256.Sum256([]byte(content))
	r := &receipt.Receipt{
		Version: 1, ID: fmt.Sprint("id", s.n), Listener: "files/public", User: "team/ada", Path: path, Size: int64(len(content)),
		SHA256: hex.EncodeToString(sum[:]), Published: time.Date(2026, 11, 30, 10, 0, int(s.n), 0, time.UTC),
		Chain: "c1", Sequence: s.n, Previous: s.previous, Key: s.signer.Fingerprint(),
	}
	raw, err := receipt.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	s.previous = receipt.Hash(raw)
	s.put(t, r.ID, raw)
	name := filepath.Join(s.files, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, name, []byte(content))
	return r, s.signer.Sign(raw)
}

func (s *store) put(t *testing.T, id string, raw []byte) {
	t.Helper()
	write(t, filepath.Join(s.dir, id+".json"), raw)
	write(t, filepath.Join(s.dir, id+".json.sig"), s.signer.SignSSH(raw))
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *store) verify(t *testing.T, files string) *receipts.Report {
	t.Helper()
	r, err := receipts.Verify(receipts.Options{
		Names: []string{s.dir}, Files: files, Signers: receipt.Signers{{Principal: "files/public", Key: s.signer.PublicKey()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerify(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(t *testing.T, s *store)
		want   []receipts.Kind
		say    string
	}{
		"whole":                 {func(*testing.T, *store) {}, nil, ""},
		"the oldest are gone":   {func(t *testing.T, s *store) { s.remove(t, "id1", "id2") }, nil, ""},
		"the last is gone":      {func(t *testing.T, s *store) { s.remove(t, "id5") }, nil, ""},
		"one is missing":        {func(t *testing.T, s *store) { s.remove(t, "id3") }, []receipts.Kind{receipts.Missing}, "receipt 3 of chain c1 is missing; it has the SHA-256 "},
		"two are missing":       {func(t *testing.T, s *store) { s.remove(t, "id2", "id3") }, []receipts.Kind{receipts.Missing}, "receipts 2 to 3 of chain c1 are missing"},
		"its signature is left": {func(t *testing.T, s *store) { remove(t, filepath.Join(s.dir, "id5.json")) }, []receipts.Kind{receipts.Missing}, "the receipt of this signature is missing"},
		"no signature":          {func(t *testing.T, s *store) { remove(t, filepath.Join(s.dir, "id5.json.sig")) }, []receipts.Kind{receipts.Unreadable}, "neither a receipt"},
		"changed": {func(t *testing.T, s *store) {
			name := filepath.Join(s.dir, "id5.json")
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			write(t, name, bytes.Replace(raw, []byte(`"size":4`), []byte(`"size":5`), 1))
		}, []receipts.Kind{receipts.Signature}, "the signature is wrong"},
		"something else": {func(t *testing.T, s *store) { write(t, filepath.Join(s.dir, "other.json"), []byte("x\n")) }, []receipts.Kind{receipts.Unreadable}, "not JSON"},
		"long line": {func(t *testing.T, s *store) {
			write(t, filepath.Join(s.dir, "other.jsonl"), []byte(strings.Repeat("x", 200<<10)))
		}, []receipts.Kind{receipts.Unreadable}, "a line has more than"},
		"no receipt, signed": {func(t *testing.T, s *store) { s.put(t, "other", []byte("{}\n")) }, []receipts.Kind{receipts.Signature}, "version must be 1"},
		"another file":       {func(t *testing.T, s *store) { write(t, filepath.Join(s.files, "in/a"), []byte("Fine")) }, []receipts.Kind{receipts.OtherContent}, "has the SHA-256"},
		"longer file":        {func(t *testing.T, s *store) { write(t, filepath.Join(s.files, "in/a"), []byte("longer")) }, []receipts.Kind{receipts.OtherContent}, "the file has 6 bytes, but 4 were uploaded"},
		"no file":            {func(t *testing.T, s *store) { remove(t, filepath.Join(s.files, "in/b")) }, []receipts.Kind{receipts.NoFile}, "the file does not exist"},
		"a directory": {func(t *testing.T, s *store) {
			name := filepath.Join(s.files, "in/b")
			remove(t, name)
			if err := os.Mkdir(name, 0o700); err != nil {
				t.Fatal(err)
			}
		}, []receipts.Kind{receipts.NoFile}, "it is not a regular file"},
		// A client's later changes do not keep other files from being verified.
		"a link out": {func(t *testing.T, s *store) {
			name := filepath.Join(s.files, "in/b")
			remove(t, name)
			if err := os.Symlink("/etc/passwd", name); err != nil {
				t.Fatal(err)
			}
		}, []receipts.Kind{receipts.NoFile}, "the file cannot be opened: path escapes from parent"},
		"a file in the place of their directory": {func(t *testing.T, s *store) {
			remove(t, filepath.Join(s.files, "in/a"), filepath.Join(s.files, "in/b"), filepath.Join(s.files, "in"))
			write(t, filepath.Join(s.files, "in"), nil)
		}, []receipts.Kind{receipts.NoFile, receipts.NoFile}, "the file cannot be opened: not a directory"},
	} {
		s := newStore(t)
		for _, content := range []string{"one", "two", "three", "last"} {
			s.upload(t, "/in/a", content) // which replaces the one before
		}
		s.upload(t, "/in/b", "four")
		tc.change(t, s)
		r := s.verify(t, s.files)
		var have []receipts.Kind
		var say strings.Builder
		for _, p := range r.Problems {
			have = append(have, p.Kind)
			say.WriteString(p.Detail)
		}
		if !slices.Equal(have, tc.want) || !strings.Contains(say.String(), tc.say) || r.OK != (len(have) == 0) {
			t.Errorf("%s: %+v", name, r.Problems)
		}
		if name == "whole" && (r.Receipts != 5 || r.Files != 2 || len(r.Chains) != 1 || r.Chains[0].Last != 5) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func (s *store) remove(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		remove(t, filepath.Join(s.dir, id+".json"), filepath.Join(s.dir, id+".json.sig"))
	}
}

// TestFork: a second receipt for a place, signed by the server's key.
func TestFork(t *testing.T) {
	s := newStore(t)
	s.upload(t, "/a", "1")
	s.upload(t, "/a", "2")
	before := s.previous
	s.n, s.previous = 1, ""
	raw, err := os.ReadFile(filepath.Join(s.dir, "id1.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.previous = receipt.Hash(raw)
	r, _ := s.upload(t, "/b", "other")
	write(t, filepath.Join(s.dir, "x.json"), mustEncode(t, r))
	write(t, filepath.Join(s.dir, "x.json.sig"), s.signer.SignSSH(mustEncode(t, r)))
	if before == s.previous {
		t.Fatal("the same receipt")
	}
	s.n, s.previous = 1, receipt.Hash(raw)
	s.upload(t, "/a", "2")
	if have := s.verify(t, ""); !have.Has(receipts.Forked) || len(have.Problems) != 1 {
		t.Errorf("%+v", have.Problems)
	}
}

func mustEncode(t *testing.T, r *receipt.Receipt) []byte {
	t.Helper()
	raw, err := receipt.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestLines: envelopes and events in lines are read, events without a receipt are skipped, and several files may have the same receipts.
func TestLines(t *testing.T) {
	s := newStore(t)
	var lines []byte
	for i := range 4 {
		_, e := s.upload(t, fmt.Sprint("/", i), "x")
		line, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			line = []byte(fmt.Sprintf(`{"specversion":"1.0","data":{"receipt":%s}}`, line))
		}
		lines = append(append(lines, line...), '\n')
	}
	lines = append(lines, `{"specversion":"1.0","type":"io.sftp-operator.file.deleted.v1","data":{}}`+"\n\n"...)
	write(t, filepath.Join(s.dir, "events.jsonl"), lines)
	if r := s.verify(t, s.files); !r.OK || r.Receipts != 8 || r.Chains[0].Receipts != 4 || r.Files != 4 {
		t.Errorf("%+v", r)
	}
}

func TestErrors(t *testing.T) {
	s := newStore(t)
	r, _ := s.upload(t, "/a", "x")
	if _, err := receipts.Verify(receipts.Options{Names: []string{filepath.Join(s.dir, "none")}}); err == nil {
		t.Error("a file that is not there")
	}
	other := *r
	other.User, other.ID = "team/bob", "other"
	s.put(t, "other", mustEncode(t, &other))
	_, err := receipts.Verify(receipts.Options{
		Names: []string{s.dir}, Files: s.files, Signers: receipt.Signers{{Principal: "*", Key: s.signer.PublicKey()}},
	})
	if !errors.Is(err, receipts.ErrSeveralUsers) {
		t.Errorf("files of several users: %v", err)
	}
}
