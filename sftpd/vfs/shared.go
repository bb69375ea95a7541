package vfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// A handle that hashes its staged file while it writes it has to know when it is closed whether another one has written the
// file meanwhile: one that may belong to another daemon, and may be gone. It holds a lock on the byte hashing, and a handle that
// shares the file later, and finds the lock, first leaves a mark: an empty file next to the staged one. Its name is reserved
// like that of the staged file. Without the mark, no other handle has written to the file.
const hashing = publishing + 1

const sharedSuffix = ".shared"

// sharedName returns the name of the mark of a staged name.
func sharedName(staged string) string { return staged + sharedSuffix }

// marksUpload reports whether a name is that of a mark whose staged file exists. Such a mark must not be removed, however old
// it is.
func marksUpload(dir int, name string) bool {
	staged, isMark := strings.CutSuffix(name, sharedSuffix)
	var st unix.Stat_t
	return isMark && own(name) && lstatAt(dir, staged, &st) == nil
}

// announceHashing prepares to hash a staged file that was just created. It reports false if another handle has already found the
// file, or if the volume does not support locks.
func announceHashing(fd int) bool {
	var st unix.Stat_t
	return lock(fd, unix.F_WRLCK, hashing, 1) == nil && // first, so that later handles see it
		holdAlone(fd) == nil && unix.Fstat(fd, &st) == nil && st.Size == 0 && shareUse(fd) == nil
}

// markShared leaves the mark if another handle hashes the file. The caller is one of the file's writers and has not written
// anything yet. It reports whether there may be a mark.
func markShared(fd, dir int, staged string) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Start: hashing, Len: 1}
	err := retry(func() error { return fcntlLock(uintptr(fd), unix.F_OFD_GETLK, &lk) })
	if err != nil || lk.Type == unix.F_UNLCK {
		return false, nil //nolint:nilerr // without locks, no handle hashes
	}
	err = makeMark(dir, sharedName(staged))
	if err == unix.EEXIST {
		err = nil
	}
	return err == nil, err
}

// wasShared reports whether there is a mark, and removes it. The caller has locked out other writers. Trying to create the mark
// is certain even where a network file system has cached that there is none.
func wasShared(dir int, staged string) bool {
	err := makeMark(dir, sharedName(staged))
	forgetShared(dir, staged)
	return err != nil
}

func makeMark(dir int, name string) error {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// forgetShared removes the mark if there is one.
func forgetShared(dir int, staged string) { _ = unlinkAt(dir, sharedName(staged)) }
