package vfs

import (
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

// A writer marks its file with a lock on a byte far beyond the file's end, so that other handles, sessions and daemons on the
// same volume can see it. The locks belong to an open file description (fcntl(2), F_OFD_SETLK): two handles in one process also
// exclude each other, and the kernel, or the file server, drops the locks of a process that was killed. Each writer locks one
// byte of its own out of useSlots, and a handle that needs exclusive access locks them all. A write lock on a writer's own byte,
// unlike a shared lock, works with a write-only descriptor.
const (
	useStart   int64 = 1 << 62
	useSlots   int64 = 1 << 32
	publishing int64 = useStart + useSlots // held while the file is published or removed
)

// errHeld: another open file description holds the lock.
const errHeld = unix.EAGAIN

// errNoLocks: the volume does not support locks; see the package comment for the consequences.
const errNoLocks = unix.ENOLCK

// fcntlLock is the system call. Tests replace it to simulate a volume without locks.
var fcntlLock = unix.FcntlFlock

func lock(fd int, typ int16, start, length int64) error {
	lk := unix.Flock_t{Type: typ, Start: start, Len: length}
	switch err := retry(func() error { return fcntlLock(uintptr(fd), unix.F_OFD_SETLK, &lk) }); err {
	case nil:
		return nil
	case unix.EAGAIN, unix.EACCES:
		return errHeld
	default: // ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL: no locks on this volume
		return errNoLocks
	}
}

// anySlot returns the offset of a random byte that is unlikely to be locked by another writer; if it is, the next try uses a
// different one.
func anySlot() int64 { return rand.Int64N(useSlots) } //nolint:gosec // not a secret

// lockTimeout is how long to wait for a lock that others hold briefly.
const lockTimeout = 5 * time.Second

// persist repeats call while another handle holds the lock.
func persist(call func() error) error {
	end := time.Now().Add(lockTimeout)
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 50*time.Millisecond) {
		switch err := call(); {
		case errors.Is(err, errNoLocks):
			return nil
		case !errors.Is(err, errHeld):
			return err
		case time.Now().After(end):
			return ErrUploading
		}
		time.Sleep(wait)
	}
}

// holdUse marks an open file as being written, until it is closed.
func holdUse(fd int) error {
	return persist(func() error { return lock(fd, unix.F_WRLCK, useStart+anySlot(), 1) })
}

// holdAlone locks out all other writers of an open file. It returns errHeld if there are
// any, and errNoLocks if that cannot be known.
func holdAlone(fd int) error { return lock(fd, unix.F_WRLCK, useStart, useSlots) }

// shareUse turns holdAlone into holdUse without a gap.
func shareUse(fd int) error {
	slot := 1 + anySlot()%(useSlots-2)
	if err := lock(fd, unix.F_UNLCK, useStart, slot); err != nil && !errors.Is(err, errNoLocks) {
		return err
	}
	if err := lock(fd, unix.F_UNLCK, useStart+slot+1, useSlots-slot-1); err != nil && !errors.Is(err, errNoLocks) {
		return err
	}
	return nil
}

// holdPublishing keeps other handles of the file from publishing or removing it.
func holdPublishing(fd int) error {
	return persist(func() error { return lock(fd, unix.F_WRLCK, publishing, 1) })
}

// inUse reports whether another open file description is writing the file.
func inUse(fd int) bool {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Start: useStart, Len: useSlots}
	err := retry(func() error { return fcntlLock(uintptr(fd), unix.F_OFD_GETLK, &lk) })
	return err == nil && lk.Type != unix.F_UNLCK
}

// isNamed reports whether a name in a directory refers to a file.
func isNamed(dirfd int, name string, id identity) bool {
	var st unix.Stat_t
	return lstatAt(dirfd, name, &st) == nil && identityOf(&st) == id
}
