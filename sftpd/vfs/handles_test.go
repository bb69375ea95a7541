package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAttributesOfHandles: every kind of handle has the attributes of its file and can change them, and knows its volume.
func TestAttributesOfHandles(t *testing.T) {
	for name, tc := range map[string]struct {
		onClose bool
		flags   int
	}{
		"read":                    {false, unix.O_RDONLY},
		"written in place":        {false, create},
		"staged":                  {true, create},
		"continued in place":      {true, proceed},
		"staged, and appended to": {true, create | unix.O_APPEND},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "f", "content")
			tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(Uploads{OnClose: tc.onClose, Checksum: true}))
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			f, err := tree.OpenFile("/f", tc.flags, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Setstat(Changes{Set: SetMode | SetTimes, Mode: 0o640, Atime: 1, Mtime: 2}); err != nil {
				t.Error(err)
			}
			if a, err := f.Stat(); err != nil || a.Mode&0o777 != 0o640 || a.Mtime != 2 {
				t.Errorf("%+v, %v", a, err)
			}
			if v, err := f.StatVFS(); err != nil || v.Blocks == 0 {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

// TestOwnerIsLeftAlone: a request that does not name the owner is not refused because of it, whoever owns the file.
func TestOwnerIsLeftAlone(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("must be root to give a file to another user")
		}
		t.Skip("must be root to give a file to another user")
	}
	tree, dir := home(t, Auto)
	write(t, dir, "f", "")
	if err := os.Chown(filepath.Join(dir, "f"), 4711, 4711); err != nil {
		t.Fatal(err)
	}
	if err := tree.Setstat("/f", Changes{Set: SetMode, Mode: 0o600}); err != nil {
		t.Error(err)
	}
	if err := tree.Setstat("/f", Changes{Set: SetOwner}); !errors.Is(err, ErrOwner) {
		t.Errorf("given to root: %v", err)
	}
}

// TestRefusedRecord: a client learns why its upload cannot be recorded, and that it may try again.
func TestRefusedRecord(t *testing.T) {
	for call, onClose := range map[string]bool{"ahead": true, "written": false} {
		dir := t.TempDir()
		tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadWrite}}, WithUploads(Uploads{OnClose: onClose}), WithJournal(&notes{refuse: call}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tree.Close() })
		if err := send(tree, "/f", create, "12", false, true); !errors.Is(err, unix.EBUSY) || err.Error() != errNotes.Error() {
			t.Errorf("%s: %v", call, err)
		}
	}
}
