package sftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestRepliesOfABatch counts the Writes for READs that arrive together.
func TestRepliesOfABatch(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ size, count, most int }{
		{32 << 10, 64, 64 / 8 * 2},
		{255 << 10, 16, 1 + 16},
		{100, 64, 8}, // the input of a waiting session holds 31 of them
	} {
		requests := [][]byte{packet(typeOpen, 1, "/f", flagRead, 0)}
		for i := range x.count {
			requests = append(requests, packet(typeRead, i, firstHandle, uint64(i*x.size), x.size))
		}
		least := x.count + 1
		for range 20 { // each pause of a millisecond, which the machine may take, adds one
			e := &endless{left: 1, head: packet(typeInit, uint32(3)), requests: bytes.Join(requests, nil)}
			s := NewSession(e, tr, Options{})
			s.handles.next = 0
			if err := s.Serve(context.Background()); err != nil {
				t.Fatal(err)
			}
			if e.got < x.size*x.count {
				t.Fatalf("%d bytes of replies", e.got)
			}
			least = min(least, e.writes)
		}
		if least > x.most {
			t.Errorf("%d READs of %d bytes took %d Writes", x.count, x.size, least)
		}
	}
}

// TestRepliesAreNotHeld: when requests take long, each reply is sent before the next request is executed, instead of being
// batched.
func TestRepliesAreNotHeld(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	var executed atomic.Int32
	c, _, _ := dialRaw(t, tr, Options{Observe: func(Event) {
		time.Sleep(3 * time.Duration(maxHold))
		executed.Add(1)
	}})
	var all []byte
	const count = 20
	for i := range count {
		all = append(all, packet(typeRemove, i, "/none")...) // is reported
	}
	c.write(all)
	for i := range int32(count) {
		// The pipe has no buffer: the session blocks until a reply is read.
		var first [1]byte
		if _, err := c.conn.Read(first[:]); err != nil {
			t.Fatal(err)
		}
		if n := executed.Load(); n != i+1 {
			t.Errorf("reply %d came after %d requests", i+1, n)
		}
		c.conn = &unread{c.conn, first[:]}
		if _, id, _ := c.read(); id != uint32(i) {
			t.Fatal("reply", id)
		}
		c.conn = c.conn.(*unread).Conn
	}
}

// unread is a connection that returns some bytes before those of the underlying one.
type unread struct {
	net.Conn
	data []byte
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.data) > 0 {
		n := copy(p, u.data)
		u.data = u.data[n:]
		return n, nil
	}
	return u.Conn.Read(p)
}

// TestRepliesOfAListing: a client that has asked for the limits gets large replies; others get replies of the size that every
// client must accept.
func TestRepliesOfAListing(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	const entries = 50_000
	for i := range entries {
		// Creating links to one file is faster than creating files.
		name := filepath.Join(dir, fmt.Sprintf("report-%08d.csv", i))
		if err := os.Symlink("nowhere", name); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		asked        bool
		bytes, count int // at most
	}{{true, maxPacket, 40}, {false, 34000, 400}} {
		c, _, _ := dialRaw(t, tr, Options{})
		if x.asked {
			if typ, _ := c.call(typeExtended, "limits@openssh.com"); typ != typeExtendedReply {
				t.Fatal("limits")
			}
		}
		h := c.opendir("/")
		listed, replies, largest := 0, 0, 0
		for {
			typ, f := c.call(typeReaddir, h)
			if typ == typeStatus {
				break
			}
			replies++
			largest = max(largest, len(f.rest)+5)
			listed += int(f.uint32())
		}
		if listed != entries+2 || replies > x.count || largest > x.bytes || largest < x.bytes*9/10 {
			t.Errorf("limits asked for: %v: %d entries in %d replies of at most %d bytes", x.asked, listed, replies, largest)
		}
	}
}

// TestLongestListing lists names of 255 bytes with the largest numbers: no reply is longer than a packet may be.
func TestLongestListing(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	for i := range 1500 {
		name := binary.BigEndian.AppendUint32(bytes.Repeat([]byte{'n'}, 251), uint32(i)|0x80808080)
		if err := os.Symlink("nowhere", filepath.Join(dir, string(name))); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	c, _, _ := dialRaw(t, tr, Options{})
	c.call(typeExtended, "limits@openssh.com")
	h := c.opendir("/")
	// A long reply may follow others that are pending.
	for _, r := range c.pipeline(packet(typeLstat, 1, "/"), packet(typeReaddir, 2, h), packet(typeReaddir, 3, h), packet(typeLstat, 4, "/")) {
		if size := len(r.f.rest) + 5; size > maxPacket {
			t.Errorf("a reply of %d bytes", size)
		}
	}
	if n := longestEntry(); n > maxEntry {
		t.Errorf("an entry may have %d bytes", n)
	}
}

// longestEntry is the largest size of a listing entry, in bytes.
func longestEntry() int {
	name := bytes.Repeat([]byte{'n'}, 255)
	a := vfs.Attr{Size: 1<<64 - 1, UID: 1<<32 - 1, GID: 1<<32 - 1, Nlink: 1<<32 - 1, Mtime: 1}
	long := longNames{now: 1}
	var r replies
	r.bytes(name)
	r.bytes(long.append(nil, name, a))
	r.attrs(a)
	return len(r)
}

// idle is an io.Reader that returns some requests and then blocks.
type idle struct {
	requests []byte
	waits    chan struct{} // receives when the session waits
	end      chan struct{}
}

func (i *idle) Read(p []byte) (int, error) {
	if len(i.requests) > 0 {
		n := copy(p, i.requests)
		i.requests = i.requests[n:]
		return n, nil
	}
	i.waits <- struct{}{}
	<-i.end
	return 0, io.EOF
}

// TestIdleSessionHoldsNoBuffers: an idle session holds no buffers, even after large requests and replies and with files open.
func TestIdleSessionHoldsNoBuffers(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	in := &idle{waits: make(chan struct{}), end: make(chan struct{})}
	for _, p := range [][]byte{
		packet(typeInit, uint32(3)),
		packet(typeExtended, 1, "limits@openssh.com"),
		packet(typeOpen, 2, "/f", flagRead|flagWrite|flagCreate, 0),
		packet(typeWrite, 3, firstHandle, uint64(0), string(make([]byte, 200<<10))),
		packet(typeWrite, 4, firstHandle, uint64(200<<10), string(make([]byte, 100<<10))),
		packet(typeRead, 5, firstHandle, uint64(0), 255<<10),
		packet(typeOpendir, 6, "/"),
		packet(typeReaddir, 7, handleName(1)),
	} {
		in.requests = append(in.requests, p...)
	}
	s := NewSession(stream{in, io.Discard}, tr, Options{})
	s.handles.next = 0
	done := make(chan error)
	go func() { done <- s.Serve(context.Background()) }()
	<-in.waits // the session is blocked in a read, so its fields can be inspected
	if s.in.big != nil || s.outBuf != nil || s.out != nil || s.entry.Name != nil {
		t.Error("a session that waits holds buffers")
	}
	if s.OpenFiles() != 1 {
		t.Error("open files:", s.OpenFiles())
	}
	close(in.end)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
