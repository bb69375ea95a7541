package vfs

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPartsAreOneWrite: writing parts of any size and number, including none and more than one call accepts, at any offset,
// leaves the file as one WriteAt of the reported bytes would.
func TestPartsAreOneWrite(t *testing.T) {
	tree, dir := home(t, Auto)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		flags := []int{os.O_WRONLY, os.O_WRONLY | os.O_APPEND}[i%2]
		write(t, dir, "f", "0123456789")
		f, err := tree.OpenFile("/f", flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		var parts [][]byte
		var all []byte
		for range rnd.IntN(MaxParts + 4) {
			p := []byte(strings.Repeat(string(rune('a'+rnd.IntN(26))), rnd.IntN(3)))
			if len(parts) < MaxParts {
				all = append(all, p...)
			}
			parts = append(parts, p)
		}
		off := rnd.IntN(20)
		if n := f.WritePartsAt(parts, int64(off)); n != len(all) {
			t.Errorf("%d parts: %d bytes, want %d", len(parts), n, len(all))
		}
		f.Close()
		h := &using{c: &content{data: "0123456789"}, flags: flags}
		h.write(off, string(all))
		if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(got) != h.c.data {
			t.Errorf("%q at %d: %q, %v, want %q", all, off, got, err, h.c.data)
		}
	}
	f, err := tree.OpenFile("/far", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const far = 5<<32 + 3
	buf := make([]byte, 9)
	if n := f.WritePartsAt([][]byte{[]byte("far"), []byte("away")}, far); n != 7 {
		t.Errorf("%d bytes", n)
	}
	if n, err := f.ReadAt(buf, far-1); n != 8 || err != nil || string(buf[:n]) != "\x00faraway" {
		t.Errorf("beyond 4 GiB: %q, %v", buf[:n], err)
	}
	ro, err := tree.OpenFile("/far", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if n := ro.WritePartsAt([][]byte{[]byte("x")}, 0); n != 0 {
		t.Errorf("without write permission: %d bytes", n)
	}
	if n, err := ro.WriteAt([]byte("x"), 0); n != 0 || err == nil {
		t.Errorf("without write permission: %d bytes, %v", n, err)
	}
}

// TestEntriesThatGo: entries removed while a directory is listed are left out.
func TestEntriesThatGo(t *testing.T) {
	tree, dir := home(t, Auto)
	for i := range 10 {
		write(t, dir, "d/"+strconv.Itoa(i), strings.Repeat("x", i))
	}
	d, err := tree.OpenDir("/d")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var e Entry
	for range 3 { // ".", ".." and the first, by which time all have been read
		if err := d.Next(&e); err != nil {
			t.Fatal(err)
		}
	}
	first := string(e.Name)
	if n, _ := strconv.Atoi(first); e.Attr.Size != uint64(n) {
		t.Errorf("%s has %d bytes", first, e.Attr.Size)
	}
	if err := os.RemoveAll(filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	if err := d.Next(&e); err != io.EOF { //nolint:errorlint // the identical error
		t.Errorf("%q is listed, %v", e.Name, err)
	}
}

// TestCopyBetweenVolumes: a copy is the same whether or not the kernel can do it.
func TestCopyBetweenVolumes(t *testing.T) {
	there := memoryDir(t)
	for _, here := range []string{t.TempDir(), there} {
		write(t, here, "from", "0123456789")
		a := open(t, Auto, Mount{Path: "/", Volume: here, Access: ReadWrite}, Mount{Path: "/there", Volume: there, Access: ReadWrite})
		from, err := a.OpenFile("/from", os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { from.Close() })
		for _, c := range []struct {
			flags            int
			off, to, n, done int64
			fails            bool
			content          string
		}{
			{0, 2, 1, 3, 3, false, "a234efg"},
			{0, 8, 5, 100, 2, false, "abcde89"},
			{0, 0, 9, 1, 1, false, "abcdefg\x00\x000"},
			{os.O_APPEND, 0, 0, 2, 2, false, "abcdefg01"},
			{0, 1<<63 - 2, 0, 4, 0, true, "abcdefg"},
		} {
			write(t, there, "to", "abcdefg")
			to, err := a.OpenFile("/there/to", os.O_WRONLY|c.flags, 0)
			if err != nil {
				t.Fatal(err)
			}
			n, err := from.CopyTo(to, c.off, c.to, c.n)
			to.Close()
			if got, _ := os.ReadFile(filepath.Join(there, "to")); n != c.done || (err != nil) != c.fails || string(got) != c.content {
				t.Errorf("from %s, %+v: %d, %v, %q", here, c, n, err, got)
			}
		}
		far, err := a.OpenFile("/far", os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := from.CopyTo(far, 0, 1<<63-2, 4); err == nil && n != 1 || n < 0 || n > 1 { // where a file may be so long, one byte
			t.Errorf("from %s to the end of all files: %d, %v", here, n, err)
		}
		far.Close()
	}
}

// TestNamesThatAreRefused: the error for each kind of name.
func TestNamesThatAreRefused(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		dir := t.TempDir()
		write(t, dir, "d/e/f", "")
		write(t, dir, "x", "x")
		link(t, dir, "l", "d")
		rw, ro, drop := t.TempDir(), t.TempDir(), t.TempDir()
		write(t, ro, "f", "")
		write(t, rw, "sub/f", "")
		write(t, drop, "d/f", "")
		link(t, drop, "l", "d")
		tree := open(t, r, Mount{Path: "/", Volume: dir, Access: ReadWrite}, Mount{Path: "/ro", Volume: ro, Access: ReadOnly},
			Mount{Path: "/rw", Volume: rw, Access: ReadWrite}, Mount{Path: "/s/drop", Volume: drop, Access: WriteOnly})
		long := strings.Repeat("n", maxName+1)
		for what, c := range map[string]struct{ got, want error }{
			"mkdir of ..":                      {tree.Mkdir("/d/e/..", 0o755), unix.EEXIST},
			"mkdir of a mount point":           {tree.Mkdir("/ro", 0o755), unix.EEXIST},
			"mkdir of a synthetic directory":   {tree.Mkdir("/s", 0o755), unix.EEXIST},
			"mkdir of the root":                {tree.Mkdir("/", 0o755), unix.EEXIST},
			"symlink of ..":                    {tree.Symlink("x", "/d/e/.."), ErrDots},
			"symlink to a long name":           {tree.Symlink("/"+long, "/new"), unix.ENAMETOOLONG},
			"symlink with a slash":             {tree.Symlink("x", "/new/"), unix.ENOENT},
			"readlink below a file":            {second(tree.Readlink("/x/y")), unix.ENOTDIR},
			"readlink of ..":                   {second(tree.Readlink("/d/e/..")), unix.EINVAL},
			"remove of ..":                     {tree.Remove("/d/e/.."), ErrDots},
			"remove of a directory with a dot": {tree.Remove("/d/."), unix.EISDIR},
			"remove of a file with a dot":      {tree.Remove("/x/."), unix.ENOTDIR},
			"rmdir of ..":                      {tree.Rmdir("/d/e/.."), ErrDots},
			"rmdir of a file with a dot":       {tree.Rmdir("/x/."), unix.ENOTDIR},
			"rename of what is read only":      {tree.Rename("/ro/f", "/ro/g"), ErrAccess},
			"the same onto a mount point":      {tree.PosixRename("/ro/f", "/rw"), ErrAccess},
			"the same to another mount":        {tree.Rename("/ro/f", "/rw/sub/g"), ErrAccess},
			"the same to none":                 {tree.Rename("/ro/f", "/rw/none/g"), unix.ENOENT},
			"rename to another mount":          {tree.Rename("/x", "/rw/sub/g"), ErrCrossMount},
			"link to another mount":            {tree.Link("/x", "/rw/sub/g"), ErrCrossMount},
			"rename into a synthetic":          {tree.Rename("/x", "/s/x"), ErrAccess},
			"rename of ..":                     {tree.Rename("/d/e/..", "/y"), ErrDots},
			"a directory behind a link":        {second(tree.OpenFile("/s/drop/l", os.O_RDONLY, 0)), unix.EISDIR},
			"to write to it":                   {second(tree.OpenFile("/s/drop/l", os.O_WRONLY, 0)), unix.EISDIR},
			"PATH_MAX":                         {second(tree.Stat(strings.Repeat("/", maxPath-1) + "x")), unix.ENAMETOOLONG},
			"less than PATH_MAX":               {second(tree.Stat(strings.Repeat("/", maxPath-2) + "x")), nil},
			"NAME_MAX":                         {second(tree.Stat("/" + long)), unix.ENAMETOOLONG},
			"as long as a name may be":         {second(tree.Stat("/" + long[1:])), unix.ENOENT},
		} {
			if c.got != c.want { //nolint:errorlint // the identical error, whose text the client sees
				t.Errorf("%s: %v, want %v", what, c.got, c.want)
			}
		}
	})
}

// TestCreateOnlyTogether: two connections create the same name in a drop box; what each may change.
func TestCreateOnlyTogether(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		dir := t.TempDir()
		write(t, dir, "d/e/theirs", "theirs")
		var trees [2]*Tree
		for i := range trees {
			tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: CreateOnly}}, WithResolver(r), WithUploads(Uploads{OnClose: true}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { tree.Close() })
			trees[i] = tree
		}
		f := start(t, trees[0], "/x", create, 0, "first")
		if _, err := trees[1].OpenFile("/x", create, 0o600); !errors.Is(err, ErrUploading) {
			t.Errorf("the second of two uploads: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
			t.Error("it is there before it is complete")
		}
		finish(t, f, true, Nothing)
		if got, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(got) != "first" {
			t.Errorf("%q, %v", got, err)
		}
		mode := Changes{Set: SetMode | SetTimes, Mode: 0o700, Mtime: 1}
		before := snapshot(t, filepath.Join(dir, "d"))
		for _, p := range []string{"/d/e/..", "/d/e", "/d/e/.", "/d/e/theirs", "/d", "/"} {
			if err := trees[0].Setstat(p, mode); !errors.Is(err, unix.EACCES) {
				t.Errorf("attributes of %s: %v", p, err)
			}
		}
		if after := snapshot(t, filepath.Join(dir, "d")); after != before {
			t.Errorf("%s, before %s", after, before)
		}
		// One name in two directories.
		for _, p := range []string{"/same", "/d/same"} {
			finish(t, start(t, trees[1], p, create, 0, p), true, Nothing)
		}
		for _, p := range []string{"/same", "/d/same"} {
			if err := trees[1].Rename(p, p+"-moved"); err != nil {
				t.Errorf("rename of %s: %v", p, err)
			}
		}
	})
}

// TestManyLeftovers: a directory with any number of interrupted uploads is removed, giving up its turn in between, and not at
// all if one of them is in progress or the session has ended.
func TestManyLeftovers(t *testing.T) {
	const count = 700 // more than one block of entries
	dir := memoryDir(t)
	turns, over := 0, false
	tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(Uploads{OnClose: true}), WithTurns(func() (func(), error) {
		if turns++; over {
			return nil, unix.ECANCELED
		}
		return func() {}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for i := range count {
		write(t, dir, "d/"+stagedName(strconv.Itoa(i)), "left")
	}
	left := func(want int) {
		t.Helper()
		if names := hidden(t, filepath.Join(dir, "d")); len(names) != want {
			t.Errorf("%d are left, want %d", len(names), want)
		}
	}
	f := start(t, tree, "/d/new", create, 0, "x")
	if err := tree.Rmdir("/d"); err != unix.ENOTEMPTY {
		t.Errorf("with an upload in progress: %v", err)
	}
	left(count + 1)
	finish(t, f, true, Nothing)
	if err := tree.Rmdir("/d"); err != unix.ENOTEMPTY {
		t.Errorf("with a file: %v", err)
	}
	left(count)
	if err := tree.Remove("/d/new"); err != nil {
		t.Fatal(err)
	}
	over = true
	if err := tree.Rmdir("/d"); err != unix.ENOTEMPTY {
		t.Errorf("without a turn: %v", err)
	}
	left(count)
	turns, over = 0, false
	if err := tree.Rmdir("/d"); err != nil || turns < count/freeSteps || turns > count/freeSteps+5 {
		t.Errorf("%v after %d turns", err, turns)
	}
}

// TestMomentsOfPublishing: publishing a file waits while another process holds its publishing lock.
func TestMomentsOfPublishing(t *testing.T) {
	tree, dir := uploadTree(t, Auto, Uploads{OnClose: true}, ReadWrite)
	f := start(t, tree, "/new", create, 0, "content")
	other, err := os.OpenFile(filepath.Join(dir, stagedName("new")), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := holdPublishing(int(other.Fd())); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		finish(t, f, true, Nothing)
	}()
	time.Sleep(20 * time.Millisecond)
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("it is named by two at once")
	}
	other.Close()
	<-ended
	if got := read(tree, "/new"); got != "content" {
		t.Errorf("%q", got)
	}
}
