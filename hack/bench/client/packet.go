package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Packet types and constants of draft-ietf-secsh-filexfer-02.
const (
	version = 3

	typeInit    = 1
	typeVersion = 2
	typeOpen    = 3
	typeClose   = 4
	typeRead    = 5
	typeWrite   = 6
	typeFstat   = 8
	typeOpendir = 11
	typeReaddir = 12
	typeStatus  = 101
	typeHandle  = 102
	typeData    = 103
	typeName    = 104
	typeAttrs   = 105

	typeExtended      = 200
	typeExtendedReply = 201

	statusOK  = 0
	statusEOF = 1

	openRead  = 0x01
	openWrite = 0x02
	openCreat = 0x08
	openTrunc = 0x10

	attrSize        = 0x01
	attrOwner       = 0x02
	attrPermissions = 0x04
	attrTimes       = 0x08
	attrExtended    = 0x80000000
)

const (
	// headerBuffer is small, so that data is read directly to its destination.
	headerBuffer = 4 << 10
	// maxPacket is more than any server sends.
	maxPacket = 1 << 20
)

var errShort = errors.New("packet is too short")

// StatusError is a status other than OK.
type StatusError struct {
	Code    uint32
	Message string
}

func (e StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Code, e.Message) }

// begin starts a packet in the output; uint32, string and others add to it.
func (s *Session) begin(kind byte) {
	s.out = append(s.out, 0, 0, 0, 0, kind)
}

// request starts a request with an identifier.
func (s *Session) request(kind byte, id uint32) {
	s.begin(kind)
	s.uint32(id)
}

func (s *Session) uint32(n uint32) { s.out = binary.BigEndian.AppendUint32(s.out, n) }
func (s *Session) uint64(n uint64) { s.out = binary.BigEndian.AppendUint64(s.out, n) }

func (s *Session) string(v string) {
	s.uint32(uint32(len(v)))
	s.out = append(s.out, v...)
}

// end fills in the length of the packet that began at an offset of the output.
func (s *Session) end(begin int) {
	binary.BigEndian.PutUint32(s.out[begin:], uint32(len(s.out)-begin-4))
}

// send ends the only packet of the output and sends it.
func (s *Session) send() error {
	s.end(0)
	return s.flush()
}

func (s *Session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.channel.Write(s.out)
	s.out = s.out[:0]
	return err
}

// header reads how long the rest of the next packet is, and its type.
func (s *Session) header() (length int, kind byte, err error) {
	var h [5]byte
	if _, err := io.ReadFull(s.in, h[:]); err != nil {
		return 0, 0, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < 1 || n > maxPacket {
		return 0, 0, fmt.Errorf("packet of %d bytes", n)
	}
	return int(n) - 1, h[4], nil
}

// receive reads a packet. The body is valid until the next one.
func (s *Session) receive() (kind byte, body []byte, err error) {
	n, kind, err := s.header()
	if err != nil {
		return 0, nil, err
	}
	body, err = s.body(n)
	return kind, body, err
}

func (s *Session) body(n int) ([]byte, error) {
	if cap(s.packet) < n {
		s.packet = make([]byte, n)
	}
	body := s.packet[:n]
	_, err := io.ReadFull(s.in, body)
	return body, err
}

// fields reads the fields of a packet. If the packet is too short, they are zero, and there is an error at the end.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) take(n uint32) []byte {
	if uint64(len(f.rest)) < uint64(n) {
		f.rest, f.err = nil, errShort
		return nil
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

func (f *fields) uint32() uint32 {
	if b := f.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (f *fields) uint64() uint64 {
	if b := f.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (f *fields) string() string { return string(f.take(f.uint32())) }

// attributes skips attributes and returns the size in them.
func (f *fields) attributes() (size uint64) {
	flags := f.uint32()
	if flags&attrSize != 0 {
		size = f.uint64()
	}
	if flags&attrOwner != 0 {
		f.take(8)
	}
	if flags&attrPermissions != 0 {
		f.take(4)
	}
	if flags&attrTimes != 0 {
		f.take(8)
	}
	if flags&attrExtended != 0 {
		for n := f.uint32(); n > 0 && f.err == nil; n-- {
			f.take(f.uint32())
			f.take(f.uint32())
		}
	}
	return size
}

// call sends the request in the output, waits for its answer, which must be of the wanted type, and returns the fields after
// the identifier.
func (s *Session) call(id uint32, want byte) (*fields, error) {
	if err := s.send(); err != nil {
		return nil, err
	}
	kind, body, err := s.receive()
	if err != nil {
		return nil, err
	}
	answer := &fields{rest: body}
	if got := answer.uint32(); got != id {
		return nil, fmt.Errorf("got the answer to request %d, want %d", got, id)
	}
	if kind == typeStatus {
		if err := status(answer); err != nil || want == typeStatus {
			return answer, err
		}
	}
	if kind != want {
		return nil, fmt.Errorf("got packet %d, want %d", kind, want)
	}
	return answer, nil
}

// status returns nil for OK.
func status(f *fields) error {
	code := f.uint32()
	if f.err != nil {
		return f.err
	}
	if code == statusOK {
		return nil
	}
	return StatusError{Code: code, Message: f.string()}
}

func (s *Session) next() uint32 {
	s.id++
	return s.id
}
