package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// expiring is a directory with one file.
type expiring struct {
	t    *testing.T
	dir  string
	fd   int
	seen Seen
}

func newExpiring(t *testing.T, name string) *expiring {
	t.Helper()
	e := &expiring{t: t, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(e.dir, name), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if e.fd, err = unix.Open(e.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(e.fd) })
	e.look(name)
	return e
}

func (e *expiring) look(name string) {
	e.t.Helper()
	var st unix.Stat_t
	if err := lstatAt(e.fd, name, &st); err != nil {
		e.t.Fatal(err)
	}
	e.seen = seenOf(&st)
}

// content of the directory, as name=content.
func (e *expiring) content() string {
	e.t.Helper()
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		e.t.Fatal(err)
	}
	var out []string
	for _, entry := range entries {
		data, _ := os.ReadFile(filepath.Join(e.dir, entry.Name()))
		out = append(out, entry.Name()+"="+string(data))
	}
	return strings.Join(out, " ")
}

func agree() error { return nil }

func TestExpire(t *testing.T) {
	e := newExpiring(t, "a.csv")
	asked := ""
	if err := Expire(e.fd, "a.csv", e.seen, false, func() error { asked = e.content(); return nil }); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(asked, stagingPrefix) || !strings.HasSuffix(asked, "=old") {
		t.Errorf("the directory before it is removed: %q", asked)
	}
	if got := e.content(); got != "" {
		t.Errorf("remains %q", got)
	}
}

// What is open, in whichever way, stays.
func TestExpireOpenFiles(t *testing.T) {
	for name, flags := range map[string]int{"read": os.O_RDONLY, "written": os.O_WRONLY, "both": os.O_RDWR} {
		t.Run(name, func(t *testing.T) {
			e := newExpiring(t, "a.csv")
			f, err := os.OpenFile(filepath.Join(e.dir, "a.csv"), flags, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, quiet := range []bool{false, true} {
				if err := Expire(e.fd, "a.csv", e.seen, quiet, agree); !errors.Is(err, ErrUploading) {
					t.Errorf("quiet %v: %v", quiet, err)
				}
			}
			f.Close()
			if err := Expire(e.fd, "a.csv", e.seen, false, agree); err != nil || e.content() != "" {
				t.Errorf("after it was closed: %v %q", err, e.content())
			}
		})
	}
}

// A file with a lock of an upload also stays where there are no leases; and a file whose use is unknown stays unless it is quiet.
func TestExpireWithoutLeases(t *testing.T) {
	e := newExpiring(t, "a.csv")
	if err := os.Chmod(filepath.Join(e.dir, "a.csv"), 0); err != nil {
		t.Fatal(err)
	}
	e.look("a.csv")
	if os.Geteuid() != 0 { // root may open it anyway
		if err := Expire(e.fd, "a.csv", e.seen, false, agree); !errors.Is(err, ErrUploading) {
			t.Errorf("a file that cannot be opened: %v", err)
		}
	}
	if err := Expire(e.fd, "a.csv", e.seen, true, agree); err != nil || e.content() != "" {
		t.Errorf("a quiet one: %v %q", err, e.content())
	}
}

func TestExpireChangedFiles(t *testing.T) {
	path := func(e *expiring, name string) string { return filepath.Join(e.dir, name) }
	for name, change := range map[string]func(*expiring) error{
		"written": func(e *expiring) error { return os.WriteFile(path(e, "a.csv"), []byte("new"), 0o600) },
		"replaced": func(e *expiring) error {
			return errors.Join(os.WriteFile(path(e, "b"), []byte("new"), 0o600), os.Rename(path(e, "b"), path(e, "a.csv")))
		},
		"a link": func(e *expiring) error {
			return errors.Join(os.Remove(path(e, "a.csv")), os.Symlink("/etc/hostname", path(e, "a.csv")))
		},
		"a folder": func(e *expiring) error {
			return errors.Join(os.Remove(path(e, "a.csv")), os.Mkdir(path(e, "a.csv"), 0o700))
		},
		"a pipe": func(e *expiring) error {
			return errors.Join(os.Remove(path(e, "a.csv")), unix.Mkfifo(path(e, "a.csv"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExpiring(t, "a.csv")
			if err := change(e); err != nil {
				t.Fatal(err)
			}
			var before, after unix.Stat_t
			if err := errors.Join(lstatAt(e.fd, "a.csv", &before), nil); err != nil {
				t.Fatal(err)
			}
			if err := Expire(e.fd, "a.csv", e.seen, true, agree); !errors.Is(err, ErrChanged) { // another error would end the run
				t.Error(err)
			}
			if err := lstatAt(e.fd, "a.csv", &after); err != nil || before.Ino != after.Ino {
				t.Errorf("it is gone: %v", err)
			}
		})
	}
}

// A file that is published under the name at the last moment is not the one that is removed.
func TestExpireRaces(t *testing.T) {
	publish := func(e *expiring, content string) {
		if err := os.WriteFile(filepath.Join(e.dir, "b"), []byte(content), 0o600); err != nil {
			e.t.Error(err)
		}
		if err := os.Rename(filepath.Join(e.dir, "b"), filepath.Join(e.dir, "a.csv")); err != nil {
			e.t.Error(err)
		}
	}
	t.Cleanup(func() { beforeHiding = func() {} })
	t.Run("published before it is hidden", func(t *testing.T) {
		e := newExpiring(t, "a.csv")
		beforeHiding = func() { publish(e, "new") }
		err := Expire(e.fd, "a.csv", e.seen, true, agree)
		if !errors.Is(err, ErrChanged) || e.content() != "a.csv=new" {
			t.Errorf("%v, %q", err, e.content())
		}
	})
	t.Run("opened before it is hidden", func(t *testing.T) {
		e := newExpiring(t, "a.csv")
		beforeHiding = func() {
			f, err := os.OpenFile(filepath.Join(e.dir, "a.csv"), os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { f.Close() })
		}
		err := Expire(e.fd, "a.csv", e.seen, true, agree)
		if !errors.Is(err, ErrUploading) || e.content() != "a.csv=old" {
			t.Errorf("%v, %q", err, e.content())
		}
	})
	beforeHiding = func() {}
	t.Run("published while it is hidden", func(t *testing.T) {
		e := newExpiring(t, "a.csv")
		err := Expire(e.fd, "a.csv", e.seen, true, func() error { publish(e, "new"); return nil })
		if err != nil || e.content() != "a.csv=new" {
			t.Errorf("%v, %q", err, e.content())
		}
	})
	t.Run("not agreed", func(t *testing.T) {
		e := newExpiring(t, "a.csv")
		mine := errors.New("no")
		if err := Expire(e.fd, "a.csv", e.seen, true, func() error { return mine }); !errors.Is(err, mine) || e.content() != "a.csv=old" {
			t.Errorf("%v, %q", err, e.content())
		}
	})
	t.Run("not agreed, and the name is taken", func(t *testing.T) {
		e := newExpiring(t, "a.csv")
		err := Expire(e.fd, "a.csv", e.seen, true, func() error { publish(e, "new"); return errors.New("no") })
		if !errors.Is(err, ErrNotRestored) || !strings.Contains(e.content(), "a.csv=new") || !strings.Contains(e.content(), "=old") {
			t.Errorf("%v, %q", err, e.content())
		}
	})
}

func TestRemoveStale(t *testing.T) {
	name := stagedName("a.csv")
	e := newExpiring(t, name)
	f, err := os.OpenFile(filepath.Join(e.dir, name), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := holdUse(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	for _, quiet := range []bool{false, true} {
		if err := RemoveStale(e.fd, name, e.seen, quiet, agree); !errors.Is(err, ErrUploading) {
			t.Errorf("an upload in progress: %v", err)
		}
	}
	f.Close()
	mine := errors.New("no")
	if err := RemoveStale(e.fd, name, e.seen, true, func() error { return mine }); !errors.Is(err, mine) {
		t.Errorf("%v", err)
	}
	other := e.seen
	other.CtimeNsec++
	if err := RemoveStale(e.fd, name, other, true, agree); !errors.Is(err, ErrChanged) {
		t.Errorf("one that has changed: %v", err)
	}
	if err := RemoveStale(e.fd, name, e.seen, false, agree); err != nil || e.content() != "" {
		t.Errorf("%v %q", err, e.content())
	}
}

// Without locks, age decides.
func TestRemoveStaleWithoutLocks(t *testing.T) {
	was := fcntlLock
	t.Cleanup(func() { fcntlLock = was })
	fcntlLock = func(uintptr, int, *unix.Flock_t) error { return unix.ENOLCK }
	name := stagedName("a.csv")
	e := newExpiring(t, name)
	if err := RemoveStale(e.fd, name, e.seen, false, agree); !errors.Is(err, ErrUploading) {
		t.Errorf("one that may be in progress: %v", err)
	}
	if err := RemoveStale(e.fd, name, e.seen, true, agree); err != nil || e.content() != "" {
		t.Errorf("%v %q", err, e.content())
	}
}

// An upload that opens its name in the moment of a removal, with publish OnClose, is never lost. If two get the name in that
// moment, which a busy machine can make long, the earlier one is kept under a hidden name.
func TestExpireAgainstUploads(t *testing.T) {
	tree, dir := uploadTree(t, Auto, Uploads{OnClose: true}, ReadWrite)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			for _, flags := range []int{create, proceed} {
				f, err := tree.OpenFile("/a.csv", flags, 0o600)
				if errors.Is(err, ErrUploading) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := f.WriteAt([]byte("content"), 0); err != nil {
					t.Error(err)
				}
				if _, err := f.Finish(true); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	removed, kept := 0, 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		var st unix.Stat_t
		if lstatAt(fd, "a.csv", &st) != nil {
			continue
		}
		var size int64 = -1
		err := Expire(fd, "a.csv", seenOf(&st), true, func() error { size = st.Size; return nil })
		switch {
		case err == nil:
			if removed++; size != int64(len("content")) {
				t.Errorf("a file of %d bytes was removed", size)
			}
		case errors.Is(err, ErrNotRestored):
			kept++
		}
	}
	if removed == 0 {
		t.Error("nothing was removed: the test shows nothing")
	}
	names := hidden(t, dir)
	if len(names) != kept {
		t.Errorf("%d uploads were kept, hidden are %q", kept, names)
	}
	for _, name := range names {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != "content" {
			t.Errorf("an upload was kept as %q, %v", data, err)
		}
	}
}

// TestLeftoversThatCannotBeOpened: a leftover that is gone, or is not a file, is not counted as removed, and nothing is removed.
func TestLeftoversThatCannotBeOpened(t *testing.T) {
	const name = ".sftpd-upload.0123456789abcdef"
	for kind, c := range map[string]struct {
		change func(path string) error
		want   error
	}{
		"gone":        {os.Remove, unix.ENOENT},
		"a directory": {func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, ErrChanged},
		"a link":      {func(p string) error { return errors.Join(os.Remove(p), os.Symlink("other", p)) }, ErrChanged},
	} {
		e := newExpiring(t, name)
		if err := c.change(filepath.Join(e.dir, name)); err != nil {
			t.Fatal(err)
		}
		before := e.content()
		err := RemoveStale(e.fd, name, e.seen, true, func() error { t.Errorf("%s: it is about to be removed", kind); return nil })
		if err == nil || e.content() != before {
			t.Errorf("%s: %v, and there is %q", kind, err, e.content())
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", kind, err, c.want)
		}
	}
}
