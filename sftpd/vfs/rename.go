package vfs

import "golang.org/x/sys/unix"

// Rename moves oldp to newp and refuses with EEXIST if newp exists, as version 3 requires
// for SSH_FXP_RENAME (filexfer-02, 6.5).
func (t *Tree) Rename(oldp, newp string) error { return t.RenameIn(nil, oldp, newp) }

// RenameIn is Rename, with work for what may take long: computing a checksum.
func (t *Tree) RenameIn(work Work, oldp, newp string) error {
	return t.rename(oldp, newp, free, renameNoReplace, work)
}

// PosixRename moves oldp to newp and replaces an existing file, like rename(2)
// (posix-rename@openssh.com).
func (t *Tree) PosixRename(oldp, newp string) error { return t.PosixRenameIn(nil, oldp, newp) }

// PosixRenameIn is PosixRename, with work for what may take long.
func (t *Tree) PosixRenameIn(work Work, oldp, newp string) error {
	return t.rename(oldp, newp, anyName, func(from, to parent) error {
		return retry(func() error { return unix.Renameat(from.fd, from.name, to.fd, to.name) })
	}, work)
}

func (t *Tree) rename(oldp, newp string, n name, call func(from, to parent) error, work Work) error {
	from, to, own, err := t.renamed(oldp, newp, n)
	if err != nil {
		return err
	}
	defer from.close()
	defer to.close()
	if from.dot || to.dot {
		return ErrDots
	}
	if err := from.isDir(); err != nil {
		return err
	}
	if to.trailing { // the new name need not exist, but must be for a directory
		from.trailing = true
		if err := from.isDir(); err != nil {
			return err
		}
	}
	upload, err := t.completes(from, to, oldp, newp, work)
	if err != nil {
		return err
	}
	if own {
		return t.settled(upload, to, t.renameOwn(from, to), work)
	}
	if err = call(from, to); err == nil {
		_, _ = t.forgetKept(from), t.forgetKept(to) // usually there is none
	}
	return t.settled(upload, to, err, work)
}

// renamed returns the pair of names of a rename. In a mount with [CreateOnly] the old one has to be a file that this tree has
// created.
func (t *Tree) renamed(oldp, newp string, n name) (from, to parent, own bool, err error) {
	want := rightWrite
	if pl, err := t.locate(oldp); err == nil && pl.node == nil && pl.m != nil && t.ofOwn(pl) {
		want, own = rightCreate, true
	}
	from, to, err = t.pair(oldp, newp, want, n)
	return from, to, own, err
}

// renameOwn renames a file that this tree has created to a free name. A directory may
// contain other users' files by now.
func (t *Tree) renameOwn(from, to parent) error {
	var st unix.Stat_t
	if err := lstatAt(from.fd, from.name, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || !t.created.has(from) {
		return ErrAccess
	}
	if err := renameNoReplace(from, to); err != nil {
		return err
	}
	t.created.moved(from, to)
	return nil
}

func renameNoReplace(from, to parent) error {
	err := retry(func() error {
		return unix.Renameat2(from.fd, from.name, to.fd, to.name, unix.RENAME_NOREPLACE)
	})
	switch err {
	case unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.EOPNOTSUPP:
		// The file system (NFS, FUSE, 9p), the kernel or the seccomp profile does not know
		// the flag. EINVAL also means a directory moved below itself, which the other
		// method reports again.
		return renameByLink(from, to)
	}
	return err
}

// renameByLink renames as OpenSSH does: link(2) refuses an existing name. For anything that cannot be linked, existence is
// checked first, which is racy.
func renameByLink(from, to parent) error {
	var st unix.Stat_t
	if err := lstatAt(from.fd, from.name, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		err := retry(func() error { return unix.Linkat(from.fd, from.name, to.fd, to.name, 0) })
		switch err {
		case nil:
			return retry(func() error { return unix.Unlinkat(from.fd, from.name, 0) })
		case unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS, unix.EMLINK:
		default:
			return err
		}
	}
	switch err := lstatAt(to.fd, to.name, &st); err {
	case unix.ENOENT:
		return retry(func() error { return unix.Renameat(from.fd, from.name, to.fd, to.name) })
	case nil:
		return unix.EEXIST
	default:
		return err
	}
}
