package vfs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// join opens the existing staged file of a name: one that others are writing, or the
// leftover of an interrupted upload. If there is none, it returns ENOENT.
func (o *opening) join() (*File, error) {
	fd, id, err := o.openReadable(stagedName(o.par.name), o.stagedFlags(), 0)
	if err != nil {
		return nil, err
	}
	if !errors.Is(holdAlone(fd), errHeld) {
		return o.continued(fd, id)
	}
	if o.exclusive() || o.truncates() && !o.has(id) {
		unix.Close(fd)
		return nil, ErrUploading
	}
	if err := o.hold(fd, id); err != nil {
		return nil, err
	}
	shared, err := markShared(fd, o.par.fd, stagedName(o.par.name))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	if o.truncates() {
		if err := truncateFD(fd, 0); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	f, err := o.file(fd, id)
	if err == nil {
		f.truncated, f.up.shared = o.truncates(), shared
	}
	return f, err
}

// continued opens the leftover of an interrupted upload, which no other handle is writing, or removes it if it must not be
// continued.
func (o *opening) continued(fd int, id identity) (*File, error) {
	var st unix.Stat_t
	there := lstatAt(o.par.fd, o.par.name, &st) == nil
	err := errAgain
	switch {
	case !isNamed(o.par.fd, stagedName(o.par.name), id):
	case o.truncates() || o.exclusive() || o.DeleteIncomplete:
		if e := unlinkAt(o.par.fd, stagedName(o.par.name)); e != nil && e != unix.ENOENT {
			unix.Close(fd)
			return nil, e
		}
		forgetShared(o.par.fd, stagedName(o.par.name))
	case there:
		unix.Close(fd)
		return nil, ErrInterrupted
	default:
		if e := shareUse(fd); e != nil {
			unix.Close(fd)
			return nil, e
		}
		f, err := o.file(fd, id)
		if err == nil {
			f.up.shared = true // perhaps by uploads that were interrupted
		}
		return f, err
	}
	unix.Close(fd)
	return nil, err
}

// leftover opens the leftover of an interrupted upload of a name that no handle is writing.
// If there is none, it returns ENOENT.
func leftover(par *parent, name string) (int, identity, error) {
	fd, id, err := par.openRegular(name, unix.O_WRONLY, 0)
	if err != nil {
		return -1, id, unix.ENOENT
	}
	if inUse(fd) {
		unix.Close(fd)
		return -1, id, unix.ENOENT
	}
	return fd, id, nil
}

// statKept returns the attributes of the leftover of an upload to a name without a file:
// clients that resume ask for its size first.
func (t *Tree) statKept(pl place) (Attr, error) {
	par, err := pl.parentOf()
	if err != nil {
		return Attr{}, unix.ENOENT // to the client there is no such file
	}
	defer par.close()
	fd, _, err := leftover(&par, stagedName(par.name))
	if err != nil || par.trailing {
		if err == nil {
			unix.Close(fd)
		}
		return Attr{}, unix.ENOENT
	}
	defer unix.Close(fd)
	return statFD(fd)
}

// forgetKept removes the leftover of an upload to a name, if any: the name now belongs to
// another file, or to none. An upload in progress stays.
func (t *Tree) forgetKept(par parent) error {
	if !t.staging.OnClose {
		return unix.ENOENT
	}
	return par.removeLeftover(stagedName(par.name))
}

func (p *parent) removeLeftover(name string) error {
	fd, id, err := leftover(p, name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if errors.Is(holdAlone(fd), errHeld) || !isNamed(p.fd, name, id) || marksUpload(p.fd, name) {
		return unix.ENOENT
	}
	forgetShared(p.fd, name)
	return unlinkAt(p.fd, name)
}

func unlinkAt(dirfd int, name string) error {
	return retry(func() error { return unix.Unlinkat(dirfd, name, 0) })
}

// dropKept empties a directory that holds only leftovers of interrupted uploads, and
// reports whether it is empty afterwards. Uploads in progress are not touched.
func (t *Tree) dropKept(par parent) bool {
	fd, err := unix.Openat(par.fd, par.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	d := &Dir{fd: fd, special: 2}
	defer d.Close()
	var left []string
	for {
		for d.pos < d.end {
			name := string(d.dirent())
			switch {
			case dots([]byte(name)):
			case !own(name) || !abandoned(fd, name):
				return false
			default:
				left = append(left, name)
			}
		}
		if d.ended {
			break
		}
		if err := d.fill(); err != nil {
			return false
		}
		// Each buffer of entries is a separate part: a directory may have a million hidden entries.
		if t.pause() != nil {
			return false
		}
	}
	dir := parent{fd: fd}
	for i, name := range left {
		if i%freeSteps == freeSteps-1 && t.pause() != nil {
			return false
		}
		if err := dir.removeLeftover(name); err != nil && err != unix.ENOENT { // a mark is gone with its file
			return false
		}
	}
	return len(left) > 0
}

// abandoned reports whether no handle is writing a staged file. On a volume without locks,
// it is abandoned after a day without a write: no session goes that long without a request.
func abandoned(dirfd int, name string) bool {
	dir := parent{fd: dirfd}
	fd, _, err := leftover(&dir, name)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	err = holdAlone(fd)
	if errors.Is(err, errNoLocks) {
		var st unix.Stat_t
		return unix.Fstat(fd, &st) == nil && time.Since(time.Unix(st.Mtim.Unix())) > 25*time.Hour
	}
	return err == nil
}

// hiddenName returns a name that no other file has and no user can reach.
func hiddenName() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return stagingPrefix + hex.EncodeToString(id[:])
}
