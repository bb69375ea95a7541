package sftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrFraming ends a session whose peer sent an impossible packet length.
var ErrFraming = errors.New("sftp: packet length out of range")

// Sizes of pooled buffers.
const (
	// bufferBytes has room for the longest reply and those sent along with it.
	bufferBytes = 320 << 10
	// inputBytes is two of the longest WRITEs, or seventeen of 32 KiB, plus a part of the
	// next: they are written together, and only that part has to be moved.
	inputBytes = 576 << 10
)

var (
	buffers = sync.Pool{New: func() any { return new([bufferBytes]byte) }}
	inputs  = sync.Pool{New: func() any { return new([inputBytes]byte) }}
)

// input splits a stream into packets, without moving them.
type input struct {
	r          io.Reader
	start, end int // of what was received and not consumed
	big        *[inputBytes]byte
	// small is the buffer of an idle session. It holds any request except a WRITE, of which
	// it holds the header.
	small [1024]byte
}

func (in *input) buf() []byte {
	if in.big != nil {
		return in.big[:]
	}
	return in.small[:]
}

// size returns the length of the next packet with its length field, 0 if that
// has not been received yet.
func (in *input) size() (int, error) {
	if in.end-in.start < 4 {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(in.buf()[in.start:])
	if n < minPacket || n > maxPacket {
		return 0, fmt.Errorf("%w: %d", ErrFraming, n)
	}
	return int(n) + 4, nil
}

// ready reports whether next can return without reading.
func (in *input) ready() bool {
	n, err := in.size()
	return err != nil || n > 0 && in.end-in.start >= n
}

// packet returns the packet whose length field is at offset at, without that field, or nil
// if it is missing or incomplete.
func (in *input) packet(at int) []byte {
	rest := in.buf()[at:in.end]
	if len(rest) < 4 {
		return nil
	}
	n := binary.BigEndian.Uint32(rest)
	if n < minPacket || n > maxPacket || int(n) > len(rest)-4 {
		return nil
	}
	return rest[4 : 4+n]
}

// next returns the next packet without its length field. It is valid until the next call. A
// stream that ends between packets gives io.EOF, within a packet io.ErrUnexpectedEOF.
func (in *input) next() ([]byte, error) {
	for empty := 0; ; {
		n, err := in.size()
		if err != nil {
			return nil, err
		}
		if n > 0 && in.end-in.start >= n {
			p := in.buf()[in.start+4 : in.start+n]
			in.start += n
			return p, nil
		}
		in.makeRoom(max(n, 4))
		got, err := in.r.Read(in.buf()[in.end:])
		in.end += got
		if got > 0 {
			empty = 0
			continue // an error that came with data recurs
		}
		if err == nil {
			if empty++; empty == 100 {
				return nil, io.ErrNoProgress
			}
			continue
		}
		if errors.Is(err, io.EOF) && in.end > in.start {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
}

// makeRoom makes a packet of n bytes fit after start, and returns the pooled buffer when it
// is empty.
func (in *input) makeRoom(n int) {
	pending := in.buf()[in.start:in.end]
	switch {
	case len(pending) == 0:
		in.start, in.end = 0, 0
		in.release()
	case in.start+n <= len(in.buf()) && in.end < len(in.buf()):
	case in.big == nil && n > len(in.small):
		big := inputs.Get().(*[inputBytes]byte)
		in.start, in.end = 0, copy(big[:], pending)
		in.big = big
	default:
		in.start, in.end = 0, copy(in.buf(), pending)
	}
}

func (in *input) release() {
	if in.big != nil {
		inputs.Put(in.big)
		in.big = nil
	}
}
