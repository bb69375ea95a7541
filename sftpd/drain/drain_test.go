package drain

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// session is one of a server that is drained.
type session struct {
	mu    sync.Mutex // guards used and files
	used  time.Time
	files int

	reason event.Reason
	ended  time.Time
	ends   func()
}

func (s *session) OpenFiles() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files
}

func (s *session) LastActivity() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// open changes how many files are open, after a time.
func (s *session) open(files int, after time.Duration) {
	time.AfterFunc(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.files, s.used = files, time.Now()
	})
}

func (s *session) End(reason event.Reason) {
	if s.reason == "" {
		s.reason, s.ended = reason, time.Now()
		s.ends()
	}
}

// server has sessions, of which those that were ended are away.
type server struct {
	Server
	logins   int
	sessions []*session
	finished chan struct{}
}

func serving(sessions ...*session) *server {
	s := &server{sessions: sessions, finished: make(chan struct{})}
	left := len(sessions)
	for _, one := range sessions {
		one.ends = func() {
			if left--; left == 0 {
				close(s.finished)
			}
		}
	}
	if left == 0 {
		close(s.finished)
	}
	s.Server = Server{
		Sessions: func() (all []Session) {
			for _, one := range s.sessions {
				if one.reason == "" {
					all = append(all, one)
				}
			}
			return all
		},
		AbortLogins: func(event.Reason) (n int) { n, s.logins = s.logins, 0; return n },
		Finished:    s.finished,
	}
	return s
}

// TestSessionsEndWhenQuiet: at once if nothing goes on, and else a second after the last file or request. Nothing happens
// at the moment of a look, since what comes first then is open.
func TestSessionsEndWhenQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		silent := &session{used: begin.Add(-time.Minute)}
		asked := &session{used: begin.Add(-300 * time.Millisecond)}
		open := &session{used: begin.Add(-time.Minute), files: 1}
		several := &session{used: begin, files: 1}
		between := &session{used: begin}
		s := serving(silent, asked, open, several, between)
		s.logins = 3
		open.open(0, 10*time.Second-interval/2)
		for i := range time.Duration(5) { // one file after another, with pauses
			several.open(0, i*time.Second+50*time.Millisecond)
			several.open(1, i*time.Second+850*time.Millisecond)
			between.open(1, i*time.Second+720*time.Millisecond) // no look finds a file open
			between.open(0, i*time.Second+750*time.Millisecond)
		}
		several.open(0, 5*time.Second-interval/2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := Run(ctx, s.Server); err != nil {
			t.Error(err)
		}
		for name, tc := range map[string]struct {
			session  *session
			from, to time.Duration
		}{
			"silent":             {silent, 0, 0},
			"asked a moment ago": {asked, 700 * time.Millisecond, 800 * time.Millisecond},
			"a file open":        {open, 10*time.Second + quiet - interval, 10*time.Second + quiet + interval},
			"many files":         {several, 5*time.Second + quiet - interval, 5*time.Second + quiet + interval},
			"small files":        {between, 4750*time.Millisecond + quiet, 4750*time.Millisecond + quiet + interval},
		} {
			if after := tc.session.ended.Sub(begin); tc.session.reason != event.ShuttingDown || after < tc.from || after > tc.to {
				t.Errorf("%s: %q after %s", name, tc.session.reason, after)
			}
		}
		if s.logins != 0 {
			t.Error("logins go on")
		}
	})
}

// TestDeadline: what is left then is ended, and its last words are waited for, but not for long.
func TestDeadline(t *testing.T) {
	for name, speaks := range map[string]time.Duration{"and ends": time.Second, "and hangs": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				open := &session{used: time.Now(), files: 1}
				s := serving(open)
				ends := open.ends
				open.ends = func() { time.AfterFunc(speaks, ends) }
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				begin := time.Now()
				if err := Run(ctx, s.Server); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if open.reason != event.DrainTimeout || open.ended.Sub(begin) != 5*time.Second {
					t.Errorf("%q after %s", open.reason, open.ended.Sub(begin))
				}
				if took := time.Since(begin) - 5*time.Second; took != min(speaks, lastWords) {
					t.Errorf("waited %s", took)
				}
			})
		})
	}
}

// TestNothingToEnd: without sessions and logins there is nothing to be sorry for, even at once.
func TestNothingToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Run(over, serving().Server); err != nil {
			t.Error(err)
		}
		if err := Run(t.Context(), serving().Server); err != nil {
			t.Error(err)
		}
	})
}
