package vfs

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// places counts turns, and fails if one is taken while the same tree still has another, which would then wait for itself.
type places struct {
	t           *testing.T
	held, taken int
}

func (p *places) turn() (func(), error) {
	p.taken++
	if p.held++; p.held > 1 {
		p.t.Error("a turn is taken with another one")
	}
	return func() { p.held-- }, nil
}

// wantTaken expects that turns were taken since the last call, and that all have been given back.
func (p *places) wantTaken(what string) {
	p.t.Helper()
	if p.taken == 0 || p.held != 0 {
		p.t.Errorf("%s takes %d turns and keeps %d", what, p.taken, p.held)
	}
	p.held, p.taken = 0, 0
}

// TestTurnsAreGivenBack: whatever takes long takes one turn at a time, and gives each one back.
func TestTurnsAreGivenBack(t *testing.T) {
	p := &places{t: t}
	dir := t.TempDir()
	for _, u := range []Uploads{{}, {OnClose: true}} {
		tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(u), WithTurns(p.turn))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tree.Close() })
		write(t, dir, "d/f", "content")
		_ = os.Remove(filepath.Join(dir, "d/l"))
		link(t, dir, "d/l", "f")
		long := "/d/" + strings.Repeat("./", 4*freeSteps) + "l"
		if got, err := tree.RealPath(long); err != nil || got != "/d/f" {
			t.Errorf("%q, %v", got, err)
		}
		p.wantTaken("a long path")
		if _, err := tree.RealPath(long + "/none"); err == nil {
			t.Error("below a file")
		}
		p.wantTaken("a long path to nothing")
		if !u.OnClose {
			continue
		}
		finish(t, start(t, tree, long, create, 0, "content"), true, Nothing)
		p.wantTaken("an upload through a long path")
		for i := range 3 * freeSteps {
			write(t, dir, "gone/"+stagedName(strconv.Itoa(i)), "left")
		}
		if err := tree.Rmdir("/gone"); err != nil {
			t.Error(err)
		}
		p.wantTaken("a directory with many leftovers")
	}
}

// deep makes a directory below dir with this many levels of that name, and links l0, l1, ... that together lead down, each a part
// of the way. It returns the path through the links.
func deep(t *testing.T, dir, name string, levels, part int) string {
	t.Helper()
	var path strings.Builder
	at, err := os.OpenRoot(dir) // the path of the host gets too long for one call
	if err != nil {
		t.Fatal(err)
	}
	defer func() { at.Close() }()
	for i := 0; levels > 0; i++ {
		n := min(part, levels)
		levels -= n
		down := strings.Repeat("/"+name, n)[1:]
		path.WriteString("/l" + strconv.Itoa(i))
		if err := errors.Join(at.Symlink(down, "l"+strconv.Itoa(i)), at.MkdirAll(down, 0o700)); err != nil {
			t.Fatal(err)
		}
		next, err := at.OpenRoot(down)
		if err != nil {
			t.Fatal(err)
		}
		at.Close()
		at = next
	}
	return path.String()
}

// TestRealPathFitsAPath: a path that is as long as one may be is answered, and one that is longer is refused: no request could
// use it.
func TestRealPathFitsAPath(t *testing.T) {
	name := strings.Repeat("n", 39) // 40 bytes with its slash
	for levels, want := range map[int]error{maxPath / 40: nil, maxPath/40 + 1: unix.ENAMETOOLONG} {
		tree, dir := home(t, Auto)
		got, err := tree.RealPath(deep(t, dir, name, levels, 50))
		if err != want { //nolint:errorlint // bare errnos
			t.Errorf("%d levels: %v, want %v", levels, err, want)
		}
		if err == nil && got != strings.Repeat("/"+name, levels) {
			t.Errorf("%d levels: %d bytes", levels, len(got))
		}
	}
}

// TestRealPathForgetsTheWayBack: a path is as long as the directory that it is in. What it has left with ".." does not count, neither
// too much, so that a short path would be refused, nor too little, so that a long one would be answered.
func TestRealPathForgetsTheWayBack(t *testing.T) {
	tree, dir := home(t, Auto)
	name, levels := strings.Repeat("n", 39), maxPath/40
	down := deep(t, dir, name, levels, 50)
	if err := tree.Mkdir(down+"/s", 0o700); err != nil {
		t.Fatal(err)
	}
	back := down + strings.Repeat("/s/..", 20)
	room := maxPath - levels*40 - 1
	for length, want := range map[int]error{room: nil, room + 1: unix.ENAMETOOLONG} {
		last := "/" + strings.Repeat("x", length) // which need not exist
		got, err := tree.RealPath(back + last)
		if err != want { //nolint:errorlint // bare errnos
			t.Errorf("%d bytes more: %v, want %v", length, err, want)
		}
		if err == nil && got != strings.Repeat("/"+name, levels)+last {
			t.Errorf("%d bytes more: a path of %d bytes", length, len(got))
		}
	}
}

// TestWayBackIsCounted: each ".." after a long way costs the whole way again, and counts for it.
func TestWayBackIsCounted(t *testing.T) {
	tree, dir := home(t, Auto)
	const name, levels = "012", 320
	down := deep(t, dir, name, levels, 160)
	if _, err := tree.RealPath(down + strings.Repeat("/../"+name, 10)); err != nil {
		t.Errorf("a few: %v", err)
	}
	if _, err := tree.RealPath(down + strings.Repeat("/../"+name, 300)); err != unix.ENAMETOOLONG {
		t.Errorf("many: %v", err)
	}
}

// TestListingIsComplete: each name once, with "." and ".." first, and the directory's attributes with them.
func TestListingIsComplete(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		names := []string{"...", ".a", "..b", "a", "b b", "ä"}
		for _, name := range names {
			write(t, dir, "d/"+name, name)
		}
		got := strings.Split(list(t, tree, "/d"), " ")
		want := append([]string{".", ".."}, strings.Split(strings.Join(names, " "), " ")...)
		if len(got) < 2 || got[0] != "." || got[1] != ".." {
			t.Errorf("listed %q", got)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("listed %q, want %q", got, want)
		}
	})
}

// TestCreateOnlyLeavesNoDescriptors: neither uploads nor directories and renames in a drop box that only grows keep any.
func TestCreateOnlyLeavesNoDescriptors(t *testing.T) {
	for _, u := range []Uploads{{}, {OnClose: true}, {DeleteIncomplete: true}} {
		tree, dir := uploadTree(t, Auto, u, CreateOnly)
		if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o700); err != nil {
			t.Fatal(err)
		}
		before := openFiles(t)
		for i := range 3 {
			name := "/a/b/f" + strconv.Itoa(i)
			finish(t, start(t, tree, name, create, 0, "content"), true, Nothing)
			if err := errors.Join(tree.Setstat(name, Changes{Set: SetTimes, Mtime: 1}), tree.Rename(name, name+".done"),
				tree.Mkdir("/a/b/d"+strconv.Itoa(i), 0o700)); err != nil {
				t.Error(err)
			}
			if _, err := tree.OpenFile(name+".done", create, 0o600); err == nil {
				t.Error("it is written again")
			}
		}
		wantNoNewFiles(t, before)
	}
}

// TestLeftoversOfAnotherPolicy: where uploads are written in place, what an earlier policy has left is not shown, continued or
// removed.
func TestLeftoversOfAnotherPolicy(t *testing.T) {
	earlier, dir := uploadTree(t, Auto, Uploads{OnClose: true}, ReadWrite)
	finish(t, start(t, earlier, "/new", create, 0, "a part"), false, Kept)
	tree := open(t, Auto, Mount{Path: "/", Volume: dir, Access: ReadWrite})
	if a, err := tree.Stat("/new"); err != unix.ENOENT {
		t.Errorf("its attributes are %+v, %v", a, err)
	}
	if err := tree.Remove("/new"); err != unix.ENOENT {
		t.Errorf("removed: %v", err)
	}
	if err := tree.PosixRename("/old", "/new"); err != nil || read(tree, "/new") != "old content" {
		t.Errorf("%v, %q", err, read(tree, "/new"))
	}
	if left := hidden(t, dir); len(left) != 1 {
		t.Errorf("left %q", left)
	}
}

// TestStagedFileThatGoes: a staged file that another process removes while it is being opened is not written to, because no name
// leads to it anymore. The upload begins again.
func TestStagedFileThatGoes(t *testing.T) {
	for name, access := range map[string]int{"as the only one": 0, "with another writer": unix.O_WRONLY | unix.O_CREAT} {
		t.Run(name, func(t *testing.T) {
			tree, dir := uploadTree(t, Auto, Uploads{OnClose: true}, ReadWrite)
			at := filepath.Join(dir, stagedName("new"))
			if access != 0 {
				first := start(t, tree, "/new", access, 0, "of the first")
				defer first.Close()
			}
			before, removed := openFiles(t), false
			fcntlLock = func(fd uintptr, cmd int, lk *unix.Flock_t) error {
				err := unix.FcntlFlock(fd, cmd, lk)
				if _, there := os.Lstat(at); err == nil && there == nil && !removed {
					removed = true
					return os.Remove(at)
				}
				return err
			}
			t.Cleanup(func() { fcntlLock = unix.FcntlFlock })
			f := start(t, tree, "/new", proceed, 0, "of the second")
			if !removed {
				t.Fatal("the staged file was not removed")
			}
			finish(t, f, true, Nothing)
			if got := read(tree, "/new"); got != "of the second" {
				t.Errorf("published %q", got)
			}
			wantNoNewFiles(t, before)
		})
	}
}

// TestCopyThatCannotBeWritten: a copy to where no file can be is an error, not a short one.
func TestCopyThatCannotBeWritten(t *testing.T) {
	tree, dir := home(t, Auto)
	write(t, dir, "from", "content")
	from, err := tree.OpenFile("/from", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to := start(t, tree, "/to", create, 0, "")
	defer to.Close()
	if n, err := from.CopyTo(to, 0, math.MaxInt64-100, 7); err == nil || n != 0 {
		t.Errorf("copied %d bytes, %v", n, err)
	}
}
