package vfs

import (
	"io"

	"golang.org/x/sys/unix"
)

// File is an open regular file. Its methods are not safe to call concurrently
// with Close.
type File struct {
	fd    int
	flags int
	m     *mount
	id    identity
	sync  bool      // Uploads.Sync
	up    *upload   // nil unless it is new, or replaces another
	rec   *recorded // nil without a journal, or if it is only read
	sum   *checksum // nil without Uploads.Checksum, or if it is neither written nor staged
	// created and truncated: by this open.
	created, truncated bool
}

// openFlags are the open(2) flags that callers may pass.
const openFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC

// OpenFile opens the regular file at p. flags are those of open(2): the access mode,
// O_APPEND, O_CREAT, O_EXCL and O_TRUNC; others are ignored. mode is the permissions of a
// new file, minus the umask. Anything but a regular file gives [ErrNotRegular], directories
// EISDIR, and neither FIFOs nor devices block.
func (t *Tree) OpenFile(p string, flags int, mode uint32) (*File, error) {
	flags &= openFlags
	pl, err := t.locate(p)
	switch {
	case err != nil:
		return nil, err
	case pl.node != nil:
		return nil, unix.EISDIR
	case pl.m == nil:
		if flags&unix.O_CREAT != 0 {
			return nil, t.refuseSynthetic(p, unix.ENOENT)
		}
		return nil, unix.ENOENT
	}
	if pl.m.createsOnly() && flags&unix.O_CREAT != 0 && flags&unix.O_ACCMODE == unix.O_WRONLY {
		if err := t.recordable(); err != nil {
			return nil, err
		}
		f, err := t.openNew(pl, flags, mode)
		return t.begun(f, p), err
	}
	if pl.m.need(wants(flags)) != nil {
		return nil, t.deniedOpen(pl, flags)
	}
	if flags&unix.O_ACCMODE == unix.O_RDONLY && flags&(unix.O_CREAT|unix.O_TRUNC) == 0 {
		return openRegular(pl, flags, mode)
	}
	if err := t.recordable(); err != nil {
		return nil, err
	}
	if t.staging.OnClose {
		if f, err := t.staging.open(pl, flags, mode, t.turn); f != nil || err != nil {
			return t.begun(f, p), err
		}
	}
	f, err := t.openInPlace(pl, flags, mode)
	return t.begun(f, p), err
}

// begun prepares an opened file for the work at its end, if there is any.
func (t *Tree) begun(f *File, p string) *File {
	if f == nil {
		return nil
	}
	f.sync = t.staging.Sync
	if t.staging.Checksum && (f.Writable() || f.Staged()) && f.sum == nil {
		f.sum = new(checksum)
	}
	if t.journal != nil && f.Writable() {
		f.rec = t.recording(f, p)
	}
	return f
}

// openInPlace opens a file for writing under its name. It has to determine whether that creates a file: for the log, and because
// such a file may have to be removed if the connection breaks.
func (t *Tree) openInPlace(pl place, flags int, mode uint32) (*File, error) {
	exists := flags &^ unix.O_CREAT
	if flags&unix.O_CREAT != 0 {
		f, err := t.openReadable(pl, flags|unix.O_EXCL, mode)
		if err == nil {
			return t.made(pl, f, flags)
		}
		if err != unix.EEXIST || flags&unix.O_EXCL != 0 {
			return nil, err
		}
	}
	f, err := t.openReadable(pl, exists, 0)
	switch {
	case err == nil:
		f.flags, f.truncated = flags, flags&unix.O_TRUNC != 0
	case err == unix.ENOENT && flags&unix.O_CREAT != 0: // a link to a missing name
		if f, err = t.openReadable(pl, flags, mode); err == nil {
			f.created = true
		}
	}
	return f, err
}

// made records that this open created a file. If needed later, its directory stays open: to
// remove the file if it is not completed, or to sync its name.
func (t *Tree) made(pl place, f *File, flags int) (*File, error) {
	f.flags, f.created = flags, true
	if !t.staging.DeleteIncomplete && !t.staging.Sync {
		return f, nil
	}
	par, err := pl.parentOf()
	if err == nil {
		up := &upload{staging: &t.staging}
		if up.dir, err = par.keep(); err == nil {
			f.up = up
			return f, nil
		}
	}
	_ = f.Close() // err is the one to report
	return nil, err
}

// openReadable is openRegular, but a file that a client only writes is also opened for reading if its checksum is needed and the
// volume and the file's mode allow it.
func (t *Tree) openReadable(pl place, flags int, mode uint32) (f *File, err error) {
	err = t.staging.readable(flags, func(opened int) error {
		f, err = openRegular(pl, opened, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.flags = flags
	return f, nil
}

// openRegular opens a regular file and nothing else.
func openRegular(pl place, flags int, mode uint32) (*File, error) {
	fd, err := pl.m.r.open(pl.rest, flags|unix.O_NONBLOCK, mode&0o777)
	switch err {
	case nil:
	case unix.ENXIO: // a FIFO without reader, a socket, a device without driver
		return nil, ErrNotRegular
	default:
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return &File{fd: fd, flags: flags, m: pl.m, id: identityOf(&st)}, nil
	case unix.S_IFDIR:
		err = unix.EISDIR
	default:
		err = ErrNotRegular
	}
	unix.Close(fd)
	return nil, err
}

// Created reports whether this open created the file, under its name or staged.
func (f *File) Created() bool { return f.created }

// Truncated reports whether this open truncated an existing file, or began to replace it.
func (f *File) Truncated() bool { return f.truncated }

// Readable reports whether the file was opened for reading.
func (f *File) Readable() bool { return f.flags&unix.O_ACCMODE != unix.O_WRONLY }

// Writable reports whether the file was opened for writing.
func (f *File) Writable() bool { return f.flags&unix.O_ACCMODE != unix.O_RDONLY }

// ReadAt fills p from offset off, fewer bytes only at the end of the file, and io.EOF if
// there are none. It does not move the file position or allocate.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			if done > 0 {
				return done, nil // the next read gets the error again
			}
			return 0, err
		case n == 0:
			if done == 0 {
				return 0, io.EOF
			}
			return done, nil
		default:
			done += n
		}
	}
	return done, nil
}

// WriteAt writes all of p at offset off, or at the end of the file if it was
// opened with O_APPEND. It allocates nothing.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.writeAt(p, off)
	if f.sum != nil {
		parts := [1][]byte{p}
		f.sum.wrote(f, parts[:], off, int64(n))
	}
	return n, err
}

func (f *File) writeAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		var n int
		var err error
		if f.flags&unix.O_APPEND != 0 {
			n, err = unix.Write(f.fd, p[done:])
		} else {
			n, err = unix.Pwrite(f.fd, p[done:], off+int64(done))
		}
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, err
		case n == 0:
			return done, io.ErrShortWrite
		default:
			done += n
		}
	}
	return done, nil
}

// MaxParts is the maximum number of parts for WritePartsAt.
const MaxParts = maxParts

// WritePartsAt writes parts consecutively, like WriteAt but in one system call, and returns
// how many bytes it wrote. A short write is not an error yet: calling WriteAt with the rest
// either returns the error or continues. Empty parts are skipped, and nothing is allocated.
func (f *File) WritePartsAt(parts [][]byte, off int64) int {
	n := writev(f.fd, parts, off, f.flags&unix.O_APPEND != 0)
	if f.sum != nil {
		f.sum.wrote(f, parts, off, int64(n))
	}
	return n
}

// Stat returns the attributes of the open file, even if it was renamed.
func (f *File) Stat() (Attr, error) { return statFD(f.fd) }

// Setstat changes the open file; setting the size needs a file open for
// writing, the rest a mount that allows changes.
func (f *File) Setstat(c Changes) error {
	if err := f.m.need(rightCreate); err != nil {
		return err
	}
	var err error
	if c.Set&SetSize != 0 {
		if err = ErrAccess; f.Writable() {
			err = truncateFD(f.fd, c.Size)
			f.sum.resized(c.Size)
		}
	}
	if c.Set&^SetSize == 0 {
		return err
	}
	return lastError(err, f.m.setFD(f.fd, c))
}

// Sync writes the file's data to the disk (fsync).
func (f *File) Sync() error { return retry(func() error { return fsync(f.fd) }) }

// StatVFS returns figures of the volume that holds the file.
func (f *File) StatVFS() (StatVFS, error) { return statFS(f.fd, f.m) }

// Close closes the file. Some network file systems report write errors here. A file that
// was opened for writing must be closed with Finish.
func (f *File) Close() error {
	err := unix.Close(f.fd)
	f.fd = -1
	if err == unix.EINTR { // Linux closes it anyway
		return nil
	}
	return err
}
