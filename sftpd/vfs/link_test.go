package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLinksStayInside plants links that lead outside in every way, and reads, writes, lists and resolves through them.
func TestLinksStayInside(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		base := t.TempDir()
		write(t, base, "outside/secret", "secret")
		write(t, base, "jail/in/side", "inside")
		dir, out := filepath.Join(base, "jail"), filepath.Join(base, "outside")
		for name, target := range map[string]string{
			"abs": out, "absfile": out + "/secret", "rel": "../outside", "relfile": "../outside/secret",
			"deep": "in/../../outside", "proc": "/proc/self/root" + out, "chain": "rel", "root": "/", "up": "..",
			"slash": "../outside/", "self": "self", "dangling": "/nowhere", "cwd": "/proc/self/cwd",
		} {
			link(t, dir, name, target)
		}
		link(t, dir, "in/up", "../../outside")
		tree := open(t, r, Mount{Path: "/", Volume: dir, Access: ReadWrite})
		for _, p := range []string{
			"/abs", "/abs/secret", "/abs/", "/absfile", "/rel/secret", "/rel/", "/relfile", "/deep/secret", "/proc/secret",
			"/chain/secret", "/root/../outside/secret", "/up/outside/secret", "/slash/secret", "/self", "/self/x",
			"/in/up/secret", "/in/up/", "/in/../../outside/secret", "/up/../outside/secret", "/cwd/secret",
		} {
			if f, err := tree.OpenFile(p, os.O_RDONLY, 0); err == nil {
				t.Errorf("open %s succeeded", p)
				f.Close()
			}
			if a, err := tree.Stat(p); err == nil && p != "/up" {
				t.Errorf("stat %s succeeded: %+v", p, a)
			}
			for what, err := range map[string]error{
				"write":   put(tree, p+"/new", "x"),
				"chmod":   tree.Setstat(p, Changes{Set: SetMode | SetTimes | SetSize, Mode: 0o777}),
				"mkdir":   tree.Mkdir(p+"/new", 0o755),
				"rename":  tree.PosixRename("/in/side", p+"/moved"),
				"link":    tree.Link("/in/side", p+"/linked"),
				"symlink": tree.Symlink("x", p+"/new"),
			} {
				if err == nil {
					t.Errorf("%s through %s succeeded", what, p)
				}
			}
		}
		if got := read(&Tree{root: tree.root}, "/in/side"); got != "inside" {
			t.Error(got)
		}
		entries, _ := os.ReadDir(base)
		secrets, _ := os.ReadDir(out)
		st, _ := os.Stat(out)
		if len(entries) != 2 || len(secrets) != 1 || st.Mode().Perm() != 0o755 {
			t.Errorf("something outside changed: %v %v %v", entries, secrets, st.Mode())
		}
		// Trailing slashes make the kernel follow a link; *at calls must not do so.
		for what, err := range map[string]error{
			"remove": tree.Remove("/rel/"), "rmdir": tree.Rmdir("/rel/"), "rename": tree.Rename("/rel/", "/x"),
		} {
			if err == nil {
				t.Errorf("%s of rel/ succeeded", what)
			}
		}
		if err := tree.Lsetstat("/rel/", Changes{Set: SetTimes, Mtime: 1}); err == nil {
			t.Error("lsetstat of rel/ reached something")
		}
	})
}

func TestAbsoluteLinks(t *testing.T) {
	needOpenat2(t) // os.Root follows no absolute links
	h, docs := t.TempDir(), t.TempDir()
	write(t, h, "a/file", "home")
	write(t, docs, "a/file", "docs")
	tree := open(t, Openat2, Mount{Path: "/", Volume: h, Access: ReadWrite}, Mount{Path: "/docs", Volume: docs, Access: ReadWrite})
	for _, c := range []struct{ at, target, stored, content, real string }{
		{"/l1", "/a/file", "/a/file", "home", "/a/file"},
		{"/docs/l2", "/docs/a/file", "/a/file", "docs", "/docs/a/file"},
		{"/docs/l3", "/docs", "/", "[is a directory]", "/docs"},
		{"/docs/a/l4", "../a/file", "../a/file", "docs", "/docs/a/file"},
		{"/docs/a/l5", "/docs/a/", "/a/", "[is a directory]", "/docs/a"},
	} {
		if err := tree.Symlink(c.target, c.at); err != nil {
			t.Errorf("symlink %s: %v", c.at, err)
			continue
		}
		dir := h
		name, ok := cutDocs(c.at)
		if ok {
			dir = docs
		}
		if got, _ := os.Readlink(filepath.Join(dir, name)); got != c.stored {
			t.Errorf("%s holds %q, want %q", c.at, got, c.stored)
		}
		if got, err := tree.Readlink(c.at); filepath.Clean(got) != filepath.Clean(c.target) || err != nil {
			t.Errorf("readlink %s: %q, %v", c.at, got, err)
		}
		if got := read(tree, c.at); got != c.content {
			t.Errorf("read %s: %q", c.at, got)
		}
		if got, err := tree.RealPath(c.at); got != c.real || err != nil {
			t.Errorf("realpath %s: %q, %v", c.at, got, err)
		}
	}
}

func cutDocs(p string) (string, bool) {
	if len(p) > 6 && p[:6] == "/docs/" {
		return p[6:], true
	}
	return p, false
}

func TestRealPath(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		write(t, dir, "a/b/file", "")
		link(t, dir, "l", "a/b")
		link(t, dir, "a/up", "../l")
		link(t, dir, "dangling", "a/none")
		link(t, dir, "loop", "loop")
		for p, want := range map[string]string{
			"": "/", ".": "/", "/": "/", "..": "/", "/a/../..": "/", "a//b/./file": "/a/b/file", "/l": "/a/b",
			"/l/file": "/a/b/file", "/a/up/file": "/a/b/file", "/a/up/..": "/a", "/none": "/none", "/a/none": "/a/none",
			"/dangling": "/a/none", "/none/": "/none", "/l/": "/a/b",
		} {
			if got, err := tree.RealPath(p); got != want || err != nil {
				t.Errorf("realpath %q: %q, %v, want %q", p, got, err, want)
			}
		}
		for p, want := range map[string]error{
			"/none/x": unix.ENOENT, "/a/b/file/x": unix.ENOTDIR, "/loop": unix.ELOOP, "/a\x00": unix.EINVAL,
		} {
			if _, err := tree.RealPath(p); !errors.Is(err, want) {
				t.Errorf("realpath %q: %v, want %v", p, err, want)
			}
		}
	})
}

// TestLinkTargets: which targets a new link may have. Absolute targets are paths of the tree, so those into another mount are
// refused even if that mount is below.
func TestLinkTargets(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		h := t.TempDir()
		tree := open(t, r,
			Mount{Path: "/", Volume: h, Access: ReadWrite}, Mount{Path: "/docs", Volume: t.TempDir(), Access: ReadWrite},
			Mount{Path: "/docs/in", Volume: t.TempDir(), Access: ReadWrite}, Mount{Path: "/s/x", Volume: t.TempDir(), Access: ReadWrite})
		for _, c := range []struct {
			target, at, shown string
			want              error
		}{
			{"/docs/x", "/a", "", ErrCrossMount},
			{"/docs", "/b", "", ErrCrossMount},
			{"/s", "/c", "", ErrCrossMount},
			{"/docs/../x", "/d", "/x", nil},
			{"/docs/in/x", "/docs/a", "", ErrCrossMount},
			{"/docs/../docs/x", "/docs/b", "/docs/x", nil},
			{"/docs/in/../x/z/../y", "/docs/c", "/docs/x/z/../y", nil},
			{"/x", "/docs/d", "", ErrCrossMount},
			{"/" + stagingPrefix + "x", "/e", "", ErrReserved},
			{"../" + stagingPrefix + "x/y", "/f", "", ErrReserved},
			{"../anything/../at all", "/g", "../anything/../at all", nil},
			{"", "/h", "", unix.ENOENT},
		} {
			if err := tree.Symlink(c.target, c.at); !errors.Is(err, c.want) {
				t.Errorf("%s at %s: %v, want %v", c.target, c.at, err, c.want)
			}
			if got, err := tree.Readlink(c.at); c.want == nil && (got != c.shown || err != nil) {
				t.Errorf("%s holds %q, %v, want %q", c.at, got, err, c.shown)
			}
		}
	})
}

// TestSlashBehindHardLink: a name with a trailing slash is a directory's, and a directory has only one name.
func TestSlashBehindHardLink(t *testing.T) {
	tree, dir := home(t, Auto)
	write(t, dir, "f", "")
	if err := tree.Link("/f/", "/g"); err != unix.ENOTDIR {
		t.Error(err)
	}
	if err := tree.Link("/f", "/g/"); err != unix.ENOENT {
		t.Error(err)
	}
}

// TestRootByLink: the root of a mount keeps its mode even when it is reached through a link.
func TestRootByLink(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		link(t, dir, "l", ".")
		if err := os.Chmod(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"/", "/l", "/l/", "/l/."} {
			if err := tree.Setstat(p, Changes{Set: SetMode, Mode: 0o777}); !errors.Is(err, ErrMountPoint) {
				t.Errorf("chmod %s: %v", p, err)
			}
		}
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o750 {
			t.Errorf("%v, %v", st, err)
		}
	})
}

// TestRealPathIsBounded: a short path that leads far is not walked forever, and not without giving up its turn.
func TestRealPathIsBounded(t *testing.T) {
	turns, over := 0, false
	dir := t.TempDir()
	tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithTurns(func() (func(), error) {
		if turns++; over {
			return nil, unix.ECANCELED
		}
		return func() {}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	write(t, dir, "d/f", "")
	for i := range maxLinks - 2 {
		link(t, dir, "l"+strconv.Itoa(i), strings.Repeat("d/../", 800)+"l"+strconv.Itoa(i+1))
	}
	if _, err := tree.RealPath("/l0"); err != unix.ENAMETOOLONG || turns != maxSteps/freeSteps {
		t.Errorf("%v after %d turns", err, turns)
	}
	over = true
	if _, err := tree.RealPath("/l0"); err != unix.ECANCELED {
		t.Errorf("without a turn: %v", err)
	}
	link(t, dir, "long", strings.Repeat("d/../", 400)+"d")
	if _, err := tree.RealPath("/long/" + strings.Repeat("d/", 1200)); err != unix.ENAMETOOLONG {
		t.Errorf("more than PATH_MAX is left: %v", err)
	}
	turns, over = 0, false
	if got, err := tree.RealPath("/d/f"); got != "/d/f" || err != nil || turns != 0 {
		t.Errorf("%q, %v, %d turns", got, err, turns)
	}
}
