package server

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/sweep"
)

// sessions are the connections that are logged in, and what they go by.
type sessions struct {
	current func() *snapshot.Snapshot

	mu    sync.Mutex
	conns map[*conn]*settings
	byUID map[string]int
}

func newSessions(current func() *snapshot.Snapshot) *sessions {
	return &sessions{current: current, conns: map[*conn]*settings{}, byUID: map[string]int{}}
}

// admit makes a connection with a completed login a session, or returns why not. What was
// granted is checked against the configuration of this moment.
func (s *sessions) admit(c *conn, g *auth.Grant, now time.Time) event.Reason {
	return c.place.LogIn(func() event.Reason { return s.join(c, g, now) })
}

func (s *sessions) join(c *conn, g *auth.Grant, now time.Time) event.Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.current()
	u, denied := auth.Recheck(current, g, now)
	if denied != "" {
		return event.ChangedDuringLogin
	}
	if s.byUID[g.UID] >= u.MaxConnections {
		return event.MaxConnectionsOfUser
	}
	s.byUID[g.UID]++
	c.settings = newSettings(current, u, g)
	s.conns[c] = c.settings
	c.account = c.server.users.Join(g.UID)
	c.raw.SetUser(&c.account.Unread)
	return ""
}

// leave is the end of a connection, whether or not it was logged in.
func (s *sessions) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own, ok := s.conns[c]
	if !ok {
		return
	}
	if s.byUID[own.grant.UID]--; s.byUID[own.grant.UID] == 0 {
		delete(s.byUID, own.grant.UID)
	}
	delete(s.conns, c)
}

// revoke returns the sessions that a configuration does not permit. Those that it does
// permit have its users from now on.
func (s *sessions) revoke(next *snapshot.Snapshot, now time.Time) map[*conn]event.Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[*conn]event.Reason{}
	for c, own := range s.conns {
		user, reason := auth.Recheck(next, own.grant, now)
		if reason != "" {
			out[c] = reason
			continue
		}
		own.user = user
	}
	return out
}

// ended returns why a session's time is over, "" while it is not, and then how much of it is left.
func (s *sessions) ended(c *conn, now time.Time) (event.Reason, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own, ok := s.conns[c]
	if !ok {
		return "", sweep.Never
	}
	end, reason := auth.End(own.user, own.grant)
	switch {
	case reason == "":
		return "", sweep.Never
	case !now.Before(end):
		return reason, 0
	}
	return "", end.Sub(now)
}

// all returns the sessions there are.
func (s *sessions) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
