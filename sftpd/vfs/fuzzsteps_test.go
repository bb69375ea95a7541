package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// steps are the requests that [FuzzTree] makes; the input's next byte picks one.
var steps = []func(*world) error{
	(*world).openStep, (*world).writeStep, (*world).readStep, (*world).copyStep, (*world).closeStep,
	(*world).mkdirStep, (*world).removeStep, (*world).rmdirStep, (*world).renameStep, (*world).posixRenameStep,
	(*world).linkStep, (*world).symlinkStep, (*world).readlinkStep, (*world).statStep, (*world).lstatStep,
	(*world).setstatStep, (*world).fsetstatStep, (*world).realpathStep, (*world).listStep,
}

// The numbers of steps, for seeds.
const (
	doOpen = iota
	doWrite
	doRead
	doCopy
	doClose
	doMkdir
	doRemove
	doRmdir
	doRename
	doPosixRename
	doLink
	doSymlink
	doReadlink
	doStat
	doLstat
	doSetstat
	doFsetstat
	doRealpath
	doList
)

func (w *world) step() error { return steps[w.in.n(len(steps))](w) }

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// change makes a modifying request in both trees.
func (w *world) change(got error, want []error, apply func()) error {
	if err := w.check(got, want); err != nil {
		return err
	}
	if got == nil && apply != nil {
		apply()
	}
	return nil
}

func (w *world) openStep() error {
	slot, p := w.in.n(len(w.open)), w.in.path()
	flags := []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR}[w.in.n(3)]
	for i, f := range []int{os.O_APPEND, os.O_CREATE, os.O_EXCL, os.O_TRUNC} {
		if w.in.n(256)>>i&1 != 0 {
			flags |= f
		}
	}
	if flags&os.O_CREATE == 0 {
		flags &^= os.O_EXCL // undefined, open(2)
	}
	w.closeFile(slot)
	w.note("open %q %#x in %d", p, flags, slot)
	want, apply := w.model.open(p, flags, 0o666)
	f, got := w.tree.OpenFile(p, flags, 0o666)
	if err := w.check(got, want); err != nil || got != nil {
		return err
	}
	a, _ := w.model.at(p)
	w.open[slot] = opened{f, flags, apply(), a.node}
	return nil
}

// file picks an open file.
func (w *world) file() *opened {
	o := &w.open[w.in.n(len(w.open))]
	w.model.refused, w.model.unsure = false, false
	if o.f == nil {
		return nil
	}
	return o
}

func (o *opened) readable() bool { return o.flags&os.O_WRONLY == 0 }
func (o *opened) writable() bool { return o.flags&(os.O_WRONLY|os.O_RDWR) != 0 }

func (i *inode) write(off int, data string) {
	i.data = append(i.data, make([]byte, max(0, off+len(data)-len(i.data)))...)
	copy(i.data[off:], data)
}

func (w *world) writeStep() error {
	o := w.file()
	off, data := w.in.n(40), "0123456789abcdef"[:1+w.in.n(16)]
	if o == nil {
		return nil
	}
	w.note("write %d bytes at %d", len(data), off)
	_, got := o.f.WriteAt([]byte(data), int64(off))
	if !o.writable() {
		return w.check(got, []error{unix.EBADF})
	}
	if o.flags&os.O_APPEND != 0 {
		off = len(o.i.data)
	}
	return w.change(got, nil, func() { o.i.write(off, data) })
}

func (w *world) readStep() error {
	o := w.file()
	off, n := w.in.n(40), 1+w.in.n(40)
	if o == nil {
		return nil
	}
	w.note("read %d bytes at %d", n, off)
	buf := make([]byte, n)
	n, got := o.f.ReadAt(buf, int64(off))
	want := o.i.data[min(off, len(o.i.data)):min(off+len(buf), len(o.i.data))]
	switch {
	case !o.readable():
		return w.check(got, []error{unix.EBADF})
	case len(want) == 0 && errors.Is(got, io.EOF):
		return nil
	case got != nil || string(buf[:n]) != string(want):
		return fmt.Errorf("have %q, %s, want %q", buf[:n], text(got), want)
	}
	a, err := o.f.Stat()
	if err != nil || a.Size != uint64(len(o.i.data)) || a.Nlink != o.i.links || a.Mode&0o7777 != o.i.mode {
		return fmt.Errorf("attributes %+v, %s, want %+v", a, text(err), o.i)
	}
	return nil
}

func (w *world) copyStep() error {
	from, to := w.file(), w.file()
	off, dstOff, n := w.in.n(40), w.in.n(40), 1+w.in.n(20)
	if from == nil || to == nil {
		return nil
	}
	w.note("copy %d bytes from %d to %d", n, off, dstOff)
	done, got := from.f.CopyTo(to.f, int64(off), int64(dstOff), int64(n))
	data := string(from.i.data[min(off, len(from.i.data)):min(off+n, len(from.i.data))])
	switch {
	case !from.readable() || !to.writable():
		return w.check(got, []error{unix.EACCES})
	case from.i == to.i:
		return w.check(got, []error{unix.EBUSY})
	case data == "":
		if !errors.Is(got, io.EOF) {
			return fmt.Errorf("at the end: %s", text(got))
		}
		return nil
	case got != nil || int(done) != len(data):
		return fmt.Errorf("%d, %s, want %d", done, text(got), len(data))
	case to.flags&os.O_APPEND != 0:
		dstOff = len(to.i.data)
	}
	to.i.write(dstOff, data)
	return nil
}

func (w *world) closeStep() error { w.closeFile(w.in.n(len(w.open))); return nil }

func (w *world) mkdirStep() error {
	p := w.in.path()
	w.note("mkdir %q", p)
	want, apply := w.model.mkdir(p, 0o2777)
	return w.change(w.tree.Mkdir(p, 0o2777), want, apply)
}

func (w *world) removeStep() error {
	p := w.in.path()
	w.note("remove %q", p)
	want, apply := w.model.remove(p)
	return w.change(w.tree.Remove(p), want, apply)
}

func (w *world) rmdirStep() error {
	p := w.in.path()
	w.note("rmdir %q", p)
	want, apply := w.model.rmdir(p)
	return w.change(w.tree.Rmdir(p), want, apply)
}

func (w *world) renameStep() error {
	p, q := w.in.path(), w.in.path()
	w.note("rename %q %q", p, q)
	want, apply := w.model.rename(p, q, false)
	return w.change(w.tree.Rename(p, q), want, apply)
}

func (w *world) posixRenameStep() error {
	p, q := w.in.path(), w.in.path()
	w.note("posix-rename %q %q", p, q)
	want, apply := w.model.rename(p, q, true)
	return w.change(w.tree.PosixRename(p, q), want, apply)
}

func (w *world) linkStep() error {
	p, q := w.in.path(), w.in.path()
	w.note("link %q %q", p, q)
	want, apply := w.model.link(p, q)
	return w.change(w.tree.Link(p, q), want, apply)
}

func (w *world) symlinkStep() error {
	target, p := w.target(), w.in.path()
	w.note("symlink %q at %q", target, p)
	want, apply := w.model.symlink(target, p)
	return w.change(w.tree.Symlink(target, p), want, apply)
}

func (w *world) readlinkStep() error {
	p := w.in.path()
	w.note("readlink %q", p)
	target, want := w.model.readlink(p)
	got, err := w.tree.Readlink(p)
	if e := w.check(err, want); e != nil || err != nil {
		return e
	}
	if got != target {
		return fmt.Errorf("have %q, want %q", got, target)
	}
	return nil
}

func (w *world) statStep() error  { return w.attributes(true) }
func (w *world) lstatStep() error { return w.attributes(false) }

func (w *world) attributes(follow bool) error {
	p := w.in.path()
	w.note("stat %q, following: %v", p, follow)
	_, i, want := w.model.find(p, follow)
	stat := w.tree.Lstat
	if follow {
		stat = w.tree.Stat
	}
	a, got := stat(p)
	if err := w.check(got, want); err != nil || got != nil {
		return err
	}
	if i == nil { // a synthetic directory
		i = newDir(nil, 0o555)
	}
	mode := map[byte]uint32{'f': unix.S_IFREG, 'd': unix.S_IFDIR, 'l': unix.S_IFLNK}[i.kind] | i.mode
	if a.Mode != mode || i.kind == 'f' && (a.Size != uint64(len(i.data)) || a.Nlink != i.links) {
		return fmt.Errorf("have %+v, want %c with mode %o, %d bytes, %d links", a, i.kind, mode, len(i.data), i.links)
	}
	return nil
}

func (in *input) changes() Changes {
	return Changes{
		Set:  Fields(in.n(16)) &^ SetOwner,
		Mode: uint32(0o7700 | in.n(64)), // the owner's, for tests that do not run as root
		Size: uint64(in.n(40)), Atime: 1, Mtime: int64(in.n(100)),
	}
}

func (w *world) setstatStep() error {
	follow, p, c := w.in.n(2) == 0, w.in.path(), w.in.changes()
	w.note("setstat %q %+v, following: %v", p, c, follow)
	want, apply := w.model.setstat(p, c, follow)
	set := w.tree.Lsetstat
	if follow {
		set = w.tree.Setstat
	}
	got := set(p, c)
	err := w.check(got, want)
	if err == nil && apply != nil && !w.model.refused && (got == nil || !w.model.unsure) {
		apply() // one refused attribute does not prevent the others from being set
	}
	return err
}

func (w *world) fsetstatStep() error {
	o, c := w.file(), w.in.changes()
	if o == nil {
		return nil
	}
	w.note("fsetstat %+v", c)
	got := o.f.Setstat(c)
	if !w.model.mounts[o.mt].may("create") {
		return w.check(got, []error{unix.EACCES})
	}
	var want []error
	if c.Set&SetSize != 0 {
		if o.writable() {
			o.i.data = append(o.i.data, make([]byte, max(0, int(c.Size)-len(o.i.data)))...)[:c.Size]
		} else {
			want = []error{unix.EACCES}
		}
	}
	if c.Set&SetMode != 0 {
		o.i.mode = c.Mode & 0o777
	}
	return w.check(got, want)
}

func (w *world) realpathStep() error {
	p := w.in.path()
	w.note("realpath %q", p)
	real, want := w.model.realpath(p)
	w.model.refused, w.model.unsure = false, false // the daemon does the walk itself, with both resolvers
	got, err := w.tree.RealPath(p)
	if e := w.check(err, want); e != nil || err != nil {
		return e
	}
	if got != real {
		return fmt.Errorf("have %q, want %q", got, real)
	}
	return nil
}

func (w *world) listStep() error {
	p := w.in.path()
	w.note("list %q", p)
	all, want := w.model.list(p)
	got, err := names(w.tree, p)
	if e := w.check(err, want); e != nil || err != nil {
		return e
	}
	slices.Sort(all)
	if !slices.Equal(got, all) {
		return fmt.Errorf("have %q, want %q", got, all)
	}
	return nil
}

// fuzzSeeds are sequences that reach each request, followed by some random ones.
func fuzzSeeds() [][]byte {
	const f, d, a, b, up, l, docs, rw, s, in = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	one, two, three := byte(0+5), byte(1), byte(2) // shapes of paths: absolute, without a trailing slash
	seeds := [][]byte{
		{doOpen, 0, one, a, 2, 0, 2, 0, 0, doWrite, 0, 3, 9, doRead, 0, 0, 30, doOpen, 1, one, b, 1, 1, 2, 0, 0, doCopy, 0, 1, 2, 0, 9, doRead, 1, 0, 30, doClose, 0},
		{doMkdir, one, a, doRename, one, f, two, a, b, doStat, two, a, b, doLink, two, a, b, one, b, doPosixRename, one, b, one, f, doRmdir, one, a, doRemove, two, a, b, doRmdir, one, a},
		{doSymlink, 3, two, d, up, one, l, doReadlink, one, l, doLstat, one, l, doRealpath, two, l, f, doOpen, 0, two, l, f, 0, 0, 0, 0, 0, doRead, 0, 0, 30},
		{doSymlink, 5, three, docs, rw, f, three, docs, rw, l, doOpen, 0, three, docs, rw, l, 2, 0, 0, 0, 0, doWrite, 0, 1, 1, doSetstat, 0, three, docs, rw, l, 5, 9, 3, 1},
		{doList, one, s, doList, one, docs, doList, two, s, in, doList, two, s, 10, doOpen, 0, three, s, in, a, 1, 0, 2, 0, 0, doWrite, 0, 0, 9, doRead, 0, 0, 9, doRename, three, s, in, a, one, a},
		{doSymlink, 1, 3, one, l, doOpen, 0, one, l, 0, 0, 0, 0, 0, doOpen, 0, two, 13, 17, 1, 0, 0, 0, 0, doSetstat, 1, one, l, 8, 0, 0, 9, doFsetstat, 0, 1, 0, 3, 3, doList, one, 16, doStat, two, 14, 17},
	}
	for i := range 8 { // each with many steps
		var seed []byte
		for n := range 600 {
			seed = append(seed, byte((n*n*(2*i+3)+n*(i+7))>>2))
		}
		seeds = append(seeds, seed)
	}
	return seeds
}
