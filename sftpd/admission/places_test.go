package admission

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

func TestDropProbability(t *testing.T) {
	ten30 := config.Startups{Begin: 10, DropPercent: 30, Full: 100}
	for _, tc := range []struct {
		limits   config.Startups
		startups int
		want     float64
	}{
		{config.Startups{}, 1_000_000, 0},
		{ten30, 0, 0},
		{ten30, 9, 0},
		{ten30, 10, 0.3},
		{ten30, 55, 0.65},
		{ten30, 99, 0.3 + 0.7*89/90},
		{ten30, 100, 1},
		{ten30, 500, 1},
		{config.Startups{Begin: 5, DropPercent: 0, Full: 5}, 4, 0},
		{config.Startups{Begin: 5, DropPercent: 0, Full: 5}, 5, 1},
		{config.Startups{Begin: 5, DropPercent: 100, Full: 50}, 5, 1},
	} {
		if p := dropProbability(tc.limits, tc.startups); !(math.Abs(p-tc.want) <= 1e-9) { // nor NaN
			t.Errorf("%+v, %d: %v, want %v", tc.limits, tc.startups, p, tc.want)
		}
	}
}

// crowd makes connections compete for places, with a fixed random draw.
type crowd struct {
	*testing.T
	*places
	now time.Time
}

func newCrowd(t *testing.T, draw float64) *crowd {
	p := newPlaces()
	p.random = func() float64 { return draw }
	return &crowd{t, p, time.Now()}
}

func (w *crowd) conn(source string) *Place {
	c := &Place{accepted: w.now}
	if source != "" {
		c.origin.source = netip.MustParsePrefix(source)
	}
	return c
}

func (w *crowd) add(c *Place, l limits, reason event.Reason) (displaced *Place) {
	w.Helper()
	displaced, got := w.places.add(c, l)
	if got != reason {
		w.Errorf("want %q, have %q", reason, got)
	}
	return displaced
}

const one, two = "192.0.2.1/32", "192.0.2.2/32"

// TestPerSource: one source cannot use up all places, and its own limit applies first.
func TestPerSource(t *testing.T) {
	w := newCrowd(t, 0)
	l := limits{connections: 100, startups: config.Startups{Begin: 4, DropPercent: 100, Full: 5, PerSource: 3}}
	for range 3 {
		w.add(w.conn(one), l, "")
	}
	for range 10 {
		w.add(w.conn(one), l, event.StartupsOfSource)
	}
	w.add(w.conn(two), l, "")
	w.add(w.conn(two), l, event.Startups)
	exempt := w.conn(one)
	exempt.origin.exempt = true
	w.add(exempt, limits{connections: 100, startups: config.Startups{Begin: 50, Full: 50, PerSource: 3}}, "")
	if n := len(w.logins); n != 5 {
		t.Errorf("%d logins in progress", n)
	}
}

// TestRandomDrop: connections are dropped with the documented probability.
func TestRandomDrop(t *testing.T) {
	l := limits{connections: 100, startups: config.Startups{Begin: 2, DropPercent: 50, Full: 12}}
	w := newCrowd(t, 0.59)
	for range 4 {
		w.add(w.conn(""), l, "") // at 3 the probability is 0.55
	}
	w.add(w.conn(""), l, event.Startups) // at 4 it is 0.6
}

// TestDisplacement: connections that have sent nothing are displaced first; those that have exchanged keys only at the limit.
func TestDisplacement(t *testing.T) {
	w := newCrowd(t, 0)
	l := limits{connections: 100, startups: config.Startups{Begin: 3, DropPercent: 50, Full: 4, PerSource: 2}}
	silent, typing, other := w.conn(one), w.conn(one), w.conn(two)
	typing.exchanged.Store(true)
	typing.accepted = w.now.Add(-time.Minute)
	for _, c := range []*Place{silent, typing, other} {
		w.add(c, l, "")
	}
	w.add(w.conn(one), l, event.StartupsOfSource) // none is a second old yet
	w.now = w.now.Add(minStartupTime)
	next := w.conn(one)
	if got := w.add(next, l, ""); got != silent {
		t.Error("of its source, not the silent one gave way")
	}
	next.exchanged.Store(true)
	if got := w.add(w.conn("198.51.100.0/24"), l, ""); got != other {
		t.Error("of all, not the silent one gave way")
	}
	w.now = w.now.Add(-minStartupTime)
	w.random = func() float64 { return 1 }
	w.add(w.conn("198.51.100.1/32"), l, "")
	if got := w.add(w.conn("198.51.100.2/32"), limits{connections: 4}, ""); got != typing {
		t.Error("at the limit, not the oldest gave way")
	}
	if n := len(w.logins); n != 4 {
		t.Errorf("%d logins in progress", n)
	}
}

// TestPlacesAreFairBySource: a source with many logins in progress makes room for one with none, at any level and whatever
// stage its logins have reached; a source never displaces one with as many logins.
func TestPlacesAreFairBySource(t *testing.T) {
	w := newCrowd(t, 0)
	l := limits{connections: 100, startups: config.Startups{Begin: 4, DropPercent: 100, Full: 100, PerSource: 20}}
	held := func(source string, n int) (all []*Place) {
		for range n {
			c := w.conn(source)
			w.add(c, limits{connections: 100}, "")
			c.exchanged.Store(true)
			// counted as if they had a bound
			all = append(all, c)
		}
		return all
	}
	first, second := held(one, 3), held(two, 2)
	w.now = w.now.Add(minStartupTime)
	if got := w.add(w.conn("198.51.100.1/32"), l, ""); !slices.Contains(first, got) {
		t.Error("not the source with the most gave way")
	}
	if got := w.add(w.conn("198.51.100.2/32"), l, ""); !slices.Contains(first, got) && !slices.Contains(second, got) {
		t.Error("none of those with two gave way")
	}
	w.add(w.conn(one), l, event.Startups) // it has as many as the other
}

// TestCounts: all counters are zero once every connection is gone.
func TestCounts(t *testing.T) {
	w := newCrowd(t, 0)
	l := limits{connections: 3, startups: config.Startups{Begin: 50, Full: 60, PerSource: 10}}
	var all []*Place
	for i := range 10 {
		c := w.conn(one)
		c.accepted = w.now.Add(time.Duration(i) * minStartupTime)
		if i%2 == 0 { // behind a proxy
			if _, reason := w.addUnknown(c, l); reason != "" {
				t.Fatal(reason)
			}
		}
		if _, reason := w.places.add(c, l); reason != "" {
			t.Fatal(reason)
		}
		all = append(all, c)
	}
	if n := w.connections; n != 3 || w.bySource[netip.MustParsePrefix(one)] != 3 {
		t.Errorf("%d connections, %v", n, w.bySource)
	}
	if _, reason := w.places.add(all[0], l); reason != event.Displaced {
		t.Errorf("a displaced connection came back: %q", reason)
	}
	for _, c := range all {
		w.leave(c)
	}
	if len(w.logins) != 0 || len(w.bySource) != 0 || w.connections != 0 {
		t.Errorf("%d startups, %v", len(w.logins), w.bySource)
	}
}

// TestLogInKeepsThePlace: a successful login no longer counts as in progress and cannot be displaced. One that lost its place,
// or comes after Close, does not succeed, and the callback is not called.
func TestLogInKeepsThePlace(t *testing.T) {
	w := newCrowd(t, 0)
	l := limits{connections: 2}
	yes := func() event.Reason { return "" }
	never := func() event.Reason { t.Error("asked about a login that cannot succeed"); return "" }
	in, late := w.conn(one), w.conn(one)
	w.add(in, l, "")
	w.add(late, l, "")
	if reason := w.logIn(in, func() event.Reason { return event.MaxConnectionsOfUser }); reason != event.MaxConnectionsOfUser || in.standing != loggingIn {
		t.Errorf("refused: %q, standing %d", reason, in.standing)
	}
	if reason := w.logIn(in, yes); reason != "" || len(w.logins) != 1 {
		t.Errorf("%q, %d logins in progress", reason, len(w.logins))
	}
	w.now = w.now.Add(minStartupTime)
	if got := w.add(w.conn(two), l, ""); got != late {
		t.Error("the one that is logged in gave way")
	}
	if reason := w.logIn(late, never); reason != event.Displaced {
		t.Errorf("displaced: %q", reason)
	}
	w.closed = true
	if reason := w.logIn(w.conn(one), never); reason != event.ShuttingDown {
		t.Errorf("at the end: %q", reason)
	}
}

func TestSourceOf(t *testing.T) {
	for _, tc := range []struct {
		address string
		sources config.Sources
		want    string
	}{
		{"192.0.2.77", config.Sources{}, "192.0.2.77/32"},
		{"::ffff:192.0.2.77", config.Sources{IPv4PrefixLength: 24}, "192.0.2.0/24"},
		{"2001:db8:1:2:3::4", config.Sources{}, "2001:db8:1:2::/64"},
		{"2001:db8:1:2:3::4", config.Sources{IPv6PrefixLength: 48}, "2001:db8:1::/48"},
		{"fe80::1%eth0", config.Sources{IPv6PrefixLength: 128}, "fe80::1/128"},
	} {
		if got := sourceOf(netip.MustParseAddr(tc.address), tc.sources).String(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.address, got, tc.want)
		}
	}
	if sourceOf(netip.Addr{}, config.Sources{}).IsValid() {
		t.Error("no address is in a network")
	}
}

// TestNamed: logins in progress of one namespace are limited to its share, and do not reduce the share of others.
func TestNamed(t *testing.T) {
	w := newCrowd(t, 1)
	l := limits{connections: 100, startups: config.Startups{Begin: 50, Full: 100}}
	named := func(c *Place, namespace string, reason event.Reason) *Place {
		t.Helper()
		if got := w.named(c, namespace, 2); got != reason {
			t.Errorf("%s: want %q, have %q", namespace, reason, got)
		}
		return c
	}
	conn := func() *Place {
		c := w.conn("")
		w.add(c, l, "")
		return c
	}
	named(w.conn(""), "a", event.Displaced) // it has no place
	first, second := named(conn(), "a", ""), named(conn(), "a", "")
	third := named(conn(), "a", event.NamespaceStartups)
	named(third, "b", "")
	named(named(named(conn(), "b", ""), "a", event.NamespaceStartups), "b", "") // the name changed
	if got := w.named(conn(), "a", 0); got != "" {
		t.Errorf("without a bound: %q", got)
	}
	w.logIn(first, func() event.Reason { return "" })
	w.leave(second)
	named(conn(), "a", "")
	named(conn(), "a", event.NamespaceStartups)
	for c := range w.logins {
		w.leave(c)
	}
	if len(w.byNamespace) > 0 {
		t.Errorf("nothing is in progress: %v", w.byNamespace)
	}
}
