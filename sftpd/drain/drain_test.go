package drain

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// session is one of the sessions of a server being drained.
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

// open changes the number of open files after a delay.
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

// server holds sessions; ended ones are removed.
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

// TestSessionsEndWhenQuiet: a session that is idle ends at once, any other a second after its last file or request. No event
// coincides with a check, because the order of the two would be undefined.
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
		for i := range 5 { // one file after another, with pauses
			at := time.Duration(i) * time.Second
			several.open(0, at+50*time.Millisecond)
			several.open(1, at+850*time.Millisecond)
			between.open(1, at+720*time.Millisecond) // no check finds a file open
			between.open(0, at+750*time.Millisecond)
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
			"a file open":        {open, 10*time.Second + drainIdle - interval, 10*time.Second + drainIdle + interval},
			"many files":         {several, 5*time.Second + drainIdle - interval, 5*time.Second + drainIdle + interval},
			"small files":        {between, 4750*time.Millisecond + drainIdle, 4750*time.Millisecond + drainIdle + interval},
		} {
			if after := tc.session.ended.Sub(begin); tc.session.reason != event.ShuttingDown || after < tc.from || after > tc.to {
				t.Errorf("%s: %q after %s", name, tc.session.reason, after)
			}
		}
		if s.logins != 0 {
			t.Error("logins continue")
		}
	})
}

// TestDeadline: remaining sessions are ended at the deadline, and their audit lines are waited for, but only briefly.
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
				if took := time.Since(begin) - 5*time.Second; took != min(speaks, auditFlushTimeout) {
					t.Errorf("waited %s", took)
				}
			})
		})
	}
}

// TestCutOff: having to cut off a login or a connection at the deadline is an error, even without sessions. One that ended just
// before the deadline does not count.
func TestCutOff(t *testing.T) {
	const deadline = 5 * time.Second
	for name, tc := range map[string]struct {
		logins int           // in progress at the deadline
		ends   time.Duration // the last connection, 0 for never
		took   time.Duration
		cut    bool
	}{
		"a login":                    {1, deadline + time.Second, deadline + time.Second, true},
		"a connection":               {0, deadline + time.Second, deadline + time.Second, false},
		"one that hangs":             {0, 0, deadline + 2*time.Second, true},
		"a login that hangs":         {1, 0, deadline + 2*time.Second, true},
		"nothing, since it is early": {1, 2 * time.Second, 2 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				finished := make(chan struct{})
				if tc.ends > 0 {
					time.AfterFunc(tc.ends, func() { close(finished) })
				}
				var aborted []time.Duration
				begin := time.Now()
				s := Server{
					Sessions: func() []Session { return nil },
					AbortLogins: func(reason event.Reason) int {
						if reason != event.ShuttingDown {
							t.Errorf("logins end for %q", reason)
						}
						aborted = append(aborted, time.Since(begin))
						return tc.logins
					},
					Finished: finished,
				}
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				if err := Run(ctx, s); errors.Is(err, context.DeadlineExceeded) != tc.cut || (err != nil) != tc.cut {
					t.Errorf("%v, want one: %v", err, tc.cut)
				}
				if took := time.Since(begin); took != tc.took || aborted[0] != 0 {
					t.Errorf("after %s, want %s; logins end after %s", took, tc.took, aborted)
				}
			})
		})
	}
}

// TestLooks: there are ten checks a second, however long the drain takes.
func TestLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		open := &session{used: time.Now(), files: 1}
		s := serving(open)
		sessions := s.Server.Sessions
		s.Server.Sessions = func() []Session { looks++; return sessions() }
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second-10*time.Millisecond)
		defer cancel()
		if err := Run(ctx, s.Server); err == nil || looks != 100+1 { // one at the deadline
			t.Errorf("%v, %d looks", err, looks)
		}
	})
}

// TestQuiet: a session ends after exactly a second without a request, unless a file is open; every session that has finished is
// found.
func TestQuiet(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	done := []Session{&session{used: now.Add(-time.Second)}, &session{used: now.Add(-time.Hour)}, &session{used: now.Add(-2 * time.Second)}}
	others := []Session{&session{used: now}, &session{used: now.Add(1 - time.Second)}, &session{used: now.Add(-time.Hour), files: 1}}
	if got := idleSessions(slices.Concat(others, done, others), now); !slices.Equal(got, done) {
		t.Errorf("%d are done, want %d", len(got), len(done))
	}
}

// TestAllEndAtOnce: sessions that are idle at the first check, and those left at the deadline, are ended together.
func TestAllEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []*session
		for i := range 10 {
			all = append(all, &session{used: time.Now().Add(-time.Minute), files: i % 2})
		}
		s := serving(all...)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		if err := Run(ctx, s.Server); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		for i, one := range all {
			reason, after := event.ShuttingDown, time.Duration(0)
			if i%2 == 1 {
				reason, after = event.DrainTimeout, 5*time.Second
			}
			if one.reason != reason || one.ended.Sub(begin) != after {
				t.Errorf("%q after %s, want %q after %s", one.reason, one.ended.Sub(begin), reason, after)
			}
		}
	})
}

// copies is a session that copies a file between two checks.
type copies struct {
	*session
	asked int
}

func (c *copies) copyOne() {
	if c.asked++; c.asked == 1 {
		c.used = time.Now()
	}
}

func (c *copies) OpenFiles() int { defer c.copyOne(); return c.session.OpenFiles() }

func (c *copies) LastActivity() time.Time { defer c.copyOne(); return c.session.LastActivity() }

// TestCopiedMeanwhile: a file that is opened and closed between two checks counts as activity.
func TestCopiedMeanwhile(t *testing.T) {
	c := &copies{session: &session{used: time.Now().Add(-time.Minute)}}
	if done := idleSessions([]Session{c}, time.Now()); len(done) > 0 {
		t.Error("the session is taken to be done")
	}
}

// TestNothingToEnd: without sessions and logins, draining succeeds even with no time at all.
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
