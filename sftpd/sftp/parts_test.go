package sftp

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// turns calls a function before each part of a long request.
type turns struct {
	n    int
	next func(n int) error
}

func (w *turns) Turn(context.Context) (func(), error) {
	w.n++
	return func() {}, w.next(w.n)
}
func (w *turns) Pace(context.Context) error { return nil }

// sparse makes a file without any data in it.
func sparse(t *testing.T, name string, size int64) {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
}

// TestLongRequestsInParts: what happens between two parts of a hash or copy can end it with an answer, and the log has the
// bytes read and written by then.
func TestLongRequestsInParts(t *testing.T) {
	errOver := errors.New("over")
	tr, dir := tree(t, vfs.ReadWrite)
	var got events
	work := &turns{}
	c, _, _ := dialRaw(t, tr, Options{Observe: got.observe, Work: work})
	name := filepath.Join(dir, "f")
	for _, x := range []struct {
		what          string
		request       func(h, to string) Status
		next          func(n int) error
		want          Status
		parts         int
		hashed        uint64 // in the line of the request
		read, written uint64 // in those of the files
	}{
		{
			"a hash of a file that gets shorter",
			func(h, _ string) Status {
				return c.status(typeExtended, "check-file-handle", h, "sha256", uint64(0), uint64(0), 0)
			},
			func(n int) error {
				if n == 2 {
					return os.Truncate(name, 1000)
				}
				return nil
			},
			StatusEOF, 2, 2 * bufferBytes, 2 * bufferBytes, 0,
		},
		{
			"a hash without a turn",
			func(h, _ string) Status {
				return c.status(typeExtended, "check-file-handle", h, "sha256", uint64(0), uint64(0), 0)
			},
			func(n int) error {
				if n == 2 {
					return errOver
				}
				return nil
			},
			StatusFailure, 2, bufferBytes, bufferBytes, 0,
		},
		{
			"a whole hash",
			func(h, _ string) Status {
				return c.status(typeExtended, "check-file-handle", h, "sha256", uint64(0), uint64(0), 1<<20)
			},
			func(int) error { return nil },
			StatusOK, 9*4 + 1, 9<<20 + 1, 9<<20 + 1, 0,
		},
		{
			"a copy without a turn",
			func(h, to string) Status {
				return c.status(typeExtended, "copy-data", h, uint64(0), uint64(0), to, uint64(0))
			},
			func(n int) error {
				if n == 3 {
					return errOver
				}
				return nil
			},
			StatusFailure, 3, 0, 2 * copyPart, 2 * copyPart,
		},
		{
			"a copy of a file that gets shorter",
			func(h, to string) Status {
				return c.status(typeExtended, "copy-data", h, uint64(0), uint64(9<<20), to, uint64(0))
			},
			func(n int) error {
				if n == 2 {
					return os.Truncate(name, 5<<20)
				}
				return nil
			},
			StatusEOF, 3, 0, 5 << 20, 5 << 20,
		},
		{
			"a whole copy",
			func(h, to string) Status {
				return c.status(typeExtended, "copy-data", h, uint64(0), uint64(9<<20), to, uint64(3))
			},
			func(int) error { return nil },
			StatusOK, 3, 0, 9 << 20, 9 << 20,
		},
	} {
		sparse(t, name, 9<<20+1)
		h, to := c.open("/f", flagRead), c.open("/to", flagWrite|flagCreate|flagTrunc)
		work.n, work.next = 0, x.next
		if have := x.request(h, to); have != x.want || work.n != x.parts {
			t.Errorf("%s: %s after %d parts, want %s after %d", x.what, have, work.n, x.want, x.parts)
		}
		c.status(typeClose, h)
		c.status(typeClose, to)
		c.status(typeStat, "/")
		for _, e := range got.take() {
			switch e := e.(type) {
			case Operation:
				if e.BytesRead != x.hashed || e.Status != x.want || e.Path != "/f" {
					t.Errorf("%s: %+v", x.what, e)
				}
			case Transfer:
				if e.Path == "/f" && (e.BytesRead != x.read || e.BytesWritten != 0) || e.Path == "/to" && (e.BytesWritten != x.written || e.BytesRead != 0) {
					t.Errorf("%s: %+v", x.what, e)
				}
			}
		}
	}
}

// TestCopyThatFails: an error during a copy is attributed to the file being written.
func TestCopyThatFails(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	sparse(t, filepath.Join(dir, "from"), 100)
	var got events
	c, _, _ := dialRaw(t, tr, Options{Observe: got.observe})
	from, to := c.open("/from", flagRead), c.open("/to", flagWrite|flagCreate)
	if code := c.status(typeExtended, "copy-data", from, uint64(0), uint64(10), to, uint64(1<<63-2)); code == StatusOK {
		t.Error("a copy to a place that no file has")
	}
	c.status(typeClose, from)
	c.status(typeClose, to)
	c.status(typeStat, "/")
	results := map[string]Result{}
	for _, e := range got.take() {
		if e, ok := e.(Transfer); ok {
			results[e.Path] = e.Result
		}
	}
	if results["/to"] != Failed || results["/from"] != Completed {
		t.Errorf("%v", results)
	}
}

// TestHashEdges: the limits of ranges, files and replies.
func TestHashEdges(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	const most = maxHashes / 32 // blocks whose hashes fit
	for name, size := range map[string]int64{"0": 0, "1": 1, "257": 257, "most": most*256 - 1, "more": most * 256} {
		sparse(t, filepath.Join(dir, name), size)
	}
	zeros := make([]byte, most*256)
	var blocks [][]byte
	for i := 0; i < most*256-1; i += 256 {
		blocks = append(blocks, zeros[i:min(i+256, most*256-1)])
	}
	for _, x := range []struct {
		file        string
		off, length uint64
		block       int
		want        Status
		hashes      []byte
	}{
		{"0", 0, 0, 0, StatusOK, sums("sha256", nil)},
		{"0", 0, 5, 256, StatusOK, sums("sha256", nil)},
		{"0", 1, 0, 0, StatusEOF, nil},
		{"1", 0, 0, 0, StatusOK, sums("sha256", zeros[:1])},
		{"1", 0, 1<<63 - 1, 0, StatusOK, sums("sha256", zeros[:1])},
		{"1", 1, 0, 0, StatusEOF, nil},
		{"1", 1<<63 - 1, 0, 0, StatusEOF, nil},
		{"1", 1 << 63, 0, 0, StatusBadMessage, nil},
		{"1", 0, 1 << 63, 0, StatusBadMessage, nil},
		{"257", 0, 0, 256, StatusOK, sums("sha256", zeros[:256], zeros[:1])},
		{"257", 0, 0, 1, StatusFailure, nil},
		{"most", 0, 0, 256, StatusOK, sums("sha256", blocks...)},
		{"more", 0, 0, 256, StatusFailure, nil},
	} {
		typ, f := c.call(typeExtended, "check-file-name", "/"+x.file, "sha256", x.off, x.length, x.block)
		if typ == typeStatus {
			if got := Status(f.uint32()); got != x.want {
				t.Errorf("%+v: %s", x, got)
			}
			continue
		}
		if f.string(); f.string() != "sha256" || x.want != StatusOK || !slices.Equal(f.rest, x.hashes) {
			t.Errorf("%s, %d+%d by %d: %d bytes of hashes, want %d", x.file, x.off, x.length, x.block, len(f.rest), len(x.hashes))
		}
	}
	// A file given by name is opened for this request only.
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	before := open()
	for range 20 {
		c.status(typeExtended, "check-file-name", "/1", "sha256", uint64(0), uint64(0), 0)
		c.status(typeExtended, "check-file-name", "/1", "md5", uint64(0), uint64(0), 0)
	}
	if after := open(); after >= before+20 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// TestRefusalsInWords: an error message tells the client what is wrong, not only that something is.
func TestRefusalsInWords(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	sparse(t, filepath.Join(dir, "f"), 10)
	c, _, _ := dialRaw(t, tr, Options{})
	r, w, d := c.open("/f", flagRead), c.open("/f", flagWrite), c.opendir("/")
	gone := c.open("/f", flagRead)
	c.status(typeClose, gone)
	zero := uint64(0)
	for _, x := range []struct {
		want *fault
		typ  byte
		args []any
	}{
		{errHandle, typeRead, []any{gone, zero, 1}},
		{errHandle, typeWrite, []any{gone, zero, "x"}},
		{errHandle, typeFstat, []any{gone}},
		{errHandle, typeReaddir, []any{gone}},
		{errHandle, typeClose, []any{gone}},
		{errHandle, typeFsetstat, []any{gone, 0}},
		{errHandle, typeExtended, []any{"fsync@openssh.com", gone}},
		{errHandle, typeExtended, []any{"copy-data", gone, zero, zero, w, zero}},
		{errHandle, typeExtended, []any{"copy-data", r, zero, zero, gone, zero}},
		{errHandle, typeExtended, []any{"check-file-handle", gone, "sha256", zero, zero, 0}},
		{errHandleKind, typeRead, []any{d, zero, 1}},
		{errHandleKind, typeWrite, []any{d, zero, "x"}},
		{errHandleKind, typeReaddir, []any{r}},
		{errHandleKind, typeExtended, []any{"fsync@openssh.com", d}},
		{errHandleKind, typeExtended, []any{"fstatvfs@openssh.com", d}},
		{errHandleKind, typeExtended, []any{"copy-data", d, zero, zero, w, zero}},
		{errHandleKind, typeExtended, []any{"copy-data", r, zero, zero, d, zero}},
		{errNotReadable, typeRead, []any{w, zero, 1}},
		{errNotReadable, typeExtended, []any{"copy-data", w, zero, zero, w, zero}},
		{errNotReadable, typeExtended, []any{"check-file", w, "sha256", zero, zero, 0}},
		{errNotWritable, typeWrite, []any{r, zero, "x"}},
		{errNotWritable, typeExtended, []any{"copy-data", r, zero, zero, r, zero}},
		{errNoHash, typeExtended, []any{"check-file", r, "md5", zero, zero, 0}},
		{errHashBlock, typeExtended, []any{"check-file", r, "sha256", zero, zero, 255}},
		{errUnsupported, typeExtended, []any{"none@example.com"}},
		{errUnsupported, 99, nil},
		{errNotFirst, typeInit, nil},
		{errMalformed, typeOpen, nil},
	} {
		typ, f := c.call(x.typ, x.args...)
		if code, text := Status(f.uint32()), f.string(); typ != typeStatus || code != x.want.status || text != x.want.text {
			t.Errorf("type %d %q: %s %q, want %q", x.typ, x.args, code, text, x.want.text)
		}
	}
}

// TestSizesOfListings: a client that has asked for the limits gets long replies to READDIR, others get replies that every
// client accepts; each name appears once, and the end remains the end.
func TestSizesOfListings(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	const count = 600
	for i := range count {
		sparse(t, filepath.Join(dir, strings.Repeat("n", 200)+string(rune('a'+i/26))+string(rune('a'+i%26))), int64(i))
	}
	for _, asks := range []bool{false, true} {
		c, _, _ := dialRaw(t, tr, Options{})
		if asks {
			c.call(typeExtended, "limits@openssh.com")
		}
		h, seen, longest, replies := c.opendir("/"), map[string]bool{}, 0, 0
		for {
			typ, f := c.call(typeReaddir, h)
			if typ == typeStatus {
				if got := Status(f.uint32()); got != StatusEOF {
					t.Errorf("READDIR: %s", got)
				}
				break
			}
			replies++
			longest = max(longest, len(f.rest)+9)
			for n := f.uint32(); n > 0; n-- {
				name := f.string()
				if long := f.string(); seen[name] || !strings.HasSuffix(long, " "+name) {
					t.Errorf("%q comes again, or as %q", name, long)
				}
				seen[name] = true
				var st unix.Stat_t
				if a := f.attrs(); unix.Lstat(filepath.Join(dir, name), &st) != nil || name != ".." && (a.Size != uint64(st.Size) || a.Mode != st.Mode) {
					t.Errorf("%q: %+v", name, a)
				}
			}
			if f.bad || len(f.rest) > 0 {
				t.Errorf("%d bytes are left", len(f.rest))
			}
		}
		if len(seen) != count+2 {
			t.Errorf("%d names, want %d", len(seen), count+2)
		}
		if asks && (longest < maxLongListing || longest > maxPacket+4 || replies > 2) || !asks && (longest < maxListing || longest > 34000) {
			t.Errorf("asked for limits %v: %d replies of up to %d bytes", asks, replies, longest)
		}
		for range 3 {
			if got := c.status(typeReaddir, h); got != StatusEOF {
				t.Errorf("READDIR after the end: %s", got)
			}
		}
	}
}

// TestTimesOfAttributes: all times that fit 32 bits, and the nearest one for others.
func TestTimesOfAttributes(t *testing.T) {
	for sec, want := range map[int64]uint32{-1 << 40: 0, -1: 0, 0: 0, 1: 1, 1<<32 - 1: 1<<32 - 1, 1 << 32: 1<<32 - 1, 1 << 60: 1<<32 - 1} {
		var r replies
		r.attrs(vfs.Attr{Size: 1<<40 + 2, UID: 3, GID: 4, Mode: 0o100644, Atime: sec, Mtime: sec})
		f := &fields{rest: r}
		c := f.attrs()
		if f.bad || len(f.rest) > 0 || c != (vfs.Changes{Set: vfs.SetSize | vfs.SetOwner | vfs.SetMode | vfs.SetTimes, Size: 1<<40 + 2, UID: 3, GID: 4, Mode: 0o100644, Atime: int64(want), Mtime: int64(want)}) {
			t.Errorf("%d: %+v", sec, c)
		}
	}
}
