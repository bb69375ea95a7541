package vfs

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Why not github.com/cyphar/filepath-securejoin/pathrs-lite, which runc uses: it only
// returns O_PATH handles, so each open needs a second one through /proc and O_CREAT is
// impossible, and its MkdirAll follows links. The kernel does all the work; this file is
// all that is left.

// maxRaces bounds how often to repeat a lookup that the kernel abandoned because of a concurrent rename or mount anywhere on the
// machine (EAGAIN, openat2(2)). On a busy host it takes a few tries, so this many indicate a problem.
const maxRaces = 128

// openat2Resolver resolves below the directory fd, which belongs to the mount.
type openat2Resolver struct{ fd int }

func (r openat2Resolver) open(rest string, flags int, mode uint32) (int, error) {
	return openat2(r.fd, rest, flags, mode)
}

func (r openat2Resolver) close() error { return nil }

func openat2(dirfd int, name string, flags int, mode uint32) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_PATH == 0 { // O_PATH allows few flags, and mode needs O_CREAT
		how.Flags |= unix.O_NOCTTY
		if flags&unix.O_CREAT != 0 {
			how.Mode = uint64(mode)
		}
	}
	for races := 0; ; {
		fd, err := unix.Openat2(dirfd, name, &how)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN:
			if races++; races > maxRaces {
				return -1, err
			}
			runtime.Gosched()
		default:
			return fd, err
		}
	}
}
