package vfs

import "golang.org/x/sys/unix"

// Rename moves oldp to newp and refuses with EEXIST if newp exists, as
// SSH_FXP_RENAME of version 3 has it (filexfer-02, 6.5).
func (t *Tree) Rename(oldp, newp string) error {
	return t.rename(oldp, newp, free, renameNoReplace)
}

// PosixRename moves oldp to newp and replaces what is there, as rename(2)
// (posix-rename@openssh.com).
func (t *Tree) PosixRename(oldp, newp string) error {
	return t.rename(oldp, newp, anyName, func(from, to parent) error {
		return retry(func() error { return unix.Renameat(from.fd, from.name, to.fd, to.name) })
	})
}

func (t *Tree) rename(oldp, newp string, n name, call func(from, to parent) error) error {
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
	if own {
		return t.renameOwn(from, to)
	}
	if err := call(from, to); err != nil {
		return err
	}
	_, _ = t.forgetKept(from), t.forgetKept(to) // mostly there is none
	return nil
}

// renamed is the pair of names of a rename. In a mount with [CreateOnly] the old one has to
// be of a file that this tree has made.
func (t *Tree) renamed(oldp, newp string, n name) (from, to parent, own bool, err error) {
	want := rightWrite
	if pl, err := t.locate(oldp); err == nil && pl.node == nil && pl.m != nil && t.ofOwn(pl) {
		want, own = rightCreate, true
	}
	from, to, err = t.pair(oldp, newp, want, n)
	return from, to, own, err
}

// renameOwn gives a file that this tree has made a free name. A directory may have got
// other users' files by now.
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
		// The file system (NFS, FUSE, 9p), the kernel or the seccomp profile
		// does not know the flag. EINVAL also means a directory moved below
		// itself, which the other way reports again.
		return renameByLink(from, to)
	}
	return err
}

// renameByLink is what OpenSSH does: link(2) refuses an existing name by
// itself. What cannot be linked is checked first, which a race can get past.
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
