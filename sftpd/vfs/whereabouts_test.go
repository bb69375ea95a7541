package vfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// writing is a file that is open for writing, and what happens to its name.
type writing struct {
	*Tree // of its user
	all   *Tree
	dir   string
	t     *testing.T
}

// open opens a file and writes to it.
func (w writing) open(p string, flags int, off int64, text string) *File {
	w.t.Helper()
	f, err := w.OpenFile(p, flags, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	return start2(w.t, f, off, text)
}

// close writes to a file and closes it.
func (w writing) close(f *File, off int64, text string) error {
	w.t.Helper()
	start2(w.t, f, off, text).Note(uint64(len(text)), false)
	_, err := f.Finish(true)
	return err
}

func (w writing) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestFilesThatMoveWhileTheyAreWritten: data written through a handle whose CLOSE was OK is recorded under the name that the
// file has then, even if it was opened with another one: a client must not be able to change, without a record, what a
// receiver believes to be complete.
func TestFilesThatMoveWhileTheyAreWritten(t *testing.T) {
	for name, tc := range map[string]struct {
		immediate bool
		do        func(w writing) error
		want      string
	}{
		"a new file, visible at once": {immediate: true, do: func(w writing) error {
			f := w.open("/a.part", create, 0, "12")
			w.must(w.Rename("/a.part", "/a"))
			return w.close(f, 2, "345")
		}, want: `ahead /a from="/a.part" name=a size=2 replaced=false written=0; published; written /a.part now /a name=a size=5 replaced=false written=3`},
		"continued in place": {do: func(w writing) error {
			f := w.open("/up.part", proceed, 2, "3")
			w.must(w.PosixRename("/up.part", "/up"))
			return w.close(f, 3, "45")
		}, want: `ahead /up from="/up.part" name=up size=3 replaced=false written=0; published; written /up.part now /up name=up size=5 replaced=true written=2`},
		"shared, and published by the other handle": {do: func(w writing) error {
			f, g := w.open("/a.part", create, 0, "12"), w.open("/a.part", proceed, 2, "3")
			w.must(w.close(f, 0, "12"))
			w.must(w.Rename("/a.part", "/a"))
			return w.close(g, 3, "45")
		}, want: `ahead /a.part from="" name=a.part size=3 replaced=false written=2; published; ` +
			`ahead /a from="/a.part" name=a size=3 replaced=false written=0; published; written /a.part now /a name=a size=5 replaced=true written=2`},
		"to another temporary name": {do: func(w writing) error {
			f := w.open("/up.part", proceed, 2, "3")
			w.must(w.Rename("/up.part", "/b.part"))
			return w.close(f, 3, "4")
		}, want: `written /up.part now /b.part name=b.part size=4 replaced=true written=1`},
		"from an ordinary name": {do: func(w writing) error {
			f := w.open("/old", proceed, 3, "4")
			w.must(w.Rename("/old", "/dir/older"))
			return w.close(f, 4, "5")
		}, want: `written /old now /dir/older name=older size=5 replaced=true written=1`},
		"its directory, in place": {do: func(w writing) error {
			f := w.open("/dir/in", proceed, 2, "3")
			w.must(w.Rename("/dir", "/moved"))
			return w.close(f, 3, "4")
		}, want: `written /dir/in now /moved/in name=in size=4 replaced=true written=1`},
		"its directory, before it is published": {do: func(w writing) error {
			f := w.open("dir/./new", create, 0, "12")
			w.must(w.Rename("/dir", "/moved"))
			return w.close(f, 2, "3")
		}, want: `ahead /moved/new from="/dir/new" name=new size=3 replaced=false written=1; published`},
		"by another user": {do: func(w writing) error {
			f := w.open("/up.part", proceed, 2, "3")
			w.must(w.all.Rename("/home/up.part", "/home/dir/up"))
			return w.close(f, 3, "4")
		}, want: `ahead /home/dir/up from="/home/up.part" name=up size=3 replaced=false written=0; published; ` +
			`written /up.part now /dir/up name=up size=4 replaced=true written=1`},
		"through a link that stays": {do: func(w writing) error {
			link(w.t, w.dir, "link", "old")
			f := w.open("/link", proceed, 3, "4")
			return w.close(f, 4, "5")
		}, want: `written /link name=link size=5 replaced=true written=1`},
		"removed": {do: func(w writing) error {
			f := w.open("/old", proceed, 3, "4")
			w.must(w.Remove("/old"))
			return w.close(f, 4, "5")
		}, want: `written /old name=old size=5 replaced=true written=1`},
	} {
		t.Run(name, func(t *testing.T) {
			volume := t.TempDir()
			dir := filepath.Join(volume, "home")
			for file, content := range map[string]string{"old": "old", "up.part": "up", "dir/in": "in"} {
				write(t, dir, file, content)
			}
			n := &notes{}
			u := Uploads{OnClose: !tc.immediate}
			tree, err := Open([]Mount{{Path: "/", Volume: volume, SubPath: "home", Access: ReadWrite}}, WithUploads(u), WithJournal(n))
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			all, err := Open([]Mount{{Path: "/", Volume: volume, Access: ReadWrite}}, WithUploads(u), WithJournal(n))
			if err != nil {
				t.Fatal(err)
			}
			defer all.Close()
			if err := tc.do(writing{tree, all, dir, t}); err != nil {
				t.Error(err)
			}
			if have := strings.Join(n.lines, "; "); have != tc.want {
				t.Errorf("have %s\nwant %s", have, tc.want)
			}
		})
	}
}

// TestFileThatLeavesTheTree: an upload under a temporary name that was moved to where its user cannot see it is not answered
// with OK, because nothing would record the last writes.
func TestFileThatLeavesTheTree(t *testing.T) {
	volume := t.TempDir()
	dir := filepath.Join(volume, "home")
	write(t, dir, "up.part", "up")
	write(t, dir, "up", "up")
	n := &notes{}
	tree, err := Open([]Mount{{Path: "/", Volume: volume, SubPath: "home", Access: ReadWrite}}, WithUploads(Uploads{OnClose: true}), WithJournal(n))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	w := writing{Tree: tree, dir: dir, t: t}
	for name, want := range map[string]error{"up.part": ErrRemoved, "up": nil} {
		f := w.open("/"+name, proceed, 2, "3")
		w.must(os.Rename(filepath.Join(dir, name), filepath.Join(volume, name)))
		if err := w.close(f, 3, "4"); err != want { //nolint:errorlint // the identical error
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if have := strings.Join(n.lines, "; "); have != "written /up name=up size=4 replaced=true written=1" {
		t.Error(have)
	}
}

// late is a journal during whose records a file is changed.
type late struct {
	*notes
	write func()
}

func (l late) Publishing(p *Publication) (Outcome, error) {
	o, err := l.notes.Publishing(p)
	l.write()
	return o, err
}

// TestWriteDuringTheRename: data that is written and closed after the size and the checksum of an upload were recorded, but
// before it has its name, is recorded as well.
func TestWriteDuringTheRename(t *testing.T) {
	for _, own := range []bool{false, true} {
		dir := t.TempDir()
		write(t, dir, "up.part", "up")
		n := &notes{}
		access := ReadWrite
		if own {
			access = CreateOnly
		}
		var tree *Tree
		j := late{n, func() {
			other, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithJournal(n))
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			w := writing{Tree: other, t: t}
			w.must(w.close(w.open("/up.part", unix.O_WRONLY, 2, "3"), 3, "4"))
		}}
		tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: access}}, WithUploads(Uploads{Checksum: true}), WithJournal(j))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tree.Close() })
		if own { // created by this tree, so that it may rename it
			if err := os.Remove(filepath.Join(dir, "up.part")); err != nil {
				t.Fatal(err)
			}
			w := writing{Tree: tree, t: t}
			f := w.open("/up.part", unix.O_WRONLY|unix.O_CREAT, 0, "up")
			w.must(f.Close())
		}
		if err := tree.Rename("/up.part", "/up"); err != nil {
			t.Fatal(err)
		}
		want := `ahead /up from="/up.part" name=up size=2 replaced=false written=0; written /up.part name=up.part size=4 replaced=true written=1; published; ` +
			`written /up.part now /up name=up size=4 replaced=true written=0`
		if have := strings.Join(n.lines, "; "); have != want {
			t.Errorf("have %s\nwant %s", have, want)
		}
		if len(n.sums) != 3 || n.sums[2] == "" || n.sums[2] == n.sums[0] {
			t.Errorf("checksums %q", n.sums)
		}
	}
}
