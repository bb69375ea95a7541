package server

import (
	"maps"
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/report"
)

// reportOpen writes those lines until the server ends. It may wait for the log, and nothing waits for it.
func (s *Server) reportOpen() {
	t := time.NewTicker(report.Interval)
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
	all := slices.Collect(maps.Keys(c.files))
	c.mu.Unlock()
	for _, f := range all {
		c.report.StillOpen(f, now)
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
