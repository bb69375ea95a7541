package sftp

import (
	"errors"
	"io"
	"math"
	"syscall"
)

// copyPart is how many bytes are copied between two checks of the session's context: some
// milliseconds, where the volume copies by reading and writing.
const copyPart = 4 << 20

// copyData answers copy-data (draft-ietf-secsh-filexfer-extensions-00, section 7; OpenSSH PROTOCOL, section 4.10). Length zero
// copies to the end of the file; for a file that ends before the length is reached, the answer is SSH_FX_EOF after copying what
// there is. Copying a file onto itself is refused.
func (s *Session) copyData(r *request) error {
	src, srcErr := s.file(r)
	off, n := r.uint64(), r.uint64()
	dst, dstErr := s.file(r)
	dstOff := r.uint64()
	switch {
	case r.bad:
		return errMalformed
	case srcErr != nil:
		return srcErr
	case dstErr != nil:
		return dstErr
	}
	r.path, r.target = src.path, dst.path
	switch {
	case !src.file.Readable():
		return errNotReadable
	case !dst.file.Writable():
		return errNotWritable
	case off > math.MaxInt64 || dstOff > math.MaxInt64:
		return syscall.EINVAL
	}
	toEnd := n == 0
	if toEnd || n > math.MaxInt64 {
		n = math.MaxInt64
	}
	// This may take a while: send the earlier replies first.
	if err := s.flush(); err != nil {
		return err
	}
	for n > 0 {
		var done int64
		var err error
		if gone := s.part(func() {
			done, err = src.file.CopyTo(dst.file, int64(off), int64(dstOff), int64(min(n, copyPart)))
		}); gone != nil {
			return gone
		}
		off, dstOff, n = off+uint64(done), dstOff+uint64(done), n-uint64(done)
		src.read += uint64(done)
		dst.written += uint64(done)
		src.seen.read.Store(src.read)
		dst.seen.written.Store(dst.written)
		if errors.Is(err, io.EOF) {
			if toEnd {
				return nil
			}
			return err
		}
		if err != nil {
			return dst.note(err)
		}
	}
	return nil
}
