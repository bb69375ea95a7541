package sftp

import (
	"bytes"
	"math"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// ahead records how much of the next WRITE requests has already been written, in one call with an earlier WRITE. Nothing can come
// in between: they have been received, and each is parsed, checked and answered in turn as if it were written separately.
type ahead struct {
	h   *handle
	off uint64 // offset of the next WRITE
	n   uint64 // bytes starting there
}

// writeMerged writes as much of a WRITE as it can in one call with those that directly
// follow it on the same handle without a gap. It returns how much of data is written, by
// this call or an earlier one; the caller writes the rest separately, so that an error is
// attributed to the right WRITE.
func (s *Session) writeMerged(h *handle, name []byte, off uint64, data []byte) int {
	if s.ahead.n == 0 {
		s.writeAhead(h, name, off, data)
	}
	if s.ahead.h != h || s.ahead.off != off {
		s.ahead = ahead{}
		return 0
	}
	n := min(s.ahead.n, uint64(len(data)))
	s.ahead.n -= n
	s.ahead.off += n
	return int(n)
}

// writeAhead writes data and the data of the WRITE requests behind it, if there are any.
func (s *Session) writeAhead(h *handle, name []byte, off uint64, data []byte) {
	s.ahead = ahead{}
	var parts [vfs.MaxParts][]byte
	parts[0] = data
	count, next := 1, off+uint64(len(data))
	for at := s.in.start; count < len(parts); count++ {
		p := s.in.packet(at)
		if len(p) == 0 || p[0] != typeWrite {
			break
		}
		f := fields{rest: p[1:]}
		f.uint32() // id
		same := bytes.Equal(f.bytes(), name)
		to, more := f.uint64(), f.bytes()
		if f.bad || !same || to != next || to > math.MaxInt64-maxPacket || len(more) == 0 {
			break
		}
		parts[count] = more
		next += uint64(len(more))
		at += 4 + len(p)
	}
	if count == 1 || len(data) == 0 {
		return
	}
	n := h.file.WritePartsAt(parts[:count], int64(off))
	h.written += uint64(n)
	h.seen.written.Store(h.written)
	s.ahead = ahead{h: h, off: off, n: uint64(n)}
}
