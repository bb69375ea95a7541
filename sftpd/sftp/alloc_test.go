package sftp

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// quiet returns a session whose requests the test executes directly, with a file open as firstHandle.
func quiet(t *testing.T) (s *Session, dir string) {
	t.Helper()
	tr, dir := tree(t, vfs.ReadWrite)
	s = NewSession(stream{nil, io.Discard}, tr, Options{Observe: func(Event) {}})
	s.handles.next = 0
	s.ctx = context.Background()
	s.takeOut()
	s.answer(packet(typeInit, uint32(3))[4:])
	s.answer(packet(typeOpen, 1, "/f", flagRead|flagWrite|flagCreate, 0)[4:])
	s.out = s.out[:0]
	return s, dir
}

// TestNothingIsAllocated enforces that a READ or WRITE in the middle of a transfer allocates nothing.
func TestNothingIsAllocated(t *testing.T) {
	s, _ := quiet(t)
	h := firstHandle
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

// TestMergedWritesAllocateNothing executes nine WRITEs that are in the input at once.
func TestMergedWritesAllocateNothing(t *testing.T) {
	s, _ := quiet(t)
	var batch []byte
	const count, size = 9, 32 << 10
	for i := range count {
		batch = append(batch, packet(typeWrite, i, firstHandle, uint64(i*size), string(make([]byte, size)))...)
	}
	s.in.big = inputs.Get().(*[inputBytes]byte)
	copy(s.in.big[:], batch)
	merged := uint64(0)
	if n := testing.AllocsPerRun(100, func() {
		s.out = s.out[:0]
		s.in.start, s.in.end = 0, len(batch)
		for s.in.ready() {
			p, err := s.in.next()
			if err != nil {
				t.Fatal(err)
			}
			s.answer(p)
			merged = max(merged, s.ahead.n)
		}
	}); n != 0 {
		t.Errorf("nine WRITEs allocate %v times", n)
	}
	if merged != (count-1)*size {
		t.Errorf("%d bytes were written ahead", merged)
	}
}

// TestListingAllocatesNothing: listing an entry allocates nothing, whatever its name is.
func TestListingAllocatesNothing(t *testing.T) {
	s, dir := quiet(t)
	const entries = 2000
	for i := range entries {
		name := filepath.Join(dir, strings.Repeat("n", i%200)+strconv.Itoa(i))
		if err := os.Symlink("nowhere", name); err != nil {
			t.Fatal(err)
		}
	}
	s.answer(packet(typeOpendir, 1, "/")[4:])
	h := string(s.out[len(s.out)-handleBytes:])
	read := packet(typeReaddir, 2, h)[4:]
	listed := 0
	// AllocsPerRun would list again, and one more time to warm up.
	one := testing.AllocsPerRun(1, func() {
		s.out = s.out[:0]
		s.answer(read)
		listed += int(binary.BigEndian.Uint32(s.out[9:]))
	})
	if s.out[4] != typeName || listed < 100 || one > 1 {
		t.Errorf("READDIR of %d entries allocates %v times", listed, one)
	}
}
