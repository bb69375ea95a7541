package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A request that the access mode does not allow is answered as on a read-only POSIX file system: errors about the name come
// first. Clients rely on it, for example those that create the directories of a path and skip existing ones. It reveals nothing
// that STAT and LSTAT do not reveal in every mode.

// name describes what a request requires of a name.
type name uint8

const (
	there    name = iota // it exists, links not followed
	followed             // it exists, links followed
	free                 // it does not exist, and its directory does
	anyName              // its directory exists
)

// denied returns what is wrong with a name, and [ErrAccess] if nothing is.
func (t *Tree) denied(pl place, n name) error {
	nofollow := unix.O_NOFOLLOW
	if n == followed {
		nofollow = 0
	}
	_, err := pl.stat(nofollow)
	switch {
	case err == nil && n == free:
		return unix.EEXIST
	case err == nil:
		return ErrAccess
	case err != unix.ENOENT || n == there || n == followed:
		return err
	}
	par, parentErr := pl.parentOf()
	switch {
	case parentErr == nil:
	case errors.Is(parentErr, ErrDots): // of a directory that does not exist
		return err
	default:
		return parentErr
	}
	par.close()
	return ErrAccess
}

// deniedOpen returns what denied returns, for an OPEN with these flags.
func (t *Tree) deniedOpen(pl place, flags int) error {
	switch {
	case flags&unix.O_CREAT != 0 && flags&unix.O_EXCL != 0:
		return t.denied(pl, free)
	case flags&unix.O_CREAT != 0:
		if err := t.denied(pl, anyName); !errors.Is(err, ErrAccess) {
			return err
		}
	default:
		if err := t.denied(pl, followed); !errors.Is(err, ErrAccess) {
			return err
		}
	}
	if a, err := pl.stat(0); err == nil && a.Mode&unix.S_IFMT == unix.S_IFDIR {
		return unix.EISDIR
	}
	return ErrAccess
}

// deniedList returns what denied returns, for an OPENDIR.
func (t *Tree) deniedList(pl place) error {
	if pl.node != nil {
		return ErrAccess
	}
	a, err := pl.stat(0)
	switch {
	case err != nil:
		return err
	case a.Mode&unix.S_IFMT != unix.S_IFDIR:
		return unix.ENOTDIR
	}
	return ErrAccess
}

// deniedSetstat returns what denied returns, for a SETSTAT.
func (t *Tree) deniedSetstat(pl place, nofollow int) error {
	switch {
	case pl.node != nil:
		return ErrAccess
	case nofollow != 0:
		return t.denied(pl, there)
	}
	return t.denied(pl, followed)
}

// deniedReadlink returns what denied returns, for a READLINK.
func (t *Tree) deniedReadlink(pl place) error {
	a, err := pl.stat(unix.O_NOFOLLOW)
	switch {
	case err != nil:
		return err
	case a.Mode&unix.S_IFMT != unix.S_IFLNK:
		return unix.EINVAL
	}
	return ErrAccess
}
