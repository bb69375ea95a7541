package vfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scene is a jail in which another process swaps directories, files and links while requests run. Files inside contain
// "inside", those outside contain secretText.
type scene struct {
	base, jail, outside string
	elsewhere           string // another one outside, on another file system if there is one
	guarded             []string
	swaps               atomic.Int64
}

const secretText = "a secret"

// swap exchanges two names of the scene, including directories that contain each other.
func swap(a, b string) { _ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) }

// races lists what is swapped with what, and the paths through it.
var races = []struct {
	name  string
	exchg func(s *scene, i int)
	dirs  []string // paths of a directory with a "file" in it
}{
	{"directory for a link", func(s *scene, i int) {
		other := [...]string{"rel", "abs", "magic"}[i%3]
		swap(s.in("swap"), s.in(other))
		swap(s.in("swap"), s.in(other))
	}, []string{"/swap", "/swap/sub", "/swap/sub/..", "/swap/./sub/../sub"}},
	{"parent's parent for a link", func(s *scene, _ int) {
		swap(s.in("p"), s.in("rel"))
		swap(s.in("p"), s.in("rel"))
	}, []string{"/p/sub", "/p/sub/deep", "/p/sub/deep/.."}},
	{"link in a chain", func(s *scene, i int) {
		at := [...]string{"chain1", "chain2", "chain3"}[i%3]
		swap(s.in(at), s.in("abs"))
		swap(s.in(at), s.in("abs"))
		swap(s.in(at), s.in("rel"))
		swap(s.in(at), s.in("rel"))
	}, []string{"/chain1", "/chain1/sub", "/chain1/sub/.."}},
	{"file for a link", func(s *scene, i int) {
		other := [...]string{"relfile", "absfile"}[i%2]
		swap(s.in("swap/file"), s.in(other))
		swap(s.in("swap/file"), s.in(other))
	}, []string{"/swap", "/swap/sub/.."}},
	{"ancestor moved out", func(s *scene, _ int) {
		// While the directory is moved, its ".." leads outside for a while.
		swap(s.in("x/d"), filepath.Join(s.base, "away/d"))
		swap(s.in("x/d"), filepath.Join(s.base, "away/d"))
	}, []string{"/x/d/..", "/x/d/sub/../..", "/x/d/../d/.."}},
}

func (s *scene) in(name string) string { return filepath.Join(s.jail, name) }

func newScene(t *testing.T) *scene {
	base := memoryDir(t)
	s := &scene{base: base, jail: filepath.Join(base, "jail"), outside: filepath.Join(base, "outside"), elsewhere: t.TempDir()}
	for _, dir := range []string{s.outside, s.elsewhere, filepath.Join(base, "away")} {
		for _, name := range []string{"file", "sub/file", "sub/deep/file", "outside-only"} {
			write(t, dir, name, secretText)
		}
	}
	write(t, base, "away/d/sub/file", secretText)
	for _, name := range []string{"swap", "swap/sub", "p/sub", "p/sub/deep", "end", "end/sub", "x", "x/d/sub"} {
		write(t, s.jail, name+"/file", "inside")
	}
	outside, err := os.Open(s.outside)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outside.Close() })
	for name, target := range map[string]string{
		"rel": "../outside", "abs": s.elsewhere, "magic": "/proc/self/fd/" + strconv.Itoa(int(outside.Fd())),
		"relfile": "../../outside/file", "absfile": s.elsewhere + "/file",
		"chain1": "chain2", "chain2": "./chain3", "chain3": "end",
	} {
		link(t, s.jail, name, target)
	}
	write(t, s.jail, "mine", "mine")
	s.guarded = []string{s.outside, s.elsewhere, filepath.Join(base, "away/file"), filepath.Join(base, "away/sub")}
	return s
}

// start swaps until the test ends.
func (s *scene) start(t *testing.T, exchg func(*scene, int)) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				exchg(s, i)
				s.swaps.Add(1)
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
}

// state returns everything in which a change leaves traces, including the time of a new link or name.
func (s *scene) state(t *testing.T) (text string) {
	t.Helper()
	for _, dir := range s.guarded {
		err := filepath.Walk(dir, func(p string, _ os.FileInfo, err error) error {
			var st unix.Stat_t
			if err == nil {
				err = unix.Lstat(p, &st)
			}
			text += fmt.Sprintln(p, st.Ino, st.Nlink, st.Mode, st.Size, st.Mtim, st.Ctim)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	away, err := os.ReadDir(filepath.Join(s.base, "away"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintln(text, len(away))
}

// racing reports whether to continue: until there were thousands of tries, or, on a busy machine, until some tries and swaps
// coincided.
func (s *scene) racing(tries, inside int) bool {
	enough := 10_000
	if testing.Short() {
		enough = 1000
	}
	return tries < enough || inside == 0 || s.swaps.Load() < 100
}

// TestRaceOfOperations makes every request through a path that is being swapped.
func TestRaceOfOperations(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		for _, c := range races {
			t.Run(c.name, func(t *testing.T) {
				s := newScene(t)
				before := s.state(t)
				mount := Mount{Path: "/", Volume: s.jail, Access: ReadWrite}
				a := &attack{scene: s, tree: open(t, r, mount)}
				staged, err := Open([]Mount{mount}, WithResolver(r), WithUploads(Uploads{OnClose: true}))
				if err != nil {
					t.Fatal(err)
				}
				defer staged.Close()
				a.staged = staged
				var host unix.Statfs_t
				if err := unix.Statfs(s.jail, &host); err != nil {
					t.Fatal(err)
				}
				a.blocks = host.Blocks
				s.start(t, c.exchg)
				for deadline := time.Now().Add(time.Minute); s.racing(a.tries, a.inside) && time.Now().Before(deadline); {
					for _, dir := range c.dirs {
						a.all(dir)
					}
				}
				if s.state(t) != before {
					a.escape("something outside changed")
				}
				t.Logf("RACE %s, %s: %d tries during %d exchanges, %d of them inside, %d escapes", r, c.name, a.tries, s.swaps.Load(), a.inside, len(a.escapes))
				if len(a.escapes) > 0 {
					t.Errorf("escapes, first: %s", a.escapes[0])
				}
				if a.inside == 0 || s.swaps.Load() < 100 {
					t.Errorf("%d tries met the inside during %d exchanges", a.inside, s.swaps.Load())
				}
			})
		}
	})
}

// TestRaceOfSubPath has another user of the volume swap a component of the subPath while the mount is opened.
func TestRaceOfSubPath(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		s := newScene(t)
		before := s.state(t)
		s.start(t, races[0].exchg)
		opened, tries := 0, 0
		for deadline := time.Now().Add(time.Minute); s.racing(tries, opened) && time.Now().Before(deadline); tries++ {
			tree, err := Open([]Mount{{Path: "/", Volume: s.jail, SubPath: "swap/sub/made", Access: ReadWrite}}, WithResolver(r))
			if err != nil {
				continue
			}
			opened++
			_ = put(tree, "/x", "x")
			tree.Close()
		}
		escapes := 0
		if s.state(t) != before {
			escapes++
			t.Error("something outside changed")
		}
		if opened == 0 {
			t.Error("no try succeeded")
		}
		t.Logf("RACE %s, subPath of a mount: %d tries during %d exchanges, %d of them opened, %d escapes", r, tries, s.swaps.Load(), opened, escapes)
	})
}
