package sftp

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// valid returns a well-formed body of each request, without type and ID.
func valid(handle string) map[string][]byte {
	attrs := packet(0, uint32(attrSize|attrOwner|attrMode|attrTimes|attrExtended), uint64(0), 0, 0, 0o644, 1, 1, 1, "a@b", "c")[5:]
	ext := func(name string, parts ...any) []byte { return packet(0, append([]any{name}, parts...)...)[5:] }
	plain := func(parts ...any) []byte { return packet(0, parts...)[5:] }
	return map[string][]byte{
		"open":     plain("/n", uint32(flagWrite|flagCreate), attrs),
		"close":    plain("none"),
		"read":     plain(handle, uint64(0), 10),
		"write":    plain(handle, uint64(0), "data"),
		"lstat":    plain("/"),
		"fstat":    plain(handle),
		"setstat":  plain("/none", attrs),
		"fsetstat": plain(handle, attrs),
		"opendir":  plain("/"), "readdir": plain("none"), "remove": plain("/none"),
		"mkdir": plain("/d", attrs), "rmdir": plain("/d"), "realpath": plain("."), "stat": plain("/"),
		"rename": plain("/none", "/x"), "readlink": plain("/none"), "symlink": plain("target", "/l"),
		"posix-rename":       ext("posix-rename@openssh.com", "/none", "/x"),
		"statvfs":            ext("statvfs@openssh.com", "/"),
		"fstatvfs":           ext("fstatvfs@openssh.com", handle),
		"hardlink":           ext("hardlink@openssh.com", "/none", "/x"),
		"fsync":              ext("fsync@openssh.com", handle),
		"lsetstat":           ext("lsetstat@openssh.com", "/none", uint32(attrMode), 0o644),
		"limits":             ext("limits@openssh.com"),
		"expand-path":        ext("expand-path@openssh.com", "~/x"),
		"copy-data":          ext("copy-data", handle, uint64(0), uint64(0), handle, uint64(0)),
		"home-directory":     ext("home-directory", "user"),
		"users-groups-by-id": ext("users-groups-by-id@openssh.com", "\x00\x00\x00\x01", "\x00\x00\x00\x02\x00\x00\x00\x03"),
		"check-file":         ext("check-file", handle, "sha256", uint64(0), uint64(0), 0),
		"check-file-handle":  ext("check-file-handle", handle, "sha512,sha256", uint64(0), uint64(9), 256),
		"check-file-name":    ext("check-file-name", "/f", "sha256", uint64(0), uint64(0), 0),
	}
}

// TestEveryTruncation truncates each request at every byte: each time the answer is BAD_MESSAGE for that request, and the
// session continues.
func TestEveryTruncation(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, _, end := dialRaw(t, tr, Options{})
	h := c.open("/f", flagRead|flagWrite|flagCreate)
	bodies := valid(h)
	for _, k := range kinds {
		body, ok := bodies[k.name]
		if !ok {
			t.Errorf("%s is not tested", k.name)
		}
		for cut := range body {
			if got := c.status(k.typ, body[:cut]); got != StatusBadMessage {
				t.Errorf("%s cut at %d of %d: %s", k.name, cut, len(body), got)
			}
		}
		if got := c.status(k.typ, body, []byte("trailing bytes are ignored")); got == StatusBadMessage {
			t.Errorf("%s whole: %s", k.name, got)
		}
	}
	huge := []byte{0xff, 0xff, 0xff, 0xff}
	for _, k := range kinds {
		if got := c.status(k.typ, huge, "x"); got != StatusBadMessage {
			t.Errorf("%s with a string of 4 GiB: %s", k.name, got)
		}
	}
	if got := c.status(typeSetstat, "/", uint32(attrExtended), huge); got != StatusBadMessage {
		t.Errorf("4 G extended attributes: %s", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestUnknownRequests(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	for _, typ := range []byte{0, 2, 21, 42, 100, 101, 105, 199, 201, 255} {
		if got := c.status(typ, "x"); got != StatusUnsupported {
			t.Errorf("type %d: %s", typ, got)
		}
	}
	for _, name := range []string{"", "x", "posix-rename", "md5-hash@openssh.com", "limits@openssh.com\x00"} {
		if got := c.status(typeExtended, name); got != StatusUnsupported {
			t.Errorf("extension %q: %s", name, got)
		}
	}
}

func TestShortestPackets(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	for _, b := range [][]byte{packet(typeOpen), packet(typeStat, []byte{1}), packet(typeInit), packet(99, []byte{1, 2, 3})} {
		c.write(b)
		typ, id, f := c.read()
		if typ != typeStatus || id != 0 || Status(f.uint32()) != StatusBadMessage {
			t.Errorf("% x: type %d, id %d", b, typ, id)
		}
	}
}

func TestInit(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	conn, _, _ := serve(t, tr, Options{Permit: func(r string) bool { return r != "fsync" }})
	c := &raw{t: t, conn: conn}
	if got := c.status(typeStat, "/"); got != StatusBadMessage {
		t.Errorf("STAT before INIT: %s", got)
	}
	c.write(packet(typeInit, uint32(6), "some@extension", "1"))
	typ, version, f := c.read()
	if typ != typeVersion || version != 3 {
		t.Fatalf("type %d, version %d", typ, version)
	}
	var names []string
	for len(f.rest) > 0 {
		names = append(names, f.string()+"="+f.string())
	}
	want := "posix-rename@openssh.com=1 statvfs@openssh.com=2 fstatvfs@openssh.com=2 hardlink@openssh.com=1 " +
		"lsetstat@openssh.com=1 limits@openssh.com=1 expand-path@openssh.com=1 copy-data=1 home-directory=1 users-groups-by-id@openssh.com=1 " +
		"check-file=1 check-file-handle=1 check-file-name=1"
	if got := strings.Join(names, " "); got != want || f.bad {
		t.Errorf("extensions: %s", got)
	}
	if got := c.status(typeInit); got != StatusBadMessage {
		t.Errorf("second INIT: %s", got)
	}
	if got := c.status(typeStat, "/"); got != StatusOK {
		t.Errorf("STAT after that: %s", got)
	}
	if got := c.status(typeExtended, "fsync@openssh.com", "h"); got != StatusPermissionDenied {
		t.Errorf("fsync that is not permitted: %s", got)
	}
}

// stream is a client with a fixed input.
type stream struct {
	io.Reader
	io.Writer
}

func TestFraming(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	hello := string(packet(typeInit, uint32(3)))
	length := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"nothing":             {"", nil},
		"a whole session":     {hello + string(packet(typeStat, 1, "/")), nil},
		"length 0":            {hello + length(0), ErrFraming},
		"length over maximum": {hello + length(maxPacket+1) + "xxxx", ErrFraming},
		"length -1":           {hello + length(1<<32-1), ErrFraming},
		"end in the length":   {hello + "\x00\x00", io.ErrUnexpectedEOF},
		"end in the packet":   {hello + length(10) + "\x05", io.ErrUnexpectedEOF},
		"a text protocol":     {"GET / HTTP/1.1\r\n\r\n", ErrFraming},
	} {
		for _, one := range []bool{false, true} {
			var r io.Reader = strings.NewReader(c.in)
			if one {
				r = oneByte{r}
			}
			var out strings.Builder
			err := Serve(context.Background(), stream{r, &out}, tr, Options{})
			if !errors.Is(err, c.want) || err != nil && c.want == nil {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
	}
	var out strings.Builder
	longest := append(binary.BigEndian.AppendUint32(nil, maxPacket), make([]byte, maxPacket)...)
	longest[4] = typeWrite
	err := Serve(context.Background(), stream{strings.NewReader(hello + string(longest) + string(packet(typeStat, 7, "/"))), &out}, tr, Options{})
	if err != nil || out.Len() < 100 {
		t.Error("the longest packet:", err)
	}
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }
