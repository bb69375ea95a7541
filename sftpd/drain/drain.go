// Package drain ends the sessions of a server that is shutting down: each when it has been idle for a moment, and all of them at
// a deadline.
package drain

import (
	"context"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

const (
	// interval is the time between checks for sessions that are done.
	interval = 100 * time.Millisecond
	// drainIdle is how long a session without an open file must be idle to count as done: two
	// files of one command are milliseconds apart.
	drainIdle = time.Second
	// auditFlushTimeout is how long to wait, after closing everything, for the ends of sessions to reach the audit
	// log. If the log is blocked, the process ends anyway.
	auditFlushTimeout = 2 * time.Second
)

// Session is a session to be ended.
type Session interface {
	// OpenFiles is how many files the client has open.
	OpenFiles() int
	// LastActivity is when the client last asked for something, or received an answer.
	LastActivity() time.Time
	// End ends it without blocking.
	End(reason event.Reason)
}

// Server is a server that no longer accepts connections.
type Server struct {
	// Sessions returns the current sessions; a session is always the same value.
	Sessions func() []Session
	// AbortLogins ends the logins in progress, and returns how many there were. It does not block.
	AbortLogins func(reason event.Reason) int
	// Finished is closed when all connections have ended.
	Finished <-chan struct{}
}

// Run ends idle sessions at once, and the others when they have had no open file and no request for a second. If ctx ends
// first, the rest are ended and ctx's error is returned.
func Run(ctx context.Context, s Server) error {
	s.AbortLogins(event.ShuttingDown)
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		for _, done := range idleSessions(s.Sessions(), time.Now()) {
			done.End(event.ShuttingDown)
		}
		select {
		case <-s.Finished:
			return nil
		case <-ctx.Done():
			cut := s.AbortLogins(event.ShuttingDown) > 0
			for _, one := range s.Sessions() {
				cut = true
				one.End(event.DrainTimeout)
			}
			select {
			case <-s.Finished:
			case <-time.After(auditFlushTimeout):
				cut = true
			}
			if cut {
				return ctx.Err()
			}
			return nil
		case <-t.C:
		}
	}
}

// idleSessions returns the sessions that are done. Closing a file is activity, and so is a request without an open
// file: a client that copies many small files has one open only some of the time.
func idleSessions(all []Session, now time.Time) (done []Session) {
	for _, s := range all {
		// In this order: a file that is opened in between makes the session active.
		if s.OpenFiles() == 0 && now.Sub(s.LastActivity()) >= drainIdle {
			done = append(done, s)
		}
	}
	return done
}
