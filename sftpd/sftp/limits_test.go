package sftp

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// pacing is a Work that counts, and may refuse, operations that are logged.
type pacing struct {
	turns
	paced  atomic.Int32
	refuse error
}

func (p *pacing) Pace(context.Context) error {
	p.paced.Add(1)
	return p.refuse
}

// TestWhatIsPaced: requests that have a line in the audit log wait until the user may cause another one, and are not done if
// the session is over by then. Others do not wait.
func TestWhatIsPaced(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	work := &pacing{turns: turns{next: func(int) error { return nil }}}
	c, _, _ := dialRaw(t, tr, Options{Work: work})
	h := c.open("/f", flagRead|flagWrite)
	for _, tc := range []struct {
		name  string
		typ   byte
		parts []any
		paced int32
	}{
		{"OPEN", typeOpen, []any{"/f", flagRead, 0}, 1},
		{"MKDIR", typeMkdir, []any{"/d", 0}, 1},
		{"RENAME", typeRename, []any{"/d", "/e"}, 1},
		{"RMDIR", typeRmdir, []any{"/e"}, 1},
		{"SETSTAT", typeSetstat, []any{"/f", attrSize, uint64(5)}, 1},
		{"a hash", typeExtended, []any{"check-file-handle", h, "sha256", uint64(0), uint64(0), 0}, 1},
		{"STAT", typeStat, []any{"/f"}, 0},
		{"REALPATH", typeRealpath, []any{"/f"}, 0},
		{"READ", typeRead, []any{h, uint64(0), 1}, 0},
		{"WRITE", typeWrite, []any{h, uint64(0), "x"}, 0},
		{"OPENDIR", typeOpendir, []any{"/"}, 0},
	} {
		before := work.paced.Load()
		if got := c.status(tc.typ, tc.parts...); got != StatusOK {
			t.Errorf("%s: %s", tc.name, got)
		}
		if got := work.paced.Load() - before; got != tc.paced {
			t.Errorf("%s waits %d times, want %d", tc.name, got, tc.paced)
		}
	}
	c, _, _ = dialRaw(t, tr, Options{Work: &pacing{refuse: errors.New("over")}})
	for name, got := range map[string]Status{
		"MKDIR": c.status(typeMkdir, "/late", 0), "REMOVE": c.status(typeRemove, "/f"), "OPEN": c.status(typeOpen, "/new", flagWrite|flagCreate, 0),
	} {
		if got != StatusFailure {
			t.Errorf("%s of a session that is over: %s", name, got)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "f" {
		t.Errorf("it is done anyway: %v %v", entries, err)
	}
}

// sharing are descriptors that sessions share.
type sharing struct{ taken, most atomic.Int32 }

func (c *sharing) Acquire() bool {
	if n := c.taken.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	return true
}
func (c *sharing) Release() { c.taken.Add(-1) }

// TestDescriptorsAfterAPanic: a request that fails because of a bug in the server costs one answer, and its descriptor is
// returned at the end of the session, so that no user can use up everyone's.
func TestDescriptorsAfterAPanic(t *testing.T) {
	for name, opened := range map[string]func(){"before it has a handle": nil, "with a handle": func() { panic("test") }} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("../f", filepath.Join(dir, "d/l")); err != nil {
				t.Fatal(err)
			}
			opts := []vfs.Option{vfs.WithUploads(vfs.Uploads{OnClose: true})}
			if opened == nil {
				opts = append(opts, vfs.WithTurns(func() (func(), error) { panic("test") }))
			}
			tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: vfs.ReadWrite}}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			shared := &sharing{}
			c, _, end := dialRaw(t, tr, Options{Descriptors: shared, Opened: opened, Logger: slog.New(slog.DiscardHandler)})
			long := "/d/" + strings.Repeat("./", 100) + "l" // so long that it needs a turn
			for range 3 {
				if got := c.status(typeOpen, long, flagWrite, 0); got != StatusFailure {
					t.Errorf("OPEN: %s", got)
				}
			}
			if got := c.status(typeStat, "/f"); got != StatusOK {
				t.Errorf("the next request: %s", got)
			}
			if err := end(); err != nil {
				t.Error(err)
			}
			if taken, most := shared.taken.Load(), shared.most.Load(); taken != 0 || most == 0 {
				t.Errorf("%d descriptors are still taken, of up to %d", taken, most)
			}
		})
	}
}

// TestPermitIsAskedForEachRequest: an administrator's list of requests can name every kind.
func TestPermitIsAskedForEachRequest(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	var asked []string
	dialRaw(t, tr, Options{Permit: func(request string) bool {
		asked = append(asked, request)
		return true
	}})
	names := Requests()
	slices.Sort(asked)
	slices.Sort(names)
	if !slices.Equal(asked, names) || len(slices.Compact(slices.Clone(names))) != len(names) || slices.Contains(names, "") {
		t.Errorf("asked for %q, of %q", asked, names)
	}
	for _, name := range []string{"open", "close", "read", "write", "realpath", "posix-rename", "copy-data", "check-file-handle"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among %q", name, names)
		}
	}
}

// TestRefusedHandlesAreNamed: the line of a refused request by handle contains the path of its file.
func TestRefusedHandlesAreNamed(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	var events observed
	c, _, _ := dialRaw(t, tr, Options{Observe: events.note})
	reading, writing := c.open("//f", flagRead), c.open("/./f", flagWrite)
	for op, do := range map[string]func() Status{
		"read":  func() Status { return c.status(typeRead, writing, uint64(0), 1) },
		"write": func() Status { return c.status(typeWrite, reading, uint64(0), "x") },
	} {
		if got := do(); got != StatusPermissionDenied {
			t.Errorf("%s: %s", op, got)
		}
		if e, ok := events.last().(Operation); !ok || e.Op != op || e.Path != "/f" || e.Status != StatusPermissionDenied {
			t.Errorf("%s has the line %+v", op, events.last())
		}
	}
}

// TestExtensionsWithoutAName: an extension without a name is malformed, and not merely unknown.
func TestExtensionsWithoutAName(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	for _, parts := range [][]any{nil, {[]byte{0, 0}}, {9, []byte("limits@")}, {1 << 31, []byte("limits@openssh.com")}} {
		if got := c.status(typeExtended, parts...); got != StatusBadMessage {
			t.Errorf("%v: %s", parts, got)
		}
	}
	if got := c.status(typeExtended, ""); got != StatusUnsupported {
		t.Errorf("one with an empty name: %s", got)
	}
}

// TestHalfAYear: a file has the time of day until it is half a year old, to the second.
func TestHalfAYear(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	half := now.Add(-365 * 24 * time.Hour / 2)
	for at, want := range map[time.Time]string{
		half: "Jun  1  2026", half.Add(-time.Second): "May 31  2026", half.Add(time.Second): "Jun  1 00:00", now: "Nov 30 12:00",
	} {
		long := longNames{now: now.Unix()}
		if got := string(long.appendTime(nil, at.Unix())); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}

// TestReadsHaveNoLines: requests that are a part of a transfer are not operations of their own, with and without a debug log.
func TestReadsHaveNoLines(t *testing.T) {
	for _, logger := range []*slog.Logger{nil, slog.New(slog.NewTextHandler(new(bytes.Buffer), &slog.HandlerOptions{Level: slog.LevelDebug}))} {
		tr, _ := tree(t, vfs.ReadWrite)
		var events observed
		c, _, _ := dialRaw(t, tr, Options{Observe: events.note, Logger: logger})
		h := c.open("/f", flagRead|flagWrite|flagCreate)
		for what, got := range map[string]Status{
			"WRITE": c.status(typeWrite, h, uint64(0), "x"), "READ": c.status(typeRead, h, uint64(0), 1), "FSTAT": c.status(typeFstat, h),
			"STAT": c.status(typeStat, "/f"), "LSTAT": c.status(typeLstat, "/f"), "REALPATH": c.status(typeRealpath, "/f"),
		} {
			if got != StatusOK {
				t.Errorf("%s: %s", what, got)
			}
		}
		if e := events.last(); e != nil {
			t.Errorf("before the file is closed: %+v", e)
		}
		c.status(typeClose, h)
		if e, ok := events.last().(Transfer); !ok || e.BytesRead != 1 || e.BytesWritten != 1 {
			t.Errorf("%+v", events.last())
		}
	}
}
