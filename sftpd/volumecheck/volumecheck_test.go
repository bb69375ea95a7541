package volumecheck

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// fixture is a Checker with volumes that answer as the test specifies.
type fixture struct {
	*Checker
	log strings.Builder

	mu      sync.Mutex
	volumes []Volume
	answers map[string]error
	silent  chan struct{} // while it is open, the path /silent does not answer
}

func newFixture(volumes ...string) *fixture {
	f := &fixture{answers: map[string]error{}, silent: make(chan struct{})}
	for _, name := range volumes {
		f.volumes = append(f.volumes, Volume{Name: name, Path: "/" + name})
	}
	f.Checker = New(func() []Volume {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.volumes
	}, slog.New(slog.NewTextHandler(&f.log, nil)))
	f.check = func(path string, _ []string) error {
		if path == "/silent" {
			<-f.silent
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.answers[path]
	}
	return f
}

func (f *fixture) answer(path string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[path] = err
}

// wait runs checks until the status is as wanted: "name" or "name=problem" each.
func (f *fixture) wait(t *testing.T, want string) {
	t.Helper()
	var got string
	for range 500 {
		f.look()
		var all []string
		for _, s := range f.Status() {
			text := s.Name
			if s.Problem != "" {
				text += "=" + string(s.Problem)
			}
			if s.UID != os.Geteuid() {
				t.Errorf("UID %d", s.UID)
			}
			all = append(all, text)
		}
		if got = strings.Join(all, " "); got == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("status %q, want %q", got, want)
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "v"},
		{os.NewSyscallError("statfs", unix.EROFS), "v=ReadOnly"},
		{os.NewSyscallError("write", unix.ENOSPC), "v=Full"},
		{os.NewSyscallError("write", unix.EDQUOT), "v=Full"},
		{&fs.PathError{Err: unix.EACCES}, "v=PermissionDenied"},
		{&fs.PathError{Err: unix.ENOENT}, "v=NotMounted"},
		{errors.New("stale file handle"), "v=Failed"},
	} {
		f := newFixture("v")
		f.answer("/v", c.err)
		f.wait(t, c.want)
	}
}

// A line is logged when something changes, not on each check.
func TestChanges(t *testing.T) {
	f := newFixture("b", "a")
	f.wait(t, "a b")
	f.answer("/a", unix.ENOSPC)
	for range 3 {
		f.wait(t, "a=Full b")
	}
	f.answer("/a", nil)
	f.wait(t, "a b")
	f.Checker.mu.Lock()
	full, again := strings.Count(f.log.String(), "problem=Full"), strings.Count(f.log.String(), "writable again")
	f.Checker.mu.Unlock()
	if full != 1 || again != 1 {
		t.Errorf("log:\n%s", f.log.String())
	}
	f.mu.Lock()
	f.volumes = f.volumes[:1]
	f.mu.Unlock()
	f.wait(t, "b")
}

// A volume that does not answer blocks one goroutine, and does not delay the results of the others.
func TestSilence(t *testing.T) {
	f := newFixture("silent", "well")
	f.wait(t, "") // all or nothing: half of it would look as if the other's problem had ended
	f.Checker.mu.Lock()
	f.states["silent"].asked = time.Now().Add(-timeout - time.Second)
	f.Checker.mu.Unlock()
	f.wait(t, fmt.Sprintf("silent=%s well", config.VolumeSilent))
	close(f.silent)
	f.wait(t, "silent well")
}
