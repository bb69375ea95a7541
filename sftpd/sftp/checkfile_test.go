package sftp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

func sums(algorithm string, blocks ...[]byte) []byte {
	var out []byte
	for _, b := range blocks {
		if algorithm == "sha512" {
			h := sha512.Sum512(b)
			out = append(out, h[:]...)
			continue
		}
		h := sha256.Sum256(b)
		out = append(out, h[:]...)
	}
	return out
}

func TestCheckFile(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	data := bytes.Repeat([]byte("0123456789"), 100_000) // more than a buffer
	if err := os.WriteFile(filepath.Join(dir, "f"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "huge"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "huge"), maxHashRange+1); err != nil {
		t.Fatal(err)
	}
	c, _, _ := dialRaw(t, tr, Options{})
	h := c.open("/f", flagRead)
	var blocks [][]byte
	for rest := data; len(rest) > 0; rest = rest[min(len(rest), 300):] {
		blocks = append(blocks, rest[:min(len(rest), 300)])
	}
	for _, tc := range []struct {
		list        string
		off, length uint64
		block       int
		algorithm   string
		want        []byte
	}{
		{"sha256", 0, 0, 0, "sha256", sums("sha256", data)},
		{"sha512", 0, 0, 0, "sha512", sums("sha512", data)},
		{"md5,sha512,sha256", 0, 0, 0, "sha512", sums("sha512", data)},
		{"sha256", 5, 10, 0, "sha256", sums("sha256", data[5:15])},
		{"sha256", 999_990, 0, 0, "sha256", sums("sha256", data[999_990:])},
		{"sha256", 999_990, 500, 0, "sha256", sums("sha256", data[999_990:])},
		{"sha256", 0, 700, 256, "sha256", sums("sha256", data[:256], data[256:512], data[512:700])},
		{"sha256", 0, 512, 256, "sha256", sums("sha256", data[:256], data[256:512])},
		{"sha256", 0, 1_000_000, 300, "sha256", sums("sha256", blocks...)},
	} {
		for _, ext := range []string{"check-file", "check-file-handle", "check-file-name"} {
			file := h
			if ext == "check-file-name" {
				file = "f"
			}
			typ, f := c.call(typeExtended, ext, file, tc.list, tc.off, tc.length, tc.block)
			if typ != typeExtendedReply {
				t.Errorf("%s %+v: %s", ext, tc, Status(f.uint32()))
				continue
			}
			kind, algorithm := f.string(), f.string()
			if kind != "check-file" || algorithm != tc.algorithm || !bytes.Equal(f.rest, tc.want) {
				t.Errorf("%s of %s, %d+%d by %d: %s %s and %d bytes of hashes, want %d", ext, tc.list, tc.off, tc.length, tc.block, kind, algorithm, len(f.rest), len(tc.want))
			}
		}
	}
	if typ, f := c.call(typeExtended, "check-file-name", "/empty", "sha256", uint64(0), uint64(0), 0); typ != typeExtendedReply || f.string() == "" || f.string() == "" || !bytes.Equal(f.rest, sums("sha256", nil)) {
		t.Error("an empty file has no hash")
	}
	w := c.open("/w", flagWrite|flagCreate)
	for _, tc := range []struct {
		what string
		want Status
		args []any
	}{
		{"no known algorithm", StatusUnsupported, []any{"check-file-handle", h, "md5,crc32", uint64(0), uint64(0), 0}},
		{"no algorithm", StatusUnsupported, []any{"check-file-handle", h, "", uint64(0), uint64(0), 0}},
		{"a small block", StatusFailure, []any{"check-file-handle", h, "sha256", uint64(0), uint64(0), 255}},
		{"too many blocks", StatusFailure, []any{"check-file-name", "/big", "sha512", uint64(0), uint64(0), 256}},
		{"beyond the end", StatusEOF, []any{"check-file-handle", h, "sha256", uint64(1_000_000), uint64(0), 0}},
		{"an offset below 0", StatusBadMessage, []any{"check-file-handle", h, "sha256", uint64(math.MaxUint64), uint64(0), 0}},
		{"a handle for writing", StatusPermissionDenied, []any{"check-file-handle", w, "sha256", uint64(0), uint64(0), 0}},
		{"more than 1 TiB", StatusFailure, []any{"check-file-name", "/huge", "sha256", uint64(0), uint64(0), 0}},
		{"no file", StatusNoSuchFile, []any{"check-file-name", "/none", "sha256", uint64(0), uint64(0), 0}},
		{"a directory", StatusFailure, []any{"check-file-name", "/", "sha256", uint64(0), uint64(0), 0}},
		{"no handle", StatusFailure, []any{"check-file-handle", "none", "sha256", uint64(0), uint64(0), 0}},
	} {
		if got := c.status(typeExtended, tc.args...); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
		}
	}
}

// A file that cannot be read cannot be hashed either.
func TestCheckFileInADropBox(t *testing.T) {
	tr, dir := tree(t, vfs.WriteOnly)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, _ := dialRaw(t, tr, Options{})
	if got := c.status(typeExtended, "check-file-name", "/f", "sha256", uint64(0), uint64(0), 0); got != StatusPermissionDenied {
		t.Errorf("by name: %s", got)
	}
	h := c.open("/f", flagWrite)
	if got := c.status(typeExtended, "check-file-handle", h, "sha256", uint64(0), uint64(0), 0); got != StatusPermissionDenied {
		t.Errorf("by handle: %s", got)
	}
}

// A session that must end does not wait for the hash of a large file.
func TestCheckFileEndsWithItsSession(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	name := filepath.Join(dir, "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 1<<40); err != nil { // most of an hour of hashing
		t.Fatal(err)
	}
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := NewSession(far, tr, Options{})
	go func() { ended <- s.Serve(ctx) }()
	c := &raw{t: t, conn: near}
	c.write(packet(typeInit, uint32(3)))
	c.read()
	h := c.open("/f", flagRead)
	before := s.LastActivity()
	c.write(packet(typeExtended, uint32(9), "check-file-handle", h, "sha256", uint64(0), uint64(0), 0))
	for s.LastActivity().Sub(before) < 50*time.Millisecond { // it hashes, and counts as active
		time.Sleep(time.Millisecond)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the session continues")
	}
}
