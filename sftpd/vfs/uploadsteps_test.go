package vfs

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// uploadWorld is a directory, two connections that write to it as two daemons do, and the model.
type uploadWorld struct {
	*testing.T
	*rand.Rand

	volume string
	trees  [2]*Tree
	which  Resolver
	m      uploadModel
	trace  []string
}

var uploadNames = []string{"a", "b"}

const uploadUmask = 0o027

// TestUploadsAreTheirModel makes random sequences of opens with all flags, writes, closes of all kinds, requests by name and
// kills, and after each step compares the result, the disk and what a client sees with the model.
func TestUploadsAreTheirModel(t *testing.T) {
	defer unix.Umask(unix.Umask(uploadUmask))
	hashTiny(t)
	before := openFiles(t)
	steps, kinds := 0, map[string]int{}
	seeds := 120
	if testing.Short() || os.Getenv("MUTANT") != "" {
		seeds = 40
	}
	for seed := range seeds {
		w := &uploadWorld{T: t, Rand: rand.New(rand.NewPCG(uint64(seed), 7)), volume: memoryDir(t), which: Openat2}
		if seed%2 == 0 || Probe() != Openat2 {
			w.which = OSRoot
		}
		w.m = uploadModel{Uploads: Uploads{OnClose: seed%8 < 6, DeleteIncomplete: seed%3 == 0, Checksum: seed%4 < 3}, files: map[string]*content{}, staged: map[string]*content{}}
		for i := range w.trees {
			w.open(i)
		}
		write(t, w.volume, "d/a", "old content")
		w.m.dir, w.m.files["a"] = "d", &content{data: "old content", mode: 0o640}
		if err := os.Chmod(filepath.Join(w.volume, "d"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range uploadNames {
			link(t, w.volume, "to-"+name, "d/"+name)
		}
		for range 80 {
			kinds[w.step()]++
			steps++
			w.check()
			if t.Failed() {
				t.Fatalf("%+v, %s:\n%s", w.m.Uploads, w.which, strings.Join(w.trace, "\n"))
			}
		}
		for len(w.m.handles) > 0 {
			w.finish(w.m.handles[0], w.IntN(2) > 0)
		}
		w.check()
		for _, tree := range w.trees {
			tree.Close()
		}
	}
	t.Logf("MODEL: %d steps: %v", steps, kinds)
	for _, want := range []string{"open: " + ErrUploading.Error(), "open: " + ErrInterrupted.Error(), "finish deleted: " + ErrRemoved.Error(), "finish deleted: ", "finish kept: ", "kill"} {
		if seeds > 100 && kinds[want] < 4 {
			t.Errorf("%q came %d times", want, kinds[want])
		}
	}
	if after := openFiles(t); !slices.Equal(after, before) {
		t.Errorf("open are %q, before %q", after, before)
	}
}

// openFiles returns the names of this process's open files.
func openFiles(t *testing.T) (open []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(name, "anon_inode:") { // the runtime's
			open = append(open, e.Name()+" "+name)
		}
	}
	return open
}

func (w *uploadWorld) open(i int) {
	tree, err := Open([]Mount{{Path: "/", Volume: w.volume, Access: ReadWrite}}, WithUploads(w.m.Uploads), WithResolver(w.which))
	if err != nil {
		w.Fatal(err)
	}
	w.trees[i] = tree
}

func (w *uploadWorld) path(name string) string { return "/" + w.directory() + "/" + name }

func (w *uploadWorld) directory() string {
	if w.m.dir == "" {
		return "d"
	}
	return w.m.dir
}

// same compares an error with the model's.
func (w *uploadWorld) same(what string, got, want error) string {
	w.Helper()
	w.trace = append(w.trace, fmt.Sprintf("%s: %s", what, text(got)))
	if !errors.Is(got, want) {
		w.Errorf("%s: %s, want %s", what, text(got), text(want))
	}
	if want == nil {
		return ""
	}
	return want.Error()
}

// step performs one random step and returns its kind.
func (w *uploadWorld) step() string {
	by, name, other := w.IntN(2), uploadNames[w.IntN(2)], uploadNames[w.IntN(2)]
	tree := w.trees[by]
	switch n := w.IntN(40); {
	case n < 12 && len(w.m.handles) < 5:
		return "open: " + w.openStep(by, name)
	case n < 24 && len(w.m.handles) > 0:
		h := w.m.handles[w.IntN(len(w.m.handles))]
		if n < 18 {
			return "finish" + w.finish(h, w.IntN(2) > 0)
		}
		w.use(h)
		return "use"
	case n < 26:
		return "remove: " + w.same("remove "+name, tree.Remove(w.path(name)), w.m.remove(name))
	case n < 28:
		err := tree.Rename(w.path(name), w.path(other))
		return "rename: " + w.same("rename "+name+" "+other, err, w.m.rename(name, other, false))
	case n < 30:
		err := tree.PosixRename(w.path(name), w.path(other))
		return "posix-rename: " + w.same("posix-rename "+name+" "+other, err, w.m.rename(name, other, true))
	case n < 31:
		return "rmdir: " + w.same("rmdir", tree.Rmdir("/"+w.directory()), w.m.rmdir())
	case n < 32 || w.m.dir == "" && n < 37:
		err := tree.Mkdir("/"+w.directory(), 0o750)
		if w.m.dir != "" {
			return "mkdir: " + w.same("mkdir", err, unix.EEXIST)
		}
		w.m.dir = "d"
		return "mkdir: " + w.same("mkdir", err, nil)
	case n < 33 && w.m.dir != "":
		to := map[string]string{"d": "e", "e": "d"}[w.m.dir]
		err := tree.Rename("/"+w.m.dir, "/"+to)
		w.m.dir = to
		return "move: " + w.same("move the directory", err, nil)
	case n < 35:
		return "setstat: " + w.setstat(tree, name)
	case n < 36:
		w.kill(by)
		return "kill"
	}
	return "open: " + w.openStep(by, name)
}

func (w *uploadWorld) openStep(by int, name string) string {
	flags := []int{unix.O_WRONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY}[w.IntN(4)]
	flags |= []int{0, unix.O_CREAT, unix.O_CREAT | unix.O_TRUNC, unix.O_TRUNC, unix.O_CREAT | unix.O_EXCL, unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC, unix.O_APPEND | unix.O_CREAT, 0, unix.O_CREAT | unix.O_TRUNC, unix.O_CREAT | unix.O_TRUNC}[w.IntN(10)]
	if flags == unix.O_RDONLY {
		flags = unix.O_RDONLY | unix.O_TRUNC
	}
	mode := []uint32{0o666, 0o600, 0o751}[w.IntN(3)]
	p, link := w.path(name), w.IntN(4) == 0
	if link {
		p = "/to-" + name
	}
	f, err := w.trees[by].OpenFile(p, flags, mode)
	h, want := w.m.open(by, name, link, flags, mode&^uploadUmask)
	what := w.same(fmt.Sprintf("open %s %#x by %d", p, flags, by), err, want)
	if err != nil || want != nil {
		return what
	}
	if h.f = f; f.Created() != h.created || f.Truncated() != h.truncated || f.Staged() != h.staged {
		w.Errorf("created %v, truncated %v, staged %v, want %+v", f.Created(), f.Truncated(), f.Staged(), h)
	}
	return what
}

func (w *uploadWorld) finish(h *using, complete bool) string {
	if complete {
		w.sum(h)
	}
	left, err := h.f.Finish(complete)
	wantLeft, want := w.m.finish(h, complete)
	what := w.same(fmt.Sprintf("finish %s by %d, complete %v", h.name, h.by, complete), err, want)
	if left != wantLeft {
		w.Errorf("left %q, want %q", left, wantLeft)
	}
	return " " + string(left) + ": " + what
}

// sum checks the checksum: never a wrong one, and one for each that is about to be published and only one handle has open.
func (w *uploadWorld) sum(h *using) {
	got, err := h.f.Sum(inOneGo)
	others := 0
	for _, o := range w.m.handles {
		if o.c == h.c && o != h {
			others++
		}
	}
	w.trace = append(w.trace, fmt.Sprintf("sum of %q by %d, %d others: %q", h.c.data, h.by, others, got))
	switch want := sumOf(h.c.data); {
	case err != nil:
		w.Errorf("sum: %v", err)
	case !w.m.Checksum:
		want = ""
		fallthrough
	case got != "":
		if got != want {
			w.Errorf("the sum of %q is %q, want %q", h.c.data, got, want)
		}
	case h.staged && others == 0 && w.m.staged[h.name] == h.c:
		w.Errorf("no sum of %q", h.c.data)
	}
}

// use writes to a file, or checks it.
func (w *uploadWorld) use(h *using) {
	off, part := w.IntN(12), strings.Repeat(string(rune('a'+w.IntN(26))), w.IntN(6))
	what := fmt.Sprintf("write %d %q to %s by %d", off, part, h.name, h.by)
	switch {
	case h.reads():
	case w.IntN(2) == 0:
		n, err := h.f.WriteAt([]byte(part), int64(off))
		if h.write(off, part); n != len(part) {
			w.Errorf("%d bytes", n)
		}
		w.same(what, err, nil)
	default:
		if n := h.f.WritePartsAt([][]byte{[]byte(part), nil, []byte(part + "!")}, int64(off)); n != 2*len(part)+1 {
			w.Errorf("%d bytes", n)
		}
		h.write(off, part+part+"!")
		w.same(what, nil, nil)
	}
	if a, err := h.f.Stat(); err != nil || a.Size != uint64(len(h.c.data)) {
		w.Errorf("%s: size %d, %v, want %d", h.name, a.Size, err, len(h.c.data))
	}
	if !h.f.Readable() {
		return
	}
	buf := make([]byte, 100)
	if n, _ := h.f.ReadAt(buf, 0); string(buf[:n]) != h.c.data {
		w.Errorf("%s: %q, want %q", h.name, buf[:n], h.c.data)
	}
}

func (w *uploadWorld) setstat(tree *Tree, name string) string {
	size := w.IntN(8)
	err := tree.Setstat(w.path(name), Changes{Set: SetSize | SetMode, Size: uint64(size), Mode: 0o644})
	c := w.m.files[name]
	if c == nil {
		return w.same("setstat "+name, err, unix.ENOENT)
	}
	c.mode, c.data = 0o644, (c.data + strings.Repeat("\x00", size))[:size]
	return w.same("setstat "+name, err, nil)
}

// kill ends a daemon without finishing anything that it holds.
func (w *uploadWorld) kill(by int) {
	w.trace = append(w.trace, fmt.Sprint("kill ", by))
	for _, h := range slices.Clone(w.m.handles) {
		if h.by != by {
			continue
		}
		if w.m.drop(h); h.f.up != nil {
			h.f.up.dir.close()
		}
		h.f.Close()
	}
	w.trees[by].Close()
	w.open(by)
}

// check compares the disk and what a client sees.
func (w *uploadWorld) check() {
	want := maps.Clone(w.m.files)
	seen := slices.Sorted(maps.Keys(want))
	for name, c := range w.m.staged {
		want[stagedName(name)] = c
	}
	dir := filepath.Join(w.volume, w.directory())
	entries, err := os.ReadDir(dir)
	if w.m.Checksum {
		entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), sharedSuffix) })
	}
	if (err == nil) != (w.m.dir != "") || len(entries) != len(want) {
		w.Errorf("on the disk %v, %v, want %v", entries, err, want)
	}
	for name, c := range want {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if st, e := os.Stat(filepath.Join(dir, name)); err != nil || e != nil || string(data) != c.data || uint32(st.Mode().Perm()) != c.mode {
			w.Errorf("%s: %q, %v, want %q with mode %o", name, data, err, c.data, c.mode)
		}
	}
	by := w.trees[w.IntN(2)]
	if got, err := names(by, "/"+w.directory()); (err == nil) != (w.m.dir != "") || err == nil && !slices.Equal(got, seen) {
		w.Errorf("listed %q, %v, want %q", got, err, seen)
	}
	for _, name := range uploadNames {
		a, err := by.Stat(w.path(name))
		if size, want := w.m.stat(name); !errors.Is(err, want) || a.Size != uint64(size) {
			w.Errorf("stat %s: %d, %v, want %d, %v", name, a.Size, err, size, want)
		}
	}
}
