package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// resolvers runs a test with each way of resolving paths.
func resolvers(t *testing.T, test func(t *testing.T, r Resolver)) {
	for _, r := range []Resolver{Openat2, OSRoot} {
		t.Run(string(r), func(t *testing.T) {
			if r == Openat2 {
				needOpenat2(t)
			}
			test(t, r)
		})
	}
}

// needOpenat2 skips a test where the kernel or a sandbox has no openat2, except in CI, where the way that production uses must
// be tested.
func needOpenat2(t *testing.T) {
	t.Helper()
	if Probe() == Openat2 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this kernel or sandbox has no openat2")
	}
	t.Skip("this kernel or sandbox has no openat2")
}

// open opens a tree that is closed at the end of the test.
func open(t testing.TB, r Resolver, mounts ...Mount) *Tree {
	t.Helper()
	tree, err := Open(mounts, WithResolver(r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// home creates a tree of one read-write mount and returns its directory.
func home(t testing.TB, r Resolver) (*Tree, string) {
	dir := t.TempDir()
	return open(t, r, Mount{Path: "/", Volume: dir, Access: ReadWrite}), dir
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, dir, name, target string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// read returns the content at p, or the error as text in brackets.
func read(tree *Tree, p string) string {
	f, err := tree.OpenFile(p, os.O_RDONLY, 0)
	if err != nil {
		return "[" + err.Error() + "]"
	}
	defer f.Close()
	buf := make([]byte, 1000)
	n, _ := f.ReadAt(buf, 0)
	return string(buf[:n])
}

func put(tree *Tree, p, content string) error {
	f, err := tree.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte(content), 0)
	return err
}

func list(t testing.TB, tree *Tree, p string) string {
	t.Helper()
	d, err := tree.OpenDir(p)
	if err != nil {
		return "[" + err.Error() + "]"
	}
	defer d.Close()
	var names []string
	var e Entry
	for err = d.Next(&e); err == nil; err = d.Next(&e) {
		names = append(names, string(e.Name))
	}
	return strings.Join(names, " ")
}

func TestMountTable(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		h, docs := t.TempDir(), t.TempDir()
		write(t, h, "x", "home x")
		write(t, h, "docs/hidden", "hidden by the mount")
		write(t, h, "a/hidden", "hidden by the synthetic directory")
		write(t, h, "sub/y", "home y")
		write(t, docs, "x", "docs x")
		write(t, docs, "deep/er/z", "z")
		link(t, h, "subl", "sub")
		link(t, docs, "dl", "deep/er")
		write(t, docs, "deep/er/in/side", "")
		link(t, docs, "deep/in", "er/in")
		tree := open(t, r,
			Mount{Path: "/", Volume: h, Access: ReadWrite},
			Mount{Path: "/docs", Volume: docs, Access: ReadOnly},
			Mount{Path: "/a/b", Volume: docs, SubPath: "deep", Access: ReadOnly},
		)
		const enoent, eisdir = "[no such file or directory]", "[is a directory]"
		for p, want := range map[string]string{
			"/x": "home x", "x": "home x", "./x": "home x", "//x": "home x", "/../../x": "home x",
			"/docs/x": "docs x", "docs//./x": "docs x", "/docs/../x": "home x", "/docs/../docs/x": "docs x",
			"/docs/hidden": enoent, "/a/hidden": enoent, "/a/b/er/z": "z", "/a/../x": "home x", "/a/b/../../x": "home x",
			"/sub/../docs/x": "docs x", "/sub/../x": "home x", "/a/none/../b/er/z": "z", "/a/b/../hidden": enoent,
			"/docs": eisdir, "/": eisdir, "": eisdir, "/a": eisdir, "/sub": eisdir, "/subl": eisdir,
			"/subl/y": "home y", "/docs/dl/z": "z", "/docs/dl/../deep/er/z": "z", "/docs/dl/../../x": "home x",
			"/docs/deep/in/../z": "z", "/docs/deep/in/../../x": "docs x", "/docs/deep/in/../../../docs/x": "docs x",
			"/x/": "[not a directory]", "/x/.": "[not a directory]", "/x/y": "[not a directory]",
			"/none": enoent, "/a\x00": "[invalid argument]", strings.Repeat("a", 256): "[file name too long]",
			strings.Repeat("a/", 2048): "[file name too long]",
		} {
			if got := read(tree, p); got != want {
				t.Errorf("read %q: %q, want %q", p, got, want)
			}
		}
		for p, want := range map[string]string{
			"/": ". .. a docs", "/a": ". .. b", "/a/": ". .. b", "/sub/.": ". .. y", "/subl": ". .. y",
			"/x": "[not a directory]", "/a/x": enoent,
		} {
			if got := list(t, tree, p); !strings.HasPrefix(got, want) {
				t.Errorf("list %q: %q, want %q", p, got, want)
			}
		}
		if got := strings.Fields(list(t, tree, "/")); len(got) != 7 {
			t.Errorf("list /: %q", got)
		}
	})
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "")
	link(t, dir, "link", "/etc")
	write(t, dir, "real/x", "")
	elsewhere := t.TempDir()
	link(t, elsewhere, "box", filepath.Join(dir, "real"))
	for _, c := range []struct {
		mounts []Mount
		want   string
	}{
		{nil, "no mounts"},
		{[]Mount{{Path: "docs", Volume: dir, SubPath: "", Access: ReadOnly}}, "not clean and absolute"},
		{[]Mount{{Path: "/docs/", Volume: dir, SubPath: "", Access: ReadOnly}}, "not clean and absolute"},
		{[]Mount{{Path: "/", Volume: dir, SubPath: "", Access: "Sometimes"}}, `access "Sometimes"`},
		{[]Mount{{Path: "/", Volume: dir + "/none", SubPath: "", Access: ReadOnly}}, `volume "` + dir + `/none": no such file`},
		{[]Mount{{Path: "/", Volume: dir, SubPath: "../x", Access: ReadOnly}}, "not clean and relative"},
		{[]Mount{{Path: "/", Volume: dir, SubPath: "/x", Access: ReadOnly}}, "not clean and relative"},
		{[]Mount{{Path: "/", Volume: dir, SubPath: "link/x", Access: ReadOnly}}, `directory "link": is a symbolic link`},
		{[]Mount{{Path: "/", Volume: dir, SubPath: "real/../../x", Access: ReadOnly}}, "not clean"},
		{[]Mount{{Path: "/", Volume: dir, SubPath: "file/x", Access: ReadOnly}}, `directory "file": not a directory`},
		{[]Mount{{Path: "/", Volume: "/proc", SubPath: "x", Access: ReadOnly}}, `directory "x": cannot be created`},
		{[]Mount{{Path: "/", Volume: dir, SubPath: "", Access: ReadOnly}, {Path: "/", Volume: dir, SubPath: "", Access: ReadOnly}}, "two mounts have this path"},
		{[]Mount{{Path: "/", Volume: dir, SubPath: "real", Access: ReadWrite}, {Path: "/in", Volume: dir, SubPath: "real/in", Access: WriteOnly}}, "same access"},
		{[]Mount{{Path: "/in", Volume: dir, SubPath: "real/in", Access: WriteOnly}, {Path: "/", Volume: dir, SubPath: "real", Access: ReadWrite}}, "same access"},
		// Nested volumes, also by way of a link.
		{[]Mount{{Path: "/", Volume: dir, Access: ReadWrite}, {Path: "/in", Volume: dir + "/real", Access: WriteOnly}}, "same access"},
		{[]Mount{{Path: "/in", Volume: dir + "/real", SubPath: "deep/er", Access: WriteOnly}, {Path: "/", Volume: dir, Access: ReadOnly}}, "same access"},
		{[]Mount{{Path: "/", Volume: dir, Access: ReadWrite}, {Path: "/in", Volume: elsewhere + "/box", Access: WriteOnly}}, "same access"},
		{[]Mount{{Path: "/", Volume: "/", Access: ReadOnly}, {Path: "/in", Volume: dir, Access: WriteOnly}}, "same access"},
	} {
		for _, r := range []Resolver{Auto, OSRoot} {
			tree, err := Open(c.mounts, WithResolver(r))
			if err == nil {
				tree.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open(%v): %v, want %q", c.mounts, err, c.want)
			}
		}
	}
}

func TestSubPathIsMade(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		dir := t.TempDir()
		defer unix.Umask(unix.Umask(0o077))
		tree := open(t, r, Mount{Path: "/", Volume: dir, SubPath: "users/acme", Access: ReadWrite})
		if err := put(tree, "/x", "x"); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(filepath.Join(dir, "users/acme"))
		if err != nil || st.Mode().Perm() != 0o770 {
			t.Errorf("subPath: %v, %v", st.Mode(), err)
		}
		if read(tree, "/../x") != "x" || read(tree, "/../../x") != "x" {
			t.Error("\"..\" at the root must stay there")
		}
	})
}

func TestErrorsMatchErrno(t *testing.T) {
	for err, errno := range map[error]unix.Errno{
		ErrAccess: unix.EACCES, ErrCrossMount: unix.EXDEV, ErrMountPoint: unix.EACCES, ErrNotRegular: unix.EOPNOTSUPP,
		ErrOwner: unix.EPERM, ErrDots: unix.EBUSY, ErrSameFile: unix.EBUSY,
	} {
		var got unix.Errno
		if !errors.Is(err, errno) || !errors.As(err, &got) || got != errno {
			t.Errorf("%v does not unwrap to %v", err, errno)
		}
	}
}
