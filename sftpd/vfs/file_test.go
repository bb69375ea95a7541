package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOnlyRegularFilesOpen(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o666); err != nil {
			t.Fatal(err)
		}
		link(t, dir, "l", "fifo")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, p := range []string{"/fifo", "/l"} {
				for _, flags := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREATE | os.O_TRUNC} {
					if _, err := tree.OpenFile(p, flags, 0); !errors.Is(err, ErrNotRegular) {
						t.Errorf("open %s %x: %v", p, flags, err)
					}
				}
				if err := tree.Setstat(p, Changes{Set: SetSize}); err == nil {
					t.Errorf("truncate %s succeeded", p)
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("opening a FIFO blocks")
		}
	})
}

func TestFileIO(t *testing.T) {
	tree, dir := home(t, Auto)
	f, err := tree.OpenFile("/f", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o7640)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.WriteAt([]byte("hello world"), 2); n != 11 || err != nil {
		t.Error(n, err)
	}
	buf := make([]byte, 20)
	if n, err := f.ReadAt(buf, 0); string(buf[:n]) != "\x00\x00hello world" || err != nil {
		t.Errorf("%q %v", buf[:n], err)
	}
	if n, err := f.ReadAt(buf, 13); n != 0 || !errors.Is(err, io.EOF) {
		t.Error(n, err)
	}
	if err := tree.Rename("/f", "/g"); err != nil {
		t.Error(err)
	}
	if err := f.Setstat(Changes{Set: SetSize | SetMode | SetTimes, Size: 3, Mode: 0o4755, Mtime: 77, Atime: 78}); err != nil {
		t.Error(err)
	}
	a, err := f.Stat()
	if err != nil || a.Size != 3 || a.Mode != unix.S_IFREG|0o755 || a.Mtime != 77 || a.Atime != 78 || a.Nlink != 1 {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := tree.OpenFile("/g", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != unix.EEXIST {
		t.Error(err)
	}
	app, err := tree.OpenFile("/g", os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	for range 2 {
		if n, err := app.WriteAt([]byte("end"), 0); n != 3 || err != nil {
			t.Error(n, err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "g")); string(got) != "\x00\x00hendend" {
		t.Errorf("%q", got)
	}
	if err := app.Setstat(Changes{Set: SetOwner, UID: a.UID + 1, GID: a.GID}); !errors.Is(err, ErrOwner) {
		t.Error(err)
	}
	if err := app.Setstat(Changes{Set: SetOwner, UID: a.UID, GID: a.GID}); err != nil {
		t.Error(err)
	}
}

func TestSetstat(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		write(t, dir, "f", "content")
		link(t, dir, "l", "f")
		if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chmod(filepath.Join(dir, "d"), 0o3755); err != nil {
			t.Fatal(err)
		}
		a, _ := tree.Stat("/f")
		for _, c := range []struct {
			p    string
			c    Changes
			want error
		}{
			{"/l", Changes{Set: SetSize | SetMode | SetTimes, Size: 4, Mode: 0o6711, Mtime: 1000}, nil},
			{"/d", Changes{Set: SetMode, Mode: 0o4700}, nil},
			{"/d", Changes{Set: SetSize}, unix.EISDIR},
			{"/f", Changes{Set: SetOwner, UID: a.UID + 1}, ErrOwner},
			{"/f", Changes{Set: SetOwner, UID: a.UID, GID: a.GID}, nil},
			{"/f", Changes{}, nil},
			{"/none", Changes{Set: SetTimes}, unix.ENOENT},
			{"/none", Changes{Set: SetSize}, unix.ENOENT},
		} {
			if err := tree.Setstat(c.p, c.c); !errors.Is(err, c.want) {
				t.Errorf("setstat %s %+v: %v, want %v", c.p, c.c, err, c.want)
			}
		}
		if err := tree.Lsetstat("/l", Changes{Set: SetTimes, Mtime: 2000}); err != nil {
			t.Error(err)
		}
		if err := tree.Lsetstat("/l", Changes{Set: SetSize}); err != unix.EINVAL {
			t.Error(err)
		}
		for p, want := range map[string]Attr{
			"/f": {Mode: unix.S_IFREG | 0o711, Mtime: 1000, Size: 4}, "/l": {Mode: unix.S_IFLNK | 0o777, Mtime: 2000, Size: 1},
		} {
			if got, err := tree.Lstat(p); err != nil || got.Mode != want.Mode || got.Mtime != want.Mtime || got.Size != want.Size {
				t.Errorf("%s: %+v %v", p, got, err)
			}
		}
		if got, _ := tree.Stat("/d"); got.Mode != unix.S_IFDIR|0o3700 {
			t.Errorf("the special bits of a directory must stay as they are: %o", got.Mode)
		}
	})
}

func TestRenames(t *testing.T) {
	for name, call := range map[string]func(*Tree, string, string) error{
		"noreplace": (*Tree).Rename,
		"by link":   func(t *Tree, a, b string) error { return t.rename(a, b, free, renameByLink, nil) },
	} {
		tree, dir := home(t, Auto)
		write(t, dir, "a", "a")
		write(t, dir, "b", "b")
		write(t, dir, "d/x", "x")
		write(t, dir, "e/y", "y")
		link(t, dir, "l", "a")
		for _, c := range []struct {
			from, to string
			want     error
		}{
			{"/a", "/b", unix.EEXIST},
			{"/a", "/a", unix.EEXIST},
			{"/a", "/d", unix.EEXIST},
			{"/d", "/e", unix.EEXIST},
			{"/l", "/b", unix.EEXIST},
			{"/none", "/x", unix.ENOENT},
			{"/a", "/none/x", unix.ENOENT},
			{"/d/.", "/x", ErrDots},
			{"/d/./", "/x", ErrDots},
			{"/a", "/d/.", ErrDots},
			{"/d", "/x", nil},
			{"/x", "/d", nil},
			{"/a/", "/x", unix.ENOTDIR},
			{"/d/..", "/x", ErrMountPoint},
			{"/e/../d/..", "/x", ErrMountPoint},
			{"/a", "/x/", unix.ENOTDIR},
			{"/d/", "/x/", nil},
			{"/x", "/d", nil},
			{"/d", "/d/sub", unix.EINVAL},
			{"/a", "/d/a", nil},
			{"/l", "/d/l", nil},
			{"/d", "/e/d", nil},
			{"/e/d/x/..", "/y", ErrDots},
		} {
			if err := call(tree, c.from, c.to); !errors.Is(err, c.want) {
				t.Errorf("%s: rename %s %s: %v, want %v", name, c.from, c.to, err, c.want)
			}
		}
		if read(tree, "/e/d/a") != "a" || read(tree, "/b") != "b" || list(t, tree, "/") != ". .. b e" && list(t, tree, "/") != ". .. e b" {
			t.Errorf("%s: %s", name, list(t, tree, "/"))
		}
	}
	tree, dir := home(t, Auto)
	write(t, dir, "a", "a")
	write(t, dir, "b", "b")
	if err := tree.PosixRename("/a", "/b"); err != nil || read(tree, "/b") != "a" {
		t.Error(err)
	}
}

func TestRemoveKinds(t *testing.T) {
	tree, dir := home(t, Auto)
	write(t, dir, "f", "")
	write(t, dir, "d/x", "")
	link(t, dir, "l", "d")
	for what, err := range map[string]error{
		"remove a directory": tree.Remove("/d"), "rmdir a file": tree.Rmdir("/f"), "rmdir a link": tree.Rmdir("/l"),
		"rmdir a full directory": tree.Rmdir("/d"), "remove f/": tree.Remove("/f/"), "remove nothing": tree.Remove("/none"),
	} {
		if err == nil {
			t.Error(what, "succeeded")
		}
	}
	if tree.Remove("/l") != nil || tree.Remove("/d/x") != nil {
		t.Error("removing failed:", list(t, tree, "/"))
	}
	// A client with this working directory would end up in none.
	if err := tree.Rmdir("/d/."); err != unix.EINVAL {
		t.Errorf("rmdir d/.: %v", err)
	}
	if err := tree.Remove("/d/."); err != unix.EISDIR {
		t.Errorf("remove d/.: %v", err)
	}
	if tree.Rmdir("/d/") != nil || tree.Remove("/f") != nil {
		t.Error("removing failed:", list(t, tree, "/"))
	}
}

func TestCopyTo(t *testing.T) {
	tree, dir := home(t, Auto)
	write(t, dir, "src", "0123456789")
	write(t, dir, "dst", "abc")
	src, _ := tree.OpenFile("/src", os.O_RDONLY, 0)
	dst, _ := tree.OpenFile("/dst", os.O_WRONLY, 0)
	app, _ := tree.OpenFile("/dst", os.O_WRONLY|os.O_APPEND, 0)
	same, _ := tree.OpenFile("/src", os.O_RDWR, 0)
	defer func() { src.Close(); dst.Close(); app.Close(); same.Close() }()
	for _, c := range []struct {
		to        *File
		off, n, w int64
		err       error
	}{{dst, 2, 3, 3, nil}, {app, 8, 100, 2, nil}, {dst, 10, 5, 0, io.EOF}, {app, 10, 5, 0, io.EOF}, {same, 0, 1, 0, ErrSameFile}, {src, 0, 1, 0, ErrAccess}} {
		if n, err := src.CopyTo(c.to, c.off, 1, c.n); n != c.w || !errors.Is(err, c.err) {
			t.Errorf("copy at %d: %d, %v", c.off, n, err)
		}
	}
	if got := read(tree, "/dst"); got != "a23489" {
		t.Error(got)
	}
}

func TestListing(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		names := []string{".", "..", "\xff\xfe invalid utf-8", strings.Repeat("n", 255)}
		for i := range 3000 {
			names = append(names, fmt.Sprint("entry-", i))
		}
		for _, n := range names[2:] {
			write(t, dir, "d/"+n, n)
		}
		got := strings.Split(list(t, tree, "/d"), " ")
		slices.Sort(got)
		want := strings.Split(strings.Join(names, " "), " ")
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d names, want %d", len(got), len(want))
		}
		d, err := tree.OpenDir("/d")
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		os.RemoveAll(filepath.Join(dir, "d"))
		var e Entry
		for i := 0; ; i++ {
			if err := d.Next(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil || i > 2 {
				t.Fatal("a removed directory lists", i, err)
			}
		}
	})
}

// TestListingParent checks the attributes of "..", which differ from the directory's own.
func TestListingParent(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		dir, docs := t.TempDir(), t.TempDir()
		tree := open(t, r, Mount{Path: "/", Volume: dir, Access: ReadWrite}, Mount{Path: "/g/docs", Volume: docs, Access: ReadOnly})
		write(t, dir, "d/e/f", "")
		for name, mode := range map[string]os.FileMode{"": 0o710, "d": 0o720, "d/e": 0o730} {
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(docs, 0o740); err != nil {
			t.Fatal(err)
		}
		for p, want := range map[string][2]uint32{
			"/": {0o710, 0o710}, "": {0o710, 0o710}, "/d/e": {0o730, 0o720}, "/d/e/": {0o730, 0o720}, "/d/e/../e/.": {0o730, 0o720},
			"/g/docs": {0o740, 0o555},
		} {
			d, err := tree.OpenDir(p)
			if err != nil {
				t.Fatal(err)
			}
			var have [2]uint32
			for i := range have {
				var e Entry
				if err := d.Next(&e); err != nil {
					t.Fatal(err)
				}
				have[i] = e.Attr.Mode & 0o777
			}
			d.Close()
			if have != want {
				t.Errorf("%q: %o, want %o", p, have, want)
			}
		}
		// Its parent is gone, and the parent of its path is another directory.
		d, err := tree.OpenDir("/d/e")
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		os.RemoveAll(filepath.Join(dir, "d"))
		var e Entry
		for range 2 {
			if err := d.Next(&e); err != nil || e.Attr.Mode&0o777 != 0o730 {
				t.Errorf("of a removed directory: %q %o %v", e.Name, e.Attr.Mode, err)
			}
		}
	})
}
