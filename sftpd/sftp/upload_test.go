package sftp

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// dialUploads is dialRaw on a tree with an upload policy.
func dialUploads(t *testing.T, u vfs.Uploads, opts Options) (c *raw, dir string, end func() error) {
	t.Helper()
	dir = t.TempDir()
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: vfs.ReadWrite}}, vfs.WithUploads(u))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	c, _, end = dialRaw(t, tr, opts)
	return c, dir, end
}

// size returns the size of a file by its path.
func (c *raw) size(typ byte, path string) uint64 {
	c.t.Helper()
	got, f := c.call(typ, path)
	if got != typeAttrs {
		c.t.Errorf("size of %s: %s", path, Status(f.uint32()))
		return 0
	}
	return f.attrs().Size
}

// The client that writes a file sees it before it is published: clients stat it and set its times by name before they close it.
func TestStagedFileIsThereForItsWriter(t *testing.T) {
	c, dir, _ := dialUploads(t, vfs.Uploads{OnClose: true}, Options{})
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "old"} {
		h := c.open(name, flagWrite|flagCreate|flagTrunc)
		if got := c.status(typeWrite, h, uint64(0), "12345"); got != StatusOK {
			t.Fatal(got)
		}
		if a, b := c.size(typeStat, "/"+name), c.size(typeLstat, "x/../"+name); a != 5 || b != 5 {
			t.Errorf("%s: STAT %d, LSTAT %d bytes", name, a, b)
		}
		if got := c.status(typeSetstat, name, uint32(attrTimes), 1000, 2000); got != StatusOK {
			t.Errorf("%s: SETSTAT %s", name, got)
		}
		if got := c.status(typeExtended, "lsetstat@openssh.com", name, uint32(attrMode), 0o640); got != StatusOK {
			t.Errorf("%s: lsetstat %s", name, got)
		}
		// Without following links, the file is still found while it is in progress.
		if got := c.status(typeExtended, "lsetstat@openssh.com", name, uint32(attrSize), uint64(1)); got == StatusOK {
			t.Errorf("%s: lsetstat of a size: %s", name, got)
		}
		if got := c.status(typeExtended, "lsetstat@openssh.com", name, uint32(attrSize|attrMode), uint64(1), 0o600); got == StatusOK {
			t.Errorf("%s: lsetstat of a size and a mode: %s", name, got)
		}
		if got := c.status(typeClose, h); got != StatusOK {
			t.Errorf("%s: CLOSE %s", name, got)
		}
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.ModTime().Unix() != 2000 || st.Mode() != 0o640 || st.Size() != 5 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

// A failed write also makes CLOSE fail, and the old file stays.
func TestFailedWriteIsNotPublished(t *testing.T) {
	for _, u := range []vfs.Uploads{{OnClose: true}, {OnClose: true, DeleteIncomplete: true}} {
		var got events
		c, dir, _ := dialUploads(t, u, Options{Observe: got.observe})
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		h := c.open("f", flagWrite|flagCreate|flagTrunc)
		if s := c.status(typeWrite, h, uint64(1)<<62, "x"); s != StatusFailure {
			t.Errorf("a write beyond what files can be: %s", s)
		}
		typ, f := c.call(typeClose, h)
		if code, text := Status(f.uint32()), f.string(); typ != typeStatus || code != StatusFailure || !strings.Contains(text, "not published; upload it again") {
			t.Errorf("CLOSE: %s, %q", code, text)
		}
		if data, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(data) != "old" {
			t.Errorf("%q, %v", data, err)
		}
		all := got.take()
		e, ok := all[len(all)-1].(Transfer)
		want := vfs.Kept
		if u.DeleteIncomplete {
			want = vfs.Deleted
		}
		if !ok || e.Result != Failed || e.Left != want || !errors.Is(e.Err, syscall.EFBIG) {
			t.Errorf("%+v", e)
		}
	}
}

// smallVolume mounts a file system of 64 KiB.
func smallVolume(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a small volume cannot be mounted, and CI=true: %v", err)
		}
		t.Skipf("a small volume cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A full volume is reported as such, and no data is lost.
func TestDiskFull(t *testing.T) {
	dir := smallVolume(t)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: vfs.ReadWrite}}, vfs.WithUploads(vfs.Uploads{OnClose: true, DeleteIncomplete: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	c, _, _ := dialRaw(t, tr, Options{})
	h := c.open("f", flagWrite|flagCreate|flagTrunc)
	typ, f := c.call(typeWrite, h, uint64(0), strings.Repeat("x", 128<<10))
	if code, text := Status(f.uint32()), f.string(); typ != typeStatus || code != StatusFailure || text != "Failure: no space left on device" {
		t.Errorf("WRITE: %s, %q", code, text)
	}
	if got := c.status(typeClose, h); got != StatusFailure {
		t.Errorf("CLOSE: %s", got)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("%v: what did not fit takes space", names)
	}
}

// Ending a session with open files simulates a broken connection.
func TestBrokenConnection(t *testing.T) {
	for _, tc := range []struct {
		uploads vfs.Uploads
		left    vfs.Leftover
		onDisk  string // under the file's name
	}{
		{vfs.Uploads{}, vfs.Kept, "part"},
		{vfs.Uploads{DeleteIncomplete: true}, vfs.Deleted, ""},
		{vfs.Uploads{OnClose: true}, vfs.Kept, ""},
		{vfs.Uploads{OnClose: true, DeleteIncomplete: true}, vfs.Deleted, ""},
	} {
		var got events
		c, dir, end := dialUploads(t, tc.uploads, Options{Observe: got.observe})
		h := c.open("f", flagWrite|flagCreate|flagTrunc)
		if s := c.status(typeWrite, h, uint64(0), "part"); s != StatusOK {
			t.Fatal(s)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		data, _ := os.ReadFile(filepath.Join(dir, "f"))
		if string(data) != tc.onDisk {
			t.Errorf("%+v: %q", tc.uploads, data)
		}
		e := got.take()[0].(Transfer)
		if e.Result != Aborted || e.BytesWritten != 4 || e.Left != tc.left || e.Path != "/f" {
			t.Errorf("%+v: %+v", tc.uploads, e)
		}
	}
}

// TestChecksums: what the line of an upload says, and what happens if the session ends, or the volume fails, while the file is read
// back.
func TestChecksums(t *testing.T) {
	over := errors.New("over")
	content := strings.Repeat("x", 300<<10)
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	for name, tc := range map[string]struct {
		uploads vfs.Uploads
		flags   int
		end     int // the part at which the session ends
		result  Result
		left    vfs.Leftover
		sum     string
	}{
		"published":             {uploads: vfs.Uploads{OnClose: true, Checksum: true}, flags: flagWrite | flagCreate | flagTrunc, result: Completed, sum: want},
		"immediate":             {uploads: vfs.Uploads{Checksum: true}, flags: flagWrite | flagCreate, result: Completed, sum: want},
		"off":                   {uploads: vfs.Uploads{OnClose: true}, flags: flagWrite | flagCreate, result: Completed},
		"ended":                 {uploads: vfs.Uploads{OnClose: true, Checksum: true}, flags: flagWrite | flagCreate, end: 2, result: Aborted, left: vfs.Kept},
		"ended, immediate":      {uploads: vfs.Uploads{Checksum: true}, flags: flagWrite | flagCreate, end: 1, result: Aborted, left: vfs.Kept},
		"ended, not to be kept": {uploads: vfs.Uploads{OnClose: true, Checksum: true, DeleteIncomplete: true}, flags: flagWrite | flagCreate, end: 1, result: Aborted, left: vfs.Deleted},
	} {
		var got events
		work := &turns{next: func(n int) error {
			if n == tc.end {
				return over
			}
			return nil
		}}
		c, dir, _ := dialUploads(t, tc.uploads, Options{Observe: got.observe, Work: work})
		h := c.open("f", tc.flags)
		for off := 0; off < len(content); off += 100 << 10 {
			if s := c.status(typeWrite, h, uint64(off), content[off:min(off+100<<10, len(content))]); s != StatusOK {
				t.Fatal(s)
			}
		}
		if s := c.status(typeClose, h); (s == StatusOK) != (tc.result == Completed) {
			t.Errorf("%s: CLOSE %s", name, s)
		}
		c.status(typeStat, "/")
		e, ok := got.take()[0].(Transfer)
		if !ok || e.Result != tc.result || e.Left != tc.left || e.SHA256 != tc.sum {
			t.Errorf("%s: %+v", name, e)
		}
		_, err := os.Stat(filepath.Join(dir, "f"))
		if there := err == nil; there != (tc.result == Completed || !tc.uploads.OnClose) {
			t.Errorf("%s: published %v", name, there)
		}
	}
}
