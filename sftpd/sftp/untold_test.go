package sftp

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// observed collects the events of a session.
type observed struct {
	mu  sync.Mutex
	all []Event
}

func (o *observed) note(e Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, e)
}

func (o *observed) last() Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		return nil
	}
	return o.all[len(o.all)-1]
}

// TestUploadThatCannotBePublished: an upload whose staged file is gone fails for the client, and in its event.
func TestUploadThatCannotBePublished(t *testing.T) {
	dir := t.TempDir()
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: vfs.ReadWrite}}, vfs.WithUploads(vfs.Uploads{OnClose: true}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	var events observed
	c, _, _ := dialRaw(t, tr, Options{Observe: events.note})
	h := c.open("/f", flagWrite|flagCreate)
	if got := c.status(typeWrite, h, uint64(0), "12345"); got != StatusOK {
		t.Fatal(got)
	}
	staged, err := os.ReadDir(dir)
	if err != nil || len(staged) != 1 {
		t.Fatalf("%v, %v", staged, err)
	}
	if err := os.Remove(filepath.Join(dir, staged[0].Name())); err != nil {
		t.Fatal(err)
	}
	if got := c.status(typeClose, h); got == StatusOK {
		t.Error("the client believes that the file exists")
	}
	e, ok := events.last().(Transfer)
	if !ok || e.Result != Failed || !errors.Is(e.Err, vfs.ErrRemoved) || e.Left != vfs.Deleted || e.BytesWritten != 5 {
		t.Errorf("%+v", events.last())
	}
}

// TestAttributesByHandle: the event of FSETSTAT names the file and what was set.
func TestAttributesByHandle(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	var events observed
	c, _, _ := dialRaw(t, tr, Options{Observe: events.note})
	h := c.open("/f", flagRead|flagWrite|flagCreate)
	if got := c.status(typeFsetstat, h, attrSize, uint64(7)); got != StatusOK {
		t.Fatal(got)
	}
	e, ok := events.last().(Operation)
	if !ok || e.Op != "fsetstat" || e.Path != "/f" || e.Changes.Set != vfs.SetSize || e.Changes.Size != 7 || e.Status != StatusOK {
		t.Errorf("%+v", events.last())
	}
}

// TestOpenFileThatIsMoved: a file that is open under its own name is found by name only while it has that name.
func TestOpenFileThatIsMoved(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	h := c.open("/f", flagRead|flagWrite|flagCreate)
	if err := os.Rename(filepath.Join(dir, "f"), filepath.Join(dir, "g")); err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]Status{
		"STAT": c.status(typeStat, "/f"), "LSTAT": c.status(typeLstat, "/f"), "SETSTAT": c.status(typeSetstat, "/f", attrSize, uint64(1)),
	} {
		if got != StatusNoSuchFile {
			t.Errorf("%s: %s", what, got)
		}
	}
	if got := c.status(typeFstat, h); got != StatusOK {
		t.Errorf("FSTAT: %s", got)
	}
}

// TestNextOfManyOpenFiles: the next file that is due is the one opened first, in whatever order they are kept.
func TestNextOfManyOpenFiles(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, s, _ := dialRaw(t, tr, Options{})
	before := time.Now()
	c.open("/first", flagWrite|flagCreate)
	opened := time.Now()
	for i := range 20 {
		c.open(fmt.Sprint("/", i), flagWrite|flagCreate)
	}
	for range 10 {
		_, next := s.LongOpen(before, time.Minute, time.Hour)
		if next.Before(before.Add(time.Minute)) || next.After(opened.Add(time.Minute)) {
			t.Fatalf("next after %s", next.Sub(before))
		}
	}
}

// TestRequestsInTheDebugLog: each request is logged with its name, its path and its status.
func TestRequestsInTheDebugLog(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	var log bytes.Buffer
	c, _, end := dialRaw(t, tr, Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	c.status(typeMkdir, "/d", 0)
	c.status(typeStat, "/missing")
	c.status(99)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"request=mkdir path=/d target=\"\" status=OK", "request=stat path=/missing target=\"\" status=NO_SUCH_FILE", "request=unknown"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
}

// broken is a stream with these requests, whose answers cannot be sent.
type broken struct{ requests *bytes.Reader }

var errBroken = errors.New("broken")

func (b broken) Read(p []byte) (int, error) { return b.requests.Read(p) }
func (broken) Write([]byte) (int, error)    { return 0, errBroken }

// TestAnswersThatCannotBeSent: a session ends with the error, whether its answers are many or few.
func TestAnswersThatCannotBeSent(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 300<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, requests := range map[string][]byte{
		"few":  packet(typeInit, uint32(3)),
		"many": append(packet(typeInit, uint32(3)), bytes.Repeat(packet(typeStat, uint32(1), strings.Repeat("/x", 100)), 20_000)...),
	} {
		if err := Serve(t.Context(), broken{bytes.NewReader(requests)}, tr, Options{}); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHandlesAgainstAModel: a name belongs to one handle until that is removed, and names that were never issued belong to none.
func TestHandlesAgainstAModel(t *testing.T) {
	table := newHandles(5)
	type given struct {
		name [handleBytes]byte
		h    *handle
	}
	var open []given
	var closed [][handleBytes]byte
	for i := range 200 {
		if table.full() != (len(open) == 5) {
			t.Fatalf("step %d: full with %d open", i, len(open))
		}
		if len(open) == 5 || len(open) > 0 && i%3 == 2 {
			at := i % len(open)
			h, slot, err := table.get(open[at].name[:])
			if err != nil || h != open[at].h {
				t.Fatalf("step %d: %v", i, err)
			}
			table.remove(slot)
			closed = append(closed, open[at].name)
			open = append(open[:at], open[at+1:]...)
		} else {
			name, h := table.add()
			h.file = new(vfs.File)
			open = append(open, given{name, h})
		}
		for _, g := range open {
			if h, _, err := table.get(g.name[:]); err != nil || h != g.h {
				t.Fatalf("step %d: an open handle is %v", i, err)
			}
		}
		for _, name := range closed {
			if _, _, err := table.get(name[:]); !errors.Is(err, errHandle) {
				t.Fatalf("step %d: a closed handle is %v", i, err)
			}
		}
		beyond := open[0].name
		beyond[7] = byte(len(table.slots)) // the first slot that does not exist
		if _, _, err := table.get(beyond[:]); !errors.Is(err, errHandle) {
			t.Fatalf("step %d: a slot too many is %v", i, err)
		}
		if len(table.slots) > 5 {
			t.Fatalf("%d slots", len(table.slots))
		}
	}
	for _, n := range []int{0, 7, 9} {
		if _, _, err := table.get(make([]byte, n)); !errors.Is(err, errHandle) {
			t.Errorf("a name of %d bytes: %v", n, err)
		}
	}
}
