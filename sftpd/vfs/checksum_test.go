package vfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// hashTiny hashes small files as if they were large, and does not wait for clocks: nothing else changes the test's files.
func hashTiny(t *testing.T) {
	t.Helper()
	from, ahead, tick := hashFrom, maxAhead, clockTick
	hashFrom, maxAhead, clockTick = 4, 16, 0
	t.Cleanup(func() { hashFrom, maxAhead, clockTick = from, ahead, tick })
}

var onClose = Uploads{OnClose: true, Checksum: true}

func writeOff(t *testing.T, f *File, off int64, text string) {
	t.Helper()
	if n, err := f.WriteAt([]byte(text), off); err != nil || n != len(text) {
		t.Fatalf("%d bytes, %v", n, err)
	}
}

// TestHashedInOrder: which sequences of writes are hashed while they are made, and that all have the right checksum.
func TestHashedInOrder(t *testing.T) {
	hashTiny(t)
	for name, tc := range map[string]struct {
		flags int
		do    func(t *testing.T, f *File)
		want  string
		// running is whether the file is hashed while it is written, up to hashed.
		running bool
		hashed  int64
	}{
		"nothing":  {running: true},
		"in order": {do: func(t *testing.T, f *File) { writeOff(t, f, 0, "12345"); writeOff(t, f, 5, "67") }, want: "1234567", running: true, hashed: 7},
		"small":    {do: func(t *testing.T, f *File) { writeOff(t, f, 0, "123") }, want: "123", running: true},
		"parts":    {do: func(t *testing.T, f *File) { f.WritePartsAt([][]byte{[]byte("123"), nil, []byte("45")}, 0) }, want: "12345", running: true, hashed: 5},
		"swapped": {do: func(t *testing.T, f *File) {
			writeOff(t, f, 4, "5678")
			writeOff(t, f, 0, "1234")
			writeOff(t, f, 8, "9")
		}, want: "123456789", running: true, hashed: 9},
		"with gap": {do: func(t *testing.T, f *File) { writeOff(t, f, 0, "1234"); writeOff(t, f, 6, "78") }, want: "1234\x00\x0078", running: true, hashed: 4},
		"joined": {do: func(t *testing.T, f *File) {
			writeOff(t, f, 6, "78")
			writeOff(t, f, 4, "56")
			writeOff(t, f, 0, "12345")
		}, want: "12345678", running: true, hashed: 8},
		"far ahead": {do: func(t *testing.T, f *File) { writeOff(t, f, 16, "x"); writeOff(t, f, 0, "1234567890123456") }, want: "1234567890123456x"},
		"again": {do: func(t *testing.T, f *File) {
			writeOff(t, f, 0, "12345")
			writeOff(t, f, 0, "1")
			writeOff(t, f, 5, "6")
		}, want: "123456"},
		"changed":  {do: func(t *testing.T, f *File) { writeOff(t, f, 0, "12345"); writeOff(t, f, 2, "x") }, want: "12x45"},
		"appended": {flags: unix.O_APPEND, do: func(t *testing.T, f *File) { writeOff(t, f, 0, "12345"); writeOff(t, f, 0, "67") }, want: "1234567"},
		"cut": {do: func(t *testing.T, f *File) {
			writeOff(t, f, 0, "12345")
			resize(t, f, 4)
			writeOff(t, f, 4, "x")
		}, want: "1234x"},
		"sized before": {do: func(t *testing.T, f *File) { resize(t, f, 6); writeOff(t, f, 0, "12345") }, want: "12345\x00", running: true, hashed: 5},
		"cut ahead": {do: func(t *testing.T, f *File) {
			writeOff(t, f, 5, "67")
			resize(t, f, 6)
			writeOff(t, f, 0, "12345")
		}, want: "123456"},
		"copied": {do: func(t *testing.T, f *File) {
			writeOff(t, f, 0, "12345")
			dir := t.TempDir()
			write(t, dir, "digits", "987")
			fd, err := unix.Open(filepath.Join(dir, "digits"), unix.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			src := &File{fd: fd}
			defer src.Close()
			if n, err := src.CopyTo(f, 0, 1, 3); n != 3 || err != nil {
				t.Fatal(n, err)
			}
		}, want: "19875"},
	} {
		t.Run(name, func(t *testing.T) {
			tree, dir := uploadTree(t, Auto, onClose, ReadWrite)
			f, err := tree.OpenFile("/new", create|tc.flags, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if tc.do != nil {
				tc.do(t, f)
			}
			if f.sum.running != tc.running || f.sum.hashed != tc.hashed {
				t.Errorf("hashed in order %v, %d bytes; want %v, %d", f.sum.running, f.sum.hashed, tc.running, tc.hashed)
			}
			read := 0
			sum, err := f.Sum(func(part func()) error { read++; part(); return nil })
			if sum != sumOf(tc.want) || err != nil {
				t.Errorf("%q, %v, want that of %q", sum, err, tc.want)
			}
			if all := tc.hashed == int64(len(tc.want)); all != (read == 0) {
				t.Errorf("read back %d times", read)
			}
			finish(t, f, true, Nothing)
			if got, err := os.ReadFile(filepath.Join(dir, "new")); string(got) != tc.want || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if left := hidden(t, dir); len(left) != 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

func resize(t *testing.T, f *File, size uint64) {
	t.Helper()
	if err := f.Setstat(Changes{Set: SetSize, Size: size}); err != nil {
		t.Fatal(err)
	}
}

// TestSumsAgainstAModel writes files in random orders and pieces, and compares with crypto/sha256.
func TestSumsAgainstAModel(t *testing.T) {
	from, ahead := hashFrom, maxAhead
	hashFrom, maxAhead = 64<<10, 512<<10
	defer func() { hashFrom, maxAhead = from, ahead }()
	tree, _ := uploadTree(t, Auto, onClose, ReadWrite)
	rnd := rand.New(rand.NewPCG(16, 4))
	inOrder, all := 0, 60
	for range all {
		var model []byte
		f, err := tree.OpenFile("/f", create, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		const piece = 8 << 10
		pieces := rnd.Perm(rnd.IntN(100))
		// From in order, with neighbors swapped, to anything.
		if window := []int{1, 2, 16, 1000}[rnd.IntN(4)]; window < 1000 {
			slices.Sort(pieces)
			for i := 0; i+window <= len(pieces); i += window {
				rnd.Shuffle(window, func(a, b int) { pieces[i+a], pieces[i+b] = pieces[i+b], pieces[i+a] })
			}
		}
		for i, at := range pieces {
			p := bytes.Repeat([]byte{byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(at)}, piece/4)
			model = writeTo(model, at*piece, p)
			writeOff(t, f, int64(at*piece), string(p))
			if i%40 == 39 && rnd.IntN(4) == 0 {
				size := rnd.IntN(len(model) + piece)
				resize(t, f, uint64(size))
				model = append(model, make([]byte, piece)...)[:size]
			}
		}
		if f.sum.running {
			inOrder++
		}
		want := sumOf(string(model))
		if got, err := f.Sum(inOneGo); got != want || err != nil {
			t.Fatalf("%d bytes: %q, %v, want %q", len(model), got, err, want)
		}
		finish(t, f, true, Nothing)
	}
	t.Logf("MODEL: %d of %d files hashed in order", inOrder, all)
	if inOrder < all/4 || inOrder == all {
		t.Errorf("%d of %d were hashed in order", inOrder, all)
	}
}

func writeTo(model []byte, off int, p []byte) []byte {
	if n := off + len(p) - len(model); n > 0 {
		model = append(model, make([]byte, n)...)
	}
	copy(model[off:], p)
	return model
}

// TestSumWithOthers: another handle, of another daemon, never makes a checksum wrong, whether it is still there or gone.
func TestSumWithOthers(t *testing.T) {
	hashTiny(t)
	for name, tc := range map[string]struct {
		other Uploads
		// then is what happens to the other one.
		then func(t *testing.T, g *File)
		want string // "" for no checksum
	}{
		"still open":        {other: onClose, then: func(*testing.T, *File) {}},
		"aborted":           {other: onClose, then: func(t *testing.T, g *File) { finish(t, g, false, Kept) }, want: "12x4567"},
		"without checksums": {other: Uploads{OnClose: true}, then: func(t *testing.T, g *File) { finish(t, g, false, Kept) }, want: "12x4567"},
		"killed": {other: onClose, then: func(_ *testing.T, g *File) {
			g.up.dir.close()
			g.Close()
		}, want: "12x4567"},
		"published": {other: onClose, then: func(t *testing.T, g *File) { finish(t, g, true, Nothing) }, want: "12x4567"},
	} {
		t.Run(name, func(t *testing.T) {
			trees, dir := connections(t, onClose, false)
			other, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(tc.other))
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			f := start(t, trees[0], "/f", create, 0, "12345")
			g := start(t, other, "/f", proceed, 2, "x")
			writeOff(t, f, 5, "67")
			tc.then(t, g)
			sum, err := f.Sum(inOneGo)
			want := ""
			if tc.want != "" {
				want = sumOf(tc.want)
			}
			if sum != want || err != nil {
				t.Errorf("%q, %v, want that of %q", sum, err, tc.want)
			}
			finish(t, f, true, Nothing)
			if tc.want == "" { // the last one has it
				sum, err := g.Sum(inOneGo)
				if sum != sumOf("12x4567") || err != nil {
					t.Errorf("the last one: %q, %v", sum, err)
				}
				finish(t, g, true, Nothing)
			}
			if left := hidden(t, dir); len(left) != 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// TestNobodyWritesDuringSum: an upload cannot be changed between its checksum and its name.
func TestNobodyWritesDuringSum(t *testing.T) {
	trees, _ := connections(t, onClose, false)
	f := start(t, trees[0], "/f", create, 0, "12345")
	var refused error
	sum, err := f.Sum(func(part func()) error {
		part()
		_, refused = trees[1].OpenFile("/f", create, 0o600)
		return nil
	})
	if sum != sumOf("12345") || err != nil || !errors.Is(refused, ErrUploading) {
		t.Errorf("%q, %v, opened meanwhile: %v", sum, err, refused)
	}
	finish(t, f, true, Nothing)
}

// TestSumInPlace: checksums of files under their own names, which others can change.
func TestSumInPlace(t *testing.T) {
	at := func(dir string) string { return filepath.Join(dir, "old") }
	for name, tc := range map[string]struct {
		during func(t *testing.T, path string)
		want   string
	}{
		"unchanged": {want: "OLD content"},
		"written": {during: func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte("x"), 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil { // which hides nothing
				t.Fatal(err)
			}
		}},
		"truncated": {during: func(t *testing.T, path string) {
			if err := os.Truncate(path, 3); err != nil {
				t.Fatal(err)
			}
		}},
		"replaced": {during: func(t *testing.T, path string) { // by another file: this one is what it was
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		for _, u := range []Uploads{{Checksum: true}, onClose} {
			tree, dir := uploadTree(t, Auto, u, ReadWrite)
			f := start(t, tree, "/old", proceed, 0, "OLD")
			sum, err := f.Sum(func(part func()) error {
				part()
				if tc.during != nil {
					tc.during(t, at(dir))
				}
				return nil
			})
			want := ""
			if tc.want != "" {
				want = sumOf(tc.want)
			}
			if sum != want || err != nil || f.sum.known() != want {
				t.Errorf("%s, %+v: %q, %v, want that of %q", name, u, sum, err, tc.want)
			}
			finish(t, f, true, Nothing)
		}
	}
}

// TestFilesWithoutSum: where no checksum would be right, there is none.
func TestFilesWithoutSum(t *testing.T) {
	for name, tc := range map[string]struct {
		uploads Uploads
		open    int
		before  func(t *testing.T)
		do      func(t *testing.T, f *File)
	}{
		"off":         {uploads: Uploads{OnClose: true}, open: create},
		"only read":   {uploads: onClose, open: unix.O_RDONLY},
		"not written": {uploads: onClose, open: unix.O_WRONLY},
		"no locks":    {uploads: onClose, open: create, before: withoutLocks},
		"sparse": {uploads: onClose, open: create, do: func(t *testing.T, f *File) {
			resize(t, f, maxReadBack+1)
		}},
		"sparse in place": {uploads: Uploads{Checksum: true}, open: proceed, do: func(t *testing.T, f *File) {
			resize(t, f, maxReadBack+1)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.before != nil {
				tc.before(t)
			}
			tree, _ := uploadTree(t, Auto, tc.uploads, ReadWrite)
			f, err := tree.OpenFile("/old", tc.open, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if tc.do != nil {
				tc.do(t, f)
			}
			if sum, err := f.Sum(inOneGo); sum != "" || err != nil || f.sum.known() != "" {
				t.Errorf("%q, %v", sum, err)
			}
			_, _ = f.Finish(false)
		})
	}
}

// TestSumEnds: computing a checksum ends with the session.
func TestSumEnds(t *testing.T) {
	gone := errors.New("the session is over")
	for _, u := range []Uploads{onClose, {Checksum: true}} {
		tree, _ := uploadTree(t, Auto, u, ReadWrite)
		f := start(t, tree, "/old", create, 0, strings.Repeat("x", 600<<10))
		parts := 0
		sum, err := f.Sum(func(part func()) error {
			if parts++; parts == 2 {
				return gone
			}
			part()
			return nil
		})
		if sum != "" || !errors.Is(err, gone) || parts != 2 || f.sum.known() != "" {
			t.Errorf("%q, %v after %d parts", sum, err, parts)
		}
		finish(t, f, false, Kept)
	}
}

// TestSumsOfRecords: what is recorded has the checksum, also where a rename completes the upload.
func TestSumsOfRecords(t *testing.T) {
	for name, tc := range map[string]struct {
		uploads Uploads
		path    string
		during  func(dir string) error
		want    []string
	}{
		"published":  {uploads: onClose, path: "/new", want: []string{sumOf("12345")}},
		"immediate":  {uploads: Uploads{Checksum: true}, path: "/new", want: []string{sumOf("12345")}},
		"temporary":  {uploads: onClose, path: "/new.part", want: []string{sumOf("12345"), sumOf("12345")}},
		"off":        {uploads: Uploads{OnClose: true}, path: "/new.part", want: []string{"", ""}},
		"in between": {uploads: onClose, path: "/new.part", during: func(dir string) error { return os.WriteFile(filepath.Join(dir, "new.part"), []byte("other"), 0o600) }, want: []string{sumOf("12345"), sumOf("other")}},
	} {
		n := &notes{}
		dir := t.TempDir()
		tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(tc.uploads), WithJournal(n))
		if err != nil {
			t.Fatal(err)
		}
		f := start(t, tree, tc.path, create, 0, "12345")
		f.Note(5, false)
		if _, err := f.Sum(inOneGo); err != nil {
			t.Fatal(err)
		}
		finish(t, f, true, Nothing)
		if tc.during != nil {
			if err := tc.during(dir); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasSuffix(tc.path, ".part") {
			if err := tree.PosixRename(tc.path, "/new"); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(n.sums, tc.want) {
			t.Errorf("%s: %q, want %q", name, n.sums, tc.want)
		}
		tree.Close()
	}
}

// TestMarks: a mark stays as long as its upload, and goes with it.
func TestMarks(t *testing.T) {
	hashTiny(t)
	trees, dir := connections(t, onClose, false)
	f := start(t, trees[0], "/f", create, 0, "12345")
	g := start(t, trees[1], "/f", proceed, 2, "x")
	mark := sharedName(stagedName("f"))
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	look := func() (seen Seen) {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, mark), &st); err != nil {
			t.Fatal(err)
		}
		return seenOf(&st)
	}
	finish(t, g, false, Kept)
	if err := RemoveStale(int(d.Fd()), mark, look(), true, agree); !errors.Is(err, ErrUploading) {
		t.Errorf("removed a mark in use: %v", err)
	}
	finish(t, f, false, Kept)
	if names := hidden(t, dir); len(names) != 2 {
		t.Fatalf("left %q", names)
	}
	// A writer that continues it does not trust what others wrote, and removes the mark.
	f = start(t, trees[1], "/f", proceed, 5, "67")
	if sum, err := f.Sum(inOneGo); sum != sumOf("12x4567") || err != nil {
		t.Errorf("continued: %q, %v", sum, err)
	}
	finish(t, f, true, Nothing)
	if names := hidden(t, dir); len(names) != 0 {
		t.Errorf("left %q", names)
	}
	// One whose upload is gone is stale, and no directory stays because of it.
	write(t, dir, mark, "")
	if err := RemoveStale(int(d.Fd()), mark, look(), true, agree); err != nil {
		t.Errorf("a stale mark: %v", err)
	}
	write(t, dir, "d/"+mark, "")
	write(t, dir, "d/"+stagedName("f"), "left")
	if err := trees[0].Rmdir("/d"); err != nil {
		t.Errorf("rmdir: %v", err)
	}
}

// TestReadable: a file that cannot be opened for reading is opened for writing only.
func TestReadable(t *testing.T) {
	for _, tc := range []struct {
		checksum bool
		flags    int
		fails    error
		want     []int
	}{
		{false, unix.O_WRONLY | unix.O_CREAT, nil, []int{unix.O_WRONLY | unix.O_CREAT}},
		{true, unix.O_WRONLY | unix.O_CREAT, nil, []int{unix.O_RDWR | unix.O_CREAT}},
		{true, unix.O_RDONLY | unix.O_TRUNC, nil, []int{unix.O_RDONLY | unix.O_TRUNC}},
		{true, unix.O_WRONLY, unix.EACCES, []int{unix.O_RDWR, unix.O_WRONLY}},
		{true, unix.O_WRONLY, unix.EINVAL, []int{unix.O_RDWR, unix.O_WRONLY}},
		{true, unix.O_WRONLY, unix.ENOENT, []int{unix.O_RDWR}},
	} {
		var got []int
		u := Uploads{Checksum: tc.checksum}
		_ = u.readable(tc.flags, func(flags int) error { got = append(got, flags); return tc.fails })
		if !slices.Equal(got, tc.want) {
			t.Errorf("%+v: opened with %#x", tc, got)
		}
	}
	// It has no checksum then, instead of an error.
	name := filepath.Join(t.TempDir(), "f")
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{fd: fd, flags: unix.O_WRONLY, sum: new(checksum)}
	defer f.Close()
	writeOff(t, f, 0, "12345")
	if sum, err := f.Sum(inOneGo); sum != "" || err != nil {
		t.Errorf("%q, %v", sum, err)
	}
}

// BenchmarkChecksum writes 64 MiB in parts of 256 KiB, without and with a checksum.
func BenchmarkChecksum(b *testing.B) {
	part := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	for name, u := range map[string]Uploads{"off": {OnClose: true}, "SHA256": onClose, "SHA256-Immediate": {Checksum: true}} {
		b.Run(name, func(b *testing.B) {
			tree, err := Open([]Mount{{Path: "/", Volume: memoryDir(b), Access: ReadWrite}}, WithUploads(u))
			if err != nil {
				b.Fatal(err)
			}
			defer tree.Close()
			b.SetBytes(64 << 20)
			for b.Loop() {
				f, err := tree.OpenFile("/f", create, 0o600)
				if err != nil {
					b.Fatal(err)
				}
				for off := int64(0); off < 64<<20; off += int64(len(part)) {
					if n := f.WritePartsAt([][]byte{part}, off); n != len(part) {
						b.Fatal(n)
					}
				}
				if _, err := f.Sum(inOneGo); err != nil {
					b.Fatal(err)
				}
				if _, err := f.Finish(true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
