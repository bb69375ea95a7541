package server

import (
	"context"
	"errors"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/flow"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// prepareFiles makes an SFTP session on a channel. It returns what serves it, or false
// if the user's directories cannot be opened.
func (c *conn) prepareFiles(ctx context.Context, ch *flow.Stream) (serve func(), ok bool) {
	tree, err := c.openTree(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false // the connection has ended meanwhile
		}
		reason := event.StorageUnavailable
		if errors.Is(err, errDescriptors) {
			reason = event.OpenFiles
		}
		c.server.emit(event.Refused{Reason: reason})
		c.server.Log.Error("cannot open a user's directories", "connection", c.id,
			"account", c.settings.grant.Account, "error", err)
		return nil, false
	}
	ch.Grow(c.settings.grant.Username)
	log := c.server.Log.With("connection", c.id, "account", c.settings.grant.Account)
	f := sftp.NewSession(ch, tree, sftp.Options{
		Observe: c.report.Observe, Logger: log, Descriptors: share{c}, Work: c.account,
		User: c.settings.grant.Username, ClientVersion: c.clientVersion, ServerVersion: c.settings.software,
	})
	c.mu.Lock()
	c.files[f] = struct{}{}
	c.mu.Unlock()
	return func() {
		defer ch.Close()
		defer c.forget(f)
		err := f.Serve(ctx)
		status := uint32(0)
		if err != nil {
			status = 1
			if ctx.Err() == nil {
				log.Debug("sftp session ended", "error", err)
			}
		}
		sendExitStatus(ch, status)
	}, true
}

func (c *conn) forget(f *sftp.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.files, f)
	c.lastUsed = time.Now()
}

// opening is a user's tree that is open, or about to be.
type opening struct {
	done chan struct{} // closed when the other two are set
	tree *vfs.Tree
	err  error
	// held are the descriptors that the user's share is charged with.
	held int
}

var (
	errPanicked    = errors.New("internal error")
	errDescriptors = errors.New("too many files and mounts are open")
)

// openTree opens the user's directories for the first channel; the others share them. The volume may never answer, so no
// lock is held meanwhile, and nothing but this channel waits.
func (c *conn) openTree(ctx context.Context) (*vfs.Tree, error) {
	c.mu.Lock()
	o := c.opening
	if o == nil {
		o = &opening{done: make(chan struct{}), err: errPanicked}
		c.opening = o
		go c.open(o)
	}
	c.mu.Unlock()
	select {
	case <-o.done:
		return o.tree, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *conn) open(o *opening) {
	defer close(o.done)
	defer func() { c.panicked(recover()) }()
	uid := c.settings.grant.UID
	if !c.server.descriptors.AcquireAll(uid, len(c.settings.mounts)) {
		c.notOpened(o, errDescriptors)
		return
	}
	o.held = len(c.settings.mounts)
	tree, err := vfs.Open(c.settings.mounts, vfs.WithUploads(c.settings.uploads), c.turns(c.ctx))
	if err != nil {
		c.server.descriptors.ReleaseAll(uid, o.held)
		o.held = 0
		c.notOpened(o, err)
		return
	}
	o.tree, o.err = tree, nil
}

// notOpened has the next channel try again.
func (c *conn) notOpened(o *opening, err error) {
	o.err = err
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opening = nil
}

// closeTree is the last thing of a connection. It waits for a volume that is still being opened: otherwise a user could
// connect again and again and leave goroutines behind, each of which occupies a thread of the process.
func (c *conn) closeTree() {
	c.mu.Lock()
	o := c.opening
	c.mu.Unlock()
	if o == nil {
		return
	}
	if <-o.done; o.tree != nil {
		_ = o.tree.Close()
	}
	c.server.descriptors.ReleaseAll(c.settings.grant.UID, o.held)
}

// turns are the user's, for what happens in the volumes.
func (c *conn) turns(ctx context.Context) vfs.Option {
	return vfs.WithTurns(func() (func(), error) { return c.account.Turn(ctx) })
}
