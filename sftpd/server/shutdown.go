package server

import (
	"context"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

const (
	// drainInterval is how often a draining server looks for sessions that are done.
	drainInterval = 100 * time.Millisecond
	// quiet is how long a session has to be without an open file to be done: between
	// two files of one command there are milliseconds.
	quiet = time.Second
	// lastWords is how long after closing everything the ends of sessions are waited
	// for, so that they get into the audit log, The log may take nothing more; then the process ends all the same.
	lastWords = 2 * time.Second
)

// Shutdown stops accepting connections and ends them: at once those where nobody is
// logged in or nothing goes on, the others when their open files have been closed for a
// second. When ctx ends first, the rest is closed and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.admission.Close()
	s.admission.AbortLogins(event.ShuttingDown)
	finished := make(chan struct{})
	go func() {
		s.admission.Wait()
		close(finished)
	}()
	defer s.stop()
	busyAt := map[*conn]time.Time{}
	t := time.NewTicker(drainInterval)
	defer t.Stop()
	for {
		s.endQuiet(busyAt)
		select {
		case <-finished:
			return nil
		case <-ctx.Done():
			cut := s.endAll()
			select {
			case <-finished:
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

// Close ends everything at once.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Shutdown(ctx) // ctx's error is known
	return nil
}

// endQuiet ends the sessions that are done. busyAt has when each was last seen with
// an open file or, for one that never had any, since when it is known.
func (s *Server) endQuiet(busyAt map[*conn]time.Time) {
	now := time.Now()
	for _, c := range s.sessions.all() {
		if c.openFiles() > 0 {
			busyAt[c] = now
			continue
		}
		since, known := busyAt[c]
		if !known {
			since = c.LastActivity()
			busyAt[c] = since
		}
		if now.Sub(since) >= quiet {
			c.end(event.ShuttingDown)
		}
	}
}

// endAll ends all connections, and says whether there were any.
func (s *Server) endAll() bool {
	logins, sessions := s.admission.AbortLogins(event.ShuttingDown), s.sessions.all()
	for _, c := range sessions {
		c.end(event.DrainTimeout)
	}
	return logins+len(sessions) > 0
}
