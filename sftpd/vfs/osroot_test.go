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

// TestKernelsWithoutOpenat2: where the kernel or a seccomp profile is older than openat2, os.Root takes its place. An error that is about
// the volume must not do that, because os.Root is slower and follows fewer links.
func TestKernelsWithoutOpenat2(t *testing.T) {
	for err, want := range map[error]bool{
		nil: true, unix.ENOSYS: false, unix.EPERM: false, unix.EINVAL: false, unix.E2BIG: false,
		unix.EACCES: true, unix.EMFILE: true, unix.ENOENT: true, unix.EIO: true,
	} {
		if got := knowsOpenat2(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
