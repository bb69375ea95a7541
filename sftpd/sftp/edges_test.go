package sftp

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// attributes are the fields of an ATTRS reply.
func (c *raw) attributes(typ byte, name string) (size uint64, mode, mtime uint32) {
	c.t.Helper()
	got, f := c.call(typ, name)
	if got != typeAttrs {
		c.t.Errorf("type %d of %q: %s", typ, name, Status(f.uint32()))
		return 0, 0, 0
	}
	a := f.attrs()
	return a.Size, a.Mode, uint32(a.Mtime)
}

// TestHandleOfAMovedFile: FSTAT, FSETSTAT, READ, WRITE and fsync apply to the file that was opened, even if its name now
// belongs to another file or is gone.
func TestHandleOfAMovedFile(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	for what, lose := range map[string]func(name string){
		"renamed":  func(name string) { c.status(typeRename, name, name+"-moved") },
		"removed":  func(name string) { c.status(typeRemove, name) },
		"replaced": func(name string) { c.status(typeExtended, "posix-rename@openssh.com", "/other-"+name[1:], name) },
	} {
		name := "/" + what
		h := c.open(name, flagRead|flagWrite|flagCreate)
		c.status(typeWrite, h, uint64(0), "12345")
		c.status(typeClose, c.open("/other-"+what, flagWrite|flagCreate))
		lose(name)
		c.status(typeClose, c.open(name, flagWrite|flagCreate)) // another file has the name
		for request, got := range map[string]Status{
			"FSETSTAT": c.status(typeFsetstat, h, attrSize|attrMode|attrTimes, uint64(3), 0o640, 5, 6),
			"WRITE":    c.status(typeWrite, h, uint64(3), "x"),
			"times":    c.status(typeFsetstat, h, attrTimes, 5, 6),
			"fsync":    c.status(typeExtended, "fsync@openssh.com", h),
			"fstatvfs": c.status(typeExtended, "fstatvfs@openssh.com", h),
		} {
			if got != StatusOK {
				t.Errorf("%s: %s: %s", what, request, got)
			}
		}
		c.status(typeFsetstat, h, attrSize|attrTimes, uint64(3), 5, 6)
		if size, mode, mtime := c.attributes(typeFstat, h); size != 3 || mode != unix.S_IFREG|0o640 || mtime != 6 {
			t.Errorf("%s: FSTAT %d bytes, mode %o, time %d", what, size, mode, mtime)
		}
		if got := c.content(h, 0, 10); got != "123" {
			t.Errorf("%s: READ %q", what, got)
		}
		if st, err := os.Stat(filepath.Join(dir, what)); err != nil || st.Size() != 0 || st.Mode() == 0o640 {
			t.Errorf("%s: the file that has the name now: %v, %v", what, st, err)
		}
		c.status(typeClose, h)
	}
}

// TestAttributeFlags: each combination of the ATTRS flags, including EXTENDED and unknown ones, in every request with ATTRS.
func TestAttributeFlags(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	for bits := range 32 {
		flags := uint32(bits & 15)
		var parts []any
		for _, x := range []struct {
			flag  uint32
			parts []any
		}{{attrSize, []any{uint64(7)}}, {attrOwner, []any{uid, gid}}, {attrMode, []any{0o100640}}, {attrTimes, []any{11, 12}}} {
			if flags&x.flag != 0 {
				parts = append(parts, x.parts...)
			}
		}
		if bits&16 != 0 {
			flags |= attrExtended
			parts = append(parts, 2, "acl@example.com", "\x00\xff", "empty@example.com", "")
		}
		attrs := append([]any{flags}, parts...)
		name := fmt.Sprint("f", bits)
		with := func(first ...any) []any { return append(first, attrs...) }
		typ, f := c.call(typeOpen, with(name, flagRead|flagWrite|flagCreate)...)
		if typ != typeHandle {
			t.Fatalf("OPEN with %#x: %s", flags, Status(f.uint32()))
		}
		h := f.string()
		mode := uint32(0o644)
		if flags&attrMode != 0 {
			mode = 0o640
		}
		for i, request := range [][]any{nil, with(byte(typeFsetstat), h), with(byte(typeSetstat), name)} {
			want := StatusOK
			if i > 0 {
				typ, _ := request[0].(byte)
				if got := c.status(typ, request[1:]...); got != want {
					t.Errorf("type %d with %#x: %s", typ, flags, got)
				}
			}
			size, have, mtime := c.attributes(typeFstat, h)
			if wantSize := uint64(7) * uint64(min(i, 1)) * uint64(flags&attrSize); size != wantSize {
				t.Errorf("request %d with %#x: %d bytes, want %d", i, flags, size, wantSize)
			}
			if i > 0 && (mtime == 12) != (flags&attrTimes != 0) {
				t.Errorf("request %d with %#x: time %d", i, flags, mtime)
			}
			if have != unix.S_IFREG|mode {
				t.Errorf("request %d with %#x: mode %o", i, flags, have)
			}
		}
		if got := c.status(typeMkdir, with(name+"-dir")...); got != StatusOK {
			t.Errorf("MKDIR with %#x: %s", flags, got)
		}
		if err := os.Symlink("nowhere", filepath.Join(dir, name+"-link")); err != nil {
			t.Fatal(err)
		}
		want := StatusOK
		switch {
		case flags&attrSize != 0:
			want = StatusBadMessage // links have no size
		case flags&attrMode != 0:
			want = StatusFailure // nor permissions, on Linux
		}
		if got := c.status(typeExtended, with("lsetstat@openssh.com", name+"-link")...); got != want {
			t.Errorf("lsetstat of a link with %#x: %s, want %s", flags, got, want)
		}
		c.status(typeClose, h)
	}
	for what, attrs := range map[string][]any{
		"a pair less than announced": {uint32(attrExtended), 2, "a@b", "c"},
		"half a pair":                {uint32(attrExtended), 1, "a@b"},
	} {
		if got := c.status(typeSetstat, append([]any{"/f0"}, attrs...)...); got != StatusBadMessage {
			t.Errorf("%s: %s", what, got)
		}
	}
	if got := c.status(typeSetstat, "/f0", uint32(0x7ffffff0)); got != StatusOK {
		t.Errorf("flags of other versions: %s", got)
	}
}

// TestCopyDataEdges: cases that section 4.10 of OpenSSH's PROTOCOL leaves open.
func TestCopyDataEdges(t *testing.T) {
	c, _, _ := several(t, vfs.ReadOnly, vfs.Uploads{})
	from, to := c.open("/m/f", flagRead), c.open("/to", flagRead|flagWrite|flagCreate)
	end := c.open("/end", flagRead|flagWrite|flagAppend|flagCreate)
	again := c.open("/to", flagRead|flagWrite)
	c.status(typeExtended, "hardlink@openssh.com", "/to", "/to2")
	alias := c.open("/to2", flagRead|flagWrite)
	dir := c.opendir("/")
	for _, x := range []struct {
		what          string
		from          string
		off, n        uint64
		to            string
		toOff         uint64
		want          Status
		content, tail string // of /to and /end
	}{
		{"from another mount", from, 1, 3, to, 0, StatusOK, "ecr", ""},
		{"to a place beyond the end", from, 0, 1, to, 5, StatusOK, "ecr\x00\x00s", ""},
		{"length 0 in the middle", from, 4, 0, to, 0, StatusOK, "etr\x00\x00s", ""},
		{"length 0 at the end", from, 6, 0, to, 0, StatusOK, "etr\x00\x00s", ""},
		{"a length at the end", from, 6, 1, to, 0, StatusEOF, "etr\x00\x00s", ""},
		{"the largest length", from, 0, 1<<64 - 1, to, 0, StatusEOF, "secret", ""},
		{"appending, whatever the offset", from, 0, 3, end, 100, StatusOK, "secret", "sec"},
		{"appending to the end of the source", to, 3, 0, end, 0, StatusOK, "secret", "secret"},
		{"onto itself, overlapping", to, 0, 4, to, 2, StatusFailure, "secret", "secret"},
		{"onto itself, apart", to, 0, 2, to, 10, StatusFailure, "secret", "secret"},
		{"onto itself by another handle", to, 0, 2, again, 1, StatusFailure, "secret", "secret"},
		{"onto itself by another name", to, 0, 2, alias, 1, StatusFailure, "secret", "secret"},
		{"an offset that no file has", from, 0, 0, to, 1<<63 - 1, StatusFailure, "secret", "secret"},
		{"an offset below 0", from, 0, 0, to, 1 << 63, StatusBadMessage, "secret", "secret"},
		{"a directory", dir, 0, 0, to, 0, StatusFailure, "secret", "secret"},
		{"into a directory", from, 0, 0, dir, 0, StatusFailure, "secret", "secret"},
	} {
		if got := c.status(typeExtended, "copy-data", x.from, x.off, x.n, x.to, x.toOff); got != x.want {
			t.Errorf("%s: %s, want %s", x.what, got, x.want)
		}
		tail := x.tail
		if tail == "" {
			tail = "EOF"
		}
		if got, at := c.content(to, 0, 100), c.content(end, 0, 100); got != x.content || at != tail {
			t.Errorf("%s: %q and %q", x.what, got, at)
		}
	}
}

// TestExtensionEdges: field formats that OpenSSH's PROTOCOL describes, and others.
func TestExtensionEdges(t *testing.T) {
	c, _, _ := several(t, vfs.ReadOnly, vfs.Uploads{})
	for uids, gids := range map[string]string{
		"": "", "\x00\x00\x00\x01": "", "\x00\x00\x00\x01\xff\xff\xff\xff": "\x00\x00\x00\x00", strings.Repeat("\x00\x00\x00\x01", 1000): "\x00\x00\x00\x02",
	} {
		typ, f := c.call(typeExtended, "users-groups-by-id@openssh.com", uids, gids)
		for _, ids := range []string{uids, gids} {
			names := &fields{rest: f.bytes()}
			for range len(ids) / 4 { // one string per ID
				if names.string() != "" {
					t.Errorf("%d ids: a name", len(ids)/4)
				}
			}
			if typ != typeExtendedReply || names.bad || len(names.rest) > 0 {
				t.Errorf("%d ids: type %d, %d bytes left", len(ids)/4, typ, len(names.rest))
			}
		}
		if f.bad || len(f.rest) > 0 {
			t.Error("users-groups-by-id has more than two lists")
		}
	}
	for _, ids := range [][2]string{{"", "\x00"}, {"\x00\x00\x00\x01\x00", ""}, {"\x00\x00\x00\x01", "abcdefg"}} {
		if got := c.status(typeExtended, "users-groups-by-id@openssh.com", ids[0], ids[1]); got != StatusBadMessage {
			t.Errorf("lists of %d and %d bytes: %s", len(ids[0]), len(ids[1]), got)
		}
	}
	ro, rw := c.open("/m/f", flagRead), c.open("/mine", flagRead)
	for _, x := range []struct {
		args []any
		want uint64 // SSH2_FXE_STATVFS_ST_RDONLY and _NOSUID
	}{
		{[]any{"statvfs@openssh.com", "/m"}, 3},
		{[]any{"statvfs@openssh.com", "/m/f"}, 3},
		{[]any{"fstatvfs@openssh.com", ro}, 3},
		{[]any{"statvfs@openssh.com", "/"}, 2},
		{[]any{"statvfs@openssh.com", "/mine"}, 2},
		{[]any{"fstatvfs@openssh.com", rw}, 2},
	} {
		typ, f := c.call(typeExtended, x.args...)
		f.take(9 * 8)
		if flags, longest := f.uint64(), f.uint64(); typ != typeExtendedReply || flags != x.want || longest != 255 || f.bad || len(f.rest) > 0 {
			t.Errorf("%v: type %d, flags %d, want %d, names of %d", x.args[0], typ, flags, x.want, longest)
		}
	}
	for _, h := range []string{ro, rw} {
		if got := c.status(typeExtended, "fsync@openssh.com", h); got != StatusOK {
			t.Errorf("fsync of a handle for reading: %s", got)
		}
	}
	for path, want := range map[string]string{"~/": "/", "~//m/./f": "/m/f", "/~": "/~", "m/~": "/m/~", "./~": "/~", "~/../..": "/"} {
		if typ, f := c.call(typeExtended, "expand-path@openssh.com", path); typ != typeName || f.uint32() != 1 || f.string() != want {
			t.Errorf("expand-path %q", path)
		}
	}
	if got := c.status(typeExtended, "expand-path@openssh.com", "~root"); got != StatusFailure {
		t.Errorf("expand-path of another's home: %s", got)
	}
	_, f := c.call(typeExtended, "limits@openssh.com")
	f.uint64()
	reads, writes := f.uint64(), f.uint64()
	w := c.open("/w", flagRead|flagWrite|flagCreate)
	if got := c.status(typeWrite, w, uint64(0), strings.Repeat("x", int(writes))); got != StatusOK {
		t.Errorf("a WRITE as long as announced: %s", got)
	}
	if got := c.content(w, 0, int(reads)); uint64(len(got)) != reads {
		t.Errorf("a READ as long as announced: %d bytes", len(got))
	}
}

// TestNamesAreBytes: names consisting of any bytes pass through all requests unchanged.
func TestNamesAreBytes(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	var every []byte
	for b := 1; b < 256; b++ {
		if b != '/' {
			every = append(every, byte(b))
		}
	}
	for _, name := range []string{
		string(every), strings.Repeat("n", 255), "grün.txt", "gr\xfcn.txt", "u\u0308 combined", "ü", "日本", "\xff", " ", "-rf", "a\nb", "...", "~",
	} {
		c.status(typeClose, c.open(name+"", flagWrite|flagCreate))
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%q is not on the volume: %v", name, err)
		}
		if typ, f := c.call(typeRealpath, name); typ != typeName || f.uint32() != 1 || f.string() != "/"+name {
			t.Errorf("%q: REALPATH", name)
		}
		if got := c.status(typeSymlink, name, "link"); got != StatusOK {
			t.Errorf("%q: SYMLINK %s", name, got)
		}
		if typ, f := c.call(typeReadlink, "link"); typ != typeName || f.uint32() != 1 || f.string() != name {
			t.Errorf("%q: READLINK", name)
		}
		c.status(typeRemove, "link")
		_, f := c.call(typeReaddir, c.opendir("/"))
		var names []string
		for n := f.uint32(); n > 0; n-- {
			names = append(names, f.string())
			f.string()
			f.attrs()
		}
		if len(names) != 3 || names[2] != name {
			t.Errorf("%q: READDIR %q", name, names)
		}
		if got := c.status(typeRename, name, "x"); got != StatusOK {
			t.Errorf("%q: RENAME %s", name, got)
		}
		if got := c.status(typeRemove, "x"); got != StatusOK {
			t.Errorf("%q: REMOVE %s", name, got)
		}
	}
}

// TestFullVolumes: system errors about space and limits reach the client as a readable message.
func TestFullVolumes(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "Failure: no space left on device", syscall.EDQUOT: "Failure: disk quota exceeded",
		syscall.EFBIG: "Failure: file too large", syscall.EROFS: "Failure: read-only file system", syscall.EMLINK: "Failure: too many links",
		syscall.EXDEV: "Failure: invalid cross-device link", syscall.EIO: "Failure: input/output error", syscall.ESTALE: "Failure: stale file handle",
	} {
		if code, text := statusOf(errno); code != StatusFailure || text != want {
			t.Errorf("%v: %s, %q", errno, code, text)
		}
	}
	dir := smallVolume(t)
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: vfs.ReadWrite}})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	c, _, _ := dialRaw(t, tr, Options{})
	h := c.open("f", flagRead|flagWrite|flagCreate)
	chunk := strings.Repeat("x", 16<<10)
	var got Status
	for off := uint64(0); off < 128<<10 && got == StatusOK; off += uint64(len(chunk)) {
		got = c.status(typeWrite, h, off, chunk)
	}
	if got != StatusFailure {
		t.Errorf("WRITE into a full volume: %s", got)
	}
	g := c.open("g", flagWrite|flagCreate)
	typ, f := c.call(typeExtended, "copy-data", h, uint64(0), uint64(0), g, uint64(0))
	if code, text := Status(f.uint32()), f.string(); typ != typeStatus || code != StatusFailure || text != "Failure: no space left on device" {
		t.Errorf("copy-data into a full volume: %s, %q", code, text)
	}
	if got := c.content(h, 0, 5); got != "xxxxx" {
		t.Errorf("what fitted: %q", got)
	}
	if got := c.status(typeFsetstat, h, attrSize, uint64(0)); got != StatusOK {
		t.Errorf("making room: %s", got)
	}
	if got := c.status(typeWrite, g, uint64(0), chunk); got != StatusOK {
		t.Errorf("WRITE when there is room: %s", got)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "g")); err != nil || !bytes.Equal(got[:len(chunk)], []byte(chunk)) {
		t.Error(err)
	}
}
