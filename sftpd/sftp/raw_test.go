package sftp

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// raw is a client that sends arbitrary packets.
type raw struct {
	t    testing.TB
	conn net.Conn
	id   uint32
}

// dialRaw connects to a new session and performs the handshake.
func dialRaw(t testing.TB, tr *vfs.Tree, opts Options) (*raw, *Session, func() error) {
	conn, s, end := serve(t, tr, opts)
	c := &raw{t: t, conn: conn}
	c.write(packet(typeInit, uint32(3)))
	if typ, version, _ := c.read(); typ != typeVersion || version != 3 {
		t.Fatalf("INIT is answered with type %d, version %d", typ, version)
	}
	return c, s, end
}

// packet encodes numbers as they are, strings with their length, and []byte without a length.
func packet(typ byte, parts ...any) []byte {
	b := replies{0, 0, 0, 0, typ}
	for _, p := range parts {
		switch p := p.(type) {
		case uint32:
			b.uint32(p)
		case int:
			b.uint32(uint32(p))
		case uint64:
			b.uint64(p)
		case string:
			b.string(p)
		case []byte:
			b = append(b, p...)
		default:
			panic("packet: unknown part")
		}
	}
	b.end(0)
	return b
}

func (c *raw) write(b []byte) {
	c.t.Helper()
	// The pipe has no buffer: the server may have to answer before it continues reading.
	go c.conn.Write(b)
}

func (c *raw) read() (typ byte, id uint32, f *fields) {
	c.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		c.t.Fatal("reading a reply:", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c.conn, body); err != nil {
		c.t.Fatal("reading a reply:", err)
	}
	f = &fields{rest: body[1:]}
	id = f.uint32()
	return body[0], id, f
}

// call sends one request and returns its reply.
func (c *raw) call(typ byte, parts ...any) (byte, *fields) {
	c.t.Helper()
	c.id++
	c.write(packet(typ, append([]any{c.id}, parts...)...))
	got, id, f := c.read()
	if id != c.id {
		c.t.Fatalf("reply to request %d, want %d", id, c.id)
	}
	return got, f
}

// status sends one request and returns the code of its reply; a reply that is not a status counts as OK.
func (c *raw) status(typ byte, parts ...any) Status {
	c.t.Helper()
	got, f := c.call(typ, parts...)
	if got != typeStatus {
		return StatusOK
	}
	return Status(f.uint32())
}

// open opens a file and returns the handle.
func (c *raw) open(path string, flags int) string {
	c.t.Helper()
	typ, f := c.call(typeOpen, path, flags, 0)
	if typ != typeHandle {
		c.t.Fatalf("open %s: %s", path, Status(f.uint32()))
	}
	return f.string()
}

func (c *raw) opendir(path string) string {
	c.t.Helper()
	typ, f := c.call(typeOpendir, path)
	if typ != typeHandle {
		c.t.Fatalf("opendir %s: %s", path, Status(f.uint32()))
	}
	return f.string()
}

// content reads up to n bytes from a handle; if there are none, it returns the status.
func (c *raw) content(handle string, off uint64, n int) string {
	c.t.Helper()
	typ, f := c.call(typeRead, handle, off, n)
	if typ == typeStatus {
		return Status(f.uint32()).String()
	}
	return f.string()
}
