package sftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

func TestOperationEvents(t *testing.T) {
	rw, ro := t.TempDir(), t.TempDir()
	os.WriteFile(filepath.Join(ro, "r"), []byte("r"), 0o600)
	in := t.TempDir()
	if err := os.Symlink("x", filepath.Join(in, "l")); err != nil {
		t.Fatal(err)
	}
	tr, err := vfs.Open([]vfs.Mount{
		{Path: "/", Volume: rw, Access: vfs.ReadWrite},
		{Path: "/ro", Volume: ro, Access: vfs.ReadOnly},
		{Path: "/in", Volume: in, Access: vfs.WriteOnly},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	var got events
	c, _, _ := dialRaw(t, tr, Options{Observe: got.observe})
	for _, x := range []struct {
		typ  byte
		args []any
		want Event // nil for none
	}{
		{typeMkdir, []any{"d", 0}, Operation{Op: "mkdir", Path: "/d", Status: StatusOK}},
		{typeMkdir, []any{"/d/", 0}, Operation{Op: "mkdir", Path: "/d", Status: StatusFailure}},
		{typeSymlink, []any{"target", "/d/../l"}, Operation{Op: "symlink", Path: "/l", Target: "target", Status: StatusOK}},
		{typeSymlink, []any{"../l", "d/up"}, Operation{Op: "symlink", Path: "/d/up", Target: "../l", Status: StatusOK}},
		{typeRemove, []any{"d/up"}, Operation{Op: "remove", Path: "/d/up", Status: StatusOK}},
		{typeRename, []any{"l", "d/./m"}, Operation{Op: "rename", Path: "/l", Target: "/d/m", Status: StatusOK}},
		{typeRemove, []any{"/d/m"}, Operation{Op: "remove", Path: "/d/m", Status: StatusOK}},
		{typeRmdir, []any{"/d"}, Operation{Op: "rmdir", Path: "/d", Status: StatusOK}},
		{typeSetstat, []any{"/none", uint32(attrSize), uint64(1)}, Operation{Op: "setstat", Path: "/none", Status: StatusNoSuchFile, Changes: vfs.Changes{Set: vfs.SetSize, Size: 1}}},
		{typeExtended, []any{"hardlink@openssh.com", "none", "d/../x"}, Operation{Op: "hardlink", Path: "/none", Target: "/x", Status: StatusNoSuchFile}},
		{typeOpendir, []any{"/in"}, Operation{Op: "opendir", Path: "/in", Status: StatusPermissionDenied}},
		{typeOpen, []any{"/ro/r", flagWrite, 0}, Operation{Op: "open", Path: "/ro/r", Status: StatusPermissionDenied}},
		{typeOpen, []any{"/none/r", flagWrite, 0}, Operation{Op: "open", Path: "/none/r", Status: StatusNoSuchFile}},
		{typeOpen, []any{"/none", flagRead, 0}, nil},
		{typeStat, []any{"/"}, nil},
		{typeLstat, []any{"/none"}, nil},
		{typeRealpath, []any{"."}, nil},
		{typeReadlink, []any{"/in/l"}, Operation{Op: "readlink", Path: "/in/l", Status: StatusPermissionDenied}},
		{typeReadlink, []any{"/in/x"}, nil}, // as LSTAT
		{typeExtended, []any{"posix-rename@openssh.com", "in/x", "x"}, Operation{Op: "posix-rename", Path: "/in/x", Target: "/x", Status: StatusFailure}},
	} {
		c.status(x.typ, x.args...)
		c.status(typeStat, "/") // the event precedes the next reply
		var want []Event
		if x.want != nil {
			want = []Event{x.want}
		}
		if all := got.take(); !reflect.DeepEqual(all, want) {
			t.Errorf("type %d %q: %+v, want %+v", x.typ, x.args, all, want)
		}
	}
}

func TestTransferEvents(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	var got events
	c, s, end := dialRaw(t, tr, Options{Observe: got.observe})
	up := c.open("up", flagRead|flagWrite|flagCreate)
	c.status(typeWrite, up, uint64(0), "12345")
	c.status(typeClose, up)
	down := c.open("/up", flagRead)
	c.content(down, 0, 3)
	c.content(down, 5, 3)
	c.status(typeClose, down)
	both := c.open("/up", flagRead|flagWrite)
	c.status(typeWrite, both, uint64(5), "6789")
	c.content(both, 0, 100)
	_ = c.open("/d/../up", flagRead)
	if s.OpenFiles() != 2 || time.Since(s.LastActivity()) > time.Minute {
		t.Error(s.OpenFiles(), s.LastActivity())
	}
	end()
	if s.OpenFiles() != 0 {
		t.Error("files stay open after the end")
	}
	var lines []string
	for _, e := range got.take() {
		e := e.(Transfer)
		if e.Start.IsZero() || e.Duration <= 0 || e.Err != nil {
			t.Errorf("%+v", e)
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprint(e.Path, " ", e.Direction, " ", e.BytesRead, " ", e.BytesWritten, " ", e.Result, " ", e.Left)))
	}
	want := "/up upload 0 5 completed, /up download 3 0 completed, /up both 9 4 aborted kept, /up download 0 0 aborted"
	if got := strings.Join(lines, ", "); got != want {
		t.Error(got)
	}
}

func TestFailedTransfer(t *testing.T) {
	h := &handle{path: "/x"}
	for _, err := range []error{nil, io.ErrShortWrite, io.ErrClosedPipe} {
		if got := h.note(err); !errors.Is(got, err) {
			t.Errorf("note of %v returns %v", err, got)
		}
	}
	h.file = &vfs.File{}
	if got := h.transfer(false); got.Result != Failed || !errors.Is(got.Err, io.ErrShortWrite) {
		t.Errorf("%+v", got)
	}
}

func TestContextEndsSession(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	near, far := net.Pipe()
	defer near.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, far, tr, Options{}) }()
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the session continues")
	}
}

func TestPanicIsContained(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	var log bytes.Buffer
	c, _, end := dialRaw(t, tr, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	old := byType[typeReadlink]
	byType[typeReadlink] = &kind{name: "readlink", run: func(s *Session, r *request) error {
		s.out.begin(typeName, r.id) // half a reply
		panic("a bug")
	}}
	defer func() { byType[typeReadlink] = old }()
	if got := c.status(typeReadlink, "/"); got != StatusFailure {
		t.Error(got)
	}
	if got := c.status(typeStat, "/"); got != StatusOK {
		t.Error(got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if got := log.String(); !strings.Contains(got, `panic="a bug"`) || !strings.Contains(got, "events_test.go") {
		t.Errorf("logged %q", got)
	}
}
