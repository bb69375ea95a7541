package sftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// endless repeats a list of requests without end, with as many at a time as an SSH channel might hold.
type endless struct {
	head, requests []byte
	left, at       int
	// change, if set, prepares the list for a turn.
	change func(turn uint64)
	turn   uint64
	writes int
	got    int
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.head) > 0 {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	total := 0
	for total < len(p) && e.left > 0 {
		if e.at == 0 && e.change != nil {
			e.change(e.turn)
		}
		n := copy(p[total:], e.requests[e.at:])
		total += n
		if e.at += n; e.at == len(e.requests) {
			e.at = 0
			e.turn++
			e.left--
		}
	}
	if total == 0 {
		return 0, io.EOF
	}
	return total, nil
}

func (e *endless) Write(p []byte) (int, error) {
	e.writes++
	e.got += len(p)
	return len(p), nil
}

// firstHandle is the name of a session's first handle if its generations start at 0.
const firstHandle = "\x00\x00\x00\x01\x00\x00\x00\x00"

// run executes e and reports the CPU time used, which varies less than the elapsed time on a busy machine.
func (e *endless) run(b *testing.B, tr *vfs.Tree) {
	b.Helper()
	session := NewSession(e, tr, Options{Observe: func(Event) {}})
	session.handles.next = 0
	b.ReportAllocs()
	b.ResetTimer()
	begin := cpu(b)
	if err := session.Serve(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(cpu(b)-begin)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(e.writes)/float64(b.N), "writes/op")
}

// cpu returns the CPU time of the process in nanoseconds.
func cpu(b *testing.B) int64 {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// nextHandle makes each turn use the handle that its own OPEN or OPENDIR returns.
func (e *endless) nextHandle() {
	var at []int
	for i := 0; ; i++ {
		j := bytes.Index(e.requests[i:], []byte(firstHandle))
		if j < 0 {
			break
		}
		i += j
		at = append(at, i)
	}
	e.change = func(turn uint64) {
		for _, i := range at {
			binary.BigEndian.PutUint32(e.requests[i:], uint32(turn+1))
		}
	}
}

// offsetAt is the position of the offset in a READ or WRITE.
const offsetAt = 4 + 1 + 4 + 4 + handleBytes

// transfer repeatedly reads or writes 16 MiB of a file.
func transfer(b *testing.B, size int, typ byte, part any) {
	b.Helper()
	tr, dir := tree(b, vfs.ReadWrite)
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 16<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	e := &endless{left: b.N}
	e.head = bytes.Join([][]byte{packet(typeInit, uint32(3)), packet(typeOpen, 1, "/f", flagRead|flagWrite, 0)}, nil)
	e.requests = packet(typ, 3, firstHandle, uint64(0), part)
	e.change = func(turn uint64) {
		binary.BigEndian.PutUint64(e.requests[offsetAt:], turn%uint64(16<<20/size)*uint64(size))
	}
	b.SetBytes(int64(size))
	e.run(b, tr)
}

func BenchmarkRead32K(b *testing.B)  { transfer(b, 32<<10, typeRead, 32<<10) }
func BenchmarkRead255K(b *testing.B) { transfer(b, 255<<10, typeRead, 255<<10) }
func BenchmarkWrite4K(b *testing.B)  { transfer(b, 4<<10, typeWrite, string(make([]byte, 4<<10))) }
func BenchmarkWrite32K(b *testing.B) { transfer(b, 32<<10, typeWrite, string(make([]byte, 32<<10))) }

func BenchmarkWrite255K(b *testing.B) {
	transfer(b, 255<<10, typeWrite, string(make([]byte, 255<<10)))
}

// BenchmarkListing repeatedly reads a directory of 10,000 entries; one operation is one entry.
func BenchmarkListing(b *testing.B) {
	tr, dir := tree(b, vfs.ReadWrite)
	const entries = 10_000
	for i := range entries {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("report-%06d.csv", i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	list := [][]byte{packet(typeOpendir, 2, "/")}
	for range entries / 200 { // more than needed
		list = append(list, packet(typeReaddir, 3, firstHandle))
	}
	list = append(list, packet(typeClose, 4, firstHandle))
	e := &endless{left: b.N/entries + 1, requests: bytes.Join(list, nil)}
	e.head = bytes.Join([][]byte{packet(typeInit, uint32(3)), packet(typeExtended, 1, "limits@openssh.com")}, nil)
	e.nextHandle()
	e.run(b, tr)
}

// smallFile performs what a client does with a 4 KiB file; one operation is one file.
func smallFile(b *testing.B, u vfs.Uploads, list ...[]byte) {
	b.Helper()
	dir := b.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in/box"), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "in/box/there"), make([]byte, 4<<10), 0o600); err != nil {
		b.Fatal(err)
	}
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: vfs.ReadWrite}}, vfs.WithUploads(u))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tr.Close() })
	e := &endless{left: b.N, head: packet(typeInit, uint32(3)), requests: bytes.Join(list, nil)}
	e.nextHandle()
	e.run(b, tr)
}

// put uploads like OpenSSH's client with -p, and then removes the file so that the volume does not fill up.
func put() [][]byte {
	return [][]byte{
		packet(typeOpen, 1, "/in/box/new", flagWrite|flagCreate|flagTrunc, attrMode, 0o644),
		packet(typeWrite, 2, firstHandle, uint64(0), string(make([]byte, 4<<10))),
		packet(typeFsetstat, 3, firstHandle, attrMode|attrTimes, 0o644, 1, 2),
		packet(typeClose, 4, firstHandle),
		packet(typeRemove, 5, "/in/box/new"),
	}
}

func BenchmarkSmallPut(b *testing.B)        { smallFile(b, vfs.Uploads{}, put()...) }
func BenchmarkSmallPutOnClose(b *testing.B) { smallFile(b, vfs.Uploads{OnClose: true}, put()...) }

func BenchmarkSmallPutTracked(b *testing.B) {
	smallFile(b, vfs.Uploads{DeleteIncomplete: true}, put()...)
}

func BenchmarkSmallGet(b *testing.B) {
	smallFile(b, vfs.Uploads{},
		packet(typeStat, 1, "/in/box/there"),
		packet(typeOpen, 2, "/in/box/there", flagRead, 0),
		packet(typeRead, 3, firstHandle, uint64(0), 32<<10),
		packet(typeRead, 4, firstHandle, uint64(4<<10), 32<<10),
		packet(typeClose, 5, firstHandle))
}

func BenchmarkStat(b *testing.B) { smallFile(b, vfs.Uploads{}, packet(typeStat, 1, "/in/box/there")) }
