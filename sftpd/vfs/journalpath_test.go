package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// publications is a Journal that keeps its calls.
type publications struct {
	notes
	all []Publication
}

func (p *publications) Publishing(a *Publication) (Outcome, error) {
	p.all = append(p.all, *a)
	return p.notes.Publishing(a)
}

func (p *publications) Written(a *Publication) error {
	p.all = append(p.all, *a)
	return p.notes.Written(a)
}

// TestWhereAPublicationIs: what is recorded about a file is correct, however the client named it: its path
// from the root of the user's tree, and on the host its directory, name, inode and size.
func TestWhereAPublicationIs(t *testing.T) {
	for _, sync := range []bool{false, true} {
		for name, tc := range map[string]struct {
			do   func(tree *Tree) error
			path string // of the user
			old  string
			host string // below the volume
		}{
			"relative": {func(tree *Tree) error { return send(tree, "new", create, "12345", false, true) }, "/in/a/new", "", "a/new"},
			"relative, with dots": {
				func(tree *Tree) error { return send(tree, "./x/../../b/new", create, "12345", false, true) }, "/in/b/new", "", "b/new",
			},
			"absolute, not clean": {
				func(tree *Tree) error { return send(tree, "//in/./b//new", create, "12345", false, true) }, "/in/b/new", "", "b/new",
			},
			"continued in place": {func(tree *Tree) error { return send(tree, "old", unix.O_WRONLY, "1", false, true) }, "/in/a/old", "", "a/old"},
			"a rename, relative": {func(tree *Tree) error { return tree.Rename("up.part", "../b/up") }, "/in/b/up", "/in/a/up.part", "b/up"},
			"a rename, not clean": {
				func(tree *Tree) error { return tree.PosixRename("/in//a/./up.part", "old") }, "/in/a/old", "/in/a/up.part", "a/old",
			},
		} {
			t.Run(fmt.Sprint(name, " ", sync), func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, "a/old", "old")
				write(t, dir, "a/up.part", "up")
				write(t, dir, "a/x/y", "")
				write(t, dir, "b/z", "")
				j := &publications{}
				tree, err := Open([]Mount{{Path: "/in", Volume: dir, Access: ReadWrite}}, WithStart("/in/a"),
					WithUploads(Uploads{OnClose: true, Sync: sync}), WithJournal(j))
				if err != nil {
					t.Fatal(err)
				}
				defer tree.Close()
				if err := tc.do(tree); err != nil {
					t.Fatal(err)
				}
				if len(j.all) != 1 {
					t.Fatalf("recorded %+v", j.all)
				}
				p := j.all[0]
				if p.Path != tc.path || p.OriginalPath != tc.old || p.Sync != sync {
					t.Errorf("recorded %+v, want path %s, old path %q, sync %v", p, tc.path, tc.old, sync)
				}
				host := filepath.Join(dir, tc.host)
				if p.Name != filepath.Base(host) || p.Dir != "" && p.Dir != filepath.Dir(host) || p.Dir == "" && name != "continued in place" {
					t.Errorf("recorded %+v, want %s", p, host)
				}
				var st unix.Stat_t
				if err := unix.Stat(host, &st); err != nil || st.Ino != p.Inode || st.Size != p.Size {
					t.Errorf("recorded %+v, the file %+v %v", p, st, err)
				}
			})
		}
	}
}

// TestRenamesThatCompleteNothing: only a file gets its name by a rename.
func TestRenamesThatCompleteNothing(t *testing.T) {
	j := &publications{}
	dir := t.TempDir()
	link(t, dir, "link.part", "target")
	if err := unix.Mkfifo(filepath.Join(dir, "fifo.part"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(Uploads{OnClose: true}), WithJournal(j))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for name, want := range map[string]error{"link": nil, "fifo": nil, "none": unix.ENOENT} {
		if err := tree.Rename("/"+name+".part", "/"+name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if len(j.all) > 0 {
		t.Errorf("recorded %+v", j.all)
	}
}

// TestRenameThatIsNotRecorded: a renamed file keeps its name, whether or not that was recorded, and the leftover of an
// upload with that name can no longer be resumed.
func TestRenameThatIsNotRecorded(t *testing.T) {
	j := &publications{notes: notes{refuse: "published"}}
	dir := t.TempDir()
	write(t, dir, "up.part", "complete")
	tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(Uploads{OnClose: true}), WithJournal(j))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	finish(t, start(t, tree, "/up", create, 0, "interrupted"), false, Kept)
	if err := tree.Rename("/up.part", "/up"); err == nil || err.Error() != errNotes.Error() {
		t.Errorf("%v, want %v", err, errNotes)
	}
	if got, left := read(tree, "/up"), hidden(t, dir); got != "complete" || len(left) > 0 {
		t.Errorf("the file is %q, left is %q", got, left)
	}
	f, err := tree.OpenFile("/up", proceed, 0o600)
	if err != nil {
		t.Fatalf("it cannot be continued: %v", err)
	}
	finish(t, f, true, Nothing)
}

// TestRealPathIsClean: the answer is absolute and clean where links are not resolved, and relative links are resolved from
// where they are.
func TestRealPathIsClean(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		box, h := t.TempDir(), t.TempDir()
		write(t, box, "d/f", "")
		link(t, box, "l", "d")
		write(t, h, "a/b/file", "")
		write(t, h, "b", "another one of that name")
		link(t, h, "a/rel", "b")
		link(t, h, "a/b/here", "./file")
		tree, err := Open([]Mount{{Path: "/", Volume: h, Access: ReadWrite}, {Path: "/box", Volume: box, Access: WriteOnly}},
			WithResolver(r), WithStart("/box"))
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		for p, want := range map[string]string{
			"./d//f": "/box/d/f", "d/../l/": "/box/l", "/box/l/../d": "/box/d", "": "/box", "../box/.": "/box", "..": "/",
			"/a/rel": "/a/b", "/a/rel/file": "/a/b/file", "/a/rel/here": "/a/b/file", "/a/b/../rel/../b": "/a/b",
		} {
			if got, err := tree.RealPath(p); err != nil || got != want {
				t.Errorf("the real path of %q is %q, %v, want %q", p, got, err, want)
			}
		}
	})
}

// TestStatOfALeftoverIsByName: an upload that was interrupted is shown as the file of its name and of no other, and not as a
// directory.
func TestStatOfALeftoverIsByName(t *testing.T) {
	tree, dir := uploadTree(t, Auto, Uploads{OnClose: true}, ReadWrite)
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	finish(t, start(t, tree, "/d/new", create, 0, "a part"), false, Kept)
	for p, size := range map[string]uint64{"/d/new": 6, "d/./new": 6, "/d/../d/new": 6} {
		if a, err := tree.Stat(p); err != nil || a.Size != size {
			t.Errorf("%s: %+v %v", p, a, err)
		}
	}
	before := openFiles(t)
	for _, p := range []string{"/new", "/d/new/", "/d/new/.", "/d/new/x", "/none/new", "/d/ne"} {
		if a, err := tree.Stat(p); err != unix.ENOENT && err != unix.ENOTDIR {
			t.Errorf("%s: %+v %v", p, a, err)
		}
	}
	wantNoNewFiles(t, before)
}
