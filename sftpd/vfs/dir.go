package vfs

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// Dir streams the entries of an open directory. Its methods are not safe for
// concurrent use.
type Dir struct {
	t       *Tree
	path    string // as it was opened
	n       *node  // set for a mount point or synthetic directory
	fd      int    // -1 for a synthetic directory
	buf     *[direntBytes]byte
	pos     int
	end     int
	special int // next of ".", ".." and the mount points, before all others
	ended   bool
	st      unix.Stat_t // of the current entry
}

// Entry is one name of a directory.
type Entry struct {
	Name []byte // valid until the next call of [Dir.Next]
	Attr Attr   // of the link itself if it is one
}

// direntBytes is how much of a directory is read in one system call: about a
// thousand entries.
const direntBytes = 32 << 10

// direntPool holds buffers that are in use only during a listing.
var direntPool = sync.Pool{New: func() any { return new([direntBytes]byte) }}

// OpenDir opens the directory at p for listing. A mount that may not be listed but contains
// mount points shows only those.
func (t *Tree) OpenDir(p string) (*Dir, error) {
	pl, err := t.locate(p)
	switch {
	case err != nil:
		return nil, err
	case pl.node != nil && pl.node.m == nil:
		return &Dir{t: t, path: p, n: pl.node, fd: -1}, nil
	case pl.m == nil:
		return nil, unix.ENOENT
	}
	mountPointsOnly := false
	if pl.m.need(rightList) != nil {
		if pl.node == nil || !pl.node.listed() {
			return nil, t.deniedList(pl)
		}
		mountPointsOnly = true
	}
	rest := pl.rest
	if pl.node != nil {
		rest = "."
	}
	fd, err := pl.m.r.open(rest, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &Dir{t: t, path: p, n: pl.node, fd: fd, ended: mountPointsOnly}, nil
}

// Next sets e to the next entry, or returns io.EOF after the last one. It starts with "."
// and "..". Mount points follow, then the directory's entries in its own order, except
// those that mount points hide.
func (d *Dir) Next(e *Entry) error {
	if done, err := d.nextSpecial(e); done {
		return err
	}
	for !d.ended {
		if d.pos >= d.end {
			if err := d.fill(); err != nil {
				return err
			}
			continue
		}
		name := d.dirent()
		if dots(name) || reserved(name) || d.n.hides(name) {
			continue
		}
		// The name is followed by NUL in the block that the kernel wrote.
		if err := lstatName(d.fd, &name[0], &d.st); err != nil {
			continue // gone in the meantime; OpenSSH also leaves out what it cannot stat
		}
		e.Name, e.Attr = name, attrOf(&d.st)
		return nil
	}
	return io.EOF
}

// nextSpecial sets e to an entry that comes before those read from the disk.
func (d *Dir) nextSpecial(e *Entry) (bool, error) {
	i := d.special - 2
	for d.n != nil && i >= 0 && i < len(d.n.children) && d.n.children[i].internal() {
		d.special++
		i++
	}
	if d.n == nil && i >= 0 || d.n != nil && i >= len(d.n.children) {
		if d.fd < 0 {
			d.ended = true
		}
		return false, nil
	}
	d.special++
	var err error
	if i >= 0 {
		c := d.n.children[i]
		e.Name = append(e.Name[:0:0], c.name...)
		e.Attr, err = d.t.nodeAttr(c)
		return true, err
	}
	e.Name = []byte(".."[:d.special])
	if d.special == len("..") {
		e.Attr, err = d.statParent()
	} else {
		e.Attr, err = d.Stat()
	}
	return true, err
}

// statParent uses the path: the descriptor's ".." is outside the tree if the directory has been
// moved there. A directory without a parent whose attributes can be read shows its own.
func (d *Dir) statParent() (Attr, error) {
	path := d.path
	if path == "" {
		path = "."
	}
	if a, err := d.t.Stat(path + "/.."); err == nil {
		return a, nil
	}
	return d.Stat()
}

func dots(name []byte) bool {
	return len(name) == 0 || name[0] == '.' && (len(name) == 1 || len(name) == 2 && name[1] == '.')
}

// fill reads the next block of entries, or ends the listing.
func (d *Dir) fill() error {
	if d.buf == nil {
		d.buf = direntPool.Get().(*[direntBytes]byte)
	}
	d.pos, d.end = 0, 0
	err := retry(func() (err error) {
		d.end, err = unix.ReadDirent(d.fd, d.buf[:])
		return err
	})
	if err == unix.ENOENT { // the directory itself was removed
		err, d.end = nil, 0
	}
	if err != nil || d.end <= 0 {
		d.end, d.ended = 0, true
		d.release()
	}
	return err
}

// dirent consumes one struct linux_dirent64 (getdents64(2)) of the block and returns its
// name, without the terminating NUL.
func (d *Dir) dirent() []byte {
	rec := d.buf[d.pos:d.end]
	size := int(binary.NativeEndian.Uint16(rec[16:]))
	d.pos += size
	name := rec[19:size]
	return name[:max(bytes.IndexByte(name, 0), 0)]
}

// Stat returns the attributes of the directory.
func (d *Dir) Stat() (Attr, error) {
	if d.fd < 0 {
		return d.t.synthetic(d.n), nil
	}
	return statFD(d.fd)
}

func (d *Dir) release() {
	if d.buf != nil {
		direntPool.Put(d.buf)
		d.buf = nil
	}
}

// Close closes the directory.
func (d *Dir) Close() error {
	d.release()
	if d.fd < 0 {
		return nil
	}
	err := unix.Close(d.fd)
	d.fd = -1
	return err
}
