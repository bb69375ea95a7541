package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// withoutLocks runs the test on a volume without locks.
func withoutLocks(t *testing.T) {
	t.Helper()
	fcntlLock = func(uintptr, int, *unix.Flock_t) error { return unix.ENOLCK }
	t.Cleanup(func() { fcntlLock = unix.FcntlFlock })
}

// connections opens two trees over one directory, as two daemons have them.
func connections(t *testing.T, u Uploads, there bool) (trees [2]*Tree, dir string) {
	t.Helper()
	dir = t.TempDir()
	if there {
		write(t, dir, "f", "0123456789ABCDEF")
	}
	for i := range trees {
		tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(u))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tree.Close() })
		trees[i] = tree
	}
	return trees, dir
}

// TestTwoWritersOfOneName: whichever flags two handles are opened with, by one connection or two, and in whichever order they
// are closed, kept or lost: data written through a handle whose CLOSE was OK is in the file, or the second OPEN was refused.
func TestTwoWritersOfOneName(t *testing.T) {
	cases, refused, shared := 0, 0, 0
	all := []int{0, unix.O_CREAT, unix.O_CREAT | unix.O_TRUNC, unix.O_TRUNC, unix.O_CREAT | unix.O_EXCL, unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC}
	for _, u := range []Uploads{{OnClose: true}, {OnClose: true, DeleteIncomplete: true}} {
		for _, there := range []bool{false, true} {
			for first := range all {
				for second := range all {
					for form := range 2 * 2 * 3 {
						other, lastFirst, ends := form&1, form>>1&1 != 0, form>>2
						trees, dir := connections(t, u, there)
						name := fmt.Sprintf("%+v there %v, flags %#x then %#x, form %d", u, there, all[first], all[second], form)
						f, err := trees[0].OpenFile("/f", unix.O_WRONLY|all[first], 0o600)
						if err != nil {
							continue
						}
						cases++
						g, err := trees[other].OpenFile("/f", unix.O_WRONLY|all[second], 0o600)
						if err != nil {
							refused++
							if all[second]&unix.O_EXCL == 0 && !errors.Is(err, ErrUploading) {
								t.Errorf("%s: %v", name, err)
							}
							finish(t, start2(t, f, 0, "HELLO"), true, Nothing)
							contains(t, name, dir, 0, "HELLO")
							continue
						}
						shared++
						start2(t, g, 5, "WORLD")
						start2(t, f, 0, "HELLO")
						handles := []*File{f, g}
						if lastFirst {
							handles[0], handles[1] = g, f
						}
						for i, h := range handles {
							complete := ends == 2 || ends == i
							if _, err := h.Finish(complete); err != nil {
								t.Errorf("%s: finish: %v", name, err)
							}
							if complete && h == f {
								contains(t, name, dir, 0, "HELLO")
							} else if complete {
								contains(t, name, dir, 5, "WORLD")
							}
						}
						if ends == 2 {
							contains(t, name, dir, 0, "HELLOWORLD")
							if left := hidden(t, dir); len(left) > 0 {
								t.Errorf("%s: left %q", name, left)
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d cases: %d refused, %d shared", cases, refused, shared)
	if refused < cases/10 || shared < cases/10 {
		t.Error("the cases are not what they are meant to be")
	}
}

func start2(t *testing.T, f *File, off int64, text string) *File {
	t.Helper()
	if _, err := f.WriteAt([]byte(text), off); err != nil {
		t.Fatal(err)
	}
	return f
}

func contains(t *testing.T, name, dir string, off int, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil || len(got) < off+len(want) || string(got[off:off+len(want)]) != want {
		t.Errorf("%s: %q, %v: %q at %d is gone", name, got, err, want, off)
	}
}

// TestChangesDuringAnUpload: what others do to a name and its directory in the meantime does not damage an upload.
func TestChangesDuringAnUpload(t *testing.T) {
	for _, u := range []Uploads{{OnClose: true}, {OnClose: true, DeleteIncomplete: true}} {
		for _, there := range []bool{false, true} {
			for what, change := range map[string]func(*Tree) error{
				"remove": func(t *Tree) error { return t.Remove("/f") },
				"rename": func(t *Tree) error { return t.Rename("/f", "/g") },
				"rename onto": func(tree *Tree) error {
					finish(t, start(t, tree, "/x", create, 0, "x"), true, Nothing)
					return tree.PosixRename("/x", "/f")
				},
				"stat":         func(t *Tree) error { _, err := t.Stat("/f"); return err },
				"set the size": func(t *Tree) error { return t.Setstat("/f", Changes{Set: SetSize, Size: 2}) },
			} {
				trees, dir := connections(t, u, there)
				f := start(t, trees[0], "/f", create, 0, "HELLO")
				if err := change(trees[1]); (err == nil) != (there || what == "rename onto") {
					t.Errorf("%s, there %v: %v", what, there, err)
				}
				finish(t, f, true, Nothing)
				contains(t, what, dir, 0, "HELLO")
			}
		}
	}
	trees, dir := connections(t, Uploads{OnClose: true}, false)
	if err := trees[0].Mkdir("/d", 0o700); err != nil {
		t.Fatal(err)
	}
	f := start(t, trees[0], "/d/f", create, 0, "HELLO")
	if err := trees[1].Rmdir("/d"); err != unix.ENOTEMPTY {
		t.Errorf("rmdir: %v", err)
	}
	finish(t, f, true, Nothing)
	contains(t, "rmdir", filepath.Join(dir, "d"), 0, "HELLO")
}

// TestLastOneOutDeletes: if incomplete uploads are deleted, the last writer that shares one does so, and not before.
func TestLastOneOutDeletes(t *testing.T) {
	trees, dir := connections(t, Uploads{OnClose: true, DeleteIncomplete: true}, false)
	f := start(t, trees[0], "/f", create, 0, "HELLO")
	g := start(t, trees[1], "/f", proceed, 5, "WORLD")
	finish(t, f, false, Kept)
	finish(t, g, false, Deleted)
	if left := hidden(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	// What a killed daemon left behind is not the start of another upload.
	write(t, dir, stagedName("f"), "stale")
	if _, err := trees[0].Stat("/f"); err != unix.ENOENT {
		t.Errorf("stat: %v", err)
	}
	finish(t, start(t, trees[0], "/f", proceed, 0, "new"), true, Nothing)
	if got := read(trees[0], "/f"); got != "new" {
		t.Errorf("%q", got)
	}
}

// TestWritersWithoutLocks: on a volume without locks, two writers of a staged name share it, and if it is gone at the end, that
// is an error.
func TestWritersWithoutLocks(t *testing.T) {
	withoutLocks(t)
	trees, dir := connections(t, Uploads{OnClose: true}, false)
	f := start(t, trees[0], "/f", create, 0, "HELLO")
	g := start(t, trees[1], "/f", proceed, 5, "WORLD")
	finish(t, f, true, Nothing)
	finish(t, g, true, Nothing)
	contains(t, "shared", dir, 0, "HELLOWORLD")
	f = start(t, trees[0], "/h", create, 0, "HELLO")
	g = start(t, trees[1], "/h", create, 0, "WORLD")
	finish(t, g, true, Nothing)
	if _, err := f.Finish(true); err != ErrRemoved { //nolint:errorlint // the identical error
		t.Errorf("replaced: %v", err)
	}
}
