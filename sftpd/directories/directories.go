// Package directories opens a user's directories once for all channels of a connection. The volume may never answer: then
// only the callers that asked wait, each for as long as it chooses, and no lock is held meanwhile.
package directories

import (
	"context"
	"errors"
	"sync"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// Directories holds the directories of one connection.
type Directories struct {
	open     func() (tree *vfs.Tree, release func(), err error)
	panicked func(v any)

	mu      sync.Mutex
	opening *opening
}

// opening is a user's tree that is open or being opened.
type opening struct {
	done chan struct{} // closed when the other fields are set
	tree *vfs.Tree
	err  error
	// release is called when the tree is closed.
	release func()
}

var errPanicked = errors.New("internal error")

// New returns directories that are not open yet. open opens them, and release is called once they are closed. panicked is
// called with the value that open panicked with, nil if it did not.
func New(open func() (tree *vfs.Tree, release func(), err error), panicked func(v any)) *Directories {
	return &Directories{open: open, panicked: panicked}
}

// Open opens the directories for the first caller; the others share them. If that fails, the next one tries again.
func (d *Directories) Open(ctx context.Context) (*vfs.Tree, error) {
	d.mu.Lock()
	o := d.opening
	if o == nil {
		o = &opening{done: make(chan struct{}), err: errPanicked}
		d.opening = o
		go d.run(o)
	}
	d.mu.Unlock()
	select {
	case <-o.done:
		return o.tree, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *Directories) run(o *opening) {
	defer close(o.done)
	defer func() { d.panicked(recover()) }()
	tree, release, err := d.open()
	if err != nil {
		o.err = err
		d.mu.Lock()
		defer d.mu.Unlock()
		d.opening = nil
		return
	}
	o.tree, o.release, o.err = tree, release, nil
}

// Close must be the last call of a connection. It waits for a volume that is still being opened: otherwise a user could connect
// again and again and leave goroutines behind, each of which occupies a thread of the process.
func (d *Directories) Close() {
	d.mu.Lock()
	o := d.opening
	d.mu.Unlock()
	if o == nil {
		return
	}
	if <-o.done; o.tree != nil {
		_ = o.tree.Close()
		o.release()
	}
}
