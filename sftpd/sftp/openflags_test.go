package sftp

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestEveryOpenFlag opens a file with each combination of flags, in each access mode, and checks the allowed operations against
// filexfer-02, section 6.3.
func TestEveryOpenFlag(t *testing.T) {
	const content = "0123"
	for _, access := range []vfs.Access{vfs.ReadWrite, vfs.ReadOnly, vfs.WriteOnly, vfs.CreateOnly} {
		tr, dir := tree(t, access)
		c, _, _ := dialRaw(t, tr, Options{})
		name := filepath.Join(dir, "f")
		for flags := range 64 {
			for _, exists := range []bool{true, false} {
				os.Remove(name)
				if exists {
					if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				has := func(f int) bool { return flags&f != 0 }
				reads := has(flagRead) || !has(flagWrite|flagAppend)
				writes := has(flagWrite) || has(flagAppend) && !has(flagRead)
				changes := has(flagWrite | flagAppend | flagCreate | flagTrunc)
				want := StatusOK
				switch { // an invalid name takes precedence over the access mode
				case !exists && !has(flagCreate):
					want = StatusNoSuchFile
				case exists && has(flagCreate) && (has(flagExcl) || access == vfs.CreateOnly && !reads):
					want = StatusFailure
				case access == vfs.ReadOnly && changes, access != vfs.ReadWrite && access != vfs.ReadOnly && reads,
					access == vfs.CreateOnly && exists:
					want = StatusPermissionDenied
				}
				file := content
				if !exists || want == StatusOK && has(flagTrunc) {
					file = ""
				}
				typ, f := c.call(typeOpen, "/f", flags, 0)
				got := StatusOK
				if typ == typeStatus {
					got = Status(f.uint32())
				}
				what := fmt.Sprintf("%s, %#x, exists %v", access, flags, exists)
				if got != want {
					t.Errorf("%s: OPEN %s, want %s", what, got, want)
				}
				if typ == typeHandle {
					file = useHandle(t, c, what, f.string(), file, reads, writes, has(flagAppend))
				}
				if got, _ := os.ReadFile(name); string(got) != file {
					t.Errorf("%s: the file is %q, want %q", what, got, file)
				}
			}
		}
	}
}

// useHandle writes, reads and truncates, and returns the resulting content.
func useHandle(t *testing.T, c *raw, what, h, file string, reads, writes, appends bool) string {
	t.Helper()
	writeWant, readWant := StatusPermissionDenied, "PERMISSION_DENIED"
	if writes {
		writeWant = StatusOK
		switch {
		case appends:
			file += "XY"
		case file == "":
			file = "\x00XY"
		default:
			file = "0XY3"
		}
	}
	if got := c.status(typeWrite, h, uint64(1), "XY"); got != writeWant {
		t.Errorf("%s: WRITE %s, want %s", what, got, writeWant)
	}
	if reads {
		if readWant = file; file == "" {
			readWant = "EOF"
		}
	}
	if got := c.content(h, 0, 100); got != readWant {
		t.Errorf("%s: READ %q, want %q", what, got, readWant)
	}
	if got := c.status(typeFsetstat, h, attrSize, uint64(2)); writes != (got == StatusOK) {
		t.Errorf("%s: FSETSTAT of the size %s", what, got)
	}
	if writes {
		file = file[:2]
	}
	c.status(typeClose, h)
	return file
}
