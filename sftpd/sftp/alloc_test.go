package sftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestNothingIsAllocated holds the data path to its word: a READ or WRITE in
// the middle of a transfer allocates nothing.
func TestNothingIsAllocated(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	s := NewSession(stream{nil, io.Discard}, tr, Options{Observe: func(Event) {}})
	s.ctx = context.Background()
	s.outBuf = new([bufferBytes]byte)
	s.out = s.outBuf[:0]
	s.answer(packet(typeInit, uint32(3))[4:])
	s.out = s.out[:0]
	s.answer(packet(typeOpen, 1, "/f", flagRead|flagWrite|flagCreate, 0)[4:])
	h := string(s.out[len(s.out)-handleBytes:])
	data := string(make([]byte, 32<<10))
	for name, p := range map[string][]byte{
		"WRITE":            packet(typeWrite, 2, h, uint64(0), data)[4:],
		"READ":             packet(typeRead, 3, h, uint64(0), 32<<10)[4:],
		"READ at the end":  packet(typeRead, 4, h, uint64(1<<20), 32<<10)[4:],
		"FSTAT":            packet(typeFstat, 5, h)[4:],
		"READ of 255 KiB":  packet(typeRead, 6, h, uint64(0), 255<<10)[4:],
		"unknown request":  packet(99, 7)[4:],
		"malformed packet": packet(typeRead, 8)[4:],
	} {
		if n := testing.AllocsPerRun(100, func() {
			s.out = s.out[:0]
			s.answer(p)
		}); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// endless gives a session the same requests again and again, as many at a time
// as a channel of SSH might hold.
type endless struct {
	head, request []byte
	left, at      int
	writes        int
	got           int
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.head) > 0 {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	total := 0
	for total < len(p) && e.left > 0 {
		n := copy(p[total:], e.request[e.at:])
		total += n
		if e.at += n; e.at == len(e.request) {
			e.at = 0
			e.left--
		}
	}
	return total, nil
}

func (e *endless) Write(p []byte) (int, error) {
	e.writes++
	e.got += len(p)
	return len(p), nil
}

func benchmark(b *testing.B, size int, typ byte, part any) {
	tr, _ := tree(b, vfs.ReadWrite)
	e := &endless{left: b.N}
	session := NewSession(e, tr, Options{})
	session.handles.next = 0
	name := binary.BigEndian.AppendUint32(nil, 1)
	name = append(name, 0, 0, 0, 0)
	e.head = bytes.Join([][]byte{
		packet(typeInit, uint32(3)),
		packet(typeOpen, 1, "/f", flagRead|flagWrite|flagCreate, 0),
		packet(typeWrite, 2, string(name), uint64(0), string(make([]byte, size))),
	}, nil)
	e.request = packet(typ, 3, string(name), uint64(0), part)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	if err := session.Serve(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(e.writes)/float64(b.N), "writes/op")
}

func BenchmarkRead32K(b *testing.B)  { benchmark(b, 32<<10, typeRead, 32<<10) }
func BenchmarkRead255K(b *testing.B) { benchmark(b, 255<<10, typeRead, 255<<10) }
func BenchmarkWrite32K(b *testing.B) { benchmark(b, 32<<10, typeWrite, string(make([]byte, 32<<10))) }

func BenchmarkWrite255K(b *testing.B) {
	benchmark(b, 255<<10, typeWrite, string(make([]byte, 255<<10)))
}
