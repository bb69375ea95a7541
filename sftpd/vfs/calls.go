package vfs

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// These replace calls of golang.org/x/sys/unix, which copies names and lists of buffers to
// the heap for each call. A listing makes one for each entry, an upload one for each batch.

// maxParts is how many buffers one writev takes. An input of small WRITEs may hold more;
// beyond this, the cost of a call is negligible.
const maxParts = 16

// writev writes parts, at most maxParts, at offset off, or at the end of the file
// (O_APPEND) if append is set, and returns how many bytes it wrote. That may be fewer than
// there are, and is 0 after an error.
func writev(fd int, parts [][]byte, off int64, appending bool) int {
	var list [maxParts]unix.Iovec
	count := 0
	for _, p := range parts[:min(len(parts), maxParts)] {
		if len(p) > 0 {
			list[count].Base = &p[0]
			list[count].SetLen(len(p))
			count++
		}
	}
	for {
		var n uintptr
		var errno unix.Errno
		if appending {
			n, _, errno = unix.Syscall(unix.SYS_WRITEV, uintptr(fd),
				uintptr(unsafe.Pointer(&list[0])), uintptr(count)) //nolint:gosec // see above
		} else {
			// The offset is one word on 64-bit systems, and two on others.
			n, _, errno = unix.Syscall6(unix.SYS_PWRITEV, uintptr(fd),
				uintptr(unsafe.Pointer(&list[0])), uintptr(count), //nolint:gosec // see above
				uintptr(off), uintptr(uint64(off)>>32), 0)
		}
		switch errno {
		case 0:
			return int(n)
		case unix.EINTR:
		default:
			return 0
		}
	}
}

// lstatName is lstatAt for a name that is already NUL-terminated.
func lstatName(dirfd int, name *byte, st *unix.Stat_t) error {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_NEWFSTATAT, uintptr(dirfd), uintptr(unsafe.Pointer(name)), //nolint:gosec // see above
			uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0) //nolint:gosec // see above
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
