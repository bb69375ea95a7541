package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOperationsLeaveNoDescriptors: whatever is requested, and however it fails, nothing stays open.
func TestOperationsLeaveNoDescriptors(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		for _, access := range []Access{ReadWrite, ReadOnly, WriteOnly, CreateOnly} {
			dir, inner := t.TempDir(), t.TempDir()
			write(t, dir, "file", "content")
			write(t, dir, "d/x", "x")
			link(t, dir, "link", "d")
			tree := open(t, r, Mount{Path: "/", Volume: dir, Access: access}, Mount{Path: "/s/inner", Volume: inner, Access: ReadWrite})
			write(t, inner, "sub/x", "x")
			paths := []string{"/d/x", "/d/new", "/s/inner/sub/x", "/file", "/d", "/link", "/link/", "/none", "/none/x", "/file/", "/file/x", "/", "/d/..", "/s", "/s/inner", "/s/inner/x", "/s/x", ""}
			before := descriptors(t)
			for i, p := range paths {
				for _, q := range append(paths, fmt.Sprint("/new", i)) {
					_ = tree.Rename(p, q)
					_ = tree.Link(p, q)
					_ = tree.PosixRename(q, p)
					_ = tree.Symlink(q, p)
				}
				_ = tree.Mkdir(p, 0o700)
				_ = tree.Rmdir(p)
				_ = tree.Remove(p)
				_ = tree.Setstat(p, Changes{Set: SetTimes})
				_ = tree.Lsetstat(p, Changes{Set: SetMode, Mode: 0o700})
				_, _ = tree.Readlink(p)
				_, _ = tree.Stat(p)
				_, _ = tree.Lstat(p)
				_, _ = tree.RealPath(p)
				_, _ = tree.StatVFS(p)
				for _, flags := range []int{os.O_RDONLY, create, create | os.O_EXCL, os.O_RDWR} {
					if f, err := tree.OpenFile(p, flags, 0o600); err == nil {
						_, _ = f.Finish(flags != create)
					}
				}
				if d, err := tree.OpenDir(p); err == nil {
					_, _ = d.Stat()
					for e := (Entry{}); err == nil; {
						err = d.Next(&e)
					}
					if err := d.Close(); err != nil {
						t.Error(err)
					}
				}
			}
			if after := descriptors(t); after != before {
				t.Errorf("%s: %d descriptors, %d before", access, after, before)
			}
		}
	})
}

// TestWhatIsMadeIsKnownByItsName: in a drop box where files can only be created, everything created belongs to the connection,
// under its own name and in its own directory, however much there is; other content in the same place does not.
func TestWhatIsMadeIsKnownByItsName(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "d/a", "theirs")
	write(t, dir, "theirs", "theirs")
	tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: CreateOnly}})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for i := range 5 {
		if err := put(tree, fmt.Sprint("/a", i), "mine"); !errors.Is(err, nil) {
			t.Fatal(err)
		}
	}
	if err := put(tree, "/a", "mine"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := tree.Rename(fmt.Sprint("/a", i), fmt.Sprint("/d/b", i)); err != nil {
			t.Errorf("one of several: %v", err)
		}
	}
	for _, p := range []string{"/d/a", "/theirs", "/a0"} {
		if err := tree.Rename(p, "/stolen"); err == nil {
			t.Errorf("%s was renamed", p)
		}
	}
	// The old name belongs to no connection, even if another one's file gets it.
	if err := os.Link(filepath.Join(dir, "d/b0"), filepath.Join(dir, "a0")); err != nil {
		t.Fatal(err)
	}
	if err := tree.Rename("/a0", "/stolen"); !errors.Is(err, ErrAccess) {
		t.Errorf("a name that was given up: %v", err)
	}
}

// TestManyThatWereMade: the number of remembered files is bounded, and the newest is always included.
func TestManyThatWereMade(t *testing.T) {
	fd, err := unix.Open(t.TempDir(), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var c created
	for i := range maxCreated + 10 {
		par := parent{fd: fd, name: strconv.Itoa(i)}
		c.add(par, identity{})
		key, _ := c.key(par)
		if _, ok := c.files[key]; !ok || len(c.files) != min(i+1, maxCreated) {
			t.Fatalf("after %d: %d are remembered, this one: %v", i, len(c.files), ok)
		}
	}
	gone := parent{fd: -1, name: "x"}
	c = created{}
	c.add(gone, identity{})
	c.moved(gone, gone)
	if c.has(gone) || len(c.files) != 0 {
		t.Error("what has no directory is remembered")
	}
}

// TestCopyRanges: negative offsets are refused, copying 0 bytes copies nothing, a file opened for append grows at its end, and
// a part has a limited size.
func TestCopyRanges(t *testing.T) {
	tree, dir := home(t, "")
	write(t, dir, "from", "0123456789")
	write(t, dir, "to", "abc")
	from, err := tree.OpenFile("/from", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for _, tc := range []struct {
		flags       int
		off, dst, n int64
		copied      int64
		err         error
		content     string
	}{
		{0, -1, 0, 1, 0, unix.EINVAL, "abc"},
		{0, 0, -1, 1, 0, unix.EINVAL, "abc"},
		{0, 0, 0, -1, 0, unix.EINVAL, "abc"},
		{0, 0, 0, 0, 0, nil, "abc"},
		{0, 10, 0, 0, 0, nil, "abc"},
		{0, 10, 0, 1, 0, io.EOF, "abc"},
		{0, 9, 0, 1, 1, nil, "9bc"},
		{0, 0, 1, 1, 1, nil, "90c"},
		{0, 2, 2, 1 << 40, 8, nil, "9023456789"},
		{os.O_APPEND, 0, 0, 2, 2, nil, "902345678901"},
		{os.O_APPEND, 11, 0, 2, 0, io.EOF, "902345678901"},
	} {
		to, err := tree.OpenFile("/to", os.O_WRONLY|tc.flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		n, err := from.CopyTo(to, tc.off, tc.dst, tc.n)
		to.Close()
		if got, _ := os.ReadFile(filepath.Join(dir, "to")); n != tc.copied || !errors.Is(err, tc.err) || string(got) != tc.content {
			t.Errorf("%+v: %d, %v, %q", tc, n, err, got)
		}
	}
}

// TestRefusalsSayWhy: each refusal has its own message for the client.
func TestRefusalsSayWhy(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		ErrAccess, ErrCrossMount, ErrMountPoint, ErrNotRegular, ErrOwner, ErrDots, ErrReserved, ErrNotPublished,
		ErrInterrupted, ErrUploading, ErrRemoved, ErrSameFile,
	} {
		var errno unix.Errno
		if text := err.Error(); len(text) < 10 || seen[text] || !errors.As(err, &errno) || errno == 0 || !errors.Is(err, errno) {
			t.Errorf("%q", text)
		}
		seen[err.Error()] = true
	}
	if !strings.Contains(ErrReserved.Error(), stagingPrefix) {
		t.Errorf("%v does not say which names", ErrReserved)
	}
}

// TestModeOfADirectory: a new directory has the requested permissions less the umask, and no other bits.
func TestModeOfADirectory(t *testing.T) {
	defer unix.Umask(unix.Umask(0o027))
	tree, dir := home(t, "")
	for p, mode := range map[string]uint32{"/a": 0o700, "/b": 0o777, "/c": 0o7755, "/d": 0o500} {
		if err := tree.Mkdir(p, mode); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(dir+p, &st); err != nil || st.Mode&0o7777 != mode&0o777&^0o027 {
			t.Errorf("%s: %o, %v, want %o", p, st.Mode&0o7777, err, mode&0o750)
		}
	}
}
