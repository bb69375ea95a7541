package server

import (
	"runtime/debug"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/gomaxprocs"
	"github.com/sftp-operator/sftp-operator/sftpd/sweep"
)

// sweep ends sessions whose time is over until the server ends. It does not block.
func (s *Server) sweep() {
	t := time.NewTicker(sweep.Interval)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.Processors.Began():
			s.Processors.Tick(time.Now(), gomaxprocs.Load{Logins: max(1, s.admission.LoginsInProgress()), Moved: s.totals.Moved()})
		case <-t.C:
			s.pass()
		}
	}
}

func (s *Server) pass() {
	defer func() {
		if v := recover(); v != nil {
			s.emit(event.Refused{Reason: event.InternalError})
			s.Log.Error("sweep of sessions panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	busy := s.watches.Pass()
	s.Processors.Tick(time.Now(), gomaxprocs.Load{Busy: busy, Logins: s.admission.LoginsInProgress(), Moved: s.totals.Moved()})
}

// idleTimeout returns that of the configuration in use. Without a configuration there are no sessions.
func (s *Server) idleTimeout() time.Duration {
	if current := s.Current(); current != nil {
		return current.Listener.Limits.IdleTimeout()
	}
	return sweep.Never
}

// State implements sweep.Session.
func (c *conn) State(now time.Time) sweep.State {
	over, left := c.server.sessions.ended(c, now)
	return sweep.State{Over: over, Left: left, LastActivity: c.LastActivity(), UntilRekey: c.handshake.UntilRekey()}
}

// Apply implements sweep.Session.
func (c *conn) Apply(p sweep.Plan) {
	switch {
	case p.Revoke != "":
		c.revoke(p.Revoke)
	case p.End != "":
		c.End(p.End)
	case p.Rekey:
		c.handshake.RekeyIfDue()
	}
}

// Stalled implements sweep.Session.
func (c *conn) Stalled(d time.Duration) bool { return c.raw.Stalled(d) }
