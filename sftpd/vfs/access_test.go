package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAccessMatrix runs every operation in every mode.
func TestAccessMatrix(t *testing.T) {
	openAs := func(flags int) func(*Tree) error {
		return func(tree *Tree) error {
			f, err := tree.OpenFile("/file", flags, 0o600)
			if err == nil {
				f.Close()
			}
			return err
		}
	}
	size := Changes{Set: SetSize, Size: 3}
	// Letters say which modes allow an operation: w for ReadWrite, r for ReadOnly, o for WriteOnly, c for CreateOnly.
	for _, c := range []struct {
		name, may string
		do        func(*Tree) error
	}{
		{"open to read", "wr", openAs(os.O_RDONLY)},
		{"open to write", "wo", openAs(os.O_WRONLY)},
		{"open to append", "wo", openAs(os.O_WRONLY | os.O_APPEND)},
		{"open to read and write", "w", openAs(os.O_RDWR)},
		{"open to read and truncate", "w", openAs(os.O_RDONLY | os.O_TRUNC)},
		{"open to read and create", "w", openAs(os.O_RDONLY | os.O_CREATE)},
		{"create to read and write", "w", func(tr *Tree) error {
			f, err := tr.OpenFile("/new", os.O_RDWR|os.O_CREATE, 0o600)
			if err == nil {
				f.Close()
			}
			return err
		}},
		{"open to write and truncate", "wo", openAs(os.O_WRONLY | os.O_TRUNC)},
		{"create", "woc", func(tr *Tree) error { return put(tr, "/new", "x") }},
		{"stat", "wroc", func(tr *Tree) error { _, err := tr.Stat("/file"); return err }},
		{"lstat", "wroc", func(tr *Tree) error { _, err := tr.Lstat("/link"); return err }},
		{"realpath", "wroc", func(tr *Tree) error { _, err := tr.RealPath("/link"); return err }},
		{"statvfs", "wroc", func(tr *Tree) error { _, err := tr.StatVFS("/file"); return err }},
		{"readlink", "wr", func(tr *Tree) error { _, err := tr.Readlink("/link"); return err }},
		{"list", "wr", func(tr *Tree) error { d, err := tr.OpenDir("/dir"); closeDir(d); return err }},
		{"list the root", "wr", func(tr *Tree) error { d, err := tr.OpenDir("/"); closeDir(d); return err }},
		{"mkdir", "woc", func(tr *Tree) error { return tr.Mkdir("/newdir", 0o755) }},
		{"rename", "wo", func(tr *Tree) error { return tr.Rename("/file", "/file2") }},
		{"posix-rename", "wo", func(tr *Tree) error { return tr.PosixRename("/file", "/dir/file") }},
		{"setstat size", "wo", func(tr *Tree) error { return tr.Setstat("/file", size) }},
		{"setstat mode", "wo", func(tr *Tree) error { return tr.Setstat("/file", Changes{Set: SetMode, Mode: 0o600}) }},
		{"setstat times of the root", "wo", func(tr *Tree) error { return tr.Setstat("/", Changes{Set: SetTimes}) }},
		{"lsetstat times", "wo", func(tr *Tree) error { return tr.Lsetstat("/link", Changes{Set: SetTimes}) }},
		{"remove", "w", func(tr *Tree) error { return tr.Remove("/file") }},
		{"rmdir", "w", func(tr *Tree) error { return tr.Rmdir("/empty") }},
		{"symlink", "w", func(tr *Tree) error { return tr.Symlink("file", "/link2") }},
		{"hard link", "w", func(tr *Tree) error { return tr.Link("/file", "/hard") }},
	} {
		for letter, access := range map[string]Access{"w": ReadWrite, "r": ReadOnly, "o": WriteOnly, "c": CreateOnly} {
			for _, r := range []Resolver{Auto, OSRoot} {
				dir := t.TempDir()
				write(t, dir, "file", "content")
				link(t, dir, "link", "file")
				for _, name := range []string{"dir", "empty"} {
					if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				before := snapshot(t, dir)
				err := c.do(open(t, r, Mount{Path: "/", Volume: dir, Access: access}))
				may := false
				for _, l := range c.may {
					may = may || string(l) == letter
				}
				if may && err != nil || !may && !errors.Is(err, ErrAccess) {
					t.Errorf("%s in %s with %s: %v", c.name, access, r, err)
				}
				if !may && snapshot(t, dir) != before {
					t.Errorf("%s in %s with %s was refused and changed the tree", c.name, access, r)
				}
			}
		}
	}
}

func closeDir(d *Dir) {
	if d != nil {
		d.Close()
	}
}

// snapshot describes everything below dir.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var s string
	err := filepath.Walk(dir, func(p string, i os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		var content []byte
		if i.Mode().IsRegular() {
			content, _ = os.ReadFile(p)
		}
		s += fmt.Sprintln(p, i.Mode(), i.ModTime(), i.Size(), string(content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMountsAreApart(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		h, docs, in := t.TempDir(), t.TempDir(), t.TempDir()
		write(t, h, "x", "x")
		write(t, docs, "d", "d")
		write(t, in, "i", "i")
		tree := open(t, r,
			Mount{Path: "/", Volume: h, Access: ReadWrite},
			Mount{Path: "/docs", Volume: docs, Access: ReadWrite},
			Mount{Path: "/s/in", Volume: in, Access: WriteOnly},
		)
		for name, got := range map[string]error{
			"rename out of a drop box":         tree.Rename("/s/in/i", "/i"),
			"posix-rename out of a drop box":   tree.PosixRename("/s/in/i", "/docs/i"),
			"rename between mounts":            tree.Rename("/x", "/docs/x"),
			"link between mounts":              tree.Link("/x", "/docs/x"),
			"symlink to another mount's names": tree.Symlink("/x", "/docs/l"),
			"symlink to a name alike":          tree.Symlink("/docsx", "/docs/l"),
		} {
			if !errors.Is(got, unix.EXDEV) {
				t.Errorf("%s: %v", name, got)
			}
		}
		for name, got := range map[string]error{
			"rename a mount point":           tree.Rename("/docs", "/docs2"),
			"replace a mount point":          tree.PosixRename("/x", "/docs"),
			"rename the root":                tree.Rename("/", "/y"),
			"remove a mount point":           tree.Rmdir("/docs"),
			"remove a mount point by remove": tree.Remove("/docs"),
			"remove the root":                tree.Rmdir("/"),
			"remove a synthetic directory":   tree.Rmdir("/s"),
			"chmod a mount point":            tree.Setstat("/docs", Changes{Set: SetMode, Mode: 0}),
			"chmod a synthetic directory":    tree.Setstat("/s", Changes{Set: SetMode, Mode: 0o777}),
			"mkdir in a synthetic directory": tree.Mkdir("/s/new", 0o755),
			"file in a synthetic directory":  put(tree, "/s/new", ""),
			"link in a synthetic directory":  tree.Symlink("x", "/s/new"),
			"rename into a synthetic one":    tree.Rename("/x", "/s/x"),
		} {
			if !errors.Is(got, unix.EACCES) {
				t.Errorf("%s: %v", name, got)
			}
		}
		for name, got := range map[string]error{
			"mkdir of a mount point":   tree.Mkdir("/docs", 0o755),
			"mkdir of the root":        tree.Mkdir("/", 0o755),
			"mkdir of a synthetic one": tree.Mkdir("/s/", 0o755),
		} {
			if got != unix.EEXIST {
				t.Errorf("%s: %v", name, got)
			}
		}
		if err := tree.Rename("/s/in/i", "/s/in/j"); err != nil {
			t.Error("rename inside of a drop box:", err)
		}
		if read(tree, "/x") != "x" || read(tree, "/docs/d") != "d" {
			t.Error("files were moved by a refused request")
		}
	})
}
