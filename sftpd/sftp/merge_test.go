package sftp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// oneByOne returns one packet per Read, so that no request sees the next.
type oneByOne struct{ packets [][]byte }

func (o *oneByOne) Read(p []byte) (int, error) {
	if len(o.packets) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.packets[0])
	if o.packets[0] = o.packets[0][n:]; len(o.packets[0]) == 0 {
		o.packets = o.packets[1:]
	}
	return n, nil
}

// outcome is what a client and an observer see of a session.
type outcome struct {
	replies []string
	events  []Event
	files   map[string]string
}

// execute runs a session to its end. FSTAT replies are reduced to the size.
func execute(t *testing.T, in io.Reader) outcome {
	t.Helper()
	tr, dir := tree(t, vfs.ReadWrite)
	var out bytes.Buffer
	o := outcome{files: map[string]string{}}
	s := NewSession(stream{in, &out}, tr, Options{Observe: func(e Event) {
		if e, ok := e.(Transfer); ok {
			e.Start, e.Duration = time.Time{}, 0
			o.events = append(o.events, e)
			return
		}
		o.events = append(o.events, e)
	}})
	s.handles.next = 0
	if err := s.Serve(context.Background()); err != nil {
		t.Fatal(err)
	}
	for f := (fields{rest: out.Bytes()}); len(f.rest) > 0; {
		p := f.bytes()
		if f.bad {
			t.Fatal("malformed reply")
		}
		if p[0] == typeAttrs {
			p = p[:5+4+8]
		}
		o.replies = append(o.replies, string(p))
	}
	for _, name := range []string{"a", "b", "c"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		o.files[name] = string(data)
	}
	return o
}

// compare executes the requests in one batch and one by one, and compares the outcomes.
func compare(t *testing.T, packets [][]byte) outcome {
	t.Helper()
	merged := execute(t, bytes.NewReader(bytes.Join(packets, nil)))
	single := execute(t, &oneByOne{packets})
	for i := range single.replies {
		if i >= len(merged.replies) || merged.replies[i] != single.replies[i] {
			t.Fatalf("reply %d differs, to %.60q", i, packets[i])
		}
	}
	if !reflect.DeepEqual(merged, single) {
		t.Fatalf("files or events differ: %+v, %+v", merged.events, single.events)
	}
	return merged
}

// handleName returns the name of the nth handle of a session, in the nth slot.
func handleName(n int) string {
	return string([]byte{0, 0, 0, byte(n + 1), 0, 0, 0, byte(n)})
}

func opening() [][]byte {
	return [][]byte{
		packet(typeInit, uint32(3)),
		packet(typeOpen, 1, "/a", flagRead|flagWrite|flagCreate, 0),
		packet(typeOpen, 2, "/b", flagRead|flagWrite|flagCreate, 0),
		packet(typeOpen, 3, "/c", flagRead|flagWrite|flagCreate|flagAppend, 0),
		packet(typeOpen, 4, "/a", flagRead|flagWrite, 0),
		packet(typeOpen, 5, "/b", flagRead, 0), // cannot be written
	}
}

// TestMergedAsIfSingle: whatever is pipelined, replies, files and events equal those of requests executed one by one.
func TestMergedAsIfSingle(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 8)) // a fixed seed, so that a failure can be reproduced
	for round := range 80 {
		packets := opening()
		offset := map[string]uint64{}
		for i := range 60 {
			h := handleName(random.IntN(7)) // two of them cancel each other
			if random.IntN(3) > 0 && i > 0 {
				h = handleName(round % 4)
			}
			id := 10 + i
			switch random.IntN(24) {
			case 0:
				packets = append(packets, packet(typeRead, id, h, uint64(random.IntN(100)), 1000))
			case 1:
				packets = append(packets, packet(typeFstat, id, h))
			case 2:
				packets = append(packets, packet(typeFsetstat, id, h, attrSize, uint64(random.IntN(300))))
			case 3:
				offset[h] = uint64(random.IntN(200)) // overlaps, or leaves a gap
			case 4:
				packets = append(packets, packet(typeWrite, id, h, offset[h], []byte{0, 0, 1, 0, 'x'})) // malformed
			case 5:
				packets = append(packets, packet(typeWrite, id, h, offset[h], "")) // empty
			case 6:
				packets = append(packets, packet(typeWrite, id, h, uint64(1)<<63-5, "far"))
			case 7:
				if i > 50 {
					packets = append(packets, packet(typeClose, id, h))
				}
			default:
				data := fmt.Sprint(round, " ", i, strings.Repeat("-", random.IntN(40)))
				packets = append(packets, packet(typeWrite, id, h, offset[h], data))
				offset[h] += uint64(len(data))
			}
		}
		compare(t, packets)
	}
}

// TestErrorsOfMergedWrites: when the file cannot grow any further, each WRITE has its own result: earlier ones succeed, one is
// partly written and fails, and later ones fail. The event's byte count matches the file.
func TestErrorsOfMergedWrites(t *testing.T) {
	// Far from the start, because the limit applies to the whole process, which writes other files.
	const base, size, rest = 8 << 20, 10_000, 34_567
	const limit = base + rest
	packets := opening()
	for file := range 3 {
		packets = append(packets, packet(typeFsetstat, 6+file, handleName(file), attrSize, uint64(base)))
	}
	for i := range 6 {
		for file := range 3 {
			for part := range 3 { // as many at a time of one file
				n := i*3 + part
				packets = append(packets, packet(typeWrite, n, handleName(file), uint64(base+n*size), strings.Repeat(string(rune('a'+n)), size)))
			}
		}
	}
	old := unix.Rlimit{}
	if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
	}()
	o := compare(t, packets)
	failed := 0
	for _, r := range o.replies[len(opening()):] {
		if f := (fields{rest: []byte(r[5:])}); r[0] == typeStatus && Status(f.uint32()) == StatusFailure {
			failed++
		}
	}
	if want := 3 * (18 - rest/size); failed != want {
		t.Errorf("%d WRITEs failed, want %d", failed, want)
	}
	for name, data := range o.files {
		if len(data) != limit {
			t.Errorf("%s has %d bytes", name, len(data))
		}
	}
	for _, e := range o.events {
		if e, ok := e.(Transfer); ok && e.Result == Failed && e.BytesWritten != rest {
			t.Errorf("%+v", e)
		}
	}
}

// counted runs a session on this thread only, and returns how often it called write(2) and its relatives, and Write.
func counted(t *testing.T, tr *vfs.Tree, packets ...[]byte) (calls, writes int) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e := &endless{left: 1, head: packets[0], requests: bytes.Join(packets[1:], nil)}
	s := NewSession(e, tr, Options{})
	s.handles.next = 0
	before := writeCalls(t)
	if err := s.Serve(context.Background()); err != nil {
		t.Fatal(err)
	}
	return writeCalls(t) - before, e.writes
}

// writeCalls returns how often this thread has called write(2) and its relatives.
func writeCalls(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/thread-self/io")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the kernel does not count system calls, and CI=true: %v", err)
		}
		t.Skip(err)
	}
	n := 0
	_, rest, _ := strings.Cut(string(data), "syscw: ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSystemCallsOfWrites counts the system calls for 64 WRITEs of 32 KiB received together, as far as they fit the input.
func TestSystemCallsOfWrites(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	packets := [][]byte{packet(typeInit, uint32(3)), packet(typeOpen, 1, "/f", flagWrite|flagCreate, 0)}
	for i := range 64 {
		packets = append(packets, packet(typeWrite, i, firstHandle, uint64(i*32<<10), string(make([]byte, 32<<10))))
	}
	if calls, writes := counted(t, tr, packets...); calls < 4 || calls > 10 || writes > 10 {
		t.Errorf("64 WRITEs of 2 MiB took %d system calls, and %d Writes of replies", calls, writes)
	}
}
