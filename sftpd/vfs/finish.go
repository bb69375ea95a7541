package vfs

import "golang.org/x/sys/unix"

// Leftover is what is left of a file that was written and not completed.
type Leftover string

// What is left of a file.
const (
	// Nothing to speak of: the file was completed, or only read.
	Nothing Leftover = ""
	// Kept: what had arrived is still there.
	Kept Leftover = "kept"
	// Deleted: it was removed.
	Deleted Leftover = "deleted"
)

// Staged tells whether the file does not have its name yet.
func (f *File) Staged() bool { return f.up != nil && f.up.temp != "" }

// Finish closes the file, like Close, and gives it its name if it is complete. One
// that is not complete, or that cannot be named, is kept or deleted as
// [Uploads] says. A file that is not staged and was there before is never
// deleted.
func (f *File) Finish(complete bool) (Leftover, error) {
	if f.up == nil {
		return f.finishInPlace(complete)
	}
	up := f.up
	f.up = nil
	defer up.dir.close()
	var err error
	if complete && up.Sync {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if complete && err == nil {
		if err = up.publish(); err == nil {
			return Nothing, nil
		}
	}
	if complete && up.temp == "" {
		return Nothing, err // it has its name, and the client hears of the error
	}
	return up.abandon(f.id), err
}

func (f *File) finishInPlace(complete bool) (Leftover, error) {
	var err error
	if complete && f.sync && f.Writable() {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if complete || !f.Writable() {
		return Nothing, err
	}
	return Kept, err
}

// publish gives the file its name.
func (u *upload) publish() error {
	if u.temp != "" {
		from := u.dir
		from.name = u.temp
		var err error
		if u.exclusive {
			err = renameNoReplace(from, u.dir)
		} else {
			err = retry(func() error { return unix.Renameat(from.fd, from.name, u.dir.fd, u.dir.name) })
		}
		if err != nil {
			return err
		}
		// What an earlier try left is of no use any more.
		_ = retry(func() error { return unix.Unlinkat(u.dir.fd, keptName(u.dir.name), 0) })
	}
	if u.Sync {
		return syncDir(u.dir.fd)
	}
	return nil
}

// abandon keeps or deletes a file that is not complete.
func (u *upload) abandon(id identity) Leftover {
	if u.DeleteIncomplete {
		var st unix.Stat_t
		// By its own name it may be another file by now.
		if err := lstatAt(u.dir.fd, u.name(), &st); err != nil || identityOf(&st) != id {
			return Kept
		}
		if err := retry(func() error { return unix.Unlinkat(u.dir.fd, u.name(), 0) }); err != nil {
			return Kept
		}
		return Deleted
	}
	if u.temp != "" {
		// A failure leaves it under its hidden name, where an administrator finds it.
		_ = retry(func() error { return unix.Renameat(u.dir.fd, u.temp, u.dir.fd, keptName(u.dir.name)) })
	}
	return Kept
}

// fsync is the system call. Tests replace it, since nothing else shows whether it was made.
var fsync = unix.Fsync

// syncDir writes the names in a directory to the disk. Some network file systems
// cannot, and need not.
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
