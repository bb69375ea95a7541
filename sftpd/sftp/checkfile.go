package sftp

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"io"
	"math"
	"os"
	"strings"
	"syscall"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// Bounds of check-file (draft-ietf-secsh-filexfer-extensions-00, section 3): the draft's
// smallest block, and as many hash bytes as fit in a reply.
const (
	minHashBlock = 256
	maxHashes    = maxRead
	// maxHashRange is how much one request may hash. A sparse file can be 4 EiB long without any data.
	maxHashRange = 1 << 40
)

// hashes maps names in the draft to hashes.
var hashes = map[string]func() hash.Hash{"sha256": sha256.New, "sha512": sha512.New}

// checkFileHandle answers check-file-handle, and check-file, the name that older clients
// use.
func (s *Session) checkFileHandle(r *request) error {
	h, err := s.file(r)
	if err != nil {
		return err
	}
	r.path = h.path
	if !h.file.Readable() {
		return errNotReadable
	}
	err = s.checkFile(r, h.file)
	h.read += r.hashed
	h.seen.read.Store(h.read)
	return err
}

// checkFileName answers check-file-name. Links are followed.
func (s *Session) checkFileName(r *request) error {
	if r.path = r.string(); r.bad {
		return errMalformed
	}
	f, err := s.tree.OpenFile(r.path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.checkFile(r, f)
}

// checkFile sends the hashes of a range of a file: one for each block, or a single one if the block size is 0. Length 0 means
// up to the end of the file, where a longer range ends as well.
func (s *Session) checkFile(r *request, f *vfs.File) error {
	list, off, length, block := r.string(), r.uint64(), r.uint64(), uint64(r.uint32())
	if r.bad {
		return errMalformed
	}
	name, algorithm := pickHash(list)
	switch {
	case algorithm == nil:
		return errNoHash
	case off > math.MaxInt64 || length > math.MaxInt64:
		return syscall.EINVAL
	case block != 0 && block < minHashBlock:
		return errHashBlock
	}
	a, err := f.Stat()
	if err != nil {
		return err
	}
	if off >= a.Size && off > 0 {
		return io.EOF
	}
	rest := a.Size - off
	if length != 0 {
		rest = min(rest, length)
	}
	if rest > maxHashRange {
		return errHashRange
	}
	if block == 0 {
		block = max(rest, 1)
	}
	h := algorithm()
	if (rest/block+1)*uint64(h.Size()) > maxHashes {
		return errHashBlock
	}
	// This may take a while: send the earlier replies first.
	if err := s.flush(); err != nil {
		return err
	}
	at := s.out.begin(typeExtendedReply, r.id)
	s.out.string("check-file")
	s.out.string(name)
	for {
		n := min(rest, block)
		h.Reset()
		if err := s.hashRange(r, h, f, int64(off), int64(n)); err != nil {
			return err
		}
		s.out = h.Sum(s.out)
		off, rest = off+n, rest-n
		if rest == 0 {
			break
		}
	}
	s.out.end(at)
	return nil
}

// hashRange hashes n bytes. If the file has become shorter, it returns io.EOF.
func (s *Session) hashRange(r *request, h hash.Hash, f *vfs.File, off, n int64) error {
	buf := buffers.Get().(*[bufferBytes]byte)
	defer buffers.Put(buf)
	for n > 0 {
		// Reading is outside a turn, because the volume may be slow. It is bounded anyway, because it waits for a turn between reads.
		got, err := f.ReadAt(buf[:min(n, int64(len(buf)))], off)
		if err != nil {
			return err
		}
		if err := s.part(func() { _, _ = h.Write(buf[:got]) }); err != nil { // Write never fails
			return err
		}
		r.hashed += uint64(got)
		off, n = off+int64(got), n-int64(got)
	}
	return nil
}

// pickHash returns the first algorithm of the client's list that is supported.
func pickHash(list string) (string, func() hash.Hash) {
	for name := range strings.SplitSeq(list, ",") {
		if h := hashes[name]; h != nil {
			return name, h
		}
	}
	return "", nil
}
