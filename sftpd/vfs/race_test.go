package vfs

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// swapping exchanges a directory of the jail for a link that leads out, and
// back, as fast as it can, until the test ends. It returns the jail and the
// directory outside.
func swapping(t *testing.T) (jail, outside string) {
	base := t.TempDir()
	jail, outside = filepath.Join(base, "jail"), filepath.Join(base, "outside")
	write(t, outside, "file", "secret")
	write(t, outside, "sub/file", "secret")
	write(t, jail, "swap/file", "inside")
	write(t, jail, "swap/sub/file", "inside")
	link(t, jail, "link", "../outside")
	link(t, jail, "abs", outside)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		dir, other := filepath.Join(jail, "swap"), [2]string{filepath.Join(jail, "link"), filepath.Join(jail, "abs")}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			for range 2 { // there and back
				_ = unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, other[i%2], unix.RENAME_EXCHANGE)
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
	return jail, outside
}

// raceTime tells how long to go on: long enough for thousands of tries, and on
// a busy machine until one has met the right side of the swap.
func raceTime() func(successes int) bool {
	start, length := time.Now(), 400*time.Millisecond
	if testing.Short() {
		length = 50 * time.Millisecond
	}
	return func(successes int) bool {
		passed := time.Since(start)
		return passed < length || successes == 0 && passed < 20*time.Second
	}
}

func TestRaceOfOperations(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		jail, outside := swapping(t)
		tree := open(t, r, Mount{Path: "/", Volume: jail, Access: ReadWrite})
		write(t, jail, "mine", "mine")
		before := snapshot(t, outside)
		var out unix.Stat_t
		if err := unix.Stat(filepath.Join(outside, "file"), &out); err != nil {
			t.Fatal(err)
		}
		tries, inside := 0, 0
		for racing := raceTime(); racing(inside); tries++ {
			for _, p := range []string{"/swap/file", "/swap/sub/file", "/swap/sub/../file", "/swap/./sub/../sub/file"} {
				switch got := read(tree, p); got {
				case "secret":
					t.Fatalf("%s: read a file outside", p)
				case "inside":
					inside++
				}
				if f, err := tree.OpenFile(p, os.O_RDONLY, 0); err == nil {
					if f.id == identityOf(&out) {
						t.Fatal("opened a file outside")
					}
					f.Close()
				}
			}
			_ = put(tree, "/swap/new", "x")
			_ = put(tree, "/swap/sub/new", "x")
			_ = tree.Mkdir("/swap/dir", 0o755)
			_ = tree.Rmdir("/swap/dir")
			_ = tree.Remove("/swap/new")
			_ = tree.Setstat("/swap/file", Changes{Set: SetMode | SetTimes, Mode: uint32(0o600 + tries%2), Mtime: 1})
			_ = tree.Lsetstat("/swap/file", Changes{Set: SetMode | SetTimes, Mode: 0o611, Mtime: 2})
			_ = tree.Link("/mine", "/swap/linked")
			_ = tree.Remove("/swap/linked")
			_ = tree.Rename("/mine", "/swap/mine")
			_ = tree.PosixRename("/swap/mine", "/mine")
			_ = tree.Symlink("x", "/swap/sym")
			_ = tree.Remove("/swap/sym")
			_, _ = tree.RealPath("/swap/sub/file")
			if l := list(t, tree, "/swap"); strings.HasPrefix(l, ". .. ") && !strings.Contains(l, "file") {
				t.Fatalf("listing of neither directory: %s", l)
			}
		}
		if snapshot(t, outside) != before {
			t.Error("something outside changed")
		}
		if inside == 0 {
			t.Error("no try ever found the file inside")
		}
		t.Logf("%d rounds, %d reads of the inside", tries, inside)
	})
}

// TestRaceOfSubPath has another user of the volume exchange a component of the
// subPath while the mount is opened.
func TestRaceOfSubPath(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		jail, outside := swapping(t)
		before := snapshot(t, outside)
		opened, tries := 0, 0
		for racing := raceTime(); racing(opened); tries++ {
			tree, err := Open([]Mount{{Path: "/", Volume: jail, SubPath: "swap/sub/made", Access: ReadWrite}}, WithResolver(r))
			if err != nil {
				continue
			}
			opened++
			_ = put(tree, "/x", "x")
			tree.Close()
		}
		if snapshot(t, outside) != before {
			t.Error("something outside changed")
		}
		if opened == 0 {
			t.Error("no try succeeded")
		}
		t.Logf("%d of %d opened", opened, tries)
	})
}
