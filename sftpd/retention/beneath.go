package retention

import (
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxRaces bounds how often to repeat a lookup that the kernel abandoned because of a concurrent rename.
	maxRaces = 128
	// beneath are the flags with which names are resolved: nothing above the directory, no links, and no other mounts.
	beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV
)

// identity distinguishes files while both exist.
type identity struct{ dev, ino uint64 }

// openBeneath opens a directory beneath another one. Its error is EXDEV for a mount, and ELOOP for a link.
func openBeneath(dir int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: beneath}
	for races := 0; ; {
		fd, err := unix.Openat2(dir, name, &how)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && races < maxRaces:
			races++
			runtime.Gosched()
		default:
			return fd, err
		}
	}
}

// openVolume opens the directory of a volume, which is trusted.
func openVolume(path string) (int, error) {
	return unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

func identityOf(fd int) (identity, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(fd, &st) })
	return identity{uint64(st.Dev), st.Ino}, err
}

// isAt reports whether a path beneath a volume leads to a directory.
func isAt(volume int, path string, id identity) bool {
	fd, err := openBeneath(volume, orDot(path), unix.O_PATH)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	is, err := identityOf(fd)
	return err == nil && is == id
}

func orDot(path string) string {
	if path == "" {
		return "."
	}
	return path
}

func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// attributes are the attributes of a directory entry.
type attributes struct {
	id           identity
	mode         uint16
	size         int64
	btime, ctime time.Time
}

func (a *attributes) regular() bool   { return a.mode&unix.S_IFMT == unix.S_IFREG }
func (a *attributes) directory() bool { return a.mode&unix.S_IFMT == unix.S_IFDIR }

// look returns the attributes of an entry, or of the directory itself for the name "". Links are not followed.
func look(dir int, name string) (attributes, error) {
	var st unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	err := retry(func() error { return unix.Statx(dir, name, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st) })
	return attributesOf(&st), err
}

func attributesOf(st *unix.Statx_t) attributes {
	a := attributes{
		id:   identity{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino},
		mode: st.Mode, size: int64(min(st.Size, 1<<62)), ctime: time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec)),
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		a.btime = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
	}
	return a
}
