package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Leftover is what remains of a file that was written and not completed.
type Leftover string

// What remains of a file.
const (
	// Nothing: the file was completed, or only read.
	Nothing Leftover = ""
	// Kept: what was received is kept.
	Kept Leftover = "kept"
	// Deleted: it was removed.
	Deleted Leftover = "deleted"
)

// upload describes what will become of a file being written.
type upload struct {
	*staging
	dir  parent // its final name, in a directory whose descriptor is owned
	temp string // its staged name; "" if it has been made in place
	// exclusive: the name must not exist at publication.
	exclusive bool
	// shared: there may be a mark that several handles have written the staged file; see markShared.
	shared bool
}

// Staged reports whether the file was opened under a hidden name. Another handle that
// shares it may have published it since.
func (f *File) Staged() bool { return f.up != nil && f.up.temp != "" }

// Finish closes the file, like Close, and publishes it if it is complete. One that is
// incomplete, or cannot be published, is kept or deleted as [Uploads] says. A file that is
// not staged and existed before is never deleted. Of several handles that share a staged
// file, the first complete one publishes it, and the others continue on the published file:
// what was acknowledged to the first does not depend on how they end.
func (f *File) Finish(complete bool) (Leftover, error) {
	switch {
	case f.up == nil:
		return f.finishInPlace(complete)
	case f.up.temp == "":
		return f.finishMade(complete)
	}
	return f.finishStaged(complete)
}

func (f *File) finishInPlace(complete bool) (Leftover, error) {
	var err error
	if complete && f.sync && f.Writable() {
		err = f.Sync()
	}
	if complete && err == nil {
		err = f.rec.inPlace(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if complete || !f.Writable() {
		return Nothing, err
	}
	return Kept, err
}

// finishMade finishes a file that this open created under its own name.
func (f *File) finishMade(complete bool) (Leftover, error) {
	up := f.up
	f.up = nil
	defer up.dir.close()
	var err error
	if complete && up.Sync {
		if err = f.Sync(); err == nil {
			err = syncDir(up.dir.fd)
		}
	}
	if complete && err == nil {
		err = f.rec.inPlace(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	switch {
	case complete:
		return Nothing, err // it has its name, and the client gets the error
	// The name may belong to another file by now.
	case up.DeleteIncomplete && isNamed(up.dir.fd, up.dir.name, f.id) && unlinkAt(up.dir.fd, up.dir.name) == nil:
		return Deleted, err
	}
	return Kept, err
}

func (f *File) finishStaged(complete bool) (left Leftover, err error) {
	up := f.up
	f.up = nil
	defer up.dir.close()
	defer up.remove(f.id)
	if complete {
		if up.Sync {
			err = f.Sync()
		}
		if e := f.flush(); err == nil {
			err = e
		}
		if err == nil {
			err = up.publish(f)
		}
	}
	if !complete || err != nil {
		left = Kept
		if errors.Is(err, ErrRemoved) || up.DeleteIncomplete && discard(f.fd, f.id, up.dir, up.temp) {
			left = Deleted
		}
	}
	if up.shared && left != Kept {
		forgetShared(up.dir.fd, up.temp)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return left, err
}

// flush returns write errors that some network file systems report only when a descriptor
// is closed. The file's own has to stay open, because it holds the file's locks.
func (f *File) flush() error {
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return err
	}
	return nil
}

// publish renames the file to its final name, unless another handle has done so.
func (u *upload) publish(f *File) error {
	if err := holdPublishing(f.fd); err != nil {
		return err
	}
	from := u.dir
	from.name = u.temp
	if !isNamed(from.fd, from.name, f.id) {
		err := f.published()
		if err == nil {
			err = f.rec.inPlace(f)
		}
		return err
	}
	outcome, err := f.rec.ahead(f, from, u.dir.name)
	if err != nil {
		return err
	}
	if u.exclusive {
		err = renameNoReplace(from, u.dir)
	} else {
		err = retry(func() error { return unix.Renameat(from.fd, from.name, u.dir.fd, u.dir.name) })
	}
	if err == nil && u.Sync {
		err = syncDir(u.dir.fd)
	}
	return settle(outcome, err)
}

// published returns an error for a file without a name: the writer must not believe that it
// exists.
func (f *File) published() error {
	a, err := f.Stat()
	if err == nil && a.Nlink == 0 {
		return ErrRemoved
	}
	return err
}

// discard removes a staged file that is not complete, if no other handle writes it or has
// published it.
func discard(fd int, id identity, dir parent, temp string) bool {
	return holdPublishing(fd) == nil && // two that end at the same time must not each leave it to the other
		alone(fd) && isNamed(dir.fd, temp, id) && unlinkAt(dir.fd, temp) == nil
}

// alone reports whether this is the only handle that writes the file. If not, it stops
// being a writer, so that the last one finds itself alone.
func alone(fd int) bool {
	if !errors.Is(holdAlone(fd), errHeld) {
		return true
	}
	_ = lock(fd, unix.F_UNLCK, useStart, useSlots) // closing it does the same
	return false
}

// fsync is the system call. Tests replace it, since nothing else shows whether it was called.
var fsync = unix.Fsync

// syncDir writes the names in a directory to the disk. Some network file systems cannot do
// it, and do not need to.
func syncDir(dirfd int) error {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := retry(func() error { return fsync(fd) }); err != unix.EINVAL {
		return err
	}
	return nil
}
