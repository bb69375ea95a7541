package vfs

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// Mkdir creates a directory with the permissions in mode minus the umask.
func (t *Tree) Mkdir(p string, mode uint32) error {
	pl, par, err := t.entry(p, rightCreate, free)
	if errors.Is(err, ErrMountPoint) || errors.Is(err, ErrDots) {
		return unix.EEXIST
	}
	if err != nil {
		return t.refuseSynthetic(p, err)
	}
	defer par.close()
	if err := retry(func() error { return unix.Mkdirat(par.fd, par.name, mode&0o777) }); err != nil {
		return err
	}
	t.madeDir(pl, par)
	return nil
}

// refuseSynthetic turns "not found" into "not allowed" for a name to be created directly in
// a synthetic directory, which does exist.
func (t *Tree) refuseSynthetic(p string, err error) error {
	if err == unix.ENOENT {
		if pl, e := t.locate(p); e == nil && pl.node == nil && pl.m == nil {
			return ErrAccess
		}
	}
	return err
}

// Rmdir removes an empty directory and nothing else. Leftovers of interrupted uploads do
// not count, because users do not see them.
func (t *Tree) Rmdir(p string) error {
	_, par, err := t.entry(p, rightRemove, there)
	if err != nil {
		return err
	}
	defer par.close()
	if par.dot {
		if err := par.isDir(); err != nil {
			return err
		}
		return unix.EINVAL // like rmdir(2)
	}
	rmdir := func() error { return unix.Unlinkat(par.fd, par.name, unix.AT_REMOVEDIR) }
	if err = retry(rmdir); err == unix.ENOTEMPTY && t.dropKept(par) {
		err = retry(rmdir)
	}
	return err
}

// Remove removes a file or link; a directory gives EISDIR.
func (t *Tree) Remove(p string) error {
	_, par, err := t.entry(p, rightRemove, there)
	if err != nil {
		return err
	}
	defer par.close()
	if err := par.isDir(); err != nil {
		return err
	}
	if par.dot {
		return unix.EISDIR // like unlink(2)
	}
	err = retry(func() error { return unix.Unlinkat(par.fd, par.name, 0) })
	switch err {
	case nil:
		_ = t.forgetKept(par) // usually there is none
	case unix.ENOENT:
		err = t.forgetKept(par)
	}
	return err
}

// Link makes newp another name of the file at oldp, or of the link itself if oldp is one (link(2) on Linux,
// hardlink@openssh.com).
func (t *Tree) Link(oldp, newp string) error {
	from, to, err := t.pair(oldp, newp, rightRead|rightWrite|rightRemove, free)
	if err != nil {
		return err
	}
	defer from.close()
	defer to.close()
	if err := from.isDir(); err != nil {
		return err
	}
	if to.trailing {
		return unix.ENOENT
	}
	return retry(func() error { return unix.Linkat(from.fd, from.name, to.fd, to.name, 0) })
}

// pair resolves the two names of a rename or link, which must be in one mount.
func (t *Tree) pair(oldp, newp string, want right, n name) (from, to parent, err error) {
	a, from, err := t.entry(oldp, want, there)
	if err == ErrAccess { //nolint:errorlint // the error to return
		if _, to, err := t.entry(newp, want, n); err == nil {
			to.close()
		} else if !errors.Is(err, unix.EACCES) {
			return parent{}, parent{}, t.refuseSynthetic(newp, err)
		}
	}
	if err != nil {
		return parent{}, parent{}, err
	}
	b, to, err := t.entry(newp, want, n)
	if err == nil && a.m != b.m {
		to.close()
		err = ErrCrossMount
	}
	if err != nil {
		from.close()
		return parent{}, parent{}, t.refuseSynthetic(newp, err)
	}
	return from, to, nil
}

// Symlink creates a link at p. An absolute target is a virtual path and must be in the
// mount of p; see the package documentation.
func (t *Tree) Symlink(target, p string) error {
	if err := checkTarget(target); err != nil {
		return err
	}
	pl, par, err := t.entry(p, rightRead|rightWrite|rightRemove, free)
	if err != nil {
		return t.refuseSynthetic(p, err)
	}
	defer par.close()
	if strings.HasPrefix(target, "/") {
		to, err := t.locate(target)
		switch {
		case err != nil:
			return err
		case to.m != pl.m:
			return ErrCrossMount
		}
		target = "/" + to.rest
	}
	if par.trailing {
		return unix.ENOENT
	}
	return retry(func() error { return unix.Symlinkat(target, par.fd, par.name) })
}

// checkTarget rejects link targets that no path could have. A link could otherwise also reach the names of uploads in progress.
func checkTarget(target string) error {
	if err := checkPath(target); err != nil {
		return err
	}
	for name := range strings.SplitSeq(target, "/") {
		if reserved(name) {
			return ErrReserved
		}
	}
	return nil
}

// Readlink returns the target of the link at p, EINVAL if it is not a link.
func (t *Tree) Readlink(p string) (string, error) {
	pl, err := t.locate(p)
	switch {
	case err != nil:
		return "", err
	case pl.node != nil:
		return "", unix.EINVAL
	case pl.m == nil:
		return "", unix.ENOENT
	}
	if pl.m.need(rightRead) != nil {
		return "", t.deniedReadlink(pl)
	}
	target, err := pl.m.readlink(pl.rest)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(target, "/") && pl.m.path != "/" {
		target = pl.m.path + strings.TrimRight(target, "/")
	}
	return target, nil
}

// readlink returns the stored target of the link at rest.
func (m *mount) readlink(rest string) (string, error) {
	par, err := place{m: m, rest: rest}.parentOf()
	if errors.Is(err, ErrDots) {
		return "", unix.EINVAL
	}
	if err != nil {
		return "", err
	}
	defer par.close()
	return readlinkAt(par.fd, par.name)
}

// readlinkAt returns the target of a link in a directory. Anything else gives EINVAL.
func readlinkAt(dirfd int, name string) (string, error) {
	var buf [maxPath]byte
	n := 0
	err := retry(func() (err error) {
		n, err = unix.Readlinkat(dirfd, name, buf[:])
		return err
	})
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
