package vfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMountsThatAreRefused: mounts that Open refuses leave nothing open.
func TestMountsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "")
	ok := Mount{Path: "/ok", Volume: t.TempDir(), SubPath: "a/b", Access: ReadWrite}
	before := openFiles(t)
	for want, c := range map[string]Mount{
		"NUL":                   {Path: "/a\x00b", Volume: dir, Access: ReadWrite},
		"no volume":             {Path: "/", Access: ReadWrite},
		`path ""`:               {Volume: dir, Access: ReadWrite},
		`subPath "."`:           {Path: "/", Volume: dir, SubPath: ".", Access: ReadWrite},
		`subPath ".."`:          {Path: "/", Volume: dir, SubPath: "..", Access: ReadWrite},
		`subPath "a/"`:          {Path: "/", Volume: dir, SubPath: "a/", Access: ReadWrite},
		"listNames requires":    {Path: "/", Volume: dir, Access: ReadWrite, ListNames: true},
		"file name too long":    {Path: "/" + strings.Repeat("n", 256), Volume: dir, Access: ReadWrite},
		"two mounts":            {Path: "/ok", Volume: dir, Access: ReadWrite},
		"not a directory":       {Path: "/", Volume: filepath.Join(dir, "file"), Access: ReadWrite},
		`directory "file": not`: {Path: "/", Volume: dir, SubPath: "file", Access: ReadWrite},
		"same access":           {Path: "/", Volume: ok.Volume, SubPath: "a", Access: ReadOnly},
		"no such file":          {Path: "/", Volume: dir + "/none", Access: ReadWrite},
		`access ""`:             {Path: "/", Volume: dir},
		"listNames requires ac": {Path: "/", Volume: dir, Access: ReadOnly, ListNames: true},
	} {
		for _, r := range []Resolver{Auto, OSRoot} {
			tree, err := Open([]Mount{ok, c}, WithResolver(r))
			if err == nil {
				tree.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", c, err, want)
			}
		}
	}
	if _, err := Open([]Mount{ok}, WithResolver("guess")); err == nil {
		t.Error("a resolver that does not exist")
	}
	if after := openFiles(t); len(after) != len(before) {
		t.Errorf("open are %q, before %q", after, before)
	}
}

// TestMountsThatAreTaken: directories may contain each other with the same access, and others with any access. The components
// of a subPath stay as they are.
func TestMountsThatAreTaken(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "users"), 0o700); err != nil {
		t.Fatal(err)
	}
	resolvers(t, func(t *testing.T, r Resolver) {
		tree := open(t, r,
			Mount{Path: "/", Volume: dir, SubPath: "users/a", Access: ReadWrite},
			Mount{Path: "/in", Volume: dir, SubPath: "users/a/in", Access: ReadWrite},
			Mount{Path: "/same", Volume: dir, SubPath: "users/a", Access: ReadWrite},
			Mount{Path: "/other", Volume: dir, SubPath: "users/ab", Access: ReadOnly},
			Mount{Path: "/..x/.y", Volume: dir, SubPath: "..users/b...", Access: WriteOnly},
		)
		if tree.Resolver() != r {
			t.Errorf("resolver %s", tree.Resolver())
		}
		if err := put(tree, "/in/x", "x"); err != nil || read(tree, "/same/in/x") != "x" {
			t.Errorf("%v, %q", err, read(tree, "/same/in/x"))
		}
		if err := put(tree, "/..x/.y/z", "z"); err != nil {
			t.Error(err)
		}
		for name, want := range map[string]os.FileMode{"users": 0o700, "users/a": 0o770, "users/a/in": 0o770, "users/ab": 0o770} {
			if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, st.Mode(), err)
			}
		}
		// Open files outlive their tree.
		f, err := tree.OpenFile("/in/x", os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 2)
		if n, err := f.ReadAt(buf, 0); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}
