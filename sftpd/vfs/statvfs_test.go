package vfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestStatVFS(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		dir := t.TempDir()
		write(t, dir, "d/f", "")
		tree := open(t, r, Mount{Path: "/", Volume: dir, Access: ReadWrite}, Mount{Path: "/s/ro", Volume: dir, SubPath: "d2", Access: ReadWrite})
		var host unix.Statfs_t
		if err := unix.Statfs(dir, &host); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"/", "/d/f", "/s/ro"} {
			v, err := tree.StatVFS(p)
			if v.FragmentSize != uint64(host.Frsize) || v.Files != host.Files || v.FilesAvail != v.FilesFree || v.BlocksAvail > v.BlocksFree || v.BlocksFree > v.Blocks ||
				v.FSID != uint64(uint32(host.Fsid.Val[0]))<<32|uint64(uint32(host.Fsid.Val[1])) || !v.NoSetuidPrograms {
				t.Errorf("%s: %+v, the system's %+v", p, v, host)
			}
			if err != nil || v.Blocks != host.Blocks || v.BlockSize != uint64(host.Bsize) || v.NameMax != uint64(host.Namelen) || v.ReadOnly {
				t.Errorf("%s: %+v %v", p, v, err)
			}
		}
		for access, want := range map[Access]bool{ReadOnly: true, WriteOnly: false, CreateOnly: false} {
			if v, err := open(t, r, Mount{Path: "/", Volume: dir, Access: access}).StatVFS("/d/f"); err != nil || v.ReadOnly != want {
				t.Errorf("access %s: %+v %v", access, v, err)
			}
		}
		if v, err := tree.StatVFS("/s"); err != nil || v.Blocks != 0 || !v.ReadOnly {
			t.Errorf("a synthetic directory: %+v %v", v, err)
		}
		for _, p := range []string{"/none", "/s/none"} {
			if _, err := tree.StatVFS(p); err != unix.ENOENT {
				t.Errorf("%s: %v", p, err)
			}
		}
		f, err := tree.OpenFile("/d/f", unix.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if v, err := f.StatVFS(); err != nil || v.Blocks != host.Blocks {
			t.Errorf("by handle: %+v %v", v, err)
		}
		if err := f.Sync(); err != nil {
			t.Error(err)
		}
	})
}

// TestStatFollows covers both ways to stat: with one call in the mount's root, and through the resolver.
func TestStatFollows(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		write(t, dir, "d/f", "12345")
		link(t, dir, "l", "d/f")
		link(t, dir, "d/l", "f")
		link(t, dir, "d/d", "../d")
		for _, p := range []string{"/d/f", "/l", "/d/l", "/d/d/l", "d/d/d/f"} {
			if a, err := tree.Stat(p); err != nil || a.Size != 5 || a.Mode&unix.S_IFMT != unix.S_IFREG {
				t.Errorf("stat %s: %+v %v", p, a, err)
			}
		}
		for _, p := range []string{"/l", "/d/l", "/d/d/l"} {
			if a, err := tree.Lstat(p); err != nil || a.Mode&unix.S_IFMT != unix.S_IFLNK {
				t.Errorf("lstat %s: %+v %v", p, a, err)
			}
		}
		for _, p := range []string{"/d/d/", "/d/d/.", "/d/d/..", "/", "/.."} {
			if a, err := tree.Lstat(p); err != nil || a.Mode&unix.S_IFMT != unix.S_IFDIR {
				t.Errorf("lstat %s: %+v %v", p, a, err)
			}
		}
		if _, err := tree.Readlink("/d/f"); err != unix.EINVAL {
			t.Error("readlink of a file:", err)
		}
		if _, err := tree.Readlink("/d/.."); err != unix.EINVAL {
			t.Error("readlink of dots:", err)
		}
		if _, err := tree.Lstat("/l/"); err == nil {
			t.Error("lstat of a link to a file, with a slash")
		}
	})
}
