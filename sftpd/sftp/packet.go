package sftp

import "encoding/binary"

// fields reads the fields of a packet one by one. It never reads past the end: after the
// first missing field it stays bad, and all further fields are zero.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n uint64) []byte {
	if f.bad || n > uint64(len(f.rest)) {
		f.bad = true
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
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

// bytes returns a string field, which aliases the packet.
func (f *fields) bytes() []byte { return f.take(uint64(f.uint32())) }

func (f *fields) string() string { return string(f.bytes()) }

// replies is a buffer of packets to be sent.
type replies []byte

// begin starts a packet and returns where it starts, for end.
func (r *replies) begin(typ byte, id uint32) int {
	at := len(*r)
	r.uint32(0)
	*r = append(*r, typ)
	r.uint32(id)
	return at
}

// end sets the length of the packet that starts at at.
func (r *replies) end(at int) { r.setUint32(at, uint32(len(*r)-at-4)) }

// setUint32 sets a number that was appended before its value was known.
func (r *replies) setUint32(at int, v uint32) { binary.BigEndian.PutUint32((*r)[at:], v) }

func (r *replies) uint32(v uint32) { *r = binary.BigEndian.AppendUint32(*r, v) }
func (r *replies) uint64(v uint64) { *r = binary.BigEndian.AppendUint64(*r, v) }

func (r *replies) string(s string) {
	r.uint32(uint32(len(s)))
	*r = append(*r, s...)
}

func (r *replies) bytes(b []byte) {
	r.uint32(uint32(len(b)))
	*r = append(*r, b...)
}
