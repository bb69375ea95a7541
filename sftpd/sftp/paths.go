package sftp

import (
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// onePath reads the only field of a request, a path.
func (r *request) onePath() error {
	r.path = r.string()
	if r.bad {
		return errMalformed
	}
	return nil
}

// twoPaths reads the two paths of a rename or link.
func (r *request) twoPaths() error {
	r.path, r.target = r.string(), r.string()
	if r.bad {
		return errMalformed
	}
	return nil
}

// stat answers SSH_FXP_STAT (filexfer-02, section 6.8).
func (s *Session) stat(r *request) error {
	if err := r.onePath(); err != nil {
		return err
	}
	a, err := s.attributes(r.path, s.tree.Stat)
	if err == nil {
		s.sendAttrs(r, a)
	}
	return err
}

// lstat answers SSH_FXP_LSTAT (section 6.8).
func (s *Session) lstat(r *request) error {
	if err := r.onePath(); err != nil {
		return err
	}
	a, err := s.attributes(r.path, s.tree.Lstat)
	if err == nil {
		s.sendAttrs(r, a)
	}
	return err
}

// attributes calls stat, or for a staged file fstat.
func (s *Session) attributes(path string, stat func(string) (vfs.Attr, error)) (vfs.Attr, error) {
	if f := s.stagedAt(path); f != nil {
		return f.Stat()
	}
	return stat(path)
}

// setstat answers SSH_FXP_SETSTAT (section 6.9).
func (s *Session) setstat(r *request) error {
	r.path = r.string()
	attrs := r.attrs()
	if r.bad {
		return errMalformed
	}
	r.set = attrs
	if f := s.stagedAt(r.path); f != nil {
		return f.Setstat(attrs)
	}
	return unlessNothing(attrs, s.tree.Setstat(r.path, attrs))
}

// lsetstat answers lsetstat@openssh.com (OpenSSH PROTOCOL, section 4.7).
func (s *Session) lsetstat(r *request) error {
	r.path = r.string()
	attrs := r.attrs()
	if r.bad {
		return errMalformed
	}
	r.set = attrs
	if f := s.stagedAt(r.path); f != nil && attrs.Set&vfs.SetSize == 0 {
		return f.Setstat(attrs)
	}
	return unlessNothing(attrs, s.tree.Lsetstat(r.path, attrs))
}

// unlessNothing ignores a missing file if no attribute was to be set: OpenSSH's server does
// not look for it. Missing access is still an error.
func unlessNothing(attrs vfs.Changes, err error) error {
	if code, _ := statusOf(err); attrs.Set == 0 && code == StatusNoSuchFile {
		return nil
	}
	return err
}

// remove answers SSH_FXP_REMOVE (section 6.5), for anything but directories.
func (s *Session) remove(r *request) error {
	if err := r.onePath(); err != nil {
		return err
	}
	return s.tree.Remove(r.path)
}

// mkdir answers SSH_FXP_MKDIR (section 6.6).
func (s *Session) mkdir(r *request) error {
	r.path = r.string()
	attrs := r.attrs()
	if r.bad {
		return errMalformed
	}
	return s.tree.Mkdir(r.path, mode(attrs, 0o777))
}

// rmdir answers SSH_FXP_RMDIR (section 6.6), for empty directories only.
func (s *Session) rmdir(r *request) error {
	if err := r.onePath(); err != nil {
		return err
	}
	return s.tree.Rmdir(r.path)
}

// rename answers SSH_FXP_RENAME (section 6.5), which never overwrites.
func (s *Session) rename(r *request) error {
	if err := r.twoPaths(); err != nil {
		return err
	}
	return s.tree.RenameIn(s.inParts(new(bool)), r.path, r.target)
}

// posixRename answers posix-rename@openssh.com (OpenSSH PROTOCOL, section 4.3), which does
// overwrite.
func (s *Session) posixRename(r *request) error {
	if err := r.twoPaths(); err != nil {
		return err
	}
	return s.tree.PosixRenameIn(s.inParts(new(bool)), r.path, r.target)
}

// hardlink answers hardlink@openssh.com (section 4.5).
func (s *Session) hardlink(r *request) error {
	if err := r.twoPaths(); err != nil {
		return err
	}
	return s.tree.Link(r.path, r.target)
}

// symlink answers SSH_FXP_SYMLINK. In the draft (section 6.10) the link's path comes first;
// in OpenSSH its target does (OpenSSH PROTOCOL, section 4.1), and in most clients
// regardless of the server. See linkFirst for the others.
func (s *Session) symlink(r *request) error {
	r.target, r.path = r.string(), r.string()
	if r.bad {
		return errMalformed
	}
	if linkFirst(s.opts.ClientVersion, s.opts.ServerVersion) {
		r.target, r.path = r.path, r.target
	}
	return s.tree.Symlink(r.target, r.path)
}

// readlink answers SSH_FXP_READLINK (section 6.10).
func (s *Session) readlink(r *request) error {
	if err := r.onePath(); err != nil {
		return err
	}
	target, err := s.tree.Readlink(r.path)
	if err == nil {
		s.sendName(r, target)
	}
	return err
}

// realpath answers SSH_FXP_REALPATH (section 6.11).
func (s *Session) realpath(r *request) error {
	if err := r.onePath(); err != nil {
		return err
	}
	path := r.path
	if file := strings.TrimRight(path, "/"); file != "" {
		path = file // like BSD's realpath(3), which OpenSSH uses: a file's trailing slash is dropped
	}
	return s.sendRealPath(r, path)
}

func (s *Session) sendRealPath(r *request, path string) error {
	real, err := s.tree.RealPath(path)
	if err == nil {
		s.sendName(r, real)
	}
	return err
}

// sendName sends one name without attributes, which is also its long name.
func (s *Session) sendName(r *request, name string) {
	at := s.out.begin(typeName, r.id)
	s.out.uint32(1)
	s.out.string(name)
	s.out.string(name)
	s.out.uint32(0) // ATTRS: no flags
	s.out.end(at)
}
