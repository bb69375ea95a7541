package vfs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWithStart: relative paths are below the start directory, which is not a boundary: absolute paths and ".." lead out of it,
// as far as the tree allows.
func TestWithStart(t *testing.T) {
	volume := t.TempDir()
	if err := os.MkdirAll(filepath.Join(volume, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(volume, "a/b/f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := Open([]Mount{{Path: "/", Volume: volume, Access: ReadWrite}}, WithStart("/a/b"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for p, want := range map[string]string{
		"": "/a/b", ".": "/a/b", "f": "/a/b/f", "./f": "/a/b/f", "..": "/a", "../b/f": "/a/b/f", "/a": "/a", "/": "/",
		"../../../../a": "/a", "none": "/a/b/none",
	} {
		if have, err := tree.RealPath(p); err != nil || have != want {
			t.Errorf("the real path of %q is %q, %v, want %q", p, have, err, want)
		}
	}
	if _, err := tree.Stat("f"); err != nil {
		t.Error(err)
	}
	if err := tree.Rename("f", "../g"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(volume, "a/g")); err != nil {
		t.Error(err)
	}
}
