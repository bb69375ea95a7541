package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// notes is a Journal that records its calls.
type notes struct {
	lines  []string
	sums   []string // the checksums
	refuse string   // the call that fails
}

var errNotes = errors.New("no room for the event")

func (n *notes) note(call, format string, args ...any) error {
	n.lines = append(n.lines, strings.TrimSpace(call+" "+fmt.Sprintf(format, args...)))
	if n.refuse == call {
		return errNotes
	}
	return nil
}

func (n *notes) Admits() error {
	if n.refuse == "admit" {
		return errNotes
	}
	return nil
}

func (n *notes) Temporary(name string) bool { return strings.HasSuffix(name, ".part") }

func (n *notes) Publishing(p *Publication) (Outcome, error) {
	var st unix.Stat_t
	at := filepath.Join(p.Dir, p.Temp)
	if p.Temp == "" {
		at = "" // a rename: the old name may be in another directory
	}
	if at != "" && (unix.Lstat(at, &st) != nil || st.Ino != p.Inode || st.Size != p.Size || st.Mtim.Nano() != p.ModTime) {
		return nil, errors.New("the journal is told of a file other than the staged one")
	}
	n.sums = append(n.sums, p.SHA256)
	err := n.note("ahead", "%s from=%q name=%s size=%d replaced=%t written=%d", p.Path, p.OriginalPath, p.Name, p.Size, p.Replaced, p.BytesWritten)
	return n, err
}

func (n *notes) Written(p *Publication) error {
	n.sums = append(n.sums, p.SHA256)
	path := p.Path
	if p.OriginalPath != "" {
		path = p.OriginalPath + " now " + path
	}
	return n.note("written", "%s name=%s size=%d replaced=%t written=%d", path, p.Name, p.Size, p.Replaced, p.BytesWritten)
}

func (n *notes) Published() error { return n.note("published", "") }
func (n *notes) Failed()          { _ = n.note("failed", "") }

// send uploads as a session does.
func send(tree *Tree, path string, flags int, content string, failed, complete bool) error {
	f, err := tree.OpenFile(path, flags, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		return err
	}
	f.Note(uint64(len(content)), failed)
	_, err = f.Finish(complete)
	return err
}

// TestJournal checks which calls a journal gets.
func TestJournal(t *testing.T) {
	for name, tc := range map[string]struct {
		immediate bool
		refuse    string
		do        func(tree *Tree) error
		want      string
		say       string
	}{
		"new": {
			do:   func(tree *Tree) error { return send(tree, "dir/../new", create, "12345", false, true) },
			want: `ahead /new from="" name=new size=5 replaced=false written=5; published`,
		},
		"replaced": {
			do:   func(tree *Tree) error { return send(tree, "/old", create, "12345", false, true) },
			want: `ahead /old from="" name=old size=5 replaced=true written=5; published`,
		},
		"in place": {
			do:   func(tree *Tree) error { return send(tree, "/old", unix.O_WRONLY, "1", false, true) },
			want: "written /old name=old size=3 replaced=true written=1",
		},
		"not written": {do: func(tree *Tree) error { return send(tree, "/old", unix.O_WRONLY, "", false, true) }},
		"new and empty": {
			do:   func(tree *Tree) error { return send(tree, "/new", create, "", false, true) },
			want: `ahead /new from="" name=new size=0 replaced=false written=0; published`,
		},
		"read": {do: func(tree *Tree) error {
			f, err := tree.OpenFile("/old", unix.O_RDONLY, 0)
			if err == nil {
				_, err = f.Finish(true)
			}
			return err
		}},
		"aborted":             {do: func(tree *Tree) error { return send(tree, "/new", create, "1", false, false) }},
		"aborted in place":    {do: func(tree *Tree) error { return send(tree, "/old", unix.O_WRONLY, "1", false, false) }},
		"failed in place":     {do: func(tree *Tree) error { return send(tree, "/old", unix.O_WRONLY, "1", true, true) }},
		"immediate":           {immediate: true, do: func(tree *Tree) error { return send(tree, "/dir/new", create, "12", false, true) }, want: "written /dir/new name=new size=2 replaced=false written=2"},
		"immediate, replaced": {immediate: true, do: func(tree *Tree) error { return send(tree, "/old", create, "12", false, true) }, want: "written /old name=old size=2 replaced=true written=2"},
		"from a temporary name": {
			do:   func(tree *Tree) error { return tree.PosixRename("/up.part", "/dir/up") },
			want: `ahead /dir/up from="/up.part" name=up size=2 replaced=false written=0; published`,
		},
		"from a temporary name, replacing": {
			do:   func(tree *Tree) error { return tree.PosixRename("up.part", "old") },
			want: `ahead /old from="/up.part" name=old size=2 replaced=true written=0; published`,
		},
		"from a temporary name, not replacing": {
			do:   func(tree *Tree) error { return tree.Rename("/up.part", "/old") },
			want: `ahead /old from="/up.part" name=old size=2 replaced=true written=0; failed`, say: "file exists",
		},
		"to a temporary name":   {do: func(tree *Tree) error { return tree.Rename("/old", "/old.part") }},
		"between such names":    {do: func(tree *Tree) error { return tree.Rename("/up.part", "/down.part") }},
		"another rename":        {do: func(tree *Tree) error { return tree.Rename("/old", "/new") }},
		"a directory":           {do: func(tree *Tree) error { return tree.Rename("/dir.part", "/dir2") }},
		"refused at OPEN":       {refuse: "admit", do: func(tree *Tree) error { return send(tree, "/new", create, "1", false, true) }, say: errNotes.Error()},
		"refused before":        {refuse: "ahead", do: func(tree *Tree) error { return send(tree, "/new", create, "1", false, true) }, want: `ahead /new from="" name=new size=1 replaced=false written=1`, say: errNotes.Error()},
		"refused rename":        {refuse: "ahead", do: func(tree *Tree) error { return tree.Rename("/up.part", "/up") }, want: `ahead /up from="/up.part" name=up size=2 replaced=false written=0`, say: errNotes.Error()},
		"not recorded after":    {refuse: "published", do: func(tree *Tree) error { return send(tree, "/new", create, "1", false, true) }, want: `ahead /new from="" name=new size=1 replaced=false written=1; published`, say: errNotes.Error()},
		"not recorded in place": {refuse: "written", do: func(tree *Tree) error { return send(tree, "/old", unix.O_WRONLY, "1", false, true) }, want: "written /old name=old size=3 replaced=true written=1", say: errNotes.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range map[string]string{"old": "old", "up.part": "up"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, d := range []string{"dir", "dir.part"} {
				if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			n := &notes{refuse: tc.refuse}
			tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(Uploads{OnClose: !tc.immediate}), WithJournal(n))
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			err = tc.do(tree)
			if (err == nil) != (tc.say == "") || err != nil && err.Error() != tc.say {
				t.Errorf("error %v, want %q", err, tc.say)
			}
			if have := strings.Join(n.lines, "; "); have != tc.want {
				t.Errorf("have %s\nwant %s", have, tc.want)
			}
			_, failed := os.Stat(filepath.Join(dir, "new"))
			if strings.HasPrefix(name, "refused") && failed == nil {
				t.Error("it was published")
			}
		})
	}
}

// TestJournalOfSharedFile: two handles share a staged file; both that are answered with OK are recorded.
func TestJournalOfSharedFile(t *testing.T) {
	n := &notes{}
	tree, err := Open([]Mount{{Path: "/", Volume: t.TempDir(), Access: ReadWrite}}, WithUploads(Uploads{OnClose: true}), WithJournal(n))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var files []*File
	for _, flags := range []int{create, unix.O_WRONLY} {
		f, err := tree.OpenFile("/a", flags, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for i, f := range files {
		if _, err := f.WriteAt([]byte("xyz")[:i+2], 0); err != nil {
			t.Fatal(err)
		}
		f.Note(uint64(i+2), false)
		if _, err := f.Finish(true); err != nil {
			t.Fatal(err)
		}
	}
	want := `ahead /a from="" name=a size=2 replaced=false written=2; published; written /a name=a size=3 replaced=true written=3`
	if have := strings.Join(n.lines, "; "); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
}

// TestSubPathIsNotTheServers: no mount leads to where events, used codes or staged files are.
func TestSubPathIsNotTheServers(t *testing.T) {
	for _, sub := range []string{eventsDirectory, codesDirectory, "a/" + eventsDirectory + "/b", stagingPrefix + "x"} {
		if tree, err := Open([]Mount{{Path: "/", Volume: t.TempDir(), SubPath: sub, Access: ReadWrite}}); err == nil {
			_ = tree.Close()
			t.Errorf("%s is mounted", sub)
		}
	}
}
