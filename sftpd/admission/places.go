package admission

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// standing is how a connection is counted.
type standing int

const (
	outside   standing = iota
	loggingIn          // a login in progress
	loggedIn
	gone // it has left, or lost its place
)

// places holds the places of all connections.
type places struct {
	// random returns a number in [0, 1).
	random func() float64

	mu     sync.Mutex
	closed bool
	// logins are the logins in progress, and bySource is how many each source has.
	logins   map[*Place]struct{}
	bySource map[netip.Prefix]int
	// byNamespace is how many logins in progress each namespace has, counting those that have named a user.
	byNamespace map[string]int
	// connections counts the connections that have a place, including logins in progress.
	connections int
	// running counts the goroutines of connections, including those that lost their place.
	running sync.WaitGroup
}

func newPlaces() *places {
	return &places{random: rand.Float64, logins: map[*Place]struct{}{}, bySource: map[netip.Prefix]int{}, byNamespace: map[string]int{}}
}

// minStartupTime is how long a login in progress is guaranteed its place, however many logins there are. Programs log in within a
// fraction of it.
const minStartupTime = time.Second

// add registers a connection whose client is known, unless there are too many or the server
// is closed. The limits of its source come first, so that one source cannot use up
// everyone's places; then the limit on logins in progress, which refuses at random; then
// the limit on connections.
//
// Instead of refusing the new connection, add may evict an old login, so that a peer that only holds connections does not keep
// others out. It evicts the oldest one that has had its guaranteed time: first one without a key exchange, because people may be
// typing passwords on the others; then one of the source with the most logins, if that has more than the new connection's source
// would have, which shares places fairly between sources; and if no place is left at all, any. The evicted login is returned, and
// the caller ends it.
func (p *places) add(c *Place, l limits) (displaced *Place, reason event.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, event.ShuttingDown
	}
	known := c.standing == loggingIn
	if c.standing == gone {
		return nil, event.Displaced // while the proxy's header was read
	}
	others := len(p.logins)
	if known {
		others--
	}
	source := c.origin.limited()
	silent := func(o *Place) bool { return !o.exchanged.Load() }
	switch {
	case l.startups.PerSource > 0 && p.bySource[source] >= l.startups.PerSource:
		displaced = p.oldest(c, func(o *Place) bool { return silent(o) && o.counted == source })
		reason = event.StartupsOfSource
	case p.random() < dropProbability(l.startups, others):
		if displaced = p.oldest(c, silent); displaced == nil {
			displaced = p.ofGreediest(c, source)
		}
		if displaced == nil && others >= l.startups.Full {
			displaced = p.oldest(c, anyLogin)
		}
		reason = event.Startups
	case !known && p.connections >= l.connections:
		if displaced = p.ofGreediest(c, source); displaced == nil {
			displaced = p.oldest(c, anyLogin)
		}
		reason = event.MaxConnections
	default:
		p.register(c, known, source)
		return nil, ""
	}
	if displaced == nil {
		return nil, reason
	}
	p.forget(displaced)
	p.register(c, known, source)
	return displaced, ""
}

// addUnknown registers a connection whose client is not known yet; add follows.
func (p *places) addUnknown(c *Place, l limits) (displaced *Place, reason event.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, event.ShuttingDown
	}
	if p.connections >= l.connections {
		if displaced = p.oldest(c, anyLogin); displaced == nil {
			return nil, event.MaxConnections
		}
		p.forget(displaced)
	}
	p.register(c, false, netip.Prefix{})
	return displaced, ""
}

func anyLogin(*Place) bool { return true }

// ofGreediest returns the oldest login of the source with the most logins, nil if that source has no more than the
// source of c would have.
func (p *places) ofGreediest(c *Place, source netip.Prefix) *Place {
	var greediest netip.Prefix
	most := p.bySource[source] + 1
	for s, n := range p.bySource {
		if n > most {
			greediest, most = s, n
		}
	}
	if !greediest.IsValid() {
		return nil
	}
	return p.oldest(c, func(o *Place) bool { return o.counted == greediest })
}

// oldest returns the oldest login in progress that may be evicted for c, which is younger than all of them.
func (p *places) oldest(c *Place, may func(*Place) bool) (oldest *Place) {
	for o := range p.logins {
		if c.accepted.Sub(o.accepted) >= minStartupTime && may(o) &&
			(oldest == nil || o.accepted.Before(oldest.accepted)) {
			oldest = o
		}
	}
	return oldest
}

func (p *places) register(c *Place, known bool, source netip.Prefix) {
	if !known {
		c.standing = loggingIn
		p.logins[c] = struct{}{}
		p.connections++
		p.running.Add(1)
	}
	if source.IsValid() {
		p.bySource[source]++
		c.counted = source
	}
}

// notInProgress removes a login that has succeeded or ended.
func (p *places) notInProgress(c *Place) {
	delete(p.logins, c)
	p.unname(c)
	if c.counted.IsValid() {
		if p.bySource[c.counted]--; p.bySource[c.counted] == 0 {
			delete(p.bySource, c.counted)
		}
	}
}

// named counts a login in progress toward a namespace, which may have up to share, 0 for no limit. One that no longer has a
// place is about to end.
func (p *places) named(c *Place, namespace string, share int) event.Reason {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.standing != loggingIn {
		return event.Displaced
	}
	p.unname(c)
	if share > 0 && p.byNamespace[namespace] >= share {
		return event.NamespaceStartups
	}
	p.byNamespace[namespace]++
	c.namespace, c.isNamed = namespace, true
	return ""
}

func (p *places) unname(c *Place) {
	if !c.isNamed {
		return
	}
	c.isNamed = false
	if p.byNamespace[c.namespace]--; p.byNamespace[c.namespace] == 0 {
		delete(p.byNamespace, c.namespace)
	}
}

// forget frees a connection's place. Its goroutine may still run.
func (p *places) forget(c *Place) {
	switch c.standing {
	case outside, gone:
		return
	case loggingIn:
		p.notInProgress(c)
	case loggedIn:
	}
	c.standing = gone
	p.connections--
}

func (p *places) logIn(c *Place, decide func() event.Reason) (reason event.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return event.ShuttingDown
	case c.standing != loggingIn:
		return event.Displaced
	}
	if reason := decide(); reason != "" {
		return reason
	}
	p.notInProgress(c)
	c.standing = loggedIn
	return ""
}

// leave is called at the end of a connection's goroutine.
func (p *places) leave(c *Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(c)
	p.running.Done()
}

// Connections returns how many connections have a place, including logins in progress.
func (a *Admission) Connections() int {
	a.places.mu.Lock()
	defer a.places.mu.Unlock()
	return a.places.connections
}

// LoginsInProgress returns how many connections have not authenticated yet.
func (a *Admission) LoginsInProgress() int {
	a.places.mu.Lock()
	defer a.places.mu.Unlock()
	return len(a.places.logins)
}

func (p *places) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// AbortLogins ends the logins in progress, and returns how many there were.
func (a *Admission) AbortLogins(reason event.Reason) int {
	a.places.mu.Lock()
	logins := make([]*Place, 0, len(a.places.logins))
	for c := range a.places.logins {
		logins = append(logins, c)
	}
	a.places.mu.Unlock()
	for _, c := range logins {
		c.abort(reason)
	}
	return len(logins)
}

// Wait returns when the goroutines of all connections have ended. Call it after Close.
func (a *Admission) Wait() { a.places.running.Wait() }
