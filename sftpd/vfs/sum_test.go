package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSumOfATouchedFile: a file that someone touches while it is read before its rename has its checksum nevertheless, unless
// that goes on and on.
func TestSumOfATouchedFile(t *testing.T) {
	for name, tc := range map[string]struct {
		times int
		touch func(path string) error
		want  string
	}{
		"its mode, once":      {times: 1, touch: func(path string) error { return os.Chmod(path, 0o640) }, want: "12345"},
		"its times, twice":    {times: 2, touch: func(path string) error { return os.Chtimes(path, time.Time{}, time.Now()) }, want: "12345"},
		"its content, once":   {times: 1, touch: func(path string) error { return os.WriteFile(path, []byte("other"), 0o600) }, want: "other"},
		"its mode, all along": {times: 1000, touch: func(path string) error { return os.Chmod(path, 0o640) }},
	} {
		n := &notes{}
		dir := t.TempDir()
		tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(onClose), WithJournal(n))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "a.part", "12345")
		done := 0
		err = tree.PosixRenameIn(func(part func()) error {
			part()
			if done++; done > tc.times {
				return nil
			}
			return tc.touch(filepath.Join(dir, "a.part"))
		}, "/a.part", "/a")
		want := ""
		if tc.want != "" {
			want = sumOf(tc.want)
		}
		if err != nil || !slices.Equal(n.sums, []string{want}) { // one record, although the file has another time
			t.Errorf("%s: %v, %q, want that of %q", name, err, n.sums, tc.want)
		}
		tree.Close()
	}
}

// TestSumWithoutDescriptors: a rename that completes an upload fails if the file cannot be read for its checksum, and can be
// repeated.
func TestSumWithoutDescriptors(t *testing.T) {
	hashTiny(t)
	n := &notes{}
	dir := t.TempDir()
	tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(onClose), WithJournal(n))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	write(t, dir, "a.part", "12345")
	d := fewDescriptors(t)
	d.take()
	if err := tree.PosixRename("/a.part", "/a"); !errors.Is(err, unix.EMFILE) || len(n.sums) > 0 {
		t.Errorf("%v, recorded with %q", err, n.sums)
	}
	d.close(enough)
	if err := tree.PosixRename("/a.part", "/a"); err != nil || !slices.Equal(n.sums, []string{sumOf("12345")}) {
		t.Errorf("again: %v, recorded with %q", err, n.sums)
	}
}
