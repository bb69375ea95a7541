package sftp

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestEveryLength puts wrong numbers over every four bytes of each request, including the lengths of fields: each time there is
// one answer with the request's ID, and the session continues.
func TestEveryLength(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, _, end := dialRaw(t, tr, Options{})
	tries := 0
	for _, k := range kinds {
		for at := 0; ; at++ {
			h := c.open("/f", flagRead|flagWrite|flagCreate)
			body := valid(h)[k.name]
			if at+4 > len(body) {
				c.status(typeClose, h)
				break
			}
			for _, wrong := range []uint32{0, 1, uint32(len(body)), 1<<31 - 1, 1 << 31, 1<<32 - 4, 1<<32 - 1} {
				b := replies(bytes.Clone(body))
				b.setUint32(at, wrong)
				typ, f := c.call(k.typ, []byte(b)) // call compares the ID
				if typ == typeStatus {
					f.uint32()
					if f.string(); f.bad {
						t.Fatalf("%s with %#x at %d: a status without text", k.name, wrong, at)
					}
				}
				tries++
			}
			c.status(typeClose, h) // which the request may have done
		}
	}
	if got := c.status(typeStat, "/"); got != StatusOK {
		t.Errorf("STAT after all: %s", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	t.Logf("%d requests", tries)
}

// TestLongPaths: a path of 64 KiB or more, in any form, gives an error in each request with a path.
func TestLongPaths(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, _, end := dialRaw(t, tr, Options{})
	for _, p := range []string{
		"/" + strings.Repeat("x", 64<<10), strings.Repeat("/x", 32<<10), strings.Repeat("../", 22<<10) + "x",
		strings.Repeat("/", 250<<10) + "x", "/" + strings.Repeat("\x00", 64<<10), "/" + strings.Repeat("\xff", 200<<10),
	} {
		for _, typ := range []byte{typeLstat, typeStat, typeOpendir, typeRemove, typeRmdir, typeReadlink} {
			if got := c.status(typ, p); got == StatusOK {
				t.Errorf("type %d with %d bytes %.6q: OK", typ, len(p), p)
			}
		}
		for _, typ := range []byte{typeOpen, typeMkdir, typeSetstat, typeRealpath} {
			c.status(typ, p, 0, 0)
		}
		if len(p) < 120<<10 {
			c.status(typeRename, p, p)
			c.status(typeSymlink, p, p)
		}
	}
	if got := c.status(typeStat, "/"); got != StatusOK {
		t.Errorf("STAT after all: %s", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestSpecialFiles: no FIFO, socket or device is opened, and no request blocks on one.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: vfs.ReadWrite}, {Path: "/dev", Volume: "/dev", Access: vfs.ReadWrite}})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	c, _, end := dialRaw(t, tr, Options{})
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	for _, p := range []string{"/fifo", "/socket", "/dev/zero", "/dev/null", "/dev/tty", "/dev/random"} {
		for _, flags := range []int{flagRead, flagWrite, flagRead | flagWrite, flagWrite | flagTrunc, flagWrite | flagCreate, flagAppend} {
			if typ, _ := c.call(typeOpen, p, flags, 0); typ != typeStatus {
				t.Errorf("%s is opened with %#x", p, flags)
			}
		}
		if typ, _ := c.call(typeOpendir, p); typ != typeStatus {
			t.Errorf("%s is opened as a directory", p)
		}
		c.status(typeLstat, p)
	}
	for _, p := range []string{"/fifo", "/socket"} {
		c.status(typeSetstat, p, attrSize, uint64(0))
		c.status(typeSetstat, p, attrMode, 0o600)
	}
	if got := c.status(typeStat, "/"); got != StatusOK {
		t.Errorf("STAT after all: %s", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestSymlinkBomb: resolving links that double the work at each level ends soon, and so does resolving loops and long chains.
func TestSymlinkBomb(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link(".", "bomb0")
	for i := 1; i <= 60; i++ {
		below := "bomb" + strconv.Itoa(i-1)
		link(below+"/"+below, "bomb"+strconv.Itoa(i))
	}
	link("loop", "loop")
	link("chain0", "chain-1")
	for i := range 200 {
		link("chain"+strconv.Itoa(i+1), "chain"+strconv.Itoa(i))
	}
	c, _, end := dialRaw(t, tr, Options{})
	begin := time.Now()
	for _, p := range []string{"/bomb60", "/bomb60/bomb60", strings.Repeat("/bomb60", 500), "/loop", "/loop/x", "/chain0", strings.Repeat("/bomb0", 600)} {
		for _, typ := range []byte{typeStat, typeOpendir, typeRealpath} {
			c.status(typ, p)
		}
		if got := c.status(typeStat, p); got != StatusNoSuchFile {
			t.Errorf("STAT %.20q: %s", p, got)
		}
		if got := c.status(typeOpen, p, flagRead, 0); got == StatusOK {
			t.Errorf("OPEN %.20q: %s", p, got)
		}
		for _, typ := range []byte{typeRemove, typeRmdir, typeSetstat, typeMkdir} {
			c.status(typ, p+"/x", 0)
		}
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestEndlessReaddir: listing a directory that grows in the meantime costs one bounded answer per request, and the end remains
// the end.
func TestEndlessReaddir(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	n := 0
	grow := func(by int) {
		for range by {
			n++
			name := strings.Repeat("n", 240) + strconv.Itoa(n)
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	grow(1500)
	c, _, end := dialRaw(t, tr, Options{})
	h := c.opendir("/")
	for range 8 {
		typ, f := c.call(typeReaddir, h)
		if typ == typeStatus {
			if got := Status(f.uint32()); got != StatusEOF {
				t.Errorf("READDIR: %s", got)
			}
			break
		}
		if size := len(f.rest) + 9; size > maxPacket {
			t.Errorf("an answer of %d bytes", size)
		}
		grow(100)
	}
	for range 100 {
		typ, _ := c.call(typeReaddir, h)
		if typ == typeStatus {
			break
		}
	}
	grow(10)
	for range 3 {
		if got := c.status(typeReaddir, h); got != StatusEOF {
			t.Errorf("READDIR after the end: %s", got)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// scarce is a counted set of descriptors.
type scarce struct{ left, taken int }

func (s *scarce) Acquire() bool {
	if s.left == s.taken {
		return false
	}
	s.taken++
	return true
}
func (s *scarce) Release() { s.taken-- }

// TestHandlesOverTheLimit: an open that the session's own limit refuses takes no descriptor from other sessions.
func TestHandlesOverTheLimit(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	d := &scarce{left: 100}
	c, _, end := dialRaw(t, tr, Options{MaxHandles: 2, Descriptors: d})
	a, b := c.open("/a", flagWrite|flagCreate), c.opendir("/")
	for range 5 {
		if got := c.status(typeOpen, "/a", flagRead, 0); got != StatusFailure {
			t.Errorf("OPEN of a third: %s", got)
		}
		if got := c.status(typeOpendir, "/"); got != StatusFailure {
			t.Errorf("OPENDIR of a third: %s", got)
		}
	}
	if d.taken != 2 {
		t.Errorf("two handles have %d descriptors", d.taken)
	}
	c.status(typeClose, a)
	c.status(typeClose, b)
	if d.taken != 0 {
		t.Errorf("%d descriptors are left of closed handles", d.taken)
	}
	c.open("/a", flagRead)
	if err := end(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if d.taken != 0 {
		t.Errorf("%d descriptors are lost", d.taken)
	}
}

// TestDescriptors: each handle takes one descriptor, and returns it however it ends.
func TestDescriptors(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	d := &scarce{left: 3}
	c, _, end := dialRaw(t, tr, Options{Descriptors: d})
	for range 5 {
		if got := c.status(typeOpen, "/none", flagRead, 0); got != StatusNoSuchFile {
			t.Errorf("OPEN of nothing: %s", got)
		}
		if got := c.status(typeOpendir, "/none"); got != StatusNoSuchFile {
			t.Errorf("OPENDIR of nothing: %s", got)
		}
	}
	a, b := c.open("/a", flagWrite|flagCreate), c.opendir("/")
	c.open("/c", flagWrite|flagCreate)
	typ, f := c.call(typeOpen, "/a", flagRead, 0)
	if code := Status(f.uint32()); typ != typeStatus || code != StatusFailure || f.string() != errDescriptors.text {
		t.Errorf("OPEN without a descriptor: %d, %s", typ, code)
	}
	if got := c.status(typeOpendir, "/"); got != StatusFailure {
		t.Errorf("OPENDIR without a descriptor: %s", got)
	}
	for _, h := range []string{a, b} {
		if got := c.status(typeClose, h); got != StatusOK {
			t.Errorf("CLOSE: %s", got)
		}
	}
	c.open("/a", flagRead)
	c.open("/a", flagRead)
	if err := end(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if d.taken != 0 {
		t.Errorf("%d descriptors are lost", d.taken)
	}
}
