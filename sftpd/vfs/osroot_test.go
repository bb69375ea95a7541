package vfs

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestVolumeThatOSRootCannotOpen: os.Root reads a directory that openat2 only enters. Where the daemon may not read a volume, its
// mount fails at once, the error names the volume, and nothing stays open.
func TestVolumeThatOSRootCannotOpen(t *testing.T) {
	runtime.LockOSThread() // it ends with the thread's rights
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o300), dropRights()); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	tree, err := Open([]Mount{{Path: "/in", Volume: dir, Access: WriteOnly}}, WithResolver(OSRoot))
	if err == nil {
		tree.Close()
	}
	if !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), `mount "/in": os.Root of volume "`+dir) {
		t.Errorf("a volume that cannot be read: %v", err)
	}
	wantNoNewFiles(t, before)
	if _, err := newOSRoot(-1); err != unix.ENOENT {
		t.Errorf("without a directory: %v", err)
	}
}
