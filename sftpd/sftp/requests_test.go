package sftp

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

func TestOpenFlagCombinations(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	const r, w, a, cr, tc, ex = flagRead, flagWrite, flagAppend, flagCreate, flagTrunc, flagExcl
	for _, x := range []struct {
		flags  int
		exists bool
		open   Status
		read   string // what a READ gives after "XY" was written at offset 1
		write  Status
		file   string // the file at the end
	}{
		{0, true, StatusOK, "0123", StatusPermissionDenied, "0123"},
		{r, true, StatusOK, "0123", StatusPermissionDenied, "0123"},
		{r, false, StatusNoSuchFile, "", 0, ""},
		{w, true, StatusOK, "PERMISSION_DENIED", StatusOK, "0XY3"},
		{w, false, StatusNoSuchFile, "", 0, ""},
		{r | w, true, StatusOK, "0XY3", StatusOK, "0XY3"},
		{w | cr, true, StatusOK, "PERMISSION_DENIED", StatusOK, "0XY3"},
		{w | cr, false, StatusOK, "PERMISSION_DENIED", StatusOK, "\x00XY"},
		{w | cr | tc, true, StatusOK, "PERMISSION_DENIED", StatusOK, "\x00XY"},
		{w | tc, true, StatusOK, "PERMISSION_DENIED", StatusOK, "\x00XY"},
		{w | tc, false, StatusNoSuchFile, "", 0, ""},
		{w | cr | ex, true, StatusFailure, "", 0, "0123"},
		{w | cr | ex, false, StatusOK, "PERMISSION_DENIED", StatusOK, "\x00XY"},
		{w | ex, true, StatusOK, "PERMISSION_DENIED", StatusOK, "0XY3"},
		{w | a, true, StatusOK, "PERMISSION_DENIED", StatusOK, "0123XY"},
		{a, true, StatusOK, "PERMISSION_DENIED", StatusOK, "0123XY"},
		{r | w | a, true, StatusOK, "0123XY", StatusOK, "0123XY"},
		{a | cr, false, StatusOK, "PERMISSION_DENIED", StatusOK, "XY"},
		{w | a | cr | tc, true, StatusOK, "PERMISSION_DENIED", StatusOK, "XY"},
		{r | cr, false, StatusOK, "EOF", StatusPermissionDenied, ""},
		{r | w | cr | tc, true, StatusOK, "\x00XY", StatusOK, "\x00XY"},
	} {
		name := filepath.Join(dir, "f")
		os.Remove(name)
		if x.exists {
			os.WriteFile(name, []byte("0123"), 0o600)
		}
		typ, f := c.call(typeOpen, "/f", x.flags, 0)
		if typ == typeStatus {
			if got := Status(f.uint32()); got != x.open {
				t.Errorf("flags %#x, exists %v: open: %s", x.flags, x.exists, got)
			}
		} else {
			h := f.string()
			if got := c.status(typeWrite, h, uint64(1), "XY"); got != x.write {
				t.Errorf("flags %#x, exists %v: write: %s", x.flags, x.exists, got)
			}
			if got := c.content(h, 0, 100); got != x.read {
				t.Errorf("flags %#x, exists %v: read: %q", x.flags, x.exists, got)
			}
			c.status(typeClose, h)
		}
		if got, _ := os.ReadFile(name); string(got) != x.file {
			t.Errorf("flags %#x, exists %v: the file is %q", x.flags, x.exists, got)
		}
	}
}

func TestModesAtOpenAndMkdir(t *testing.T) {
	defer unix.Umask(unix.Umask(0o022))
	tr, dir := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	c.call(typeOpen, "/a", flagWrite|flagCreate, attrMode, 0o106750)
	c.call(typeOpen, "/b", flagWrite|flagCreate, 0)
	c.call(typeMkdir, "/c", attrMode, 0o7711)
	c.call(typeMkdir, "/d", 0)
	for name, want := range map[string]os.FileMode{"a": 0o750, "b": 0o644, "c": 0o711, "d": 0o755} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode()&^os.ModeDir != want {
			t.Errorf("%s: %v %v", name, st.Mode(), err)
		}
	}
}

func TestHandles(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	os.WriteFile(filepath.Join(dir, "f"), []byte("data"), 0o600)
	c, s, _ := dialRaw(t, tr, Options{MaxHandles: 3})
	f, d := c.open("/f", flagRead), c.opendir("/")
	for what, got := range map[string]Status{
		"READ of a directory":     c.status(typeRead, d, uint64(0), 1),
		"WRITE of a directory":    c.status(typeWrite, d, uint64(0), "x"),
		"FSETSTAT of a directory": c.status(typeFsetstat, d, 0),
		"READDIR of a file":       c.status(typeReaddir, f),
		"fsync of a directory":    c.status(typeExtended, "fsync@openssh.com", d),
		"empty handle":            c.status(typeRead, "", uint64(0), 1),
		"made-up handle":          c.status(typeRead, "12345678", uint64(0), 1),
		"long handle":             c.status(typeClose, f+"x"),
	} {
		if got != StatusFailure {
			t.Errorf("%s: %s", what, got)
		}
	}
	if got := c.status(typeFstat, d); got != StatusOK {
		t.Errorf("FSTAT of a directory: %s", got)
	}
	if got := c.status(typeFsetstat, f, attrSize, uint64(0)); got != StatusPermissionDenied {
		t.Errorf("truncating by a handle for reading: %s", got)
	}
	g := c.open("/f", flagRead)
	if typ, _ := c.call(typeOpen, "/f", flagRead, 0); typ != typeStatus {
		t.Error("a fourth handle was given")
	}
	if typ, _ := c.call(typeOpendir, "/"); typ != typeStatus {
		t.Error("a fourth handle was given")
	}
	if s.OpenFiles() != 2 {
		t.Error("open files:", s.OpenFiles())
	}
	c.status(typeClose, g)
	if got := c.status(typeClose, g); got != StatusFailure {
		t.Errorf("closing twice: %s", got)
	}
	if again := c.open("/f", flagRead); again == g {
		t.Error("a handle was given out again")
	}
	if got := c.content(g, 0, 1); got != "FAILURE" {
		t.Errorf("reading a closed handle whose slot is in use: %s", got)
	}
	if typ, f := c.call(typeExtended, "limits@openssh.com"); typ != typeExtendedReply ||
		f.uint64() != 262144 || f.uint64() != 261120 || f.uint64() != 261120 || f.uint64() != 3 || f.bad {
		t.Error("limits")
	}
}

func TestReadSizes(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	data := strings.Repeat("0123456789abcdef", 20<<10) // 320 KiB
	os.WriteFile(filepath.Join(dir, "f"), []byte(data), 0o600)
	c, _, _ := dialRaw(t, tr, Options{})
	h := c.open("/f", flagRead)
	for _, x := range []struct {
		off  uint64
		n    int
		want string
	}{
		{0, 32768, data[:32768]},
		{1, 65536, data[1:65537]},
		{0, 261120, data[:261120]},
		{0, 1 << 30, data[:261120]},
		{uint64(len(data)) - 3, 100, data[len(data)-3:]},
		{uint64(len(data)), 100, "EOF"},
		{1 << 40, 1, "EOF"},
		{0, 0, ""},
		{math.MaxInt64, 1, "EOF"},
		{math.MaxUint64, 1, "BAD_MESSAGE"},
	} {
		if got := c.content(h, x.off, x.n); got != x.want && !(x.off == math.MaxInt64 && got == "BAD_MESSAGE") {
			t.Errorf("READ at %d of %d: %d bytes", x.off, x.n, len(got))
		}
	}
	w := c.open("/w", flagWrite|flagCreate)
	if got := c.status(typeWrite, w, uint64(math.MaxUint64), "x"); got != StatusFailure {
		t.Errorf("WRITE at the end of the world: %s", got)
	}
	if got := c.status(typeWrite, w, uint64(5), data[:262144-40]); got != StatusOK {
		t.Errorf("longest WRITE: %s", got)
	}
}

func TestListing(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	want := []string{".", ".."}
	for i := range 5000 {
		n := fmt.Sprintf("a-name-of-some-length-%05d", i)
		want = append(want, n)
		os.WriteFile(filepath.Join(dir, n), nil, 0o600)
	}
	want = append(want, strings.Repeat("\xfe", 255))
	if err := os.Symlink("nowhere", filepath.Join(dir, want[len(want)-1])); err != nil {
		t.Fatal(err)
	}
	c, _, _ := dialRaw(t, tr, Options{})
	h := c.opendir("/")
	var got []string
	replies := 0
	for ; ; replies++ {
		typ, f := c.call(typeReaddir, h)
		if typ == typeStatus {
			if s := Status(f.uint32()); s != StatusEOF {
				t.Fatal(s)
			}
			break
		}
		if len(f.rest) > 34000-5 { // filexfer-02, section 3: a client need not accept more
			t.Error("a reply of", len(f.rest))
		}
		for n := f.uint32(); n > 0; n-- {
			name, long := f.string(), f.string()
			if !strings.HasSuffix(long, " "+name) {
				t.Fatal("long name", long)
			}
			got = append(got, name)
			f.attrs()
		}
		if f.bad || len(f.rest) > 0 {
			t.Fatal("malformed listing")
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || replies > 30 {
		t.Errorf("%d names in %d replies", len(got), replies)
	}
	if got := c.status(typeReaddir, h); got != StatusEOF {
		t.Error(got)
	}
}

func TestSymlinkArgumentsAndPaths(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	if got := c.status(typeSymlink, "the/target", "/the-link"); got != StatusOK {
		t.Fatal(got)
	}
	if got, _ := os.Readlink(filepath.Join(dir, "the-link")); got != "the/target" {
		t.Errorf("the link holds %q", got)
	}
	long := strings.Repeat("n", 256)
	for _, path := range []string{"/a\x00b", "/" + long, strings.Repeat("/d", 2048)} {
		for _, x := range [][]any{
			{byte(typeStat), path},
			{byte(typeOpen), path, flagWrite | flagCreate, 0},
			{byte(typeMkdir), path, 0},
			{byte(typeSymlink), "x", path},
			{byte(typeRename), "/the-link", path},
			{byte(typeRealpath), path},
			{byte(typeOpendir), path},
		} {
			if got := c.status(x[0].(byte), x[1:]...); got != StatusBadMessage {
				t.Errorf("type %d with %.10q: %s", x[0], path, got)
			}
		}
	}
	if got := c.status(typeSymlink, "a\x00b", "/l2"); got != StatusBadMessage {
		t.Error(got)
	}
	if got := c.status(typeMkdir, "/\xff\xfe", 0); got != StatusOK {
		t.Error("a name that is no UTF-8:", got)
	}
}

func TestExtensions(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	os.WriteFile(filepath.Join(dir, "src"), []byte("0123456789"), 0o600)
	c, _, _ := dialRaw(t, tr, Options{User: "ada"})
	src, dst := c.open("/src", flagRead), c.open("/dst", flagRead|flagWrite|flagCreate)
	rw := c.open("/src", flagRead|flagWrite)
	for _, x := range []struct {
		from    string
		off, n  uint64
		to      string
		toOff   uint64
		want    Status
		content string
	}{
		{src, 0, 0, dst, 0, StatusOK, "0123456789"},
		{src, 8, 2, dst, 0, StatusOK, "8923456789"},
		{src, 8, 10, dst, 10, StatusEOF, "892345678989"},
		{src, 20, 0, dst, 0, StatusOK, "892345678989"},
		{src, 0, 0, src, 0, StatusPermissionDenied, "892345678989"},
		{src, 0, 0, rw, 20, StatusFailure, "892345678989"},
		{dst, 0, 0, src, 0, StatusPermissionDenied, "892345678989"},
		{src, 1 << 63, 0, dst, 0, StatusBadMessage, "892345678989"},
		{src, 0, 1, "none", 0, StatusFailure, "892345678989"},
	} {
		if got := c.status(typeExtended, "copy-data", x.from, x.off, x.n, x.to, x.toOff); got != x.want {
			t.Errorf("copy-data %d+%d: %s, want %s", x.off, x.n, got, x.want)
		}
		if got := c.content(dst, 0, 100); got != x.content {
			t.Errorf("copy-data %d+%d: %q", x.off, x.n, got)
		}
	}
	for _, x := range [][2]string{{"~", "/"}, {"~/src", "/src"}, {"src", "/src"}, {"~/../x", "/x"}, {"", "/"}} {
		typ, f := c.call(typeExtended, "expand-path@openssh.com", x[0])
		if typ != typeName || f.uint32() != 1 || f.string() != x[1] {
			t.Errorf("expand-path %q", x[0])
		}
	}
	if got := c.status(typeExtended, "expand-path@openssh.com", "~other/x"); got != StatusFailure {
		t.Error("expand-path of another user:", got)
	}
	for _, own := range []string{"", "ada"} {
		if typ, f := c.call(typeExtended, "home-directory", own); typ != typeName || f.uint32() != 1 || f.string() != "/" {
			t.Errorf("home-directory of %q", own)
		}
		if typ, f := c.call(typeExtended, "expand-path@openssh.com", "~"+own+"/"); typ != typeName || f.uint32() != 1 || f.string() != "/" {
			t.Errorf("expand-path of %q", own)
		}
	}
	for _, other := range []string{"bob", "root", "Ada", "/"} { // bob may or may not exist
		if got := c.status(typeExtended, "home-directory", other); got != StatusFailure {
			t.Errorf("home-directory of %q: %s", other, got)
		}
	}
	typ, f := c.call(typeExtended, "users-groups-by-id@openssh.com", "\x00\x00\x00\x01", "\x00\x00\x00\x01\x00\x00\x00\x02")
	if typ != typeExtendedReply || f.string() != "\x00\x00\x00\x00" || f.string() != "\x00\x00\x00\x00\x00\x00\x00\x00" || f.bad {
		t.Error("users-groups-by-id")
	}
	if got := c.status(typeExtended, "users-groups-by-id@openssh.com", "abc", ""); got != StatusBadMessage {
		t.Error("users-groups-by-id with a broken list:", got)
	}
	if err := os.Symlink("src", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	if got := c.status(typeExtended, "lsetstat@openssh.com", "/l", attrTimes, 5, 6); got != StatusOK {
		t.Error("lsetstat:", got)
	}
	if st, _ := os.Lstat(filepath.Join(dir, "l")); st.ModTime().Unix() != 6 {
		t.Error("lsetstat set", st.ModTime())
	}
	for _, x := range [][]any{{"statvfs@openssh.com", "/"}, {"fstatvfs@openssh.com", src}} {
		typ, f := c.call(typeExtended, x...)
		if typ != typeExtendedReply || len(f.rest) != 88 || f.uint64() == 0 {
			t.Error(x[0])
		}
	}
	if got := c.status(typeExtended, "fsync@openssh.com", dst); got != StatusOK {
		t.Error("fsync:", got)
	}
}
