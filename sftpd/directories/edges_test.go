package directories

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestCloseClosesTheTree: the tree is closed exactly once, before it is released.
func TestCloseClosesTheTree(t *testing.T) {
	dir, panics := t.TempDir(), []any(nil)
	var tree *vfs.Tree
	released := 0
	d := New(func() (*vfs.Tree, func(), error) {
		var err error
		tree, err = vfs.Open([]vfs.Mount{{Path: "/", Volume: dir, Access: vfs.ReadWrite}})
		return tree, func() {
			if _, err := tree.Stat("/"); err == nil {
				t.Error("released while the directories are open")
			}
			released++
		}, err
	}, func(v any) { panics = append(panics, v) })
	got, err := d.Open(t.Context())
	if err != nil || got != tree {
		t.Fatal(err)
	}
	if _, err := got.Stat("/"); err != nil {
		t.Error(err)
	}
	if d.Close(); released != 1 || len(panics) != 1 || panics[0] != nil {
		t.Errorf("released %d times, panics %v", released, panics)
	}
}

// TestFailureWhileClosing: the end of a connection waits for a volume that then fails, and there is nothing to close.
func TestFailureWhileClosing(t *testing.T) {
	for name, answer := range map[string]func(*volume){
		"fails": func(v *volume) { v.answers <- errors.New("away") }, "panics": func(v *volume) { close(v.answers) },
	} {
		synctest.Test(t, func(t *testing.T) {
			v, d := newVolume(t)
			opened, closed := make(chan error, 1), make(chan struct{})
			go func() {
				tree, err := d.Open(t.Context())
				if tree != nil {
					t.Errorf("%s: a tree", name)
				}
				opened <- err
			}()
			synctest.Wait()
			go func() {
				defer close(closed)
				d.Close()
			}()
			synctest.Wait()
			select {
			case <-closed:
				t.Errorf("%s: closed before that", name)
			default:
			}
			answer(v)
			if <-closed; <-opened == nil || v.opened != 1 || v.release != 0 {
				t.Errorf("%s: opened %d times, released %d times", name, v.opened, v.release)
			}
		})
	}
}
