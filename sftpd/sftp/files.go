package sftp

import (
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// open answers SSH_FXP_OPEN (filexfer-02, section 6.3).
func (s *Session) open(r *request) error {
	r.path = r.string()
	pflags := r.uint32()
	attrs := r.attrs()
	if r.bad {
		return errMalformed
	}
	r.changes = pflags&(flagWrite|flagAppend|flagCreate|flagTrunc) != 0
	if err := s.acquire(); err != nil {
		return err
	}
	f, err := s.tree.OpenFile(r.path, openFlags(pflags), mode(attrs, 0o666))
	if err != nil {
		s.release()
		return err
	}
	name, h := s.handles.add()
	h.file, h.path = f, vfs.Clean(r.path)
	s.files.Add(1)
	s.longOpen.add(h)
	if s.opts.Opened != nil {
		s.opts.Opened()
	}
	if f.Staged() {
		s.staged++
	}
	s.sendHandle(r, name)
	return nil
}

// openFlags turns the flags of OPEN into those of open(2). Neither READ nor WRITE means
// reading, as in OpenSSH, except with APPEND, which some clients send on its own. EXCL has
// a meaning only with CREAT.
func openFlags(p uint32) int {
	flags := os.O_RDONLY
	switch p & (flagRead | flagWrite) {
	case flagRead | flagWrite:
		flags = os.O_RDWR
	case flagWrite:
		flags = os.O_WRONLY
	case 0:
		if p&flagAppend != 0 {
			flags = os.O_WRONLY
		}
	}
	if p&flagAppend != 0 {
		flags |= os.O_APPEND
	}
	if p&flagCreate != 0 {
		flags |= os.O_CREATE
		if p&flagExcl != 0 {
			flags |= os.O_EXCL
		}
	}
	if p&flagTrunc != 0 {
		flags |= os.O_TRUNC
	}
	return flags
}

func (s *Session) sendHandle(r *request, name [handleBytes]byte) {
	at := s.out.begin(typeHandle, r.id)
	s.out.bytes(name[:])
	s.out.end(at)
}

// closeHandle answers SSH_FXP_CLOSE (section 6.3). The handle becomes invalid even if
// closing fails.
func (s *Session) closeHandle(r *request) error {
	name := r.bytes()
	if r.bad {
		return errMalformed
	}
	h, slot, err := s.handles.get(name)
	if err != nil {
		return err
	}
	return s.close(h, slot, false)
}

// close closes a handle and reports the end of its transfer. A staged file is published
// only if all of its writes succeeded.
func (s *Session) close(h *handle, slot uint32, aborted bool) error {
	defer s.release()
	defer s.handles.remove(slot)
	if h.dir != nil {
		return h.dir.Close()
	}
	staged := h.file.Staged()
	if staged {
		s.staged--
	}
	var sum string
	var sumErr error
	if !aborted && h.err == nil {
		sum, aborted, sumErr = s.sum(h)
	}
	failed := staged && h.err != nil
	h.file.Note(h.written, h.err != nil)
	left, err := h.file.Finish(!aborted && !failed)
	switch err = h.note(err); {
	case err != nil:
	case sumErr != nil:
		err = sumErr
	case failed:
		err = vfs.ErrNotPublished
	}
	s.files.Add(-1)
	s.longOpen.remove(h)
	if s.opts.Observe != nil {
		t := h.transfer(aborted)
		t.Left = left
		if t.Result == Completed {
			t.SHA256 = sum
		}
		s.opts.Observe(t)
	}
	return err
}

// sum computes the checksum of what was uploaded. It reports whether the session ended in the meantime: then the file is not
// complete, and neither is one that cannot be read.
func (s *Session) sum(h *handle) (sum string, ended bool, err error) {
	sum, err = h.file.Sum(s.inParts(&ended))
	if ended {
		return "", true, err
	}
	return sum, false, h.note(err)
}

// opened returns what a file was opened for.
func (h *handle) opened() Direction {
	switch {
	case h.file.Readable() && h.file.Writable():
		return Both
	case h.file.Writable():
		return Upload
	}
	return Download
}

// used returns what a file opened for d was used for. An open that created or truncated the file counts as a write.
func (d Direction) used(read, written bool) Direction {
	switch {
	case read && written:
		return Both
	case written:
		return Upload
	case read:
		return Download
	}
	return d
}

func (h *handle) transfer(aborted bool) Transfer {
	t := Transfer{
		Path: h.path, BytesRead: h.read, BytesWritten: h.written,
		Start: h.start, Duration: time.Since(h.start), Result: Completed,
		Created: h.file.Created(), Truncated: h.file.Truncated(),
	}
	t.Direction = h.opened().used(h.read > 0, h.written > 0 || t.Created || t.Truncated)
	switch {
	case aborted:
		t.Result = Aborted
	case h.err != nil:
		t.Result, t.Err = Failed, h.err
	}
	return t
}

// dataHeader is the part before the data of an SSH_FXP_DATA reply: length, type, id and the
// data's length.
const dataHeader = 4 + 1 + 4 + 4

// read answers SSH_FXP_READ (section 6.4). Up to maxRead bytes are read in full, directly
// into the reply; fewer bytes mean the end of the file.
func (s *Session) read(r *request) error {
	h, err := s.file(r)
	off, n := r.uint64(), min(r.uint32(), maxRead)
	switch {
	case r.bad:
		return errMalformed
	case err != nil:
		return err
	case !h.file.Readable():
		r.path = h.path
		return errNotReadable
	case off > math.MaxInt64:
		return syscall.EINVAL
	}
	if err := s.room(dataHeader + int(n)); err != nil {
		return err
	}
	at := len(s.out)
	s.out = slices.Grow(s.out, dataHeader+int(n))
	buf := s.out[at : at+dataHeader+int(n)]
	got, err := h.file.ReadAt(buf[dataHeader:], int64(off))
	if err != nil {
		if errors.Is(err, io.EOF) {
			return err
		}
		return h.note(err)
	}
	h.read += uint64(got)
	h.seen.read.Store(h.read)
	s.out.begin(typeData, r.id)
	s.out.uint32(uint32(got))
	s.out = s.out[:at+dataHeader+got]
	s.out.end(at)
	return nil
}

// write answers SSH_FXP_WRITE (section 6.4). A file opened with APPEND ignores
// the offset.
func (s *Session) write(r *request) error {
	name := r.fields // before the handle's name is consumed
	h, err := s.file(r)
	off, data := r.uint64(), r.bytes()
	switch {
	case r.bad:
		return errMalformed
	case err != nil:
		return err
	case !h.file.Writable():
		r.path = h.path
		return errNotWritable
	case off > math.MaxInt64-maxPacket:
		return syscall.EFBIG
	}
	done := s.writeMerged(h, name.bytes(), off, data)
	if done == len(data) {
		return nil
	}
	n, err := h.file.WriteAt(data[done:], int64(off)+int64(done))
	h.written += uint64(n)
	h.seen.written.Store(h.written)
	return h.note(err)
}

// fstat answers SSH_FXP_FSTAT (section 6.8) by descriptor, for directories too.
func (s *Session) fstat(r *request) error {
	name := r.bytes()
	if r.bad {
		return errMalformed
	}
	h, _, err := s.handles.get(name)
	if err != nil {
		return err
	}
	var a vfs.Attr
	if h.dir != nil {
		a, err = h.dir.Stat()
	} else {
		a, err = h.file.Stat()
	}
	if err != nil {
		return err
	}
	s.sendAttrs(r, a)
	return nil
}

// fsetstat answers SSH_FXP_FSETSTAT (section 6.9) by descriptor.
func (s *Session) fsetstat(r *request) error {
	h, err := s.file(r)
	attrs := r.attrs()
	if r.bad {
		return errMalformed
	}
	if err != nil {
		return err
	}
	r.path, r.set = h.path, attrs
	return h.file.Setstat(attrs)
}

func (s *Session) sendAttrs(r *request, a vfs.Attr) {
	at := s.out.begin(typeAttrs, r.id)
	s.out.attrs(a)
	s.out.end(at)
}
