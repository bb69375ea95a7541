package vfs

import (
	"math"
	"strconv"

	"golang.org/x/sys/unix"
)

// Fields says which fields of [Changes] are set.
type Fields uint8

// The fields of [Changes].
const (
	SetSize Fields = 1 << iota
	SetOwner
	SetMode
	SetTimes
)

// Changes are attributes to set on a file.
type Changes struct {
	Set          Fields
	Size         uint64 // bytes; regular files only
	UID, GID     uint32 // must be the current ones, or KeepID
	Mode         uint32 // permissions; bits above 0777 are ignored
	Atime, Mtime int64  // seconds since 1970
}

// KeepID leaves an owner or group unchanged, as in chown(2).
const KeepID = math.MaxUint32

// changesOwner reports whether the IDs differ from the file's.
func (c Changes) changesOwner(a Attr) bool {
	return c.UID != a.UID && c.UID != KeepID || c.GID != a.GID && c.GID != KeepID
}

// Setstat changes the file at p, following links. As in OpenSSH, one refused field does not
// prevent the others from being set; the last error is returned. Only the times of mount
// points can be set.
func (t *Tree) Setstat(p string, c Changes) error { return t.setstat(p, c, 0) }

// Lsetstat is Setstat for the link itself if p is one. Links have no size.
func (t *Tree) Lsetstat(p string, c Changes) error {
	if c.Set&SetSize != 0 {
		return unix.EINVAL
	}
	return t.setstat(p, c, unix.O_NOFOLLOW)
}

func (t *Tree) setstat(p string, c Changes, nofollow int) error {
	pl, err := t.locate(p)
	switch {
	case err != nil:
		return err
	case pl.node != nil && pl.node.m == nil:
		return ErrMountPoint
	case pl.m == nil:
		return unix.ENOENT
	}
	if pl.m.need(rightWrite) != nil {
		if pl.node != nil || c.Set&SetSize != 0 || !t.ofOwn(pl) {
			return t.deniedSetstat(pl, nofollow)
		}
		nofollow = unix.O_NOFOLLOW // it is no longer a link
	}
	if pl.node != nil {
		return pl.m.setRoot(c)
	}
	if c.Set&SetSize != 0 {
		err = truncatePath(pl, c.Size)
	}
	if c.Set == SetSize {
		return err
	}
	fd, openErr := pl.m.r.open(pl.rest, unix.O_PATH|nofollow, 0)
	if openErr != nil {
		return openErr
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if identityOf(&st) == pl.m.chain[len(pl.m.chain)-1] { // through a link
		return pl.m.setRoot(c)
	}
	return lastError(err, pl.m.setFD(fd, c))
}

// setRoot refuses to change the mode of a mount's root: it belongs to the operator, and
// everyone who shares the volume depends on it.
func (m *mount) setRoot(c Changes) error {
	if c.Set&SetSize != 0 {
		return unix.EISDIR
	}
	var err error
	if c.Set&SetMode != 0 && !m.ignoreAttributes {
		a, statErr := statFD(m.fd)
		if statErr != nil {
			return statErr
		}
		if a.Mode&0o777 != c.Mode&0o777 {
			err = ErrMountPoint
		}
		c.Set &^= SetMode
	}
	return lastError(err, m.setFD(m.fd, c))
}

func truncatePath(pl place, size uint64) error {
	fd, err := pl.m.r.open(pl.rest, unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return truncateFD(fd, size)
}

func truncateFD(fd int, size uint64) error {
	if int64(size) < 0 {
		return unix.EFBIG
	}
	return retry(func() error { return unix.Ftruncate(fd, int64(size)) })
}

// setFD sets everything but the size. fd may be O_PATH and may refer to a link itself.
func (m *mount) setFD(fd int, c Changes) error {
	if m.ignoreAttributes {
		return nil
	}
	var a Attr
	var err error
	if c.Set&(SetMode|SetOwner) != 0 { // times never need the owner
		if a, err = statFD(fd); err != nil {
			return err
		}
	}
	if c.Set&SetMode != 0 {
		err = lastError(err, chmodFD(fd, c.Mode, a.Mode))
	}
	if c.Set&SetTimes != 0 {
		err = lastError(err, timesFD(fd, c.Atime, c.Mtime))
	}
	if c.Set&SetOwner != 0 && c.changesOwner(a) {
		err = ErrOwner
	}
	return err
}

// chmodFD sets the permissions. Set-id and sticky bits are never set; those of a directory
// are kept, because the set-group-ID bit passes on the volume's group.
func chmodFD(fd int, mode, old uint32) error {
	mode &= 0o777
	if old&unix.S_IFMT == unix.S_IFDIR {
		mode |= old & 0o7000
	}
	err := retry(func() error { return unix.Fchmodat(fd, "", mode, unix.AT_EMPTY_PATH) })
	switch err {
	case unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL, unix.EPERM:
		// Before Linux 6.6 there is no fchmodat2, and seccomp profiles of that time answer
		// EPERM. The descriptor's name in /proc is the file itself, not a link to follow;
		// real links have no mode there either.
		return retry(func() error { return unix.Chmod(procName(fd), mode) })
	}
	return err
}

func timesFD(fd int, atime, mtime int64) error {
	ts := []unix.Timespec{{Sec: atime}, {Sec: mtime}}
	err := retry(func() error { return unix.UtimesNanoAt(fd, "", ts, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW) })
	switch err {
	case unix.EINVAL, unix.ENOENT, unix.ENOSYS: // before Linux 5.8
		return retry(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, procName(fd), ts, 0) })
	}
	return err
}

func procName(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

func lastError(a, b error) error {
	if b != nil {
		return b
	}
	return a
}
