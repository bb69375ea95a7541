package vfs

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// Seen identifies a file in the state in which it was seen.
type Seen struct {
	Dev, Ino uint64
	// Ctime is when its content or attributes last changed: seconds and nanoseconds since 1970. No client can set it.
	CtimeSec, CtimeNsec int64
}

func seenOf(st *unix.Stat_t) Seen {
	return Seen{Dev: uint64(st.Dev), Ino: st.Ino, CtimeSec: st.Ctim.Sec, CtimeNsec: st.Ctim.Nsec}
}

func (s Seen) id() identity { return identity{s.Dev, s.Ino} }

// ErrChanged is returned for a file that is no longer what it was.
var ErrChanged = errors.New("the file has changed")

// ErrNotRestored is returned if another file took the name while a file was being removed, and that other file could not get its
// name back. It remains under a hidden name in its directory.
var ErrNotRestored = errors.New("a file that took the name in the meantime now has a hidden name")

// Staged reports whether a name is that of an upload that is not published, or of a probe. Users cannot reach such names.
func Staged(name string) bool { return own(name) }

// Internal reports whether a name is one of the daemon's own.
func Internal(name string) bool { return strings.HasPrefix(name, ".sftpd-") }

// Expire removes a regular file of a directory, unless it is open or is no longer what was seen. quiet means that the file
// has not changed for longer than a session can go without a request: where the kernel does not tell whether a file is
// open, only a quiet one is removed.
//
// unlinkat(2) removes whatever has the name at that moment, which may be an upload that was just published. So the file gets
// a hidden name first, and is checked again under that name. If it is a different file, it gets its name back. agreed is
// called when the file is hidden and known to be the right one, immediately before it is removed; after an error, the file
// also gets its name back.
//
// The errors are ErrUploading for a file that is open, ErrChanged, ErrNotRestored, that of agreed, or an errno.
func Expire(dir int, name string, want Seen, quiet bool, agreed func() error) error {
	par := parent{fd: dir, name: name}
	fd, err := openToRemove(&par)
	if err != nil {
		return err
	}
	if fd >= 0 {
		defer unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if seenOf(&st) != want {
			return ErrChanged
		}
		if errors.Is(holdAlone(fd), errHeld) {
			return ErrUploading
		}
		switch openElsewhere(fd) {
		case isOpen:
			return ErrUploading
		case notOpen:
			quiet = true
		case notKnown:
		}
	}
	if !quiet {
		return ErrUploading
	}
	return removeHidden(par, fd, want, agreed)
}

// openToRemove opens a file so that it can be locked. Without write permission, a lock is not possible, and without read
// permission, a lease is not possible either: then the descriptor is -1.
func openToRemove(par *parent) (int, error) {
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDONLY} {
		fd, _, err := par.openRegular(par.name, flags, 0)
		switch {
		case errors.Is(err, errAgain):
			return -1, ErrChanged
		case err == unix.EACCES || err == unix.EPERM || err == unix.ETXTBSY:
		default:
			return fd, err
		}
	}
	return -1, nil
}

// use describes whether a file is open.
type use int

const (
	notKnown use = iota
	isOpen
	notOpen
)

// openElsewhere finds out whether a file has other open descriptors, readers included: the kernel grants a write lease only
// if there are none (fcntl(2), F_SETLEASE). It is given back at once, because opening the file fails or waits meanwhile.
// Network file systems and files of other owners have no leases.
func openElsewhere(fd int) use {
	if fd < 0 {
		return notKnown
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK)
	switch err {
	case nil:
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK) // closing the file does the same
		return notOpen
	case unix.EAGAIN:
		return isOpen
	}
	return notKnown
}

// removeHidden removes a file by way of a hidden name. fd is the file, or -1. Anyone who opened it just before it was hidden is
// detected now, when no one else can open it.
func removeHidden(par parent, fd int, want Seen, agreed func() error) error {
	var st unix.Stat_t
	if err := lstatAt(par.fd, par.name, &st); err != nil {
		return err
	}
	if seenOf(&st) != want {
		return ErrChanged
	}
	beforeHiding()
	hidden := parent{fd: par.fd, name: hiddenName()}
	if err := retry(func() error { return unix.Renameat(par.fd, par.name, hidden.fd, hidden.name) }); err != nil {
		return err
	}
	var err error
	switch {
	case !isNamed(hidden.fd, hidden.name, want.id()):
		err = ErrChanged
	case openElsewhere(fd) == isOpen:
		err = ErrUploading
	default:
		err = agreed()
	}
	if err == nil {
		return unlinkAt(hidden.fd, hidden.name)
	}
	if e := renameNoReplace(hidden, par); e != nil {
		return errors.Join(ErrNotRestored, err, e)
	}
	return err
}

// beforeHiding is where tests put another file in the place of the one that is about to be removed.
var beforeHiding = func() {}

// RemoveStale removes the leftover of an interrupted upload or of a probe, unless it is being written or is no longer what was
// seen. On a volume without locks, quiet decides, see Expire. agreed is called immediately before the removal; after an error,
// the leftover stays.
func RemoveStale(dir int, name string, want Seen, quiet bool, agreed func() error) error {
	par := parent{fd: dir}
	fd, id, err := par.openRegular(name, unix.O_WRONLY, 0)
	if errors.Is(err, errAgain) {
		return ErrChanged
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if seenOf(&st) != want {
		return ErrChanged
	}
	switch err := holdAlone(fd); {
	case errors.Is(err, errHeld), errors.Is(err, errNoLocks) && !quiet, marksUpload(dir, name):
		return ErrUploading
	case !isNamed(dir, name, id):
		return ErrChanged
	}
	if err := agreed(); err != nil {
		return err
	}
	return unlinkAt(dir, name)
}
