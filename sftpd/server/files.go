package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/flow"
	"github.com/sftp-operator/sftp-operator/sftpd/report"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// prepareFiles creates an SFTP session on a channel. It returns a function that serves it and returns an exit
// status, or false if the user's directories cannot be opened.
func (c *conn) prepareFiles(ctx context.Context, ch *flow.Stream) (serve func() (status uint32), ok bool) {
	tree, err := c.directories.Open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false // the connection has ended in the meantime
		}
		reason := event.StorageUnavailable
		if errors.Is(err, errDescriptors) {
			reason = event.OpenFiles
		}
		c.server.emit(event.Refused{Reason: reason})
		c.server.Log.Error("cannot open a user's directories", "connection", c.about.ID,
			"account", c.settings.grant.Account, "error", err)
		return nil, false
	}
	ch.Grow(c.settings.grant.Username)
	log := c.server.Log.With("connection", c.about.ID, "account", c.settings.grant.Account)
	share := c.server.descriptors.Of(c.settings.grant.UID, func() { c.server.emit(event.Refused{Reason: event.OpenFiles}) })
	f := sftp.NewSession(ch, tree, sftp.Options{
		Observe: c.report.Observe, Opened: c.opener.Opened, Logger: log, Descriptors: share, Work: c.account,
		User: c.settings.grant.Username, ClientVersion: c.about.ClientVersion, ServerVersion: c.settings.software,
	})
	c.mu.Lock()
	c.files[f] = struct{}{}
	c.mu.Unlock()
	return func() uint32 {
		defer c.forget(f)
		err := f.Serve(ctx)
		if err == nil {
			return 0
		}
		if ctx.Err() == nil {
			log.Debug("sftp session ended", "error", err)
		}
		return 1
	}, true
}

func (c *conn) forget(f *sftp.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.files, f)
	c.lastUsed = time.Now()
}

var errDescriptors = errors.New("too many files and mounts are open")

// openTree opens the user's directories, and returns a function to call when they are closed.
func (c *conn) openTree() (tree *vfs.Tree, release func(), err error) {
	mounts := c.settings.mounts
	if r := c.settings.receipts; r.Path != "" && c.server.receipts.Answers(r.Volume) {
		mounts = append(slices.Clip(mounts), r)
	}
	uid, n := c.settings.grant.UID, len(mounts)
	if !c.server.descriptors.AcquireAll(uid, n) {
		return nil, nil, errDescriptors
	}
	release = func() { c.server.descriptors.ReleaseAll(uid, n) }
	defer func() {
		if tree == nil { // also if it panicked
			release()
		}
	}()
	turns := vfs.WithTurns(func() (func(), error) { return c.account.Turn(c.ctx) })
	options := []vfs.Option{vfs.WithUploads(c.settings.uploads), turns}
	if c.server.Journal != nil {
		if j := c.server.Journal(c.described); j != nil {
			options = append(options, vfs.WithJournal(j))
		}
	}
	if tree, err = vfs.Open(mounts, options...); err != nil && len(mounts) > len(c.settings.mounts) {
		c.server.Log.Error("cannot open a user's receipts, so the session has none", "connection", c.about.ID,
			"account", c.settings.grant.Account, "error", err)
		tree, err = vfs.Open(c.settings.mounts, options...)
	}
	return tree, release, err
}

// reportOpen logs files that stay open until the server ends. It may wait for the log, and nothing waits for it.
func (s *Server) reportOpen() {
	t := time.NewTicker(report.Interval)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
			s.open.Pass(time.Now())
		}
	}
}

// reportOpen writes the lines that are due about open files, and returns when the next one is due, the zero time if no file is
// open.
func (c *conn) reportOpen(now time.Time) (next time.Time) {
	defer func() { c.Panicked(recover()) }()
	var open []*sftp.Session
	c.mu.Lock()
	for f := range c.files {
		if f.OpenFiles() > 0 {
			open = append(open, f)
		}
	}
	c.mu.Unlock()
	for _, f := range open {
		next = sooner(next, c.report.StillOpen(f, now))
	}
	return next
}

// sooner returns the earlier of two times, of which the zero value means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
