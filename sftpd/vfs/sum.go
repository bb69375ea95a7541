package vfs

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Sum returns the SHA-256 of a file that was written, in hexadecimal. It is called before a Finish that completes the file, and
// Finish records it. It returns "" without [Uploads].Checksum, and wherever the content is not known for certain: if another
// handle is still writing the file, if the volume does not support locks, or if the file changed while it was read. A file of
// more than 1 TiB has a checksum only if it was written in order.
//
// An upload that is published when it is closed is locked from here on, so that no other handle can change it
// before it has its name. Any other file can be changed by anyone with access to the volume: it is read, and
// if its time of change stays the same, so did its content.
//
// An error comes from work or from the volume.
func (f *File) Sum(work Work) (string, error) {
	c := f.sum
	switch {
	case c == nil:
		return "", nil
	case !f.Staged():
		return f.sumInPlace(work)
	case holdAlone(f.fd) != nil:
		return "", nil //nolint:nilerr // another handle is writing it, or the volume does not support locks
	case !isNamed(f.up.dir.fd, f.up.temp, f.id): // another handle published it
		return f.sumInPlace(work)
	}
	if c.hashed > 0 && wasShared(f.up.dir.fd, f.up.temp) {
		c.stop()
	}
	a, err := f.Stat()
	if err != nil {
		return "", err
	}
	return f.sumOf(int64(a.Size), work)
}

// sumOf hashes the file, which has a size.
func (f *File) sumOf(size int64, work Work) (string, error) {
	c := f.sum
	if size-c.hashed > maxReadBack || size < c.hashed {
		return "", nil
	}
	switch err := c.read(f, size, work); {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, unix.EBADF): // shorter now; not opened for reading, see readable
		return "", nil
	case err != nil:
		return "", err
	}
	return c.finish(), nil
}

// sumInPlace hashes a file that others can change.
func (f *File) sumInPlace(work Work) (string, error) {
	f.sum.stop()
	if !f.sum.changed && !f.created && !f.truncated {
		return "", nil
	}
	before, known := changeOf(f.fd)
	if !known || before.size > maxReadBack {
		return "", nil
	}
	time.Sleep(clockTick)
	if again, _ := changeOf(f.fd); again != before {
		return "", nil
	}
	sum, err := f.sumOf(before.size, work)
	if err != nil {
		return "", err
	}
	if after, _ := changeOf(f.fd); after != before {
		f.sum.sum, sum = "", ""
	}
	f.sum.at = before
	return sum, nil
}

// A file that someone touches while it is about to be renamed is hashed again, up to sumTries times in all if it has at most
// sumAgain bytes. Otherwise a change of its mode or times, by a backup for example, would cost the upload its receipt.
const (
	sumTries = 4
	sumAgain = 64 << 20
)

// sumNamed hashes a file that is about to be renamed; "" if that is not wanted, if the file may not be read, or if it keeps
// changing. What else keeps it from being read, such as too few descriptors, is an error: the client can try the rename again,
// but would never get the receipt. With a checksum, it sets the size and the time of the content that has it.
func (t *Tree) sumNamed(p *Publication, par parent, id identity, work Work) error {
	p.SHA256 = ""
	if !t.staging.Checksum {
		return nil
	}
	fd, opened, err := par.openRegular(par.name, unix.O_RDONLY, 0)
	switch err {
	case nil:
	case unix.EACCES, unix.EPERM, errAgain: // the rename does not need to read, or it gets the same error
		return nil
	default:
		return err
	}
	f := &File{fd: fd, flags: unix.O_RDONLY, id: opened, sum: &checksum{changed: true}}
	defer f.Close()
	if opened != id {
		return nil
	}
	if work == nil {
		work = inOneGo
	}
	for range sumTries {
		sum, err := f.sumInPlace(work)
		if err != nil {
			return err
		}
		if sum != "" {
			p.SHA256, p.Size, p.ModTime = sum, f.sum.at.size, f.sum.at.mtime.Sec*1e9+int64(f.sum.at.mtime.Nsec)
			return nil
		}
		if is, known := changeOf(fd); !known || is.size > sumAgain {
			return nil
		}
	}
	return nil
}

// clockTick is longer than the steps of the clock that file systems take times of change from: 10 ms at most in Linux, 15.6 ms in
// Windows. A file whose time of change is older than that gets a different one with its next change. Tests replace it.
var clockTick = 20 * time.Millisecond

// change is what differs when a file's content has changed.
type change struct {
	size         int64
	ctime, mtime unix.StatxTimestamp
}

// changeOf asks the file server, if there is one, instead of the kernel's cache. It returns false for a file system with
// timestamps in whole seconds.
func changeOf(fd int) (change, bool) {
	var st unix.Statx_t
	err := retry(func() error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
	})
	if err != nil {
		return change{}, false
	}
	return change{int64(st.Size), st.Ctime, st.Mtime}, st.Ctime.Nsec != 0
}

// readable calls open with flags that make a file that a client only writes readable as well, if its checksum is needed, and
// without them if that is not possible: not every file may be read by its writer, and not every volume supports it.
func (u *Uploads) readable(flags int, open func(flags int) error) error {
	if !u.Checksum || flags&unix.O_ACCMODE != unix.O_WRONLY {
		return open(flags)
	}
	switch err := open(flags&^unix.O_ACCMODE | unix.O_RDWR); err {
	case unix.EACCES, unix.EPERM, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS:
		return open(flags)
	default:
		return err
	}
}
