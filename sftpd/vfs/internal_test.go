package vfs_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestInternalMount: the server's own directory is shown read-only where it is mounted, and not in the listing above, whatever the
// access there and although the home contains it.
func TestInternalMount(t *testing.T) {
	for _, access := range []vfs.Access{vfs.ReadWrite, vfs.ReadOnly, vfs.WriteOnly, vfs.CreateOnly} {
		t.Run(string(access), func(t *testing.T) {
			volume := t.TempDir()
			own := filepath.Join(volume, ".sftpd-events", "ns", ".receipts")
			if err := os.MkdirAll(own, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{filepath.Join(own, "a.json"), filepath.Join(volume, "file"), filepath.Join(volume, ".receipts")} {
				if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tree, err := vfs.Open([]vfs.Mount{
				{Path: "/", Volume: volume, Access: access},
				{Path: "/.receipts", Volume: volume, SubPath: ".sftpd-events/ns/.receipts", Access: vfs.ReadOnly, Internal: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if have := listing(t, tree, "/.receipts"); len(have) != 1 || have[0] != "a.json" {
				t.Errorf("/.receipts has %q", have)
			}
			if access == vfs.ReadWrite || access == vfs.ReadOnly {
				if have := listing(t, tree, "/"); len(have) != 1 || have[0] != "file" {
					t.Errorf("/ has %q", have)
				}
			} else if _, err := tree.OpenDir("/"); !errors.Is(err, unix.EACCES) {
				t.Errorf("/ can be listed: %v", err)
			}
			f, err := tree.OpenFile("/.receipts/a.json", unix.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if a, err := f.Stat(); err != nil || a.Size != 7 {
				t.Errorf("%+v, %v", a, err)
			}
			_ = f.Close()
			for what, err := range map[string]error{
				"mkdir": tree.Mkdir("/.receipts/d", 0o700), "remove": tree.Remove("/.receipts/a.json"), "rmdir": tree.Rmdir("/.receipts"),
				"rename": tree.Rename("/.receipts/a.json", "/.receipts/b"), "link": tree.Link("/.receipts/a.json", "/b"),
				"rename of it": tree.Rename("/.receipts", "/b"), "symlink": tree.Symlink("x", "/.receipts/l"),
			} {
				if err == nil {
					t.Errorf("%s succeeds", what)
				}
			}
			for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_CREAT, unix.O_WRONLY | unix.O_TRUNC} {
				for _, name := range []string{"/.receipts/a.json", "/.receipts/new"} {
					if f, err := tree.OpenFile(name, flags, 0o600); err == nil {
						_ = f.Close()
						t.Errorf("%s can be opened with %#x", name, flags)
					}
				}
			}
			if _, err := tree.Stat("/.sftpd-events/ns/.receipts/a.json"); err == nil {
				t.Error("it can be reached under its own name")
			}
		})
	}
	// Any other mount must not lead there.
	if tree, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: t.TempDir(), SubPath: ".sftpd-events/ns", Access: vfs.ReadOnly}}); err == nil {
		_ = tree.Close()
		t.Error("a mount of the server's own directory is accepted")
	}
}

// listing returns the names in a directory, without "." and "..".
func listing(t *testing.T, tree *vfs.Tree, dir string) (names []string) {
	t.Helper()
	d, err := tree.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for {
		var e vfs.Entry
		err := d.Next(&e)
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if name := string(e.Name); name != "." && name != ".." {
			names = append(names, name)
		}
	}
}
