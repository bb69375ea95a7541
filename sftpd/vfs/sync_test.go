package vfs

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWhatIsSynced: with Sync, a file's content is on disk before its name, and the name before the client is told that the
// file is closed. Without Sync, nothing waits for the disk.
func TestWhatIsSynced(t *testing.T) {
	for _, tc := range []struct {
		name     string
		uploads  Uploads
		path     string
		flags    int
		complete bool
		want     []string
	}{
		{"a new file", Uploads{OnClose: true, Sync: true}, "/new", create, true, []string{"file", "directory"}},
		{"one that was there", Uploads{OnClose: true, Sync: true}, "/old", create, true, []string{"file", "directory"}},
		{"a new file, written in place", Uploads{Sync: true}, "/new", create, true, []string{"file", "directory"}},
		{"one that is not complete", Uploads{OnClose: true, Sync: true}, "/new", create, false, nil},
		{"one that is continued", Uploads{OnClose: true, Sync: true}, "/old", proceed, true, []string{"file"}},
		{"one that is continued, without a policy", Uploads{Sync: true}, "/old", proceed, true, []string{"file"}},
		{"one that is continued and not complete", Uploads{Sync: true}, "/old", proceed, false, nil},
		{"a new file, in place and not complete", Uploads{Sync: true}, "/new", create, false, nil},
		{"without", Uploads{OnClose: true}, "/new", create, true, nil},
		{"without, in place", Uploads{}, "/new", create, true, nil},
		{"without, in place and deleted if not complete", Uploads{DeleteIncomplete: true}, "/new", create, true, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resolvers(t, func(t *testing.T, r Resolver) {
				access := ReadWrite
				if tc.path == "/new" && r == Openat2 {
					access = CreateOnly
				}
				tree, _ := uploadTree(t, r, tc.uploads, access)
				var got []string
				fsync = func(fd int) error {
					var st unix.Stat_t
					if err := unix.Fstat(fd, &st); err != nil {
						return err
					}
					kind := map[uint32]string{unix.S_IFREG: "file", unix.S_IFDIR: "directory"}[st.Mode&unix.S_IFMT]
					got = append(got, kind)
					return unix.Fsync(fd)
				}
				t.Cleanup(func() { fsync = unix.Fsync })
				before, want := len(openFiles(t)), Nothing
				if !tc.complete {
					want = Kept
				}
				finish(t, start(t, tree, tc.path, tc.flags, 0, "content"), tc.complete, want)
				if after := len(openFiles(t)); after != before {
					t.Errorf("%d descriptors, %d before", after, before)
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("synced %q, want %q", got, tc.want)
				}
			})
		})
	}
}

// TestSyncThatFails: a file whose content or name is not on disk is not complete. A file system that cannot sync a directory is
// accepted.
func TestSyncThatFails(t *testing.T) {
	for _, tc := range []struct {
		name            string
		file, directory error
		want            error
	}{
		{"the content", unix.EIO, nil, unix.EIO},
		{"the name", nil, unix.EIO, unix.EIO},
		{"a directory that cannot be synced", nil, unix.EINVAL, nil},
		{"interrupted", nil, nil, nil},
	} {
		for _, u := range []Uploads{{OnClose: true, Sync: true}, {Sync: true}, {Sync: true, DeleteIncomplete: true}} {
			t.Run(fmt.Sprint(tc.name, " ", u.OnClose, u.DeleteIncomplete), func(t *testing.T) {
				tree, _ := uploadTree(t, Auto, u, ReadWrite)
				calls := 0
				fsync = func(fd int) error {
					var st unix.Stat_t
					if err := unix.Fstat(fd, &st); err != nil {
						return err
					}
					if calls++; calls == 1 && tc.name == "interrupted" {
						return unix.EINTR
					}
					if st.Mode&unix.S_IFMT == unix.S_IFDIR {
						return tc.directory
					}
					return tc.file
				}
				t.Cleanup(func() { fsync = unix.Fsync })
				left, err := start(t, tree, "/new", create, 0, "content").Finish(true)
				if !errors.Is(err, tc.want) {
					t.Errorf("finished with %v, want %v", err, tc.want)
				}
				if !u.OnClose && (left != Nothing || read(tree, "/new") != "content") { // it has its name
					t.Errorf("left %q, %q", left, read(tree, "/new"))
				}
				if _, err := start(t, tree, "/old", proceed, 0, "content").Finish(true); !errors.Is(err, tc.file) {
					t.Errorf("one that was there is finished with %v, want %v", err, tc.file)
				}
			})
		}
	}
}
