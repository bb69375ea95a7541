package server

import (
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// Reasons of the server to refuse or end connections, besides those of the package auth.
// They are words in the audit log and labels of metrics.
const (
	reasonNotConfigured  = "not_configured"
	reasonMaxConnections = "max_connections"
	reasonMaxOfUser      = "max_connections_per_user"
	reasonDisplaced      = "displaced"
	reasonShuttingDown   = "shutting_down"
	reasonIdle           = "idle_timeout"
	reasonDrainTimeout   = "drain_timeout"
	reasonNoAlgorithm    = "no_common_algorithm"
	reasonHandshakeLeft  = "client_left_handshake"
	reasonLoginAbandoned = "login_abandoned"
	reasonPanic          = "internal_error"
	reasonStorage        = "storage_unavailable"
	reasonAcceptFailed   = "accept_failed"
	reasonChannelRefused = "channel_refused"
	reasonRequestRefused = "request_refused"
	reasonUnread         = "unread_data"
	reasonStalled        = "client_not_reading"
	reasonDescriptors    = "open_files"
	reasonUnusedChannel  = "unused_channel"
)

// registry knows all connections.
type registry struct {
	current func() *snapshot.Snapshot

	mu     sync.Mutex
	closed bool
	conns  map[*conn]*snapshot.User // nil while a login is in progress
	byUID  map[string]int
	// running counts the goroutines of connections.
	running sync.WaitGroup
}

func newRegistry(current func() *snapshot.Snapshot) *registry {
	return &registry{current: current, conns: map[*conn]*snapshot.User{}, byUID: map[string]int{}}
}

// undisturbed is how long a login in progress keeps its place when all are taken.
// Programs log in within a fraction of it.
const undisturbed = time.Second

// add registers a new connection unless there are limit already, or the server is closed.
// When all places are taken, the login that has been in progress for longest gives its
// place up, if it has had it for long enough: so whoever opens connections and is silent
// does not keep others out. It is returned, to be ended.
func (r *registry) add(c *conn, limit int) (displaced *conn, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, reasonShuttingDown
	}
	if len(r.conns) >= limit {
		displaced = r.oldestLogin()
		if displaced == nil || c.accepted.Sub(displaced.accepted) < undisturbed {
			return nil, reasonMaxConnections
		}
		delete(r.conns, displaced)
	}
	r.conns[c] = nil
	r.running.Add(1)
	return displaced, ""
}

func (r *registry) oldestLogin() (oldest *conn) {
	for c, u := range r.conns {
		if u == nil && (oldest == nil || c.accepted.Before(oldest.accepted)) {
			oldest = c
		}
	}
	return oldest
}

// admit makes a connection with a completed login a session, or says why not. What was
// granted is checked against the configuration of this moment.
func (r *registry) admit(c *conn, g *auth.Grant, now time.Time) (reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return reasonShuttingDown
	}
	if _, known := r.conns[c]; !known {
		return reasonDisplaced
	}
	u, denied := auth.Recheck(r.current(), g, now)
	if denied != "" {
		return string(auth.ChangedDuringLogin)
	}
	if r.byUID[g.UID] >= u.MaxConnections {
		return reasonMaxOfUser
	}
	r.byUID[g.UID]++
	r.conns[c] = u
	c.grant = g
	return ""
}

// remove is the end of a connection, and of its goroutine.
func (r *registry) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.conns[c]; u != nil {
		if r.byUID[u.UID]--; r.byUID[u.UID] == 0 {
			delete(r.byUID, u.UID)
		}
	}
	delete(r.conns, c)
	r.running.Done()
}

// revoke returns the sessions that a configuration does not permit. Those that it does
// permit have its users from now on.
func (r *registry) revoke(s *snapshot.Snapshot, now time.Time) map[*conn]auth.Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[*conn]auth.Reason{}
	for c, u := range r.conns {
		if u == nil {
			continue // admit will look
		}
		next, reason := auth.Recheck(s, c.grant, now)
		if reason != "" {
			out[c] = reason
			continue
		}
		r.conns[c] = next
	}
	return out
}

// expired says whether the time of a session's user is over.
func (r *registry) expired(c *conn, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.conns[c]
	return u != nil && u.Expired(now)
}

// sessions returns the connections that are logged in.
func (r *registry) sessions() []*conn { return r.list(true) }

// logins returns the connections that are not.
func (r *registry) logins() []*conn { return r.list(false) }

func (r *registry) list(loggedIn bool) []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*conn
	for c, u := range r.conns {
		if (u != nil) == loggedIn {
			out = append(out, c)
		}
	}
	return out
}

func (r *registry) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// close refuses connections and logins from now on.
func (r *registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
