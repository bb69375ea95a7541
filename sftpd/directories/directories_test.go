package directories

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// volume opens a real directory once the test lets it.
type volume struct {
	dir             string
	answers         chan error
	opened, release int
	panicked        any
}

func newVolume(t *testing.T) (*volume, *Directories) {
	t.Helper()
	v := &volume{dir: t.TempDir(), answers: make(chan error)}
	return v, New(v.open, func(p any) { v.panicked = p })
}

func (v *volume) open() (*vfs.Tree, func(), error) {
	v.opened++
	err, ok := <-v.answers
	switch {
	case !ok:
		panic("volume")
	case err != nil:
		return nil, nil, err
	}
	tree, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: v.dir, Access: vfs.ReadWrite}})
	return tree, func() { v.release++ }, err
}

// TestChannelsShare: channels that ask at the same time get the same tree, which is closed with the connection.
func TestChannelsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := newVolume(t)
		trees := make(chan *vfs.Tree, 10)
		for range cap(trees) {
			go func() {
				tree, err := d.Open(t.Context())
				if err != nil {
					t.Error(err)
				}
				trees <- tree
			}()
		}
		synctest.Wait()
		if len(trees) > 0 {
			t.Error("a channel did not wait")
		}
		v.answers <- nil
		first := <-trees
		for range cap(trees) - 1 {
			if first == nil || <-trees != first {
				t.Fatal("another tree")
			}
		}
		if err := os.WriteFile(filepath.Join(v.dir, "a"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Stat("/a"); err != nil {
			t.Error(err)
		}
		d.Close()
		if v.opened != 1 || v.release != 1 {
			t.Errorf("opened %d times, released %d times", v.opened, v.release)
		}
	})
}

// TestFailureIsTriedAgain: the next channel retries a failed open.
func TestFailureIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := newVolume(t)
		away := errors.New("away")
		go func() { v.answers <- away }()
		if _, err := d.Open(t.Context()); !errors.Is(err, away) {
			t.Errorf("%v, want %v", err, away)
		}
		go func() { v.answers <- nil }()
		for range 2 { // the second shares what the first opened
			if tree, err := d.Open(t.Context()); tree == nil || err != nil {
				t.Error(err)
			}
		}
		d.Close()
		if v.release != 1 {
			t.Errorf("released %d times", v.release)
		}
	})
}

// TestVolumeThatHangs: a caller waits no longer than its own limit, whereas the end of the connection does wait.
func TestVolumeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := newVolume(t)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error)
		go func() {
			_, err := d.Open(ctx)
			got <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		closed := make(chan struct{})
		go func() {
			d.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("a goroutine is left behind")
		default:
		}
		v.answers <- nil
		<-closed
		if v.release != 1 {
			t.Errorf("released %d times", v.release)
		}
	})
}

// TestPanic: a panic is reported, and the callers that wait get an error.
func TestPanic(t *testing.T) {
	v, d := newVolume(t)
	close(v.answers)
	for range 2 {
		if _, err := d.Open(t.Context()); !errors.Is(err, errPanicked) {
			t.Error(err)
		}
	}
	d.Close()
	if v.panicked != "volume" || v.release != 0 {
		t.Errorf("%v, released %d times", v.panicked, v.release)
	}
}

// TestNeverOpened: a connection without a channel has nothing to close.
func TestNeverOpened(t *testing.T) {
	v, d := newVolume(t)
	if d.Close(); v.opened+v.release > 0 {
		t.Error("something was done")
	}
}
