package retention

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// A file whose event cannot be recorded stays, and the run ends.
func TestNoFileGoesWithoutItsEvent(t *testing.T) {
	v := newVolume(t)
	v.make("in/a")
	v.make("in/b")
	v.make("in/sub/c")
	v.age()
	r, _ := v.job(config.RetentionRule{})
	full := errors.New("no room")
	r.found = func(event.FileExpired) error { return full }
	c, err := r.count(t.Context(), Directory{Path: "in"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.delete(t.Context(), Budget{c, 3}); !errors.Is(err, full) || r.deleted != 0 || r.failed != 0 {
		t.Errorf("%v, %d deleted, %d failed", err, r.deleted, r.failed)
	}
	v.expect("in/a in/b in/sub/c")
}

// An error about one file does not end a run, and is counted if someone should know about it. One about the volume ends the
// run.
func TestResultsOfFiles(t *testing.T) {
	for _, tc := range []struct {
		err                    error
		deleted, inUse, failed int64
		ends                   bool
	}{
		{err: nil, deleted: 1},
		{err: vfs.ErrUploading, inUse: 1},
		{err: vfs.ErrNotRestored, failed: 1},
		{err: vfs.ErrChanged},
		{err: errMoved},
		{err: unix.ENOENT},
		{err: unix.EACCES, failed: 1},
		{err: unix.EPERM, failed: 1},
		{err: unix.EBUSY, failed: 1},
		{err: unix.EIO, ends: true},
		{err: unix.EROFS, ends: true},
		{err: unix.ESTALE, ends: true},
		{err: stopped{unix.ENOENT}, ends: true},
	} {
		r := &run{}
		wrapped := tc.err
		if wrapped != nil {
			wrapped = fmt.Errorf("a file: %w", wrapped)
		}
		err := r.result(wrapped)
		if (err != nil) != tc.ends || tc.ends && !errors.Is(err, errors.Unwrap(tc.err)) && !errors.Is(err, tc.err) {
			t.Errorf("%v ends the run with %v", tc.err, err)
		}
		if r.deleted != tc.deleted || r.inUse != tc.inUse || r.failed != tc.failed || (r.lastErr != nil) != (tc.failed > 0) {
			t.Errorf("%v: %d deleted, %d in use, %d failed, %v", tc.err, r.deleted, r.inUse, r.failed, r.lastErr)
		}
	}
}

// Young files are counted, but not as due.
func TestCounts(t *testing.T) {
	v := newVolume(t)
	v.make("in/a")
	v.make("in/sub/b")
	v.age()
	v.make("in/c")
	v.make("in/d")
	v.make("in/e.tmp")
	r, _ := v.job(config.RetentionRule{Match: []string{"?"}})
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	was := open()
	c, err := r.count(t.Context(), Directory{Path: "in", Account: "team/ada"})
	if err != nil {
		t.Fatal(err)
	}
	want := Counted{Path: "in", Account: "team/ada", Tally: Tally{Files: 4, Due: 2, Bytes: 2}, KeepFrom: c.KeepFrom}
	if *c != want {
		t.Errorf("%+v, want %+v", *c, want)
	}
	if n := open(); n > was {
		t.Errorf("%d files are left open", n-was)
	}
}

// Another mount within a volume is not entered, nor is anything that is not a directory. Errors of the volume are
// distinguished from that.
func TestDirectoriesThatAreSkipped(t *testing.T) {
	root, err := openVolume("/")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	if fd, err := openBeneath(root, "proc", unix.O_PATH); !errors.Is(err, unix.EXDEV) {
		t.Errorf("another mount: %d, %v", fd, err)
	}
	for errno, want := range map[unix.Errno]int64{
		unix.EACCES: 1, unix.EPERM: 1, unix.EXDEV: 1, unix.ELOOP: 1, unix.ENOTDIR: 1, unix.ENAMETOOLONG: 1, unix.ENOENT: 0,
	} {
		w := &walk{}
		if err := w.skip(errno); err != nil || w.skipped != want {
			t.Errorf("%v: %v, %d skipped", errno, err, w.skipped)
		}
	}
	for _, errno := range []unix.Errno{unix.EIO, unix.ESTALE, unix.EMFILE, unix.ENOMEM} {
		w := &walk{}
		if err := w.skip(errno); !errors.Is(err, errno) || w.skipped != 0 {
			t.Errorf("%v: %v, %d skipped", errno, err, w.skipped)
		}
	}
}

// Names may be as long as the file system allows.
func TestLongNames(t *testing.T) {
	v := newVolume(t)
	for _, n := range []int{1, 100, 230, 255} {
		v.make("in/" + strings.Repeat("n", n))
		v.make("in/" + strings.Repeat("d", n) + "/f")
	}
	v.age()
	r, _ := v.job(config.RetentionRule{})
	v.run(r, "in")
	v.expect("")
}

// A directory that a client removes while it is being read does not end a run.
func TestDirectoryThatIsRemoved(t *testing.T) {
	v := newVolume(t)
	v.make("in/z")
	if err := os.Mkdir(filepath.Join(v.dir, "in/a"), 0o750); err != nil {
		t.Fatal(err)
	}
	v.age()
	r, _ := v.job(config.RetentionRule{})
	visited := 0
	w := &walk{
		most:   maxEntries,
		volume: r.volume, pace: r.pace, wanted: func(string) bool { return true },
		held: func(path string, _ identity) bool {
			if path == "in/a" {
				if err := os.Remove(filepath.Join(v.dir, path)); err != nil {
					t.Error(err)
				}
			}
			return false
		},
		visit: func(*entry) error { visited++; return nil },
		empty: func(_, dir *entry) error { t.Errorf("%s is empty", dir.dirPath); return nil },
	}
	if err := w.from(t.Context(), "in"); err != nil || visited != 1 || w.skipped != 0 {
		t.Errorf("%v, %d visited, %d skipped", err, visited, w.skipped)
	}
}

// On file systems that do not report the types of directory entries, the same files are visited.
func TestUnknownKinds(t *testing.T) {
	v := newVolume(t)
	v.make("a.csv")
	v.make("b.pdf")
	v.make("sub/c.csv")
	if err := os.Symlink("a.csv", filepath.Join(v.dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	v.age()
	r, _ := v.job(config.RetentionRule{})
	var visited []string
	w := &walk{
		most:   maxEntries,
		volume: r.volume, pace: r.pace, held: r.holds.held, wanted: func(name string) bool { return strings.HasSuffix(name, ".csv") },
		visit: func(e *entry) error { visited = append(visited, e.path()); return nil },
	}
	w.buffers = append(w.buffers, make([]byte, bufferSize))
	for _, name := range []string{"a.csv", "b.pdf", "sub", "link.csv", "gone.csv"} {
		if err := w.entry(t.Context(), &entry{dir: r.volume, name: name}, unix.DT_UNKNOWN, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := strings.Join(visited, " "); got != "a.csv sub/c.csv" {
		t.Errorf("visited %s", got)
	}
}

// What the daemon may not delete stays, is counted, and does not end the run.
func TestFilesThatMayNotBeDeleted(t *testing.T) {
	v := newVolume(t)
	for _, f := range []string{"in/closed/a", "in/closed/b", "in/other/c"} {
		v.make(f)
	}
	if err := os.Mkdir(filepath.Join(v.dir, "in/closed/empty"), 0o755); err != nil { // others have to find it
		t.Fatal(err)
	}
	v.age()
	r, found := v.job(config.RetentionRule{EmptyDirectories: true})
	for dir, mode := range map[string]os.FileMode{"": 0o755, "in": 0o755, "in/closed": 0o555, "in/other": 0o777} {
		if err := os.Chmod(filepath.Join(v.dir, dir), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(v.dir, "in/closed"), 0o700) }) // so that it can be removed
	for _, f := range []string{"in/closed/a", "in/closed/b", "in/other/c"} {
		if err := os.Chmod(filepath.Join(v.dir, f), 0o666); err != nil { // in a directory of this test
			t.Fatal(err)
		}
	}
	r.now = v.cut.Add(quietTime + time.Hour)
	c, err := r.count(t.Context(), Directory{Path: "in"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
			const nobody = 65534
			if err := unix.Setfsuid(nobody); err != nil {
				t.Error(err)
			}
		}
		ended <- r.delete(t.Context(), Budget{c, c.Due})
	}()
	if err := <-ended; err != nil || c.Due != 3 {
		t.Errorf("%v, %d were due", err, c.Due)
	}
	if r.deleted != 1 || r.failed != 3 || r.lastErr == nil {
		t.Errorf("%d deleted, %d failed: %v, %v", r.deleted, r.failed, r.lastErr, *found)
	}
	if !v.exists("in/closed/a") || !v.exists("in/closed/empty") || v.exists("in/other/c") {
		t.Error("the wrong ones are left")
	}
}
