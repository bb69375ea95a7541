package vfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingOutsideIsReached runs random operations on random paths, including links, and checks after each round that the
// world outside is untouched and that nothing was read from it. Every file contains the name of its side.
func TestNothingOutsideIsReached(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		rounds := 40
		if testing.Short() {
			rounds = 5
		}
		for seed := range rounds {
			propertyRound(t, r, rand.New(rand.NewPCG(uint64(seed), 7)))
		}
	})
}

func propertyRound(t *testing.T, r Resolver, rnd *rand.Rand) {
	base := t.TempDir()
	for _, p := range []string{"a/a", "a/b/a", "b", "c/c"} {
		write(t, base, "out/"+p, "outside")
		write(t, base, "home/"+p, "inside")
		write(t, base, "drop/"+p, "drop box")
	}
	tree := open(t, r,
		Mount{Path: "/", Volume: filepath.Join(base, "home"), Access: ReadWrite},
		Mount{Path: "/m/in", Volume: filepath.Join(base, "drop"), Access: WriteOnly},
		Mount{Path: "/ro", Volume: filepath.Join(base, "drop"), SubPath: "a", Access: WriteOnly},
	)
	before := snapshot(t, filepath.Join(base, "out"))
	path := func() string {
		parts := []string{"a", "b", "c", "l", "m", "in", "ro", "..", ".", "", "out", "home", "drop"}
		var p []string
		for range 1 + rnd.IntN(5) {
			p = append(p, parts[rnd.IntN(len(parts))])
		}
		return strings.Repeat("/", rnd.IntN(2)) + strings.Join(p, "/") + strings.Repeat("/", rnd.IntN(8)/7)
	}
	target := func() string {
		switch rnd.IntN(4) {
		case 0:
			return strings.Repeat("../", rnd.IntN(6)) + "out/" + path()
		case 1:
			return filepath.Join(base, "out") + "/" + path()
		}
		return path()
	}
	for i := range 400 {
		p, q := path(), path()
		var op string
		switch n := rnd.IntN(14); n {
		case 0, 1:
			op = "read"
			if got := read(tree, p); strings.Contains(got, "outside") || strings.Contains(got, "drop box") {
				t.Fatalf("read %q: %q", p, got)
			}
		case 2, 3, 4:
			op = "symlink"
			_ = tree.Symlink(target(), p)
		case 5:
			op = "write"
			_ = put(tree, p, fmt.Sprint("inside ", i))
		case 6:
			op = "rename"
			_ = tree.Rename(p, q)
		case 7:
			op = "posix-rename"
			_ = tree.PosixRename(p, q)
		case 8:
			op = "link"
			_ = tree.Link(p, q)
		case 9:
			op = "remove"
			_ = tree.Remove(p)
		case 10:
			op = "mkdir"
			_ = tree.Mkdir(p, 0o755)
		case 11:
			op = "setstat"
			c := Changes{Set: Fields(rnd.IntN(16)), Size: 1, Mode: 0o700, Mtime: 5}
			if _ = tree.Setstat(p, c); rnd.IntN(2) == 0 {
				_ = tree.Lsetstat(p, c)
			}
		case 12:
			op = "realpath"
			if real, err := tree.RealPath(p); err == nil && (Clean(real) != real || strings.Contains(real, base)) {
				t.Fatalf("realpath %q: %q", p, real)
			}
		case 13:
			op = "list"
			if l := list(t, tree, p); strings.Contains(l, "jail") {
				t.Fatalf("list %q: %s", p, l)
			}
		}
		if i%20 == 0 && snapshot(t, filepath.Join(base, "out")) != before {
			t.Fatalf("the outside changed at or before %s %q %q", op, p, q)
		}
	}
	if snapshot(t, filepath.Join(base, "out")) != before {
		t.Fatal("the outside changed")
	}
	entries, _ := os.ReadDir(base)
	if len(entries) != 3 {
		t.Fatal("something was made outside of the mounts")
	}
}
