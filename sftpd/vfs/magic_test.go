package vfs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMagicLinks: links of /proc, which lead to the process's open files and its root without a path, lead nowhere: neither
// through a link that a user makes, nor where /proc, /proc/self/fd or /dev/fd itself is visible to a user, as a bind mount in a
// volume would make it.
func TestMagicLinks(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "file", secretText)
	dir, err := os.Open(outside)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	file, err := os.OpenFile(filepath.Join(outside, "file"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dirFD, fileFD := strconv.Itoa(int(dir.Fd())), strconv.Itoa(int(file.Fd()))
	if got, err := os.ReadFile("/proc/self/fd/" + dirFD + "/file"); string(got) != secretText {
		t.Fatalf("the links lead nowhere even without a tree: %v", err)
	}
	before := snapshot(t, outside)
	resolvers(t, func(t *testing.T, r Resolver) {
		home := t.TempDir()
		tree := open(t, r,
			Mount{Path: "/", Volume: home, Access: ReadWrite},
			Mount{Path: "/proc", Volume: "/proc", Access: ReadWrite},
			Mount{Path: "/fd", Volume: "/proc/self/fd", Access: ReadWrite},
			Mount{Path: "/dev/fd", Volume: "/dev/fd", Access: ReadWrite})
		write(t, home, "mine", "mine")
		for name, target := range map[string]string{
			"root": "/proc/self/root" + outside, "cwd": "/proc/self/cwd", "dir": "/proc/self/fd/" + dirFD, "dev": "/dev/fd/" + dirFD,
			"out": "/proc/self/fd/" + fileFD, "thread": "/proc/thread-self/root" + outside,
		} {
			link(t, home, name, target)
		}
		var dirs, files []string
		for _, fd := range []string{"/proc/self/fd/", "/proc/thread-self/fd/", "/fd/", "/dev/fd/"} {
			dirs, files = append(dirs, fd+dirFD), append(files, fd+fileFD)
		}
		dirs = append(dirs, "/root", "/dir", "/dev", "/thread", "/cwd", "/proc/self/root"+outside, "/proc/self/cwd", "/proc/1/root")
		for _, d := range dirs {
			files = append(files, d+"/file")
			for what, err := range map[string]error{
				"mkdir": tree.Mkdir(d+"/new", 0o755), "symlink": tree.Symlink("x", d+"/new"), "rename": tree.Rename("/mine", d+"/new"),
				"link": tree.Link("/mine", d+"/new"), "remove": tree.Remove(d + "/file"), "write": put(tree, d+"/new", "x"),
				"setstat": tree.Setstat(d, Changes{Set: SetMode, Mode: 0o700}),
			} {
				if err == nil {
					t.Errorf("%s in %s succeeded", what, d)
				}
			}
			if all, err := names(tree, d); err == nil && d != "/dev" { // the mount point's parent
				t.Errorf("list %s: %q", d, all)
			}
		}
		for _, f := range append(files, "/out") {
			if got := read(tree, f); strings.Contains(got, secretText) {
				t.Errorf("read %s: %q", f, got)
			}
			if a, err := tree.Stat(f); err == nil && a.Size == uint64(len(secretText)) {
				t.Errorf("stat %s: %+v", f, a)
			}
			if err := tree.Setstat(f, Changes{Set: SetSize | SetMode | SetTimes, Mode: 0o777}); err == nil {
				t.Errorf("setstat %s succeeded", f)
			}
			if tree.Link(f, "/stolen") == nil { // of the link itself
				if got := read(tree, "/stolen"); strings.Contains(got, secretText) {
					t.Errorf("link of %s: %q", f, got)
				}
				_ = tree.Remove("/stolen")
			}
			if err := put(tree, f, "x"); err == nil {
				t.Errorf("write %s succeeded", f)
			}
		}
	})
	if now := snapshot(t, outside); now != before {
		t.Errorf("the outside changed:\n%s%s", before, now)
	}
}
