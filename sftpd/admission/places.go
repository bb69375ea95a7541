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

// places are those of all connections.
type places struct {
	// random returns a number in [0, 1).
	random func() float64

	mu     sync.Mutex
	closed bool
	// logins are those in progress, and bySource how many each source has.
	logins   map[*Place]struct{}
	bySource map[netip.Prefix]int
	// connections counts those that have a place, logins in progress included.
	connections int
	// running counts the goroutines of connections, those that lost their place included.
	running sync.WaitGroup
}

func newPlaces() *places {
	return &places{random: rand.Float64, logins: map[*Place]struct{}{}, bySource: map[netip.Prefix]int{}}
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
func (p *places) add(c *Place, l limits) (displaced *Place, reason event.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, event.ShuttingDown
	}
	known := c.standing == loggingIn
	if c.standing == gone {
		return nil, event.Displaced // while its proxy's header was read
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

// ofGreediest is the oldest login of the source with the most of them, nil if that has no more than another source would
// have with c.
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

// oldest is the login in progress for longest of those that may go instead of c, which is younger than any of them.
func (p *places) oldest(c *Place, may func(*Place) bool) (oldest *Place) {
	for o := range p.logins {
		if c.accepted.Sub(o.accepted) >= undisturbed && may(o) &&
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

// notInProgress is for a login that has succeeded or ended.
func (p *places) notInProgress(c *Place) {
	delete(p.logins, c)
	if c.counted.IsValid() {
		if p.bySource[c.counted]--; p.bySource[c.counted] == 0 {
			delete(p.bySource, c.counted)
		}
	}
}

// forget takes a connection's place. Its goroutine may still run.
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

// leave is the end of a connection's goroutine.
func (p *places) leave(c *Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(c)
	p.running.Done()
}

// Connections returns how many connections have a place, logins in progress included.
func (a *Admission) Connections() int {
	a.places.mu.Lock()
	defer a.places.mu.Unlock()
	return a.places.connections
}

// LoginsInProgress returns how many connections are not logged in yet.
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

// Wait returns when the goroutines of all connections have ended. It is for after Close.
func (a *Admission) Wait() { a.places.running.Wait() }
