package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// syncing replaces the writing of directories to the disk, and returns those that were written.
func syncing(t *testing.T, answer func(dir string) error) func() []string {
	t.Helper()
	old := fsync
	t.Cleanup(func() { fsync = old })
	var dirs []string
	fsync = func(f *os.File) error {
		dirs = append(dirs, f.Name())
		return answer(f.Name())
	}
	return func() []string { return dirs }
}

// TestDirectoriesReachTheDisk: the names of a log's files and directories survive a crash of the node. If they cannot be written to the
// disk, the log does not begin, or refuses what belongs in its next file; neither happens on a volume that has no disk to write to.
func TestDirectoriesReachTheDisk(t *testing.T) {
	volume, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 1 << 20}
	synced := syncing(t, func(string) error { return nil })
	base := filepath.Join(volume, directory, "files", "public")
	r := still(t, base, set)
	for _, dir := range []string{volume, filepath.Join(volume, directory), filepath.Join(volume, directory, "files"), base, r.dir} {
		if !slices.Contains(synced(), dir) {
			t.Errorf("the names in %s are not written: %q", dir, synced())
		}
	}
	r.stop()
	for errno, want := range map[error]error{unix.EIO: unix.EIO, unix.EINVAL: nil, unix.EOPNOTSUPP: nil, unix.ENOSYS: nil} {
		for name, broken := range map[string]string{"a directory above": filepath.Dir(base), "its own": r.dir} {
			syncing(t, func(dir string) error {
				if dir == broken {
					return errno
				}
				return nil
			})
			l := newLog(logSettings{base: base, pod: "pod-0", live: set}, slog.New(slog.DiscardHandler), nil)
			err := l.start(t.Context())
			if !errors.Is(err, want) {
				t.Errorf("%s with %v: %v", name, errno, err)
			}
			if err == nil {
				l.close()
			}
		}
	}
	syncing(t, func(string) error { return nil })
	r = still(t, base, set)
	syncing(t, func(string) error { return unix.EIO })
	r.rotate = true
	o := &op{rec: published(t, "/1"), sync: true}
	r.put(o)
	r.flush()
	if <-o.done; !errors.Is(o.err, ErrUnavailable) {
		t.Errorf("a file whose name may get lost: %v", o.err)
	}
}

// TestErrorsNameNoPath: what relays, operators and clients are told about an error contains its cause, and no path of the pod.
func TestErrorsNameNoPath(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "open", Path: "/secret/x", Err: unix.EIO}, "open: input/output error"},
		{fmt.Errorf("why: %w", &fs.PathError{Op: "open", Path: "/secret/x", Err: unix.EIO}), "open: input/output error"},
		{&os.LinkError{Op: "rename", Old: "/secret/x", New: "/secret/y", Err: unix.ENOSPC}, "rename: no space left on device"},
		{ErrFull, ErrFull.Error()},
	} {
		if got := plainError(c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for err, want := range map[error]string{
		&os.LinkError{Op: "rename", Old: "/secret/x", New: "/secret/y", Err: unix.ENOSPC}: "no space left on device",
		errors.New("/secret/x is broken"):                                                 "the pod's log says why",
	} {
		if got := anonymousError(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestStatusOfReceipts: nothing is reported about receipts before the volume has answered. Then an operator learns which of the steps of
// a receipt fails, the most severe one first.
func TestStatusOfReceipts(t *testing.T) {
	for name, c := range map[string]struct {
		open                       bool
		failing, keeping, trimming error
		want                       *config.ReceiptsStatus
	}{
		"not known yet":         {},
		"all is well":           {open: true, want: &config.ReceiptsStatus{}},
		"nothing is recorded":   {failing: unix.EIO, want: &config.ReceiptsStatus{Failing: "no upload can be recorded: input/output error"}},
		"not kept":              {open: true, keeping: unix.ENOSPC, want: &config.ReceiptsStatus{Failing: "no space left on device"}},
		"neither":               {open: true, failing: unix.EIO, keeping: unix.ENOSPC, want: &config.ReceiptsStatus{Failing: "no upload can be recorded: input/output error"}},
		"old ones stay":         {open: true, trimming: unix.EACCES, want: &config.ReceiptsStatus{NotRemoved: "permission denied"}},
		"not kept, and they do": {open: true, keeping: unix.EIO, trimming: unix.EACCES, want: &config.ReceiptsStatus{Failing: "input/output error", NotRemoved: "permission denied"}},
	} {
		l := newLog(logSettings{}, nil, nil)
		l.open, l.failing, l.keeping, l.trimming = c.open, c.failing, c.keeping, c.trimming
		got := l.receiptsKept()
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestTimesAreUTC: the times of events are in UTC, in whichever zone the pod runs.
func TestTimesAreUTC(t *testing.T) {
	was := time.Local
	t.Cleanup(func() { time.Local = was })
	time.Local = time.FixedZone("somewhere", 5*60*60)
	o := &outbox{Events: config.Events{Source: "https://sftp-operator"}, listener: "files/public"}
	c := &event.Connection{Account: "team/ada", User: "ada", ID: "0123456789abcdef"}
	now := time.Now()
	for name, e := range map[string]*events.Event{
		"a key": o.keyEvent(notice{Key: keyOf("team/ada", now), kind: events.KeyExpiring, id: "id"}), "an operation": o.event(c, events.FileDeleted, "/f"),
		"a file that retention deletes": o.expired(event.FileExpired{Account: "team/ada", Path: "f", Uploaded: now}), "a refused login": o.refused(event.LoginRefused{Connection: c}),
	} {
		raw, err := events.Encode(e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := time.Since(e.Time); strings.Contains(string(raw), "+05:00") || d < 0 || d > time.Minute {
			t.Errorf("%s: %s", name, raw)
		}
	}
}

// TestSlowVolume: a caller does not wait for a volume for which another one has waited nine seconds without success, be it for a record
// that is being written or for one in the queue; and never for one that cannot be used.
func TestSlowVolume(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*log)
		want   error
	}{
		"nothing waits":                 {func(*log) {}, nil},
		"a record is written for long":  {func(l *log) { l.writing, l.began = true, 91 }, ErrSlow},
		"for less":                      {func(l *log) { l.writing, l.began = true, 92 }, nil},
		"none is written":               {func(l *log) { l.began = 50 }, nil},
		"the first in the queue is old": {func(l *log) { l.queue = []*op{{beat: 91}, {beat: 100}} }, ErrSlow},
		"it is not":                     {func(l *log) { l.queue = []*op{{beat: 92}, {beat: 100}} }, nil},
		"nothing can be recorded":       {func(l *log) { l.failing = unix.EIO }, ErrUnavailable},
		"both":                          {func(l *log) { l.failing, l.writing, l.began = unix.EIO, true, 50 }, ErrUnavailable},
	} {
		for drop, want := range map[bool]error{false: c.want, true: nil} { // with DropOldest, uploads never wait
			l := newLog(logSettings{live: live{maxBytes: 1 << 20, drop: drop}}, nil, nil)
			l.beats = 100
			c.change(l)
			if err := l.admits("team/ada"); !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s, drop %v: an upload: %v, want %v", name, drop, err, want)
			}
			before := l.lost
			if _, err := l.reserve("team/ada", 100, drop); !errors.Is(err, c.want) || c.want == nil && err != nil || (l.lost > before) != (c.want != nil) {
				t.Errorf("%s, drop %v: a record: %v, %d lost", name, drop, err, l.lost-before)
			}
			later := c.want
			if errors.Is(later, ErrSlow) {
				later = nil // no one waits for it
			}
			if _, err := l.reserveLater("team/ada", 100, drop); !errors.Is(err, later) || later == nil && err != nil {
				t.Errorf("%s, drop %v: a record that no one waits for: %v", name, drop, err)
			}
		}
	}
}

// TestLargeSegmentIsCompacted: events stay whole when a segment is copied that does not fit into memory at once.
func TestLargeSegmentIsCompacted(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 256 << 20}
	r := still(t, base, set)
	long := strings.Repeat("x", 4000)
	var want strings.Builder
	var all []record
	for i := range 300 {
		path := fmt.Sprint("/", i, long)
		if all = append(all, published(t, path)); i%10 > 0 {
			want.WriteString(path)
		}
	}
	positions := r.write(t, all...)
	r.mu.Lock()
	for i := 0; i < len(positions); i += 10 {
		at, _ := r.x.find(positions[i])
		r.x.release(at, 1)
	}
	r.mu.Unlock()
	if err := errors.Join(r.next(), r.compact(r.segs[0])); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		var have, after string
		for {
			more, cursor := r.read(t, "a", after, false)
			if more == "" {
				break
			}
			have, after = have+more, cursor
		}
		if have != want.String() {
			t.Errorf("%s: %d bytes of paths, want %d", when, len(have), want.Len())
		}
	}
	check("after it was compacted")
	r.stop()
	r = still(t, base, set)
	check("after a restart")
}

// TestWhenOldReceiptsGo: a user's old receipts are looked for when it gets the first new one, and after each 64: not each time, because
// that reads its directory.
func TestWhenOldReceiptsGo(t *testing.T) {
	k := keeper{added: map[string]int{}}
	for i, step := range []struct {
		user string
		more int
		want bool
	}{
		{"team/ada", 1, true},
		{"team/ada", 63, false},
		{"team/bob", 100, true},
		{"team/ada", 1, true},
		{"team/ada", 63, false},
		{"team/ada", 64, true},
		{"team/bob", 63, false},
		{"team/ada", 256, true},
		{"team/ada", 1, false},
		{"team/bob", 1, true},
	} {
		if got := k.trims(step.user, step.more); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
