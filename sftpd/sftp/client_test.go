package sftp

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	client "github.com/pkg/sftp"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// tree makes a tree over a new directory.
func tree(t testing.TB, access vfs.Access) (*vfs.Tree, string) {
	t.Helper()
	dir := t.TempDir()
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: access}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr, dir
}

// events collects what a session reports.
type events struct {
	sync.Mutex
	all []Event
}

func (e *events) observe(ev Event) {
	e.Lock()
	defer e.Unlock()
	e.all = append(e.all, ev)
}

// take returns the events so far and forgets them.
func (e *events) take() []Event {
	e.Lock()
	defer e.Unlock()
	all := e.all
	e.all = nil
	return all
}

// noFaults fails the test on an internal fault of the server, such as a panic in a request: the client may see the same status
// as for an invalid request.
type noFaults struct{ t testing.TB }

func (noFaults) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (h noFaults) WithAttrs([]slog.Attr) slog.Handler         { return h }
func (h noFaults) WithGroup(string) slog.Handler              { return h }
func (h noFaults) Handle(_ context.Context, r slog.Record) error {
	var attrs []string
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a.String())
		return true
	})
	h.t.Errorf("%s: %s", r.Message, strings.Join(attrs, " "))
	return nil
}

// serve runs a session over a pipe and returns the client's end, and a function that ends the session and returns its error.
func serve(t testing.TB, tr *vfs.Tree, opts Options) (net.Conn, *Session, func() error) {
	t.Helper()
	near, far := net.Pipe()
	if opts.Logger == nil {
		opts.Logger = slog.New(noFaults{t})
	}
	s := NewSession(far, tr, opts)
	done := make(chan error, 1)
	go func() {
		done <- s.Serve(context.Background())
		far.Close()
	}()
	end := sync.OnceValue(func() error {
		near.Close()
		return <-done
	})
	t.Cleanup(func() { end() })
	return near, s, end
}

// dial connects pkg/sftp's client to a new session.
func dial(t testing.TB, tr *vfs.Tree, opts Options, copts ...client.ClientOption) (*client.Client, *Session) {
	t.Helper()
	conn, s, _ := serve(t, tr, opts)
	c, err := client.NewClientPipe(conn, conn, copts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, s
}

func TestClientRoundTrips(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	for _, opts := range [][]client.ClientOption{
		nil,
		{client.UseConcurrentReads(true), client.UseConcurrentWrites(true), client.MaxPacketUnchecked(255 << 10)},
		{client.MaxPacketUnchecked(1000)},
	} {
		c, _ := dial(t, tr, Options{}, opts...)
		want := make([]byte, 3<<20+17)
		for i := range want {
			want[i] = byte(i * i >> 7)
		}
		f, err := c.Create("/big")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.ReadFrom(bytes.NewReader(want)); n != int64(len(want)) || err != nil {
			t.Fatal(n, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "big")); err != nil || string(got) != string(want) {
			t.Fatal("the uploaded file differs", err)
		}
		f, err = c.Open("big")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if err != nil || string(got) != string(want) {
			t.Fatal("the downloaded file differs", err)
		}
		f.Close()
	}
}

func TestClientOperations(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	c, _ := dial(t, tr, Options{})
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	check("mkdir", c.MkdirAll("/a/b/c"))
	check("write", os.WriteFile(filepath.Join(dir, "a/x"), []byte("x"), 0o600))
	check("write", os.WriteFile(filepath.Join(dir, "a/y"), []byte("yy"), 0o600))
	refused("rename over a file", c.Rename("/a/x", "/a/y"))
	check("posix-rename over a file", c.PosixRename("/a/x", "/a/y"))
	check("rename", c.Rename("/a/y", "/a/z"))
	refused("rmdir of a file", c.RemoveDirectory("/a/z"))
	check("link", c.Link("/a/z", "/a/hard"))
	check("symlink", c.Symlink("../a/z", "/a/soft"))
	if got, err := c.ReadLink("/a/soft"); got != "../a/z" || err != nil {
		t.Error("readlink", got, err)
	}
	if got, _ := os.Readlink(filepath.Join(dir, "a/soft")); got != "../a/z" {
		t.Error("the link holds", got)
	}
	if got, err := c.RealPath("a/soft"); got != "/a/z" || err != nil {
		t.Error("realpath", got, err)
	}
	check("chmod", c.Chmod("/a/z", 0o4751))
	if st, err := c.Stat("/a/soft"); err != nil || st.Mode() != 0o751 || st.Size() != 1 {
		t.Error("stat", st, err)
	}
	if st, err := c.Lstat("/a/soft"); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Error("lstat", st, err)
	}
	check("truncate", c.Truncate("/a/z", 1000))
	if st, err := c.Stat("/a/hard"); err != nil || st.Size() != 1000 {
		t.Error("stat", st, err)
	}
	if v, err := c.StatVFS("/a"); err != nil || v.Bsize == 0 || v.Namemax != 255 {
		t.Error("statvfs", v, err)
	}
	list, err := c.ReadDir("/a")
	if err != nil || len(list) != 4 {
		t.Error("readdir", list, err)
	}
	refused("rmdir of a full directory", c.RemoveDirectory("/a"))
	check("rmdir", c.RemoveDirectory("/a/b/c"))
	check("remove", c.Remove("/a/hard"))
	if _, err := c.Stat("/none"); !os.IsNotExist(err) {
		t.Error("stat of nothing:", err)
	}
	if got, err := c.Getwd(); got != "/" || err != nil {
		t.Error("getwd", got, err)
	}
	check("fsync", func() error {
		f, err := c.OpenFile("/sync", os.O_RDWR|os.O_CREATE)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	}())
}
