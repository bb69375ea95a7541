package vfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestListedAttributes: a listing shows for each entry what a STAT of it shows: for files, links, mount points, and the directories that
// only lead to mount points. Clients use this to decide which entries are directories.
func TestListedAttributes(t *testing.T) {
	home, in := t.TempDir(), t.TempDir()
	at := time.Unix(1_600_000_000, 0)
	if err := errors.Join(
		os.Chmod(in, 0o751), os.Chtimes(in, at, at), os.WriteFile(filepath.Join(home, "file"), []byte("content"), 0o640),
		os.Mkdir(filepath.Join(home, "dir"), 0o700), os.Symlink("file", filepath.Join(home, "link")),
	); err != nil {
		t.Fatal(err)
	}
	tree, err := Open([]Mount{{Path: "/", Volume: home, Access: ReadWrite}, {Path: "/in", Volume: in, Access: ReadOnly}, {Path: "/a/b", Volume: in, Access: ReadOnly}})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for dir, want := range map[string]string{"/": ". .. a dir file in link", "/a": ". .. b"} {
		d, err := tree.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for {
			e := Entry{Attr: Attr{Mode: 0o7777777}} // the caller uses it again and again
			err := d.Next(&e)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			names[string(e.Name)] = true
			stat, err := tree.Lstat(strings.TrimSuffix(dir, "/") + "/" + string(e.Name))
			if err != nil || e.Attr != stat {
				t.Errorf("%s in %s is listed as %+v, and is %+v, %v", e.Name, dir, e.Attr, stat, err)
			}
		}
		d.Close()
		for name := range strings.FieldsSeq(want) {
			if !names[name] {
				t.Errorf("%s has no %s", dir, name)
			}
		}
		if len(names) != len(strings.Fields(want)) {
			t.Errorf("%s has %v", dir, names)
		}
	}
}

// meanwhile is a Journal with something that happens between the record of a rename and the rename.
type meanwhile struct {
	notes
	do func()
}

func (m *meanwhile) Publishing(p *Publication) (Outcome, error) {
	defer m.do()
	return m.notes.Publishing(p)
}

// TestChangedWhileItIsRenamed: a file that a client changes while it gets its final name has a second record, with its new content. The
// change shows in its size or its time; if the name belongs to another file by then, there is no second record.
func TestChangedWhileItIsRenamed(t *testing.T) {
	before := time.Unix(1_600_000_000, 7)
	for name, c := range map[string]struct {
		do   func(path string) error
		want bool
	}{
		"unchanged": {func(string) error { return nil }, false},
		"longer, at that time": {func(p string) error {
			return errors.Join(os.WriteFile(p, []byte("longer"), 0o600), os.Chtimes(p, before, before))
		}, true},
		"of the same length": {func(p string) error {
			return errors.Join(os.WriteFile(p, []byte("up"), 0o600), os.Chtimes(p, before, before.Add(1)))
		}, true},
		"another file": {func(p string) error {
			return errors.Join(os.Rename(p, p+".old"), os.WriteFile(p, []byte("another"), 0o600))
		}, false},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "up.part")
		if err := errors.Join(os.WriteFile(path, []byte("up"), 0o600), os.Chtimes(path, before, before)); err != nil {
			t.Fatal(err)
		}
		m := &meanwhile{}
		m.do = func() {
			if err := c.do(path); err != nil {
				t.Error(err)
			}
		}
		tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(Uploads{OnClose: true}), WithJournal(m))
		if err != nil {
			t.Fatal(err)
		}
		err = tree.PosixRename("/up.part", "/up")
		tree.Close()
		if have := strings.Join(m.lines, "; "); err != nil || strings.Contains(have, "written /") != c.want || !strings.Contains(have, "; published") {
			t.Errorf("%s: %s, %v", name, have, err)
		}
	}
}

// TestCheckLeavesNothing: the check whether a volume can be written to, which runs again and again, leaves no file there and none open,
// whatever it finds.
func TestCheckLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	for _, subs := range [][]string{nil, {"sub"}, {"none"}} {
		if err := CheckWritable(dir, subs); err != nil {
			t.Errorf("%q: %v", subs, err)
		}
		if err := CheckWritable(filepath.Join(dir, "none"), subs); !errors.Is(err, unix.ENOENT) {
			t.Errorf("a volume that is not there: %v", err)
		}
	}
	wantNoNewFiles(t, before)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
