package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// prepareFiles makes an SFTP session on a channel. It returns what serves it, or false
// if the user's directories cannot be opened.
func (c *conn) prepareFiles(ctx context.Context, ch *stream) (serve func(), ok bool) {
	tree, err := c.openTree(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false // the connection has ended meanwhile
		}
		reason := reasonStorage
		if errors.Is(err, errDescriptors) {
			reason = reasonDescriptors
		}
		c.server.Metrics.Refusal(reason)
		c.server.Log.Error("cannot open a user's directories", "connection", c.id,
			"account", c.grant.Account, "error", err)
		return nil, false
	}
	ch.growing(c.server.windows, c.grant.Username)
	log := c.server.Log.With("connection", c.id, "account", c.grant.Account)
	f := sftp.NewSession(ch, tree, sftp.Options{
		Observe: c.observe, Logger: log, Descriptors: share{c}, Work: c.account,
		User: c.grant.Username, ClientVersion: c.clientVersion, ServerVersion: version(c.server.Current().Listener.SoftwareVersion),
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
	var mounts []vfs.Mount
	for _, m := range c.grant.Mounts {
		mounts = append(mounts, vfs.Mount{
			Path: m.Path, Volume: m.Dir, SubPath: m.SubPath, Access: vfs.Access(m.Access),
			ListNames: m.ListNames, IgnoreAttributes: m.IgnoreAttributes,
		})
	}
	if !c.server.descriptors.acquireAll(c.grant.UID, len(mounts)) {
		c.notOpened(o, errDescriptors)
		return
	}
	o.held = len(mounts)
	u := c.server.Current().Listener.Uploads
	tree, err := vfs.Open(mounts, vfs.WithUploads(vfs.Uploads{
		OnClose: u.Publish == config.PublishOnClose, DeleteIncomplete: u.Incomplete == config.IncompleteDelete, Sync: u.SyncOnClose,
	}), c.turns(c.ctx))
	if err != nil {
		c.server.descriptors.releaseAll(c.grant.UID, o.held)
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
	c.server.descriptors.releaseAll(c.grant.UID, o.held)
}

// observe logs and counts what an SFTP session did.
func (c *conn) observe(event sftp.Event) {
	switch e := event.(type) {
	case sftp.Transfer:
		c.observeTransfer(e)
	case sftp.Operation:
		c.observeOperation(e)
	}
}

func (c *conn) observeTransfer(t sftp.Transfer) {
	result := audit.OK
	switch t.Result {
	case sftp.Failed:
		result = audit.Failed
	case sftp.Aborted:
		result = audit.Aborted
	case sftp.Completed:
	}
	c.server.Metrics.Transfer(string(t.Direction), result, t.BytesRead, t.BytesWritten, t.Duration)
	e := c.entry(audit.Transfer, result, "")
	if t.Err != nil {
		e.Reason = t.Err.Error()
	}
	e.Path, e.Direction = t.Path, string(t.Direction)
	e.Left, e.Created, e.Truncated = string(t.Left), t.Created, t.Truncated
	e.BytesRead, e.BytesWritten, e.Duration = t.BytesRead, t.BytesWritten, t.Duration
	c.record(e)
	c.charge(e)
}

func (c *conn) observeOperation(o sftp.Operation) {
	result, reason := audit.OK, ""
	switch o.Status {
	case sftp.StatusOK:
	case sftp.StatusPermissionDenied:
		result, reason = audit.Refused, o.Status.String()
	default:
		result, reason = audit.Failed, o.Status.String()
	}
	c.server.Metrics.Operation(o.Op, result)
	c.server.Metrics.Hashed(o.BytesRead)
	if o.BytesRead == 0 && result != audit.OK && !c.failures.count(failure{o.Op, result, reason}, time.Now(), func() { c.writeFailures(false) }) {
		return
	}
	e := c.entry(audit.Operation, result, reason)
	e.Operation, e.Path, e.Target, e.BytesRead, e.Set = o.Op, o.Path, o.Target, o.BytesRead, attributes(o.Changes)
	c.write(e)
}

// attributes are those that a request set, for the audit log.
func attributes(c vfs.Changes) (set audit.Attributes) {
	if c.Set&vfs.SetSize != 0 {
		set.Size = strconv.FormatUint(c.Size, 10)
	}
	if c.Set&vfs.SetOwner != 0 {
		set.Owner = fmt.Sprintf("%d:%d", c.UID, c.GID)
	}
	if c.Set&vfs.SetMode != 0 {
		set.Mode = fmt.Sprintf("%04o", c.Mode&0o7777)
	}
	if c.Set&vfs.SetTimes != 0 {
		set.Atime = time.Unix(c.Atime, 0).UTC().Format(time.RFC3339)
		set.Mtime = time.Unix(c.Mtime, 0).UTC().Format(time.RFC3339)
	}
	return set
}
