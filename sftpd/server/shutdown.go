package server

import (
	"context"

	"github.com/sftp-operator/sftp-operator/sftpd/drain"
)

// Shutdown stops accepting connections and ends them: logins in progress and idle sessions
// at once, the others when their open files have been closed for a second. If ctx ends
// first, the rest are closed and ctx's error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.stop()
	s.admission.Close()
	finished := make(chan struct{})
	go func() {
		s.admission.Wait()
		close(finished)
	}()
	return drain.Run(ctx, drain.Server{Sessions: s.draining, AbortLogins: s.admission.AbortLogins, Finished: finished})
}

func (s *Server) draining() (all []drain.Session) {
	for _, c := range s.sessions.all() {
		all = append(all, c)
	}
	return all
}

// Close ends everything at once.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Shutdown(ctx) // the only error is ctx's, which is known
	return nil
}
