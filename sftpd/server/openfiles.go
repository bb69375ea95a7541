package server

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
)

// A file that stays open has a line in the audit log when it has been open for openFirst, and then one every openAgain: what
// was read and written so far is known even if the process is killed. Files that are copied in seconds have no more than
// their one line at the end.
const (
	openFirst = 10 * time.Second
	openAgain = 5 * time.Minute
)

// reportOpen writes those lines until the server ends. It may wait for the log, and nothing waits for it.
func (s *Server) reportOpen() {
	t := time.NewTicker(s.openFirst / 2)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		}
		for _, c := range s.sessions.all() {
			c.reportOpen(time.Now())
		}
	}
}

func (c *conn) reportOpen(now time.Time) {
	defer func() { c.panicked(recover()) }()
	c.mu.Lock()
	var all []*sftp.Session
	for f := range c.files {
		if f.OpenFiles() > 0 {
			all = append(all, f)
		}
	}
	c.mu.Unlock()
	for _, f := range all {
		for _, t := range f.LongOpen(now, c.server.openFirst, openAgain) {
			c.server.emit(event.TransferOpen{Connection: c.describe(), File: fileOf(t)})
			c.charge(t.Path, "")
		}
	}
}

// share is a user's part of the descriptors, for package sftp.
type share struct {
	conn *conn
}

func (s share) Acquire() bool {
	ok := s.conn.server.descriptors.Acquire(s.conn.settings.grant.UID)
	if !ok {
		s.conn.server.emit(event.Refused{Reason: event.OpenFiles})
	}
	return ok
}

func (s share) Release() { s.conn.server.descriptors.Release(s.conn.settings.grant.UID) }
