package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStatIsTheSystems: all attributes equal those of the system, each with a distinct value, for a file by its name, its
// handle and its directory.
func TestStatIsTheSystems(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		write(t, dir, "d/f", "12345")
		link(t, dir, "d/l", "f")
		link(t, dir, "l", "d/f")
		if err := os.Link(filepath.Join(dir, "d/f"), filepath.Join(dir, "hard")); err != nil {
			t.Fatal(err)
		}
		_ = os.Chown(filepath.Join(dir, "d/f"), 4711, 4712) // as root
		if err := os.Chtimes(filepath.Join(dir, "d/f"), time.Unix(1e9, 5), time.Unix(1e9+7, 5)); err != nil {
			t.Fatal(err)
		}
		want := func(p string, follow bool) Attr {
			var st unix.Stat_t
			err := unix.Lstat(filepath.Join(dir, p), &st)
			if follow {
				err = unix.Stat(filepath.Join(dir, p), &st)
			}
			if err != nil {
				t.Fatal(err)
			}
			return Attr{
				Size: uint64(st.Size), Mode: st.Mode, UID: st.Uid, GID: st.Gid, Nlink: uint32(st.Nlink),
				Atime: int64(st.Atim.Sec), Mtime: int64(st.Mtim.Sec),
			}
		}
		for _, p := range []string{"/d/f", "/hard", "/l", "/d/l", "/d", "/d/", "/d/.", "/d/../l", "/"} {
			if got, err := tree.Stat(p); err != nil || got != want(p, true) {
				t.Errorf("stat %s: %+v, %v, want %+v", p, got, err, want(p, true))
			}
			if got, err := tree.Lstat(p); err != nil || got != want(p, false) {
				t.Errorf("lstat %s: %+v, %v, want %+v", p, got, err, want(p, false))
			}
		}
		f, err := tree.OpenFile("/d/l", os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, err := f.Stat(); err != nil || got != want("d/f", false) {
			t.Errorf("of a handle: %+v, %v", got, err)
		}
		d, err := tree.OpenDir("/d")
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		found := 0
		for e := (Entry{}); d.Next(&e) == nil; {
			if name := string(e.Name); name == "f" || name == "l" {
				found++
				if e.Attr != want("d/"+name, false) {
					t.Errorf("listed %s: %+v", name, e.Attr)
				}
			}
		}
		if found != 2 {
			t.Errorf("%d of 2 are listed", found)
		}
	})
}

// TestSyntheticDirectory: a directory that exists only by configuration belongs to the daemon and cannot be written to.
func TestSyntheticDirectory(t *testing.T) {
	before := time.Now().Unix()
	tree := open(t, Auto, Mount{Path: "/s/a", Volume: t.TempDir(), Access: ReadWrite}, Mount{Path: "/s/b/c", Volume: t.TempDir(), Access: ReadWrite})
	for p, links := range map[string]uint32{"/": 3, "/s": 4, "/s/b": 3} {
		a, err := tree.Stat(p)
		if err != nil || a.Mode != unix.S_IFDIR|0o555 || a.Nlink != links || a.UID != uint32(os.Getuid()) || a.GID != uint32(os.Getgid()) {
			t.Errorf("%s: %+v, %v", p, a, err)
		}
		if a.Mtime < before || a.Mtime > time.Now().Unix() || a.Atime != a.Mtime || a.Size != 0 {
			t.Errorf("%s: %+v", p, a)
		}
		for what, err := range map[string]error{
			"setstat": tree.Setstat(p, Changes{Set: SetTimes}), "rmdir": tree.Rmdir(p), "remove": tree.Remove(p), "rename": tree.Rename(p, "/s/a/x"),
			"symlink": tree.Symlink("x", p), "rename onto it": tree.PosixRename("/s/a", p),
		} {
			if err != ErrMountPoint { //nolint:errorlint // the identical error
				t.Errorf("%s of %s: %v", what, p, err)
			}
		}
		if err := tree.Mkdir(p, 0o755); err != unix.EEXIST {
			t.Errorf("mkdir of %s: %v", p, err)
		}
	}
	for what, err := range map[string]error{
		"mkdir": tree.Mkdir("/s/x", 0o755), "symlink": tree.Symlink("x", "/s/x"), "open": second(tree.OpenFile("/s/x", create, 0o644)),
	} {
		if err != ErrAccess { //nolint:errorlint // the identical error
			t.Errorf("%s in it: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"mkdir": tree.Mkdir("/s/x/y", 0o755), "open": second(tree.OpenFile("/s/x", os.O_WRONLY, 0)), "stat": second(tree.Stat("/s/x")), "list": second(tree.OpenDir("/s/x")),
		"readlink": second(tree.Readlink("/s/x")), "realpath": second(tree.RealPath("/s/x")), "remove": tree.Remove("/s/x"), "setstat": tree.Setstat("/s/x", Changes{}),
	} {
		if err != unix.ENOENT && what != "mkdir" || err == nil {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
}

// TestChangesOfAttributes: each field is set or refused independently, and an error is returned however many others were set.
func TestChangesOfAttributes(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		for _, byHandle := range []bool{false, true} {
			tree, dir := home(t, r)
			write(t, dir, "f", "content")
			name := filepath.Join(dir, "f")
			f, err := tree.OpenFile("/f", os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			set := func(c Changes) error {
				if byHandle {
					return f.Setstat(c)
				}
				return tree.Setstat("/f", c)
			}
			own, err := tree.Stat("/f")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				c     Changes
				want  error
				size  uint64
				mode  uint32
				mtime int64
			}{
				{Changes{Set: SetOwner, UID: KeepID, GID: KeepID}, nil, 7, 0o6755, 100},
				{Changes{Set: SetOwner, UID: KeepID, GID: own.GID}, nil, 7, 0o6755, 100},
				{Changes{Set: SetOwner, UID: own.UID, GID: KeepID}, nil, 7, 0o6755, 100},
				{Changes{Set: SetOwner, UID: own.UID + 1, GID: KeepID}, ErrOwner, 7, 0o6755, 100},
				{Changes{Set: SetOwner, UID: own.UID, GID: own.GID + 1}, ErrOwner, 7, 0o6755, 100},
				{Changes{Set: SetOwner | SetMode | SetTimes, UID: own.UID + 1, GID: own.GID, Mode: 0o640, Atime: 5, Mtime: 6}, ErrOwner, 7, 0o640, 6},
				{Changes{Set: SetMode, Mode: 0o7700}, nil, 7, 0o700, 100},
				{Changes{Set: SetMode, Mode: 0}, nil, 7, 0, 100},
				{Changes{Set: SetSize | SetMode, Size: 1 << 63, Mode: 0o600}, unix.EFBIG, 7, 0o600, 100},
				{Changes{Set: SetSize, Size: 1<<64 - 1}, unix.EFBIG, 7, 0o755, 100},
				{Changes{Set: SetTimes, Atime: 5, Mtime: 1 << 31}, nil, 7, 0o6755, 1 << 31},
				{Changes{Set: SetSize | SetTimes, Size: 3, Mtime: 9}, nil, 3, 0o755, 9},
				{Changes{}, nil, 7, 0o6755, 100},
			} {
				_ = os.Chmod(name, 0o600)
				write(t, dir, "f", "content")
				mode := uint32(0o6755)
				if c.c.Set&SetSize != 0 { // which may take special bits
					mode = 0o755
				}
				if err := errors.Join(unix.Chmod(name, mode), os.Chtimes(name, time.Unix(50, 0), time.Unix(100, 0))); err != nil {
					t.Fatal(err)
				}
				if err := set(c.c); !errors.Is(err, c.want) {
					t.Errorf("handle %v, %+v: %v, want %v", byHandle, c.c, err, c.want)
				}
				a, err := tree.Stat("/f")
				if err != nil || a.Size != c.size || a.Mode&0o7777 != c.mode || a.Mtime != c.mtime || a.UID != own.UID || a.GID != own.GID {
					t.Errorf("handle %v, %+v: %+v, mode %o, %v", byHandle, c.c, a, a.Mode, err)
				}
				if c.c.Set&SetTimes != 0 && a.Atime != c.c.Atime {
					t.Errorf("handle %v, %+v: atime %d", byHandle, c.c, a.Atime)
				}
			}
		}
	})
}

// TestAttributesOfRoots: the times of a mount's root can be set, but not its mode.
func TestAttributesOfRoots(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		link(t, dir, "l", ".")
		for _, p := range []string{"/", "/l"} {
			for i, c := range []struct {
				c    Changes
				want error
			}{
				{Changes{Set: SetTimes, Atime: 1, Mtime: 2}, nil},
				{Changes{Set: SetTimes | SetMode, Atime: 1, Mtime: 3, Mode: 0o100750}, nil}, // which it has
				{Changes{Set: SetTimes | SetMode, Atime: 1, Mtime: 4, Mode: 0o751}, ErrMountPoint},
				{Changes{Set: SetSize}, unix.EISDIR},
				{Changes{Set: SetTimes | SetOwner, Atime: 1, Mtime: 6, UID: KeepID - 1, GID: KeepID}, ErrOwner},
			} {
				if err := os.Chmod(dir, 0o750); err != nil {
					t.Fatal(err)
				}
				if err := tree.Setstat(p, c.c); !errors.Is(err, c.want) {
					t.Errorf("%s %+v: %v, want %v", p, c.c, err, c.want)
				}
				if a, err := tree.Stat("/"); err != nil || a.Mode != unix.S_IFDIR|0o750 || c.c.Set&SetTimes != 0 && a.Mtime != c.c.Mtime {
					t.Errorf("%s after %d: %+v, %v", p, i, a, err)
				}
			}
		}
	})
}

// TestRightsOfAHandle: a handle can change only what it was opened for, in a mount that allows it.
func TestRightsOfAHandle(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "f", "content")
	rw := open(t, Auto, Mount{Path: "/", Volume: dir, Access: ReadWrite})
	ro := open(t, Auto, Mount{Path: "/", Volume: dir, Access: ReadOnly})
	for _, c := range []struct {
		tree  *Tree
		flags int
		c     Changes
		want  error
		mode  uint32
	}{
		{rw, os.O_RDONLY, Changes{Set: SetSize}, ErrAccess, 0o600},
		{rw, os.O_RDONLY, Changes{Set: SetMode, Mode: 0o640}, nil, 0o640},
		{rw, os.O_RDONLY, Changes{Set: SetSize | SetMode, Mode: 0o640}, ErrAccess, 0o640},
		{ro, os.O_RDONLY, Changes{Set: SetMode, Mode: 0o640}, ErrAccess, 0o600},
		{ro, os.O_RDONLY, Changes{}, ErrAccess, 0o600},
		{rw, os.O_RDONLY | unix.O_DIRECTORY | unix.O_PATH, Changes{Set: SetMode, Mode: 0o640}, nil, 0o640}, // flags that no OPEN has
	} {
		if err := os.Chmod(filepath.Join(dir, "f"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := c.tree.OpenFile("/f", c.flags, 0)
		if err != nil {
			t.Fatalf("%#x: %v", c.flags, err)
		}
		if err := f.Setstat(c.c); !errors.Is(err, c.want) || err == nil && c.want != nil {
			t.Errorf("%+v: %v, want %v", c.c, err, c.want)
		}
		f.Close()
		if a, err := rw.Stat("/f"); err != nil || a.Size != 7 || a.Mode&0o7777 != c.mode {
			t.Errorf("%+v: %+v, %v", c.c, a, err)
		}
	}
}

// TestModeOfAFile: a new file has the requested permissions less the umask, and no other bits.
func TestModeOfAFile(t *testing.T) {
	defer unix.Umask(unix.Umask(0o027))
	for _, u := range []Uploads{{}, {OnClose: true}} {
		tree, dir := uploadTree(t, Auto, u, ReadWrite)
		for p, mode := range map[string]uint32{"/a": 0o600, "/b": 0o777, "/c": 0o7755, "/e": 0o200} {
			f, err := tree.OpenFile(p, create, mode)
			if err != nil {
				t.Fatal(err)
			}
			finish(t, f, true, Nothing)
			var st unix.Stat_t
			if err := unix.Stat(dir+p, &st); err != nil || st.Mode&0o7777 != mode&0o750 {
				t.Errorf("%+v %s: %o, %v, want %o", u, p, st.Mode&0o7777, err, mode&0o750)
			}
		}
	}
}
