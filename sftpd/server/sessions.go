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

// sessions holds the connections that are logged in, and the configuration that applies to them.
type sessions struct {
	current func() *snapshot.Snapshot

	// most is the maximum number of connections under a configuration.
	most func(*snapshot.Snapshot) int

	mu          sync.Mutex
	conns       map[*conn]*settings
	byUID       map[string]int
	byNamespace map[string]int
}

func newSessions(current func() *snapshot.Snapshot, most func(*snapshot.Snapshot) int) *sessions {
	return &sessions{
		current: current, most: most, conns: map[*conn]*settings{}, byUID: map[string]int{}, byNamespace: map[string]int{},
	}
}

// admit turns a connection with a completed login into a session, or returns why not. The
// grant is checked against the current configuration.
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
	switch {
	case s.byUID[g.UID] >= u.MaxConnections:
		return event.MaxConnectionsOfUser
	case s.byNamespace[u.Namespace] >= s.share(current, u):
		return event.NamespaceConnections
	}
	s.byUID[g.UID]++
	s.byNamespace[g.Namespace]++
	c.settings = newSettings(current, u, g)
	s.conns[c] = c.settings
	c.account = c.server.users.Join(g.UID, g.Namespace)
	c.raw.SetUser(&c.account.Unread)
	return ""
}

// share returns how many sessions a user's namespace may have. Without a limit of its own, that is as many as are still free:
// then one namespace gets at most half of all, two that want as many as possible get a third each, and there is always room for a
// namespace that has none. A fixed share, such as half, would let two namespaces keep out a third one. Logins in progress do not
// count here, because they make room for new ones.
func (s *sessions) share(current *snapshot.Snapshot, u *snapshot.User) int {
	switch most := s.most(current); {
	case u.MaxNamespaceConnections > 0:
		return u.MaxNamespaceConnections
	case current.Shared():
		return most - len(s.conns)
	default:
		return most
	}
}

// leave must be called at the end of a connection, whether or not it was logged in.
func (s *sessions) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own, ok := s.conns[c]
	if !ok {
		return
	}
	release(s.byUID, own.grant.UID)
	release(s.byNamespace, own.grant.Namespace)
	delete(s.conns, c)
}

func release(counts map[string]int, of string) {
	if counts[of]--; counts[of] == 0 {
		delete(counts, of)
	}
}

// revoke returns the sessions that a configuration does not permit. The others use its users from now on.
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

// ended returns why a session's time is over, or "" and how much of it is left.
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

// all returns the current sessions.
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
