package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestVolumeWithout: on a volume without fsync or locks, events are recorded, and the status says what is not promised.
func TestVolumeWithout(t *testing.T) {
	oldSync, oldLock := fdatasync, flock
	t.Cleanup(func() { fdatasync, flock = oldSync, oldLock })
	fdatasync = func(*os.File) error { return unix.EINVAL }
	flock = func(int, int) error { return unix.ENOLCK }
	r := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a")}})
	r.add(t, "team/ada", "/1")
	r.expect(t, "a", "/1")
	got := strings.Join(r.status().Problems, "\n")
	if !strings.Contains(got, "fdatasync") || !strings.Contains(got, "flock") {
		t.Error(got)
	}
	if st := r.receiptsKept(); st.Failing != "" || !strings.Contains(st.NotDurable, "fdatasync") || !strings.Contains(st.NotDurable, "flock") {
		t.Errorf("%+v", st)
	}
	r.stop()
}

// TestBrokenVolume: what cannot be written is refused at once, and works again when the volume does.
func TestBrokenVolume(t *testing.T) {
	base := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := begin(t, logSettings{base: filepath.Join(base, "x"), live: live{sinks: sinks("a")}})
	eventually(t, "it is noticed", func() bool { return errors.Is(r.try(t, "team/ada", "/1"), ErrUnavailable) })
	if st := r.status(); len(st.Problems) != 1 || strings.Contains(st.Problems[0], base) || st.Lost == 0 {
		t.Errorf("%+v", st)
	}
	if st := r.receiptsKept(); !strings.Contains(st.Failing, unix.ENOTDIR.Error()) {
		t.Errorf("%+v", st)
	}
	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is there again", func() bool { return r.try(t, "team/ada", "/2") == nil })
}

// TestFailedSync: an event whose sync fails is refused and not delivered, and the next one is.
func TestFailedSync(t *testing.T) {
	oldSync := fdatasync
	r := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a")}})
	t.Cleanup(func() { r.stop(); fdatasync = oldSync })
	r.add(t, "team/ada", "/1")
	r.stop()
	fail := make(chan error, 1)
	fail <- unix.EIO
	fdatasync = func(f *os.File) error {
		select {
		case err := <-fail:
			return err
		default:
			return oldSync(f)
		}
	}
	r = begin(t, logSettings{base: r.base, live: live{sinks: sinks("a")}})
	if err := r.try(t, "team/ada", "/2"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	r.add(t, "team/ada", "/3")
	r.expect(t, "a", "/1/3")
	if r.status().Lost != 1 {
		t.Errorf("%+v", r.status())
	}
}

// TestHungVolume: while the volume hangs, each caller waits only for its own record, and everything else answers.
func TestHungVolume(t *testing.T) {
	oldSync := fdatasync
	hang := make(chan struct{})
	r := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a")}})
	r.add(t, "team/ada", "/1")
	r.stop()
	fdatasync = func(f *os.File) error { <-hang; return oldSync(f) }
	r = begin(t, logSettings{base: r.base, live: live{sinks: sinks("a")}})
	release := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(func() { release(); r.stop(); fdatasync = oldSync })
	eventually(t, "open", func() bool { return len(r.status().Problems) == 0 })
	began := time.Now()
	waits := make(chan error, 1)
	go func() { waits <- r.try(t, "team/ada", "/2") }()
	time.Sleep(50 * time.Millisecond)
	r.status()
	if err := r.admits("team/bob"); err != nil {
		t.Error(err)
	}
	r.configure(live{sinks: sinks("a"), maxBytes: 1 << 20})
	if have, _ := r.read(t, "a", "", false); have != "/1" {
		t.Errorf("%q", have)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("others wait for %s", d)
	}
	if err := <-waits; !errors.Is(err, ErrSlow) {
		t.Error(err)
	}
	began = time.Now()
	if err := r.try(t, "team/bob", "/3"); !errors.Is(err, ErrSlow) || time.Since(began) > 5*time.Second {
		t.Errorf("the next one waits for %s: %v", time.Since(began), err)
	}
	release()
	eventually(t, "it is written later", func() bool { return r.pendingOf("a") == 2 })
}

// TestSlowVolumeLosesNothing: events that no one waits for are recorded when the volume answers again, however long it did not, as long as
// they fit into the queue.
func TestSlowVolumeLosesNothing(t *testing.T) {
	oldSync := fdatasync
	hang, hung := make(chan struct{}), make(chan struct{})
	r := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a")}})
	eventually(t, "open", func() bool { return len(r.status().Problems) == 0 })
	r.stop()
	once := sync.OnceFunc(func() { close(hung) })
	fdatasync = func(f *os.File) error { once(); <-hang; return oldSync(f) }
	r = begin(t, logSettings{base: r.base, live: live{sinks: sinks("a")}})
	release := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(func() { release(); r.stop(); fdatasync = oldSync })
	eventually(t, "open", func() bool { return len(r.status().Problems) == 0 })
	waits := make(chan error, 1)
	go func() { waits <- r.try(t, "team/ada", "/upload") }()
	<-hung
	r.mu.Lock()
	r.beats += 2 * waitBeats // as if that long had passed
	r.mu.Unlock()
	o := &outbox{log: r.log, Events: config.Events{Sinks: sinks("a"), Source: "https://sftp-operator"}, selected: func(string) []string { return nil }}
	const many = 500
	for i := range many {
		o.operation(event.Operation{
			Connection: &event.Connection{ID: "0123456789abcdef", Account: "team/bob"}, Operation: "mkdir", Path: fmt.Sprint("/", i), Result: event.OK,
		})
	}
	if err := r.admits("team/bob"); !errors.Is(err, ErrSlow) {
		t.Errorf("an upload is accepted: %v", err)
	}
	if st := r.status(); st.Lost != 0 {
		t.Errorf("%d events are lost", st.Lost)
	}
	release()
	<-waits
	eventually(t, "all are recorded", func() bool { return r.pendingOf("a") >= many })
}

// TestHungClose: closing a file waits for a network volume that hangs, and nothing else waits for the close.
func TestHungClose(t *testing.T) {
	old, hang := closeFile, make(chan struct{})
	closing := make(chan struct{}, 100)
	closeFile = func(f *os.File) { closing <- struct{}{}; <-hang; old(f) }
	r := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a"), maxBytes: 1 << 20}})
	release := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(func() { release(); r.stop(); closeFile = old })
	for { // until there are two segments
		r.add(t, "team/ada", strings.Repeat("/long", 700))
		if files, err := filepath.Glob(filepath.Join(r.base, "*", "*.seg")); err != nil || len(files) > 1 {
			break
		}
	}
	_, cursor := r.read(t, "a", "", false)
	for last := ""; cursor != last; { // one answer does not have all
		last = cursor
		if _, next := r.read(t, "a", cursor, false); next != "" {
			cursor = next
		}
	}
	if err := r.ack("a", cursor); err != nil {
		t.Fatal(err)
	}
	<-closing
	answered := make(chan error)
	go func() { r.status(); answered <- r.admits("team/bob") }()
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("others wait for a file to be closed")
	}
}

// TestModesOfOtherDirectories: directories that the outbox creates get its mode, whatever the umask, and those above keep theirs.
func TestModesOfOtherDirectories(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	volume := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(volume, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := makeDirs(filepath.Join(volume, "new", "log"), 4); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]os.FileMode{"": 0o700, "new": dirMode, "new/log": dirMode} {
		st, err := os.Stat(filepath.Join(volume, dir))
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", dir, got, want)
		}
	}
}
