package sftp

import (
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// statvfs answers statvfs@openssh.com (OpenSSH PROTOCOL, section 4.4).
func (s *Session) statvfs(r *request) error {
	if err := r.onePath(); err != nil {
		return err
	}
	v, err := s.tree.StatVFS(r.path)
	if err == nil {
		s.sendStatVFS(r, v)
	}
	return err
}

// fstatvfs answers fstatvfs@openssh.com (section 4.4) for open files.
func (s *Session) fstatvfs(r *request) error {
	h, err := s.file(r)
	if err != nil {
		return err
	}
	v, err := h.file.StatVFS()
	if err == nil {
		s.sendStatVFS(r, v)
	}
	return err
}

func (s *Session) sendStatVFS(r *request, v vfs.StatVFS) {
	const readOnly, noSetuid = 1, 2
	flags := uint64(0)
	if v.ReadOnly {
		flags |= readOnly
	}
	if v.NoSetuidPrograms {
		flags |= noSetuid
	}
	at := s.out.begin(typeExtendedReply, r.id)
	for _, n := range [...]uint64{
		v.BlockSize, v.FragmentSize, v.Blocks, v.BlocksFree, v.BlocksAvail,
		v.Files, v.FilesFree, v.FilesAvail, v.FSID, flags, v.NameMax,
	} {
		s.out.uint64(n)
	}
	s.out.end(at)
}

// fsync answers fsync@openssh.com (section 4.6).
func (s *Session) fsync(r *request) error {
	h, err := s.file(r)
	if err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	return h.note(h.file.Sync())
}

// limits answers limits@openssh.com (section 4.8).
func (s *Session) limits(r *request) error {
	s.askedLimits = true
	at := s.out.begin(typeExtendedReply, r.id)
	s.out.uint64(maxPacket)
	s.out.uint64(maxRead)
	s.out.uint64(maxWrite)
	s.out.uint64(uint64(s.opts.MaxHandles))
	s.out.end(at)
	return nil
}

// expandPath answers expand-path@openssh.com (section 4.9): the real path of a name that
// may begin with "~" or "~user". It treats all users but the client's own as nonexistent.
func (s *Session) expandPath(r *request) error {
	if err := r.onePath(); err != nil {
		return err
	}
	path := r.path
	if rest, tilde := strings.CutPrefix(path, "~"); tilde {
		name, rest, _ := strings.Cut(rest, "/")
		if !s.isUser(name) {
			return errNoSuchUser
		}
		path = "/" + rest
	}
	return s.sendRealPath(r, path)
}

// isUser reports whether a name is the client's own; an empty name counts as such.
func (s *Session) isUser(name string) bool { return name == "" || name == s.opts.User }

// homeDirectory answers home-directory (section 4.11) with "/" for the client's own name,
// and with the same error for any other, so that it does not reveal which users exist.
func (s *Session) homeDirectory(r *request) error {
	name := r.string()
	switch {
	case r.bad:
		return errMalformed
	case !s.isUser(name):
		return errNoSuchUser
	}
	s.sendName(r, "/")
	return nil
}

// usersGroupsByID answers users-groups-by-id@openssh.com (section 4.12). IDs have no names
// here, so all are empty strings.
func (s *Session) usersGroupsByID(r *request) error {
	uids, gids := r.bytes(), r.bytes()
	if r.bad || len(uids)%4 != 0 || len(gids)%4 != 0 {
		return errMalformed
	}
	at := s.out.begin(typeExtendedReply, r.id)
	for _, ids := range [...][]byte{uids, gids} {
		// An empty string is as long as an ID: four zero bytes.
		s.out.uint32(uint32(len(ids)))
		zeros := len(s.out)
		s.out = append(s.out, ids...)
		clear(s.out[zeros:])
	}
	s.out.end(at)
	return nil
}
