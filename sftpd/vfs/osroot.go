package vfs

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// osRootResolver is used where openat2 is missing. os.Root walks component by component and
// refuses what leaves the root, absolute links included.
type osRootResolver struct{ root *os.Root }

// newOSRoot returns a root for an open directory. An os.Root needs a path, and only the
// descriptor's name in /proc cannot be swapped between our check of the directory and its
// use.
func newOSRoot(fd int) (osRootResolver, error) {
	root, err := os.OpenRoot("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return osRootResolver{}, errnoOf(err)
	}
	return osRootResolver{root}, nil
}

func (r osRootResolver) close() error { return r.root.Close() }

func (r osRootResolver) open(rest string, flags int, mode uint32) (int, error) {
	// os.Root follows the last link whatever the flags say, so O_NOFOLLOW needs the
	// parent's descriptor and a plain openat of the last name.
	dir, name, trailing := splitLast(rest)
	if flags&unix.O_NOFOLLOW == 0 || trailing || name == "" || name == ".." {
		return r.follow(rest, flags&^unix.O_NOFOLLOW, mode)
	}
	if dir == "" {
		dir = "."
	}
	dirfd, err := r.follow(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dirfd)
	var fd int
	err = retry(func() (err error) {
		fd, err = unix.Openat(dirfd, name, flags|unix.O_CLOEXEC|unix.O_NOCTTY, mode)
		return err
	})
	return fd, err
}

// follow opens rest and follows its last link. With O_PATH os.Root returns the link itself,
// so its target is opened instead.
func (r osRootResolver) follow(rest string, flags int, mode uint32) (int, error) {
	for range maxLinks {
		fd, err := r.openFile(rest, flags, mode)
		if err != nil || flags&(unix.O_PATH|unix.O_DIRECTORY) != unix.O_PATH {
			return fd, err
		}
		target, err := readlinkFD(fd)
		if err == unix.ENOENT || err == unix.EINVAL { // no link
			return fd, nil
		}
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		if strings.HasPrefix(target, "/") {
			return -1, unix.EACCES
		}
		dir, _, _ := splitLast(rest)
		rest = target
		if dir != "" {
			rest = dir + "/" + target // not cleaned: dir may hold links
		}
	}
	return -1, unix.ELOOP
}

// readlinkFD returns the target of the link behind fd, an O_PATH descriptor.
func readlinkFD(fd int) (string, error) {
	buf := make([]byte, maxPath)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func (r osRootResolver) openFile(rest string, flags int, mode uint32) (int, error) {
	f, err := r.root.OpenFile(rest, flags|unix.O_NOCTTY, os.FileMode(mode&0o777))
	if err != nil {
		return -1, errnoOf(err)
	}
	defer f.Close()
	// A duplicate, because an *os.File would close it when collected.
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return fd, err
}

// errnoOf strips the paths from os errors. os.Root's "path escapes from parent" has no
// errno: it is a refusal.
func errnoOf(err error) error {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return errno
	}
	return unix.EACCES
}
