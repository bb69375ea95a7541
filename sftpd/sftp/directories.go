package sftp

import "time"

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
	h.dir = d
	s.sendHandle(r, name)
	return nil
}

// The sizes at which a READDIR reply is full. One more entry may follow: two names of at most 255 bytes each, and fewer bytes
// around them.
const (
	maxEntry = 3 * 256
	// maxListing stays below the 34000 bytes that every client must accept (filexfer-02,
	// section 3). Some accept no more: sshfs drops the connection at 128 KiB.
	maxListing = 32 << 10
	// maxLongListing is for clients that have asked for our limits, and know
	// that packets may have 256 KiB.
	maxLongListing = maxPacket - maxEntry
)

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
	full := maxListing
	if s.askedLimits {
		full = maxLongListing
	}
	if err := s.room(full + maxEntry); err != nil {
		return err
	}
	at := s.out.begin(typeName, r.id)
	count := len(s.out)
	s.out.uint32(0)
	long := longNames{now: time.Now().Unix()}
	n := uint32(0)
	for len(s.out)-at < full {
		if h.dirErr = h.dir.Next(&s.entry); h.dirErr != nil {
			break
		}
		s.out.bytes(s.entry.Name)
		length := len(s.out)
		s.out.uint32(0)
		s.out = long.append(s.out, s.entry.Name, s.entry.Attr)
		s.out.setUint32(length, uint32(len(s.out)-length-4))
		s.out.attrs(s.entry.Attr)
		n++
	}
	s.entry.Name = nil // the directory's error
	if n == 0 {
		return h.dirErr
	}
	s.out.setUint32(count, n)
	s.out.end(at)
	return nil
}
