package admission

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// model is the list of all connections; every decision follows from it.
type model struct {
	closed bool
	all    []*Place
	state  map[*Place]standing
	source map[*Place]netip.Prefix // that it counts toward
}

// progress returns the logins in progress, except c, for which may returns true.
func (m *model) progress(c *Place, may func(*Place) bool) (out []*Place) {
	for _, o := range m.all {
		if o != c && m.state[o] == loggingIn && may(o) {
			out = append(out, o)
		}
	}
	return out
}

// eldest returns the oldest logins in progress that were at least a second old when c arrived.
func (m *model) eldest(c *Place, may func(*Place) bool) []*Place {
	list := m.progress(c, func(o *Place) bool { return may(o) && !o.accepted.After(c.accepted.Add(-time.Second)) })
	return slices.DeleteFunc(slices.Clone(list), func(o *Place) bool {
		return slices.ContainsFunc(list, func(p *Place) bool { return p.accepted.Before(o.accepted) })
	})
}

func (m *model) of(source netip.Prefix) int {
	return len(m.progress(nil, func(o *Place) bool { return source.IsValid() && m.source[o] == source }))
}

// greediest returns the connections that may be dropped from sources that hold more than c's source would. No such source is
// preferred over another, so the answers may include nil.
func (m *model) greediest(c *Place) (out []*Place) {
	most := m.of(c.origin.limited()) + 1
	var sources []netip.Prefix
	for _, s := range m.source {
		if n := m.of(s); n > most {
			most, sources = n, nil
		}
		if n := m.of(s); s.IsValid() && n == most && n > m.of(c.origin.limited())+1 && !slices.Contains(sources, s) {
			sources = append(sources, s)
		}
	}
	for _, s := range sources {
		if list := m.eldest(c, func(o *Place) bool { return m.source[o] == s }); len(list) > 0 {
			out = append(out, list...)
		} else {
			out = append(out, nil)
		}
	}
	return out
}

func (m *model) places() int {
	return len(slices.DeleteFunc(slices.Clone(m.all), func(o *Place) bool { return m.state[o] != loggingIn && m.state[o] != loggedIn }))
}

// add returns the connections that may be dropped to make room for c, and an error if there are none.
func (m *model) add(c *Place, l limits, draw float64) (victims []*Place, reason event.Reason) {
	others := len(m.progress(c, anyLogin))
	silent := func(o *Place) bool { return !o.exchanged.Load() }
	source := c.origin.limited()
	switch {
	case m.closed:
		return nil, event.ShuttingDown
	case m.state[c] == gone:
		return nil, event.Displaced
	case l.startups.PerSource > 0 && source.IsValid() && m.of(source) >= l.startups.PerSource:
		return m.eldest(c, func(o *Place) bool { return silent(o) && m.source[o] == source }), event.StartupsOfSource
	case draw < dropProbability(l.startups, others):
		if victims = m.eldest(c, silent); len(victims) > 0 {
			return victims, event.Startups
		}
		victims = m.greediest(c)
		if others >= l.startups.Full {
			victims = m.orAny(c, victims)
		}
		return victims, event.Startups
	case m.state[c] != loggingIn && m.places() >= l.connections:
		return m.orAny(c, m.greediest(c)), event.MaxConnections
	}
	return nil, ""
}

// orAny returns the oldest ones if the list is empty.
func (m *model) orAny(c *Place, victims []*Place) []*Place {
	if len(victims) > 0 && !slices.Contains(victims, nil) {
		return victims
	}
	return append(slices.DeleteFunc(victims, func(o *Place) bool { return o == nil }), m.eldest(c, anyLogin)...)
}

// check compares an answer with the model's and applies it to the model.
func (m *model) check(t *testing.T, what string, c, got *Place, reason event.Reason, victims []*Place, want event.Reason) bool {
	t.Helper()
	switch {
	case got != nil && (reason != "" || !slices.Contains(victims, got)):
		t.Errorf("%s: wrong victim, %q; %d could have gone", what, reason, len(victims))
		return false
	case got == nil && want == "" && reason != "", got == nil && want != "" && reason != want:
		t.Errorf("%s: %q, want %q", what, reason, want)
		return false
	case got == nil && want != "" && len(victims) > 0 && !slices.Contains(victims, nil):
		t.Errorf("%s: no connection was dropped, %d could have been", what, len(victims))
		return false
	}
	if got != nil {
		m.state[got] = gone
	}
	if reason == "" {
		m.state[c] = loggingIn
	}
	return true
}

// agree compares the counters.
func (m *model) agree(t *testing.T, p *places) bool {
	t.Helper()
	n := map[netip.Prefix]int{}
	for _, o := range m.progress(nil, func(o *Place) bool { return m.source[o].IsValid() }) {
		n[m.source[o]]++
	}
	same := len(n) == len(p.bySource) && len(p.logins) == len(m.progress(nil, anyLogin)) && p.connections == m.places()
	for s := range n {
		same = same && n[s] == p.bySource[s]
	}
	if !same {
		t.Errorf("%d logins, %d connections, %v; want %d, %d, %v", len(p.logins), p.connections, p.bySource,
			len(m.progress(nil, anyLogin)), m.places(), n)
	}
	return same
}

// TestPlacesAreTheModels: with random arrivals, departures and limits, the decisions and counters always match those computed
// from the list of all connections.
func TestPlacesAreTheModels(t *testing.T) {
	seen := map[event.Reason]int{}
	for seed := range uint64(300) {
		if !modelRun(t, rand.New(rand.NewPCG(seed, 1)), seen) {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, r := range []event.Reason{"", event.ShuttingDown, event.Displaced, event.Startups, event.StartupsOfSource, event.MaxConnections} {
		if seen[r] < 50 {
			t.Errorf("%q happened %d times", r, seen[r])
		}
	}
}

func modelRun(t *testing.T, r *rand.Rand, seen map[event.Reason]int) bool {
	var draw float64
	p := newPlaces()
	p.random = func() float64 { return draw }
	m := &model{state: map[*Place]standing{}, source: map[*Place]netip.Prefix{}}
	l := limits{connections: 1 + r.IntN(12), startups: config.Startups{Begin: r.IntN(6), DropPercent: r.IntN(101), PerSource: r.IntN(5)}}
	if r.IntN(3) > 0 {
		l.startups.Full = l.startups.Begin + r.IntN(8)
	}
	now := time.Now()
	for range 60 {
		now = now.Add(time.Duration(r.IntN(8)) * 100 * time.Millisecond)
		draw = r.Float64()
		var c *Place
		what := r.IntN(10)
		if what < 5 || len(m.all) == 0 {
			c = &Place{accepted: now}
			c.origin.source = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(4))}), 32)
			c.origin.exempt = r.IntN(6) == 0
			m.all = append(m.all, c)
		} else {
			c = m.all[r.IntN(len(m.all))]
		}
		if !m.step(t, r, p, c, l, what, draw, seen) || !m.agree(t, p) {
			return false
		}
	}
	return true
}

func (m *model) step(t *testing.T, r *rand.Rand, p *places, c *Place, l limits, what int, draw float64, seen map[event.Reason]int) bool {
	switch {
	case what < 4, what == 5 && (m.state[c] == gone || m.state[c] == loggingIn && !m.source[c].IsValid()):
		victims, want := m.add(c, l, draw)
		got, reason := p.add(c, l)
		seen[reason]++
		ok := m.check(t, "add", c, got, reason, victims, want)
		if reason == "" {
			m.source[c] = c.origin.limited()
		}
		return ok
	case what == 4: // behind a proxy
		var victims []*Place
		var want event.Reason
		switch {
		case m.closed:
			want = event.ShuttingDown
		case m.places() >= l.connections:
			victims, want = m.eldest(c, anyLogin), event.MaxConnections
		}
		got, reason := p.addUnknown(c, l)
		return m.check(t, "addUnknown", c, got, reason, victims, want)
	case what == 6:
		c.exchanged.Store(true)
	case what == 7:
		return m.logIn(t, r, p, c)
	case what == 8 && m.state[c] != outside && !m.left(c):
		p.leave(c)
		m.state[c] = gone
		m.all = slices.DeleteFunc(m.all, func(o *Place) bool { return o == c })
	case what == 9 && r.IntN(60) == 0:
		p.closed, m.closed = true, true
	}
	return true
}

func (m *model) left(c *Place) bool { return !slices.Contains(m.all, c) }

func (m *model) logIn(t *testing.T, r *rand.Rand, p *places, c *Place) bool {
	refuse := event.Reason("")
	if r.IntN(4) == 0 {
		refuse = event.MaxConnectionsOfUser
	}
	want := refuse
	switch {
	case m.closed:
		want = event.ShuttingDown
	case m.state[c] != loggingIn:
		want = event.Displaced
	}
	if got := p.logIn(c, func() event.Reason { return refuse }); got != want {
		t.Errorf("logIn: %q, want %q", got, want)
		return false
	}
	if want == "" {
		m.state[c] = loggedIn
	}
	return true
}
