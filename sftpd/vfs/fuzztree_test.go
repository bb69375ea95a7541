package vfs

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzTree decodes its input into a sequence of requests, and compares each result, and the final volumes, with those of the
// [model], for both resolvers. Links lead outside in all ways; the world outside is compared too.
func FuzzTree(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed)
	}
	unix.Umask(fuzzUmask)
	worlds := fuzzWorlds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, w := range worlds {
			w.run(t, in)
		}
	})
}

// world is a tree, its surroundings, and the model. Its directories are emptied and reused for all inputs, because creating
// them would take most of the time.
type world struct {
	base    string
	mounts  []Mount
	tree    *Tree
	outside string // a snapshot

	model *model
	in    input
	open  [3]opened
	trace []string
}

type opened struct {
	f     *File
	flags int
	i     *inode
	mt    string
}

// TestTreeIsItsModel does what FuzzTree does, with thousands of random requests.
func TestTreeIsItsModel(t *testing.T) {
	defer unix.Umask(unix.Umask(fuzzUmask))
	worlds := fuzzWorlds(t)
	inputs := 400
	if testing.Short() || os.Getenv("MUTANT") != "" {
		inputs = 100
	}
	requests := 0
	for i := range inputs {
		rnd := rand.New(rand.NewPCG(uint64(i), 3))
		in := make([]byte, 100+rnd.IntN(400))
		for j := range in {
			in[j] = byte(rnd.Uint32())
		}
		for _, w := range worlds {
			w.run(t, in)
			requests += len(w.trace)
		}
	}
	t.Logf("MODEL: %d sequences, %d requests, no difference", inputs*len(worlds), requests)
}

func fuzzWorlds(f testing.TB) (worlds []*world) {
	kinds := []Resolver{OSRoot}
	if Probe() == Openat2 {
		kinds = append(kinds, Openat2)
	} else if os.Getenv("CI") == "true" {
		f.Fatal("this kernel or sandbox has no openat2")
	}
	for _, r := range kinds {
		w := &world{base: memoryDir(f)}
		write(f, w.base, "outside/secret", "secret")
		write(f, w.base, "outside/a/b", "secret")
		for path, access := range map[string]Access{"/": ReadWrite, "/docs": ReadOnly, "/docs/rw": ReadWrite, "/s/in": WriteOnly, "/s/names": WriteOnly, "/s/new": CreateOnly} {
			volume := filepath.Join(w.base, "volume"+strings.ReplaceAll(path, "/", "-"))
			if err := os.Mkdir(volume, 0o755); err != nil {
				f.Fatal(err)
			}
			w.mounts = append(w.mounts, Mount{Path: path, Volume: volume, Access: access, ListNames: path == "/s/names"})
		}
		w.tree = open(f, r, w.mounts...)
		w.outside = snapshot(f, filepath.Join(w.base, "outside"))
		worlds = append(worlds, w)
	}
	return worlds
}

// memoryDir returns a directory in memory where one exists, which allows many more tries.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "sftpd-vfs-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// run executes one input.
func (w *world) run(t *testing.T, in []byte) {
	w.reset(t)
	w.in = input{in}
	for range 60 {
		if len(w.in.rest) == 0 {
			break
		}
		if err := w.step(); err != nil {
			t.Fatalf("%s: %v\n%s", w.tree.Resolver(), err, strings.Join(w.trace, "\n"))
		}
	}
	for i := range w.open {
		w.closeFile(i)
	}
	for _, c := range w.mounts {
		if err := compare(c.Volume, w.model.mounts[c.Path].root); err != nil {
			t.Fatalf("%s: mount %s: %v\n%s", w.tree.Resolver(), c.Path, err, strings.Join(w.trace, "\n"))
		}
	}
	if now := snapshot(t, filepath.Join(w.base, "outside")); now != w.outside {
		t.Fatalf("the outside changed: %s\n%s", now, strings.Join(w.trace, "\n"))
	}
	if names, err := os.ReadDir(w.base); err != nil || len(names) != 1+len(w.mounts) {
		t.Fatalf("next to the volumes: %v, %v", names, err)
	}
}

// reset empties the volumes, and puts into each what no request could create: read-only volumes are not empty either, and
// contain links to the outside that another user made.
func (w *world) reset(t *testing.T) {
	w.tree.created.files = nil
	w.model, w.trace = newModel(w.tree.Resolver() == OSRoot, w.mounts), nil
	for _, c := range w.mounts {
		names, err := os.ReadDir(c.Volume)
		for _, n := range names {
			if e := os.RemoveAll(filepath.Join(c.Volume, n.Name())); e != nil {
				err = e
			}
		}
		if e := os.Chmod(c.Volume, 0o755); err != nil || e != nil {
			t.Fatal(err, e)
		}
		root := w.model.mounts[c.Path].root
		plant := func(name string, i *inode) {
			entry{dir: root, name: name}.put(i)
			full := filepath.Join(c.Volume, name)
			switch i.kind {
			case 'd':
				err = os.Mkdir(full, 0o755)
			case 'l':
				err = os.Symlink(i.target, full)
			case 'f':
				err = os.WriteFile(full, i.data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		plant("f", &inode{kind: 'f', mode: 0o644, data: []byte("of " + c.Path)})
		plant("d", newDir(root, 0o755))
		plant("out", &inode{kind: 'l', mode: 0o777, target: filepath.Join(w.base, "outside")})
		plant("up", &inode{kind: 'l', mode: 0o777, target: "../outside/secret"})
		plant("proc", &inode{kind: 'l', mode: 0o777, target: "/proc/self/root" + w.base + "/outside"})
		plant("root", &inode{kind: 'l', mode: 0o777, target: "/"})
	}
}

// input is consumed byte by byte; missing bytes are zero.
type input struct{ rest []byte }

func (in *input) n(below int) int {
	if len(in.rest) == 0 {
		return 0
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return int(b) % below
}

var fuzzNames = []string{
	"f", "d", "a", "b", "..", "l", "docs", "rw", "s", "in", "names", "new", ".", "", "out", "up", "root", "proc", "secret",
	"outside", "hidden", strings.Repeat("n", 255), strings.Repeat("n", 256), "a\x00b", stagingPrefix + "kept.x", "\xff",
}

// name returns one of the first eight names more often, so that requests interact.
func (in *input) name() string {
	if i := in.n(64); i < len(fuzzNames) {
		return fuzzNames[i]
	}
	return fuzzNames[in.n(8)]
}

func (in *input) path() string {
	shape := in.n(64) // how many names, a leading slash, a trailing slash
	var names []string
	for range 1 + shape%5 {
		names = append(names, in.name())
	}
	p := strings.Join(names, "/")
	if shape < 48 {
		p = "/" + p
	}
	if shape%7 == 0 {
		p += "/"
	}
	return p
}

// target returns the target of a link.
func (w *world) target() string {
	switch w.in.n(8) {
	case 0:
		return filepath.Join(w.base, "outside") + w.in.path()
	case 1:
		return strings.Repeat("../", 1+w.in.n(5)) + "outside/secret"
	case 2:
		return "/proc/self/fd/" + strconv.Itoa(w.in.n(64))
	case 3:
		return strings.TrimLeft(w.in.path(), "/")
	case 4:
		return w.in.name()
	}
	return w.in.path()
}

// check compares a result: success or failure, and with openat2 also the status that a client sees.
func (w *world) check(got error, want []error) error {
	if w.model.refused {
		if got == nil {
			return errors.New("what os.Root refuses succeeded")
		}
		return nil
	}
	ok := w.model.unsure && got != nil || got == nil && len(want) == 0
	for _, e := range want {
		ok = ok || got != nil && (w.model.osRoot || class(got) == class(e))
	}
	if ok {
		return nil
	}
	return fmt.Errorf("have %s, want one of %v", text(got), want)
}

func text(err error) string {
	if err == nil {
		return "success"
	}
	return err.Error()
}

// class returns the status code for an error.
func class(err error) int {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return 0
	}
	switch errno {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EBADF:
		return 2
	case unix.EACCES, unix.EPERM:
		return 3
	case unix.EINVAL, unix.ENAMETOOLONG:
		return 5
	}
	return 4
}

// compare compares a directory of a volume with the model's.
func compare(dir string, want *inode) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return err
	}
	if st.Mode&0o7777 != want.mode {
		return fmt.Errorf("%s: mode %o, want %o", dir, st.Mode&0o7777, want.mode)
	}
	switch want.kind {
	case 'l':
		if got, err := os.Readlink(dir); err != nil || got != want.target {
			return fmt.Errorf("%s: target %q, %s, want %q", dir, got, text(err), want.target)
		}
		return nil
	case 'f':
		got, err := os.ReadFile(dir)
		if err != nil || string(got) != string(want.data) || st.Nlink != uint64(want.links) {
			return fmt.Errorf("%s: %q with %d links, %s, want %q with %d", dir, got, st.Nlink, text(err), want.data, want.links)
		}
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want.names) {
		return fmt.Errorf("%s: %v, %s, want %d", dir, entries, text(err), len(want.names))
	}
	for _, e := range entries {
		i := want.names[e.Name()]
		if i == nil {
			return fmt.Errorf("%s: %q should not be there", dir, e.Name())
		}
		if err := compare(filepath.Join(dir, e.Name()), i); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) closeFile(slot int) {
	if o := &w.open[slot]; o.f != nil {
		_, _ = o.f.Finish(true)
		*o = opened{}
	}
}

// names lists a directory, sorted, without "." and "..".
func names(tree *Tree, p string) ([]string, error) {
	d, err := tree.OpenDir(p)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all := []string{}
	var e Entry
	for err = d.Next(&e); err == nil; err = d.Next(&e) {
		if n := string(e.Name); n != "." && n != ".." {
			all = append(all, n)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(all)
	return all, nil
}
