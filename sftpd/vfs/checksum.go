package vfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"sync"
)

// Bounds of hashing while a file is written.
// Tests replace them.
var (
	// hashFrom is the size from which a file is hashed while it is written. Below it, reading back when the file is closed costs
	// less than the proof that no other handle wrote to it.
	hashFrom int64 = 1 << 20
	// maxAhead is how far ahead of the bytes written in order other writes may be, and maxSpans in how many pieces.
	// Clients that send requests concurrently have a few MiB in flight.
	maxAhead int64 = 8 << 20
	maxSpans       = 64
)

// maxReadBack is how much is read back for a checksum. A sparse file can be 8 EiB long without any data.
const maxReadBack = 1 << 40

// span is a range of a file.
type span struct{ start, end int64 }

// checksum computes the SHA-256 of a file. What is written in order is hashed at once, the rest when the file is closed. Its
// methods do nothing for nil.
type checksum struct {
	// changed: the file was changed through this handle.
	changed bool
	// running: this handle created the file, and everything that it has written is in order. Whether another handle wrote to it as
	// well is known when it is closed.
	running bool
	// next is how many bytes at the start of the file have been written, and ahead are the ranges behind a gap.
	next  int64
	ahead []span
	// hash is the hash of the first hashed bytes.
	hash   hash.Hash
	hashed int64

	sum string
	// at is how the file was when it was hashed, if others could change it meanwhile.
	at change
}

// known returns the result, "" for none.
func (c *checksum) known() string {
	if c == nil {
		return ""
	}
	return c.sum
}

// stop gives up hashing in order: everything is read when the file is closed.
func (c *checksum) stop() { c.running, c.ahead, c.hash, c.hashed = false, nil, nil, 0 }

// replaced records a change whose place and content are unknown.
func (c *checksum) replaced() {
	if c != nil {
		c.changed = true
		c.stop()
	}
}

// resized records a new size of the file. Later ranges are read from the file when it is their turn.
func (c *checksum) resized(size uint64) {
	if c == nil {
		return
	}
	c.changed = true
	if size < uint64(c.next) {
		c.stop()
	}
}

// wrote records n bytes that were written at off, from the start of parts.
func (c *checksum) wrote(f *File, parts [][]byte, off, n int64) {
	if n <= 0 {
		return
	}
	c.changed = true
	switch {
	case !c.running:
		return
	case off < c.next:
		c.stop()
		return
	case off > c.next:
		c.later(span{off, off + n})
		return
	}
	if c.next += n; c.hash != nil && c.hashed == off {
		for _, p := range parts {
			p = p[:min(int64(len(p)), n)]
			c.hash.Write(p)
			c.hashed, n = c.hashed+int64(len(p)), n-int64(len(p))
		}
	}
	for len(c.ahead) > 0 && c.ahead[0].start <= c.next {
		c.next = max(c.next, c.ahead[0].end)
		c.ahead = slices.Delete(c.ahead, 0, 1)
	}
	if c.next >= hashFrom && c.hashed < c.next && c.read(f, c.next, inOneGo) != nil {
		c.stop()
	}
}

// later remembers a range behind a gap.
func (c *checksum) later(s span) {
	from := 0
	for from < len(c.ahead) && c.ahead[from].end < s.start {
		from++
	}
	to := from
	for ; to < len(c.ahead) && c.ahead[to].start <= s.end; to++ {
		s = span{min(s.start, c.ahead[to].start), max(s.end, c.ahead[to].end)}
	}
	c.ahead = slices.Replace(c.ahead, from, to, s)
	if len(c.ahead) > maxSpans || c.ahead[len(c.ahead)-1].end-c.next > maxAhead {
		c.stop()
	}
}

// Work does one part, of less than a millisecond, of long work. An error ends the work: the session is over.
type Work func(part func()) error

// inOneGo does all parts at once. It is for work that is bounded anyway.
func inOneGo(part func()) error {
	part()
	return nil
}

// hashBuffers are buffers for reading back.
var hashBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// read hashes the file's content from offset hashed up to size. A file that has become shorter gives io.ErrUnexpectedEOF. It
// reads outside of a part, because the volume may be slow.
func (c *checksum) read(f *File, size int64, work Work) error {
	if c.hash == nil {
		c.hash, c.hashed = sha256.New(), 0
	}
	if c.hashed >= size {
		return nil
	}
	buf := hashBuffers.Get().(*[256 << 10]byte)
	defer hashBuffers.Put(buf)
	for c.hashed < size {
		n, err := f.ReadAt(buf[:min(size-c.hashed, int64(len(buf)))], c.hashed)
		switch {
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		if err := work(func() { c.hash.Write(buf[:n]) }); err != nil {
			return err
		}
		c.hashed += int64(n)
	}
	return nil
}

// finish sets the result, the hash of the first hashed bytes.
func (c *checksum) finish() string {
	c.sum = hex.EncodeToString(c.hash.Sum(nil))
	c.stop()
	return c.sum
}
