package vfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// descriptors returns how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestUploadsLeaveNoDescriptors: an upload holds a descriptor of its directory, whichever way it got it, and returns it.
func TestUploadsLeaveNoDescriptors(t *testing.T) {
	for _, u := range []Uploads{{}, {OnClose: true}, {DeleteIncomplete: true}, {OnClose: true, DeleteIncomplete: true}} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("a/b/old", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(u))
		if err != nil {
			t.Fatal(err)
		}
		before := descriptors(t)
		for i := range 20 {
			for _, p := range []string{"/top", "/a/in", "/a/b/old", "/link", "/a/b/../in", "/none/x", "/a/b", "/a/b/old/", "/a/.."} {
				for _, flags := range []int{unix.O_CREAT | unix.O_TRUNC, unix.O_CREAT, unix.O_CREAT | unix.O_EXCL, unix.O_TRUNC, 0} {
					if f, err := tree.OpenFile(p, flags|unix.O_WRONLY, 0o600); err == nil {
						_, _ = f.Finish(i%2 == 0)
					}
				}
			}
		}
		if after := descriptors(t); after > before+5 { // concurrent tests have some
			t.Errorf("%+v: %d descriptors, %d before", u, after, before)
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
}
