package vfs

import (
	"path"
	"strings"
	"testing"
)

// FuzzLocate checks the textual walk against three rules: mount and rest together name what the path names, a rest never climbs
// above its root, and a path that names a mount point or synthetic directory is found there.
func FuzzLocate(f *testing.F) {
	dir := f.TempDir()
	tree := open(f, Auto,
		Mount{Path: "/", Volume: dir, Access: ReadWrite},
		Mount{Path: "/docs", Volume: dir, Access: ReadWrite},
		Mount{Path: "/docs/in", Volume: dir, Access: ReadWrite},
		Mount{Path: "/a/b/c", Volume: dir, Access: ReadWrite},
	)
	nodes := map[string]bool{"/": true, "/docs": true, "/docs/in": true, "/a": true, "/a/b": true, "/a/b/c": true}
	for _, p := range []string{
		"", "/", "x", "/docs/../docs/in/./x", "/a/b/c/../c/d/../e", "/a/x/../b/c", "/docs/in/../../docs/y/", "../..//a/./b",
		"/x/../docs/in/z/../../w", "/docs/in/l/../..", "x/./", "/a/b/../../a/b/c/.",
		"/docs", "/docs/", "//docs", "/..", "/.", "/.docs/..in", "/docs/...", "//",
	} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		clean := Clean(p)
		if want := path.Clean("/" + p); clean != want {
			t.Fatalf("%q: %q, want %q", p, clean, want)
		}
		pl, err := tree.locate(p)
		if err != nil {
			return
		}
		if (pl.node != nil) != nodes[clean] {
			t.Fatalf("%q: node %v at %s", p, pl.node, clean)
		}
		if pl.node != nil {
			if pl.rest != "" || pl.node.m != pl.m {
				t.Fatalf("%q: %+v", p, pl)
			}
			return
		}
		if pl.m == nil {
			if !strings.HasPrefix(clean, "/a/") || strings.HasPrefix(clean, "/a/b/c/") {
				t.Fatalf("%q: no mount", p)
			}
			return
		}
		if pl.rest == "" || pl.rest[0] == '/' || Clean(pl.m.path+"/"+pl.rest) != clean {
			t.Fatalf("%q: %s and %q are not %s", p, pl.m.path, pl.rest, clean)
		}
		depth := 0
		for name := range strings.SplitSeq(pl.rest, "/") {
			switch name {
			case "", ".":
			case "..":
				depth--
			default:
				depth++
			}
			if depth < 0 {
				t.Fatalf("%q: the rest %q climbs out of %s", p, pl.rest, pl.m.path)
			}
		}
		dir, name, _ := splitLast(pl.rest)
		if strings.Contains(name, "/") || name == "." || Clean(dir+"/"+name) != Clean(pl.rest) {
			t.Fatalf("%q: %q splits into %q and %q", p, pl.rest, dir, name)
		}
	})
}
