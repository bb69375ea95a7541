package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// wantNoNewFiles expects that nothing is open that was not open before. What another test has left to the garbage collector may
// be closed at any time.
func wantNoNewFiles(t *testing.T, before []string) {
	t.Helper()
	opened := slices.DeleteFunc(openFiles(t), func(f string) bool {
		return slices.Contains(before, strings.TrimSuffix(f, " (deleted)")) || slices.Contains(before, f)
	})
	if len(opened) > 0 {
		t.Errorf("still open: %q", opened)
	}
}

// TestForeignStagedNames: another program on the volume may put anything under the name at which an upload is staged. Uploads of
// that name fail then, in whichever way they are opened; nothing is written through it, and no descriptor stays open.
func TestForeignStagedNames(t *testing.T) {
	for kind, put := range map[string]func(at, other string) error{
		"FIFO":      func(at, _ string) error { return unix.Mkfifo(at, 0o666) },
		"directory": func(at, _ string) error { return os.Mkdir(at, 0o777) },
		"link":      func(at, other string) error { return os.Symlink(other, at) },
		"socket":    func(at, _ string) error { return unix.Mknod(at, unix.S_IFSOCK|0o666, 0) },
	} {
		t.Run(kind, func(t *testing.T) {
			for _, u := range []Uploads{{OnClose: true}, {OnClose: true, DeleteIncomplete: true}} {
				tree, dir := uploadTree(t, Auto, u, ReadWrite)
				at := filepath.Join(dir, stagedName("new"))
				write(t, dir, "other", "another file")
				if err := put(at, filepath.Join(dir, "other")); err != nil {
					t.Fatal(err)
				}
				there, err := os.Lstat(at)
				if err != nil {
					t.Fatal(err)
				}
				before := openFiles(t)
				for _, access := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY} {
					for _, how := range []int{unix.O_CREAT, unix.O_CREAT | unix.O_TRUNC, unix.O_CREAT | unix.O_EXCL, unix.O_TRUNC} {
						f, err := tree.OpenFile("/new", access|how, 0o600)
						if err == nil {
							_, _ = f.Finish(false)
							t.Errorf("opened with %#x", access|how)
						} else if kind != "directory" && !errors.Is(err, ErrUploading) {
							t.Errorf("opened with %#x: %v", access|how, err)
						}
					}
				}
				if _, err := tree.Stat("/new"); err != unix.ENOENT {
					t.Errorf("its attributes are shown: %v", err)
				}
				if err := tree.Remove("/new"); err != unix.ENOENT {
					t.Errorf("removed: %v", err)
				}
				wantNoNewFiles(t, before)
				if got := read(tree, "/other"); got != "another file" {
					t.Errorf("the other file: %q", got)
				}
				if now, err := os.Lstat(at); err != nil || !os.SameFile(now, there) {
					t.Errorf("under the name is %v, %v", now, err)
				}
				// The names around it are not affected.
				finish(t, start(t, tree, "/next", create, 0, "content"), true, Nothing)
			}
		})
	}
}

// TestExpireWithoutRights: a file that the daemon may neither read nor write can be removed by anyone who may write to its
// directory, but whether it is in use is unknown, so it must not have changed recently.
func TestExpireWithoutRights(t *testing.T) {
	runtime.LockOSThread() // it ends with the thread's rights
	e := newExpiring(t, "a.csv")
	if err := os.Chmod(filepath.Join(e.dir, "a.csv"), 0); err != nil {
		t.Fatal(err)
	}
	e.look("a.csv")
	if err := dropRights(); err != nil {
		t.Fatal(err)
	}
	if err := Expire(e.fd, "a.csv", e.seen, false, agree); !errors.Is(err, ErrUploading) {
		t.Errorf("one whose use is not known: %v", err)
	}
	other := e.seen
	other.CtimeNsec++
	if err := Expire(e.fd, "a.csv", other, true, agree); !errors.Is(err, ErrChanged) {
		t.Errorf("one that has changed: %v", err)
	}
	if err := Expire(e.fd, "a.csv", e.seen, true, agree); err != nil || e.content() != "" {
		t.Errorf("a quiet one: %v, remains %q", err, e.content())
	}
}

// TestNamedProbeThatFails: the condition that an owner reads names the call that failed, and the probe leaves nothing behind.
func TestNamedProbeThatFails(t *testing.T) {
	dir := t.TempDir()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	var call *os.SyscallError
	fd, err := namedFile(int(d.Fd()))
	if !errors.As(err, &call) || call.Syscall != "open" || !errors.Is(err, unix.ENOENT) || fd >= 0 {
		t.Errorf("in a directory that is gone: %d, %v", fd, err)
	}
	wantNoNewFiles(t, before)
}
