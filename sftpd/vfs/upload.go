package vfs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Uploads says how the files that a user writes come about. The zero value is
// what OpenSSH's server does.
type Uploads struct {
	// OnClose gives a file that is new, or opened with O_TRUNC, its name when it
	// is closed; until then it has a hidden one beside it. A file that is opened
	// without O_TRUNC is written in place, so that clients can resume and append.
	OnClose bool
	// DeleteIncomplete removes a file that was not completed, unless it was there
	// before. Otherwise it is kept: with OnClose under a hidden name, where the
	// next client that opens its name without O_TRUNC goes on with it.
	DeleteIncomplete bool
	// Sync has the file and its name on the disk when [File.Finish] returns.
	Sync bool
}

// WithUploads sets how files come about.
func WithUploads(u Uploads) Option { return func(t *Tree) { t.uploads = u } }

// stagingPrefix begins the names of files that are not published. Users neither
// see nor reach them.
const stagingPrefix = ".sftpd-upload."

func reserved(name string) bool { return strings.HasPrefix(name, stagingPrefix) }

// reservedBytes is reserved without a copy of the name.
func reservedBytes(name []byte) bool {
	return len(name) >= len(stagingPrefix) && string(name[:len(stagingPrefix)]) == stagingPrefix
}

// stagingName is a name that no other upload has.
func stagingName() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return stagingPrefix + hex.EncodeToString(id[:])
}

// keptName is where an upload of a name waits for its continuation: one place for
// each name, found without a search, and short for a name of any length.
func keptName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return stagingPrefix + "kept." + hex.EncodeToString(sum[:16])
}

// upload is what a file that is being written will be.
type upload struct {
	Uploads
	dir  parent // the name that it gets, in a directory of which the descriptor is owned
	temp string // the name that it has; "" if it has its own already
	// exclusive: the name must not exist when it is given.
	exclusive bool
}

// name is the file's present name.
func (u *upload) name() string {
	if u.temp != "" {
		return u.temp
	}
	return u.dir.name
}

// stage opens a file for writing that is to be published when it is closed. It
// returns nil for one that is to be opened in place, or not at all.
func (t *Tree) stage(pl place, flags int, mode uint32) (*File, error) {
	par, err := pl.parentOf()
	defer par.close() // unless the file has taken it
	if err != nil || par.trailing {
		return nil, nil // opening in place meets the error, too
	}
	return t.stageAt(pl, &par, flags, mode)
}

func (t *Tree) stageAt(pl place, par *parent, flags int, mode uint32) (*File, error) {
	exclusive := flags&unix.O_CREAT != 0 && flags&unix.O_EXCL != 0
	var st unix.Stat_t
	switch err := lstatAt(par.fd, par.name, &st); {
	case err == unix.ENOENT && flags&unix.O_TRUNC == 0 && !exclusive:
		f, err := t.resume(pl.m, par, flags)
		if f != nil || err != unix.ENOENT {
			return f, err
		}
		fallthrough
	case err == unix.ENOENT:
		if flags&unix.O_CREAT == 0 {
			return nil, nil
		}
		return t.create(pl.m, par, flags, mode)
	case err != nil || exclusive:
		return nil, nil //nolint:nilerr // see stage
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return t.stageTarget(pl, flags, mode)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, nil
	case flags&unix.O_TRUNC == 0:
		if lstatAt(par.fd, keptName(par.name), &st) == nil {
			return nil, ErrInterrupted
		}
		return nil, nil
	}
	return t.replace(pl.m, par, flags, st.Mode)
}

// stageTarget stages what a link leads to, and not the link.
func (t *Tree) stageTarget(pl place, flags int, mode uint32) (*File, error) {
	rest, err := pl.m.realRest(pl.rest, t.turn)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil || rest == "" || rest == pl.rest {
		return nil, nil //nolint:nilerr // see stage
	}
	return t.stage(place{m: pl.m, rest: rest}, flags, mode)
}

// replace stages a file in place of one that could be written, with its
// permissions.
func (t *Tree) replace(m *mount, par *parent, flags int, old uint32) (*File, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(par.fd, par.name, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		return err
	})
	if err == unix.ELOOP || err == unix.ENXIO {
		return nil, nil // another one by now
	}
	if err != nil {
		return nil, err
	}
	unix.Close(fd)
	f, err := t.create(m, par, flags, old&0o777)
	if err == nil && !m.ignoreAttributes {
		_ = chmodFD(f.fd, old&0o777, unix.S_IFREG) // the umask may have taken some; not every volume knows modes
	}
	return f, err
}

// create makes the hidden file.
func (t *Tree) create(m *mount, par *parent, flags int, mode uint32) (*File, error) {
	return t.openStaged(m, par, stagingName(), flags&^unix.O_TRUNC|unix.O_CREAT|unix.O_EXCL, flags, mode)
}

// resume takes up what is kept of an interrupted upload. Taking its name away
// first leaves it to one client alone.
func (t *Tree) resume(m *mount, par *parent, flags int) (*File, error) {
	temp := stagingName()
	if err := retry(func() error { return unix.Renameat(par.fd, keptName(par.name), par.fd, temp) }); err != nil {
		return nil, err
	}
	return t.openStaged(m, par, temp, flags&^(unix.O_CREAT|unix.O_EXCL), flags, 0)
}

func (t *Tree) openStaged(m *mount, par *parent, temp string, open, flags int, mode uint32) (*File, error) {
	up := &upload{Uploads: t.uploads, temp: temp, exclusive: flags&unix.O_CREAT != 0 && flags&unix.O_EXCL != 0}
	dir, err := par.keep()
	if err != nil {
		return nil, err
	}
	var fd int
	err = retry(func() (err error) {
		fd, err = unix.Openat(dir.fd, temp, open|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, mode&0o777)
		return err
	})
	if err == nil {
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil {
			up.dir = dir
			par.owned = false // it is the file's now
			return &File{fd: fd, flags: flags, m: m, id: identityOf(&st), up: up}, nil
		}
		unix.Close(fd)
	}
	if !par.owned {
		dir.close()
	}
	return nil, err
}

// keep returns p with a descriptor that outlives the tree: that of p, if p owns it,
// else another.
func (p *parent) keep() (parent, error) {
	kept := *p
	if p.owned {
		return kept, nil
	}
	var err error
	kept.fd, err = unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	kept.owned = err == nil
	return kept, err
}

// track notes that a file was made by this opening, so that it can be removed if
// it is not completed, and that its directory is synced if it is.
func (t *Tree) track(pl place, f *File) error {
	par, err := pl.parentOf()
	if err != nil {
		return err
	}
	up := &upload{Uploads: t.uploads}
	if up.dir, err = par.keep(); err != nil {
		return err
	}
	f.up = up
	return nil
}

// statKept returns the attributes of what is kept of an upload to a place where
// there is no file: clients that resume ask for its size first.
func (t *Tree) statKept(pl place) (Attr, error) {
	par, err := pl.parentOf()
	if err != nil {
		return Attr{}, unix.ENOENT // for whoever asked there is no such file
	}
	defer par.close()
	var st unix.Stat_t
	if err := lstatAt(par.fd, keptName(par.name), &st); err != nil || par.trailing {
		return Attr{}, unix.ENOENT
	}
	return attrOf(&st), nil
}

// forgetKept removes what is kept of an upload to a name, if there is any: the
// name has become another file's, or nobody's.
func (t *Tree) forgetKept(par parent) error {
	if !t.uploads.OnClose {
		return unix.ENOENT
	}
	return retry(func() error { return unix.Unlinkat(par.fd, keptName(par.name), 0) })
}

// dropKept empties a directory that holds nothing but what interrupted uploads left,
// and says whether it is empty then. Uploads that go on are left alone, which a
// day without a write is the end of: no session is longer without a request.
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
			case !reserved(name) || !abandoned(fd, name):
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
		// Each buffer of entries is a part of its own: a directory may have a million that nobody sees.
		if t.pause() != nil {
			return false
		}
	}
	for i, name := range left {
		if i%freeSteps == freeSteps-1 && t.pause() != nil {
			return false
		}
		if err := retry(func() error { return unix.Unlinkat(fd, name, 0) }); err != nil {
			return false
		}
	}
	return len(left) > 0
}

func abandoned(dirfd int, name string) bool {
	if strings.HasPrefix(name, stagingPrefix+"kept.") {
		return true
	}
	var st unix.Stat_t
	return lstatAt(dirfd, name, &st) == nil && time.Since(time.Unix(st.Mtim.Unix())) > 25*time.Hour
}
