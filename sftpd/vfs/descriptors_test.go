package vfs

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// few bounds the descriptors of the process.
type few struct {
	t    *testing.T
	held []int
}

// fewDescriptors lets a test run out of descriptors, until it ends.
func fewDescriptors(t *testing.T) *few {
	t.Helper()
	runtime.GC() // what earlier tests left open
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	d := &few{t: t}
	less := before
	less.Cur = min(before.Cur, 512)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &less); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.close(len(d.held))
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	return d
}

// take takes all descriptors that are free, and returns how many there were.
func (d *few) take() int {
	d.t.Helper()
	for n := 0; ; n++ {
		fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == unix.EMFILE {
			return n
		}
		if err != nil {
			d.t.Fatal(err)
		}
		d.held = append(d.held, fd)
	}
}

func (d *few) close(n int) {
	for _, fd := range d.held[len(d.held)-n:] {
		unix.Close(fd)
	}
	d.held = d.held[:len(d.held)-n]
}

// enough is more descriptors than any operation needs.
const enough = 8

// operations are the operations of a session, in a directory that has a file "old", a link "link" to it, one "up" to the
// directory above, and a directory "s". What they open, they close.
var operations = map[string]func(tree *Tree) error{
	"open for reading":    func(tree *Tree) error { return closing(tree.OpenFile("/d/old", unix.O_RDONLY, 0)) },
	"follow a link":       func(tree *Tree) error { return closing(tree.OpenFile("/d/link", unix.O_RDONLY, 0)) },
	"upload":              func(tree *Tree) error { return uploaded(tree, "/d/new", create, 3) },
	"upload at the root":  func(tree *Tree) error { return uploaded(tree, "/new", create, 3) },
	"upload to a link":    func(tree *Tree) error { return uploaded(tree, "/d/link", create, 3) },
	"upload and replace":  func(tree *Tree) error { return uploaded(tree, "/d/old", create, 3) },
	"upload and continue": func(tree *Tree) error { return uploaded(tree, "/d/old", proceed, len("old content")) },
	"list": func(tree *Tree) error {
		d, err := tree.OpenDir("/d")
		if err != nil {
			return err
		}
		defer d.Close()
		for n := 0; ; n++ {
			var e Entry
			switch err := d.Next(&e); {
			case errors.Is(err, io.EOF) && n == 6:
				return nil
			case err != nil:
				return err
			}
		}
	},
	"stat":          func(tree *Tree) error { return second(tree.Stat("/d/link")) },
	"lstat":         func(tree *Tree) error { return second(tree.Lstat("/d/old")) },
	"statvfs":       func(tree *Tree) error { return second(tree.StatVFS("/d/old")) },
	"times":         func(tree *Tree) error { return tree.Setstat("/d/old", Changes{Set: SetTimes, Atime: 1, Mtime: 1}) },
	"size":          func(tree *Tree) error { return tree.Setstat("/d/old", Changes{Set: SetSize, Size: 1}) },
	"mkdir":         func(tree *Tree) error { return tree.Mkdir("/d/sub", 0o700) },
	"remove":        func(tree *Tree) error { return tree.Remove("/d/old") },
	"rename":        func(tree *Tree) error { return tree.Rename("/d/old", "/d/other") },
	"posix-rename":  func(tree *Tree) error { return tree.PosixRename("/d/old", "/e/old") },
	"link":          func(tree *Tree) error { return tree.Link("/d/old", "/e/other") },
	"symlink":       func(tree *Tree) error { return tree.Symlink("old", "/d/other") },
	"readlink":      func(tree *Tree) error { return second(tree.Readlink("/d/link")) },
	"realpath":      func(tree *Tree) error { return second(tree.RealPath("/d/up/d/s/../link")) },
	"remove a tree": func(tree *Tree) error { return tree.Rmdir("/e") },
}

func closing(f *File, err error) error {
	if err != nil {
		return err
	}
	return f.Close()
}

// uploaded writes to a file and completes it, with its checksum. It must have its name, and a size, then.
func uploaded(tree *Tree, path string, flags, size int) error {
	f, err := tree.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	_, failed := f.WriteAt([]byte("new"), 0)
	_, sum := f.Sum(inOneGo)
	if _, err := f.Finish(true); failed != nil || sum != nil || err != nil {
		return errors.Join(failed, sum, err)
	}
	a, err := tree.Stat(path)
	if err == nil && a.Size != uint64(size) {
		return fmt.Errorf("%s has %d bytes, want %d", path, a.Size, size)
	}
	return err
}

// TestFewDescriptors: with any number of descriptors left, an operation succeeds or reports that there are too few; it
// returns all that it took; and an existing file has its old or its new content, never a part.
func TestFewDescriptors(t *testing.T) {
	hashTiny(t)
	fsync = func(fd int) error {
		var st unix.Stat_t
		return unix.Fstat(fd, &st) // without waiting for the disk
	}
	t.Cleanup(func() { fsync = unix.Fsync })
	d := fewDescriptors(t)
	resolvers(t, func(t *testing.T, r Resolver) {
		for _, u := range []Uploads{{DeleteIncomplete: true, Sync: true}, {OnClose: true, DeleteIncomplete: true, Sync: true, Checksum: true}} {
			for name, do := range operations {
				for left, done := 0, 0; done < 2; left++ {
					tree, dir := uploadTree(t, r, u, ReadWrite)
					write(t, dir, "d/old", "old content")
					write(t, dir, "e/"+stagedName("x"), "left")
					write(t, dir, "d/s/f", "")
					link(t, dir, "d/link", "old")
					link(t, dir, "d/up", "..")
					d.take()
					d.close(left)
					err := do(tree)
					back := d.take()
					d.close(enough)
					hides := name == "remove a tree" && errors.Is(err, unix.ENOTEMPTY) // it cannot look for what was left there
					switch {
					case err == nil:
						done++
					case left == enough:
						t.Fatalf("%+v, %s with %d descriptors: %v", u, name, left, err)
					case !hides && !errors.Is(err, unix.EMFILE):
						t.Errorf("%+v, %s with %d descriptors: %v", u, name, left, err)
					}
					if back < left {
						t.Errorf("%+v, %s with %d descriptors keeps %d of them: %v", u, name, left, left-back, err)
					}
					if got := read(tree, "/d/old"); err != nil && got != "old content" && u.OnClose {
						t.Errorf("%+v, %s with %d descriptors: %v, and the file has %q", u, name, left, err, got)
					}
					if names := hidden(t, dir+"/d"); u.DeleteIncomplete && len(names) > 0 && !strings.Contains(name, "upload") {
						t.Errorf("%+v, %s with %d descriptors leaves %q", u, name, left, names)
					}
					tree.Close()
				}
			}
		}
	})
}
