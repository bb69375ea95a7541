package vfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// Uploads configures how files are written. The zero value is OpenSSH's behavior.
type Uploads struct {
	// OnClose publishes a file that is new, or opened with O_TRUNC, when it is closed;
	// until then it has a hidden name in the same directory. A file that is opened without
	// O_TRUNC is written in place, so that clients can resume and append.
	OnClose bool
	// DeleteIncomplete removes a file that was not completed, unless it existed before.
	// Otherwise it is kept: with OnClose under a hidden name, and the next client that
	// opens its name without O_TRUNC continues it.
	DeleteIncomplete bool
	// Sync makes sure that the file and its name are on disk when [File.Finish] returns.
	Sync bool
	// Checksum computes the SHA-256 of what is uploaded, see [File.Sum].
	Checksum bool
}

// WithUploads sets how files are written.
func WithUploads(u Uploads) Option { return func(t *Tree) { t.staging.Uploads = u } }

// stagedName returns where an upload of a name is written, and kept if it is interrupted:
// one place per name, so that all its writers find the same file, and short even for a long
// name.
func stagedName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return stagingPrefix + hex.EncodeToString(sum[:16])
}

// staging decides which file an OPEN for writing writes to.
type staging struct {
	Uploads

	mu  sync.Mutex
	own map[identity]int // staged files that this tree has open, with open counts
}

func (s *staging) add(id identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		s.own = map[identity]int{}
	}
	s.own[id]++
}

func (s *staging) remove(id identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own[id]--; s.own[id] <= 0 {
		delete(s.own, id)
	}
}

func (s *staging) has(id identity) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own[id] > 0
}

// opening is an OPEN for writing.
type opening struct {
	*staging
	pl    place
	par   parent
	flags int
	mode  uint32
	turn  Turn
}

func (o *opening) truncates() bool { return o.flags&unix.O_TRUNC != 0 }

func (o *opening) exclusive() bool {
	return o.flags&unix.O_CREAT != 0 && o.flags&unix.O_EXCL != 0
}

// errAgain: in the meantime, the name has come to refer to another file.
const errAgain = unix.ESTALE

// open opens a file for writing that is published when it is closed. It returns nil for one
// that is to be opened in place, or not at all.
func (s *staging) open(pl place, flags int, mode uint32, turn Turn) (*File, error) {
	o := opening{staging: s, pl: pl, flags: flags, mode: mode, turn: turn}
	var err error
	o.par, err = pl.parentOf()
	defer o.par.close()
	if err != nil || o.par.trailing {
		return nil, nil // opening in place gets the same error
	}
	for range 100 {
		f, err := o.try()
		if !errors.Is(err, errAgain) {
			return f, err
		}
	}
	return nil, ErrUploading
}

func (o *opening) try() (*File, error) {
	var st unix.Stat_t
	err := lstatAt(o.par.fd, o.par.name, &st)
	switch {
	case err != nil && err != unix.ENOENT:
		return nil, nil // see open
	case err == nil && o.exclusive():
		return nil, nil
	case err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return o.openTarget()
	case err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || o.flags&unix.O_ACCMODE == unix.O_RDONLY && !o.truncates()):
		return nil, nil
	}
	if f, err := o.join(); err != unix.ENOENT {
		return f, err
	}
	switch {
	case err == nil && o.truncates():
		return o.replace(st.Mode)
	case err == nil:
		return o.inPlace()
	case o.flags&unix.O_CREAT == 0:
		return nil, nil
	}
	return o.create(identity{}, o.mode&0o777)
}

// openTarget opens the target of a link, not the link.
func (o *opening) openTarget() (*File, error) {
	rest, err := o.pl.m.realRest(o.pl.rest, o.turn)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil || rest == "" || rest == o.pl.rest {
		return nil, nil //nolint:nilerr // see open
	}
	return o.staging.open(place{m: o.pl.m, rest: rest}, o.flags, o.mode, o.turn)
}

// inPlace opens a file that is complete, and marks it as being written, so that no other
// handle replaces it meanwhile.
func (o *opening) inPlace() (*File, error) {
	fd, id, err := o.openReadable(o.par.name, o.flags&^(unix.O_CREAT|unix.O_EXCL), 0)
	if err != nil {
		return nil, err
	}
	if err = holdUse(fd); err == nil {
		var st unix.Stat_t
		if !isNamed(o.par.fd, o.par.name, id) || lstatAt(o.par.fd, stagedName(o.par.name), &st) != unix.ENOENT {
			err = errAgain
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &File{fd: fd, flags: o.flags, m: o.pl.m, id: id}, nil
}

// replace stages a replacement of a writable file, with its permissions. Meanwhile, no handle may begin to write the file in
// place.
func (o *opening) replace(old uint32) (*File, error) {
	fd, id, err := o.par.openRegular(o.par.name, unix.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if errors.Is(holdAlone(fd), errHeld) {
		return nil, ErrUploading
	}
	f, err := o.create(id, old&0o777)
	if err == nil && !o.pl.m.ignoreAttributes {
		_ = chmodFD(f.fd, old&0o777, unix.S_IFREG) // the umask may have removed some; not every volume has modes
	}
	return f, err
}

// create creates the staged file of a name that is free or belongs to old.
func (o *opening) create(old identity, mode uint32) (*File, error) {
	fd, id, err := o.openReadable(stagedName(o.par.name), o.stagedFlags()|unix.O_CREAT|unix.O_EXCL, mode)
	if err == unix.EEXIST {
		return nil, errAgain
	}
	if err != nil {
		return nil, err
	}
	if err := o.hold(fd, id); err != nil {
		return nil, err
	}
	// From here on no other handle can publish under this name.
	if !o.unchanged(old) {
		discard(fd, id, o.par, stagedName(o.par.name)) // it is empty
		unix.Close(fd)
		return nil, errAgain
	}
	f, err := o.file(fd, id)
	if err == nil {
		f.created, f.truncated = old == identity{}, old != identity{}
		if o.Checksum {
			f.sum = &checksum{running: o.flags&unix.O_APPEND == 0 && announceHashing(fd)}
		}
	}
	return f, err
}

func (o *opening) unchanged(old identity) bool {
	if old != (identity{}) {
		return isNamed(o.par.fd, o.par.name, old)
	}
	var st unix.Stat_t
	return lstatAt(o.par.fd, o.par.name, &st) == unix.ENOENT
}

// stagedFlags returns the flags for opening the staged file. A client that only reads what it creates or truncates still needs
// permission to write.
func (o *opening) stagedFlags() int {
	flags := o.flags &^ (unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC)
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		flags |= unix.O_RDWR
	}
	return flags
}

// openReadable is parent.openRegular, but what a client only writes can be read as well, if its checksum is needed.
func (o *opening) openReadable(name string, flags int, mode uint32) (fd int, id identity, err error) {
	err = o.readable(flags, func(opened int) error {
		fd, id, err = o.par.openRegular(name, opened, mode)
		return err
	})
	return fd, id, err
}

// hold marks an open staged file as being written. If it fails, it closes the file.
func (o *opening) hold(fd int, id identity) error {
	err := holdUse(fd)
	if err == nil && !isNamed(o.par.fd, stagedName(o.par.name), id) {
		err = errAgain
	}
	if err != nil {
		unix.Close(fd)
	}
	return err
}

// file returns a [File] for an open staged file. It takes ownership of the descriptor, even if it fails.
func (o *opening) file(fd int, id identity) (*File, error) {
	up := &upload{staging: o.staging, temp: stagedName(o.par.name), exclusive: o.exclusive()}
	var err error
	if up.dir, err = o.par.keep(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	o.par.owned = false // the file owns it now
	o.add(id)
	return &File{fd: fd, flags: o.flags, m: o.pl.m, id: id, up: up}, nil
}

// openRegular opens an entry of the directory that is a regular file, not a link. If it has
// become something else, the error is errAgain.
func (p *parent) openRegular(name string, flags int, mode uint32) (fd int, id identity, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Openat(p.fd, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, mode)
		return err
	})
	switch {
	case err == unix.ELOOP || err == unix.ENXIO || err == unix.EISDIR || err == unix.EAGAIN: // EAGAIN: a lease, see openElsewhere
		return -1, id, errAgain
	case err == unix.ENOENT && flags&unix.O_CREAT == 0 && !own(name):
		return -1, id, errAgain
	case err != nil:
		return -1, id, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errAgain
	}
	if err != nil {
		unix.Close(fd)
		return -1, id, err
	}
	return fd, identityOf(&st), nil
}

// keep returns p with a descriptor that outlives the tree: p's own if p owns it, otherwise
// a duplicate.
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
