package sftp

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// opendir answers SSH_FXP_OPENDIR (filexfer-02, section 6.7).
func (s *Session) opendir(r *request) error {
	r.path = r.string()
	if r.bad {
		return errMalformed
	}
	if err := s.acquire(); err != nil {
		return err
	}
	d, err := s.tree.OpenDir(r.path)
	if err != nil {
		s.release()
		return err
	}
	name, h := s.handles.add()
	h.dir, h.path = d, vfs.Clean(r.path)
	s.sendHandle(r, name)
	return nil
}

// maxListing is when a READDIR reply is full. With one more entry, which has two
// names of at most 255 bytes and less than that around them, it is shorter than
// the 34000 bytes that every client must take (filexfer-02, section 3).
// Some take no more than they must: sshfs drops the connection at 128 KiB.
const maxListing = 32 << 10

// readdir answers SSH_FXP_READDIR (section 6.7) with as many entries as fit.
func (s *Session) readdir(r *request) error {
	handle := r.bytes()
	if r.bad {
		return errMalformed
	}
	h, _, err := s.handles.get(handle)
	switch {
	case err != nil:
		return err
	case h.dir == nil:
		return errHandleKind
	case h.dirErr != nil:
		return h.dirErr
	}
	at := s.out.begin(typeName, r.id)
	count := len(s.out)
	s.out.uint32(0)
	now := time.Now()
	var e vfs.Entry
	n := uint32(0)
	for len(s.out)-at < maxListing {
		if h.dirErr = h.dir.Next(&e); h.dirErr != nil {
			break
		}
		s.out.bytes(e.Name)
		long := len(s.out)
		s.out.uint32(0)
		s.out = appendLongName(s.out, e.Name, e.Attr, now)
		s.out.setUint32(long, uint32(len(s.out)-long-4))
		s.out.attrs(e.Attr)
		n++
	}
	if n == 0 {
		return h.dirErr
	}
	s.out.setUint32(count, n)
	s.out.end(at)
	return nil
}
