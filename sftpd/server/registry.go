package server

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// registry knows all connections.
type registry struct {
	current func() *snapshot.Snapshot
	// random returns a number in [0, 1).
	random func() float64

	mu     sync.Mutex
	closed bool
	conns  map[*conn]*snapshot.User // nil while a login is in progress
	byUID  map[string]int
	// startups are the logins in progress, and bySource those of each source.
	startups int
	bySource map[netip.Prefix]int
	// running counts the goroutines of connections.
	running sync.WaitGroup
}

func newRegistry(current func() *snapshot.Snapshot) *registry {
	return &registry{
		current: current, random: rand.Float64,
		conns: map[*conn]*snapshot.User{}, byUID: map[string]int{}, bySource: map[netip.Prefix]int{},
	}
}

// undisturbed is how long a login in progress keeps its place when there are too many.
// Programs log in within a fraction of it.
const undisturbed = time.Second

// add registers a connection whose client is known, unless there are too many or the
// server is closed. The bounds are those of its source first, so that one source cannot
// use up what is for all; then the one on logins in progress, which refuses at random; and
// then the one on connections.
//
// Instead of the new one, an old login may have to go, so that whoever holds connections
// does not keep others out: the one in progress for longest, if it has had
// its time undisturbed. First that is one without a key exchange, for behind the others people may be typing passwords;
// then one of the source that has the most, if these are more than the new one's source would have: places are shared
// fairly by source, however many are taken; and where no place is left at all, any. It is returned, to be ended.
func (r *registry) add(c *conn, l limits) (displaced *conn, reason event.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, event.ShuttingDown
	}
	_, known := r.conns[c]
	if !known && c.registered {
		return nil, event.Displaced // while its proxy's header was read
	}
	others := r.startups
	if known {
		others--
	}
	source := c.origin.limited()
	silent := func(o *conn) bool { return !o.exchanged.Load() }
	switch {
	case l.startups.PerSource > 0 && source.IsValid() && r.bySource[source] >= l.startups.PerSource:
		displaced = r.oldest(c, func(o *conn) bool { return silent(o) && o.counted == source })
		reason = event.StartupsOfSource
	case r.random() < dropProbability(l.startups, others):
		if displaced = r.oldest(c, silent); displaced == nil {
			displaced = r.ofGreediest(c, source)
		}
		if displaced == nil && others >= l.startups.Full {
			displaced = r.oldest(c, anyLogin)
		}
		reason = event.Startups
	case !known && len(r.conns) >= l.connections:
		if displaced = r.ofGreediest(c, source); displaced == nil {
			displaced = r.oldest(c, anyLogin)
		}
		reason = event.MaxConnections
	default:
		r.register(c, known, source)
		return nil, ""
	}
	if displaced == nil {
		return nil, reason
	}
	r.forget(displaced)
	r.register(c, known, source)
	return displaced, ""
}

// addUnknown registers a connection whose client is not known yet; add follows.
func (r *registry) addUnknown(c *conn, l limits) (displaced *conn, reason event.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, event.ShuttingDown
	}
	if len(r.conns) >= l.connections {
		if displaced = r.oldest(c, anyLogin); displaced == nil {
			return nil, event.MaxConnections
		}
		r.forget(displaced)
	}
	r.register(c, false, netip.Prefix{})
	return displaced, ""
}

func anyLogin(*conn) bool { return true }

// ofGreediest is the oldest login of the source with the most of them, nil if that has no more than another source would
// have with c.
func (r *registry) ofGreediest(c *conn, source netip.Prefix) *conn {
	var greediest netip.Prefix
	most := r.bySource[source] + 1
	for s, n := range r.bySource {
		if n > most {
			greediest, most = s, n
		}
	}
	if !greediest.IsValid() {
		return nil
	}
	return r.oldest(c, func(o *conn) bool { return o.counted == greediest })
}

// oldest is the login in progress for longest of those that may go instead of c.
func (r *registry) oldest(c *conn, may func(*conn) bool) (oldest *conn) {
	for o, u := range r.conns {
		if u == nil && o != c && c.accepted.Sub(o.accepted) >= undisturbed && may(o) &&
			(oldest == nil || o.accepted.Before(oldest.accepted)) {
			oldest = o
		}
	}
	return oldest
}

func (r *registry) register(c *conn, known bool, source netip.Prefix) {
	if !known {
		c.registered = true
		r.conns[c] = nil
		r.startups++
		r.running.Add(1)
	}
	if source.IsValid() {
		r.bySource[source]++
		c.counted = source
	}
}

// notInProgress is for a login that has succeeded or ended.
func (r *registry) notInProgress(c *conn) {
	r.startups--
	if c.counted.IsValid() {
		if r.bySource[c.counted]--; r.bySource[c.counted] == 0 {
			delete(r.bySource, c.counted)
		}
	}
}

// forget takes a connection out of the registry. Its goroutine may still run.
func (r *registry) forget(c *conn) {
	u, known := r.conns[c]
	switch {
	case !known:
	case u == nil:
		r.notInProgress(c)
	default:
		if r.byUID[u.UID]--; r.byUID[u.UID] == 0 {
			delete(r.byUID, u.UID)
		}
	}
	delete(r.conns, c)
}

// admit makes a connection with a completed login a session, or says why not. What was
// granted is checked against the configuration of this moment.
func (r *registry) admit(c *conn, g *auth.Grant, now time.Time) (reason event.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return event.ShuttingDown
	}
	if _, known := r.conns[c]; !known {
		return event.Displaced
	}
	u, denied := auth.Recheck(r.current(), g, now)
	if denied != "" {
		return event.ChangedDuringLogin
	}
	if r.byUID[g.UID] >= u.MaxConnections {
		return event.MaxConnectionsOfUser
	}
	r.notInProgress(c)
	r.byUID[g.UID]++
	r.conns[c] = u
	c.grant = g
	c.account = c.server.users.Join(g.UID)
	c.meter.setUser(&c.account.Unread)
	return ""
}

// remove is the end of a connection, and of its goroutine.
func (r *registry) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(c)
	r.running.Done()
}

// revoke returns the sessions that a configuration does not permit. Those that it does
// permit have its users from now on.
func (r *registry) revoke(s *snapshot.Snapshot, now time.Time) map[*conn]event.Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[*conn]event.Reason{}
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

// ended returns why a session's time is over, "" while it is not, and then how much of it is left.
func (r *registry) ended(c *conn, now time.Time) (event.Reason, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.conns[c]
	if u == nil {
		return "", never
	}
	end, reason := auth.End(u, c.grant)
	switch {
	case reason == "":
		return "", never
	case !now.Before(end):
		return reason, 0
	}
	return "", end.Sub(now)
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

func (r *registry) loginsInProgress() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.startups
}

// close refuses connections and logins from now on.
func (r *registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
