// Package drain ends the sessions of a server that stops: each when it has been quiet for a moment, and all of them at a
// deadline.
package drain

import (
	"context"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

const (
	// interval is how often a draining server looks for sessions that are done.
	interval = 100 * time.Millisecond
	// quiet is how long a session without an open file has to ask for nothing to be done: between
	// two files of one command there are milliseconds.
	quiet = time.Second
	// lastWords is how long after closing everything the ends of sessions are waited
	// for, so that they get into the audit log. The log may take nothing more; then the process ends all the same.
	lastWords = 2 * time.Second
)

// Session is one that is to end.
type Session interface {
	// OpenFiles is how many files the client has open.
	OpenFiles() int
	// LastActivity is when the client last asked for something, or was answered.
	LastActivity() time.Time
	// End ends it, which waits for nothing.
	End(reason event.Reason)
}

// Server is one that accepts nothing more.
type Server struct {
	// Sessions returns those there are; each is always the same value.
	Sessions func() []Session
	// AbortLogins ends the logins in progress, and returns how many there were. It waits for nothing.
	AbortLogins func(reason event.Reason) int
	// Finished is closed when all connections have ended.
	Finished <-chan struct{}
}

// Run ends the sessions where nothing goes on at once, and the others when they have had no open file and no request for a
// second. When ctx ends first, the rest is ended and ctx's error returned.
func Run(ctx context.Context, s Server) error {
	s.AbortLogins(event.ShuttingDown)
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		for _, done := range quietOf(s.Sessions(), time.Now()) {
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
			case <-time.After(lastWords):
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

// quietOf returns the sessions that are done. Closing a file is activity, and so is a request without an open file: a
// client that copies many small files has one open only now and then.
func quietOf(all []Session, now time.Time) (done []Session) {
	for _, s := range all {
		// In this order: a file that is opened in between makes the session active.
		if s.OpenFiles() == 0 && now.Sub(s.LastActivity()) >= quiet {
			done = append(done, s)
		}
	}
	return done
}
