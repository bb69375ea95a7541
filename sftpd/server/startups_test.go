package server

import (
	"math"
	"net"
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
		if p := dropProbability(tc.limits, tc.startups); math.Abs(p-tc.want) > 1e-9 {
			t.Errorf("%+v, %d: %v, want %v", tc.limits, tc.startups, p, tc.want)
		}
	}
}

// crowd makes connections for a registry, whose draw is always the given one.
type crowd struct {
	*testing.T
	*Server
	now time.Time
}

func newCrowd(t *testing.T, draw float64) *crowd {
	s, _ := bare(t)
	s.registry.random = func() float64 { return draw }
	return &crowd{t, s, time.Now()}
}

func (w *crowd) conn(source string) *conn {
	here, there := net.Pipe()
	w.Cleanup(func() { here.Close(); there.Close() })
	c := newConn(w.Server, here)
	c.accepted = w.now
	if source != "" {
		c.origin.source = netip.MustParsePrefix(source)
	}
	return c
}

func (w *crowd) add(c *conn, l limits, reason event.Reason) (displaced *conn) {
	w.Helper()
	displaced, got := w.registry.add(c, l)
	if got != reason {
		w.Errorf("want %q, have %q", reason, got)
	}
	if got == "" {
		w.Cleanup(func() { w.registry.remove(c) }) // before the server's end, which waits for it
	}
	return displaced
}

const one, two = "192.0.2.1/32", "192.0.2.2/32"

// TestPerSource: one source cannot fill what is for all, and its own bound comes first.
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
	if n := w.registry.loginsInProgress(); n != 5 {
		t.Errorf("%d logins in progress", n)
	}
}

// TestRandomDrop: the draw decides, with the probability of that number.
func TestRandomDrop(t *testing.T) {
	l := limits{connections: 100, startups: config.Startups{Begin: 2, DropPercent: 50, Full: 12}}
	w := newCrowd(t, 0.59)
	for range 4 {
		w.add(w.conn(""), l, "") // at 3 the probability is 0.55
	}
	w.add(w.conn(""), l, event.Startups) // at 4 it is 0.6
}

// TestDisplacement: who is silent gives way, and who has exchanged keys only at the limit.
func TestDisplacement(t *testing.T) {
	w := newCrowd(t, 0)
	l := limits{connections: 100, startups: config.Startups{Begin: 3, DropPercent: 50, Full: 4, PerSource: 2}}
	silent, typing, other := w.conn(one), w.conn(one), w.conn(two)
	typing.exchanged.Store(true)
	typing.accepted = w.now.Add(-time.Minute)
	for _, c := range []*conn{silent, typing, other} {
		w.add(c, l, "")
	}
	w.add(w.conn(one), l, event.StartupsOfSource) // nobody has had a second
	w.now = w.now.Add(undisturbed)
	next := w.conn(one)
	if got := w.add(next, l, ""); got != silent {
		t.Error("of its source, not the silent one gave way")
	}
	next.exchanged.Store(true)
	if got := w.add(w.conn("198.51.100.0/24"), l, ""); got != other {
		t.Error("of all, not the silent one gave way")
	}
	w.now = w.now.Add(-undisturbed)
	w.registry.random = func() float64 { return 1 }
	w.add(w.conn("198.51.100.1/32"), l, "")
	if got := w.add(w.conn("198.51.100.2/32"), limits{connections: 4}, ""); got != typing {
		t.Error("at the limit, not the oldest gave way")
	}
	if n := w.registry.loginsInProgress(); n != 4 {
		t.Errorf("%d logins in progress", n)
	}
}

// TestPlacesAreFairBySource: a source that holds many logins gives way to one that has none, at any level, and however
// far its logins are; a source never displaces its equals.
func TestPlacesAreFairBySource(t *testing.T) {
	w := newCrowd(t, 0)
	l := limits{connections: 100, startups: config.Startups{Begin: 4, DropPercent: 100, Full: 100, PerSource: 20}}
	held := func(source string, n int) (all []*conn) {
		for range n {
			c := w.conn(source)
			w.add(c, limits{connections: 100}, "")
			c.exchanged.Store(true)
			// counted as with a bound
			all = append(all, c)
		}
		return all
	}
	first, second := held(one, 3), held(two, 2)
	w.now = w.now.Add(undisturbed)
	if got := w.add(w.conn("198.51.100.1/32"), l, ""); !slices.Contains(first, got) {
		t.Error("not the source with the most gave way")
	}
	if got := w.add(w.conn("198.51.100.2/32"), l, ""); !slices.Contains(first, got) && !slices.Contains(second, got) {
		t.Error("none of those with two gave way")
	}
	w.add(w.conn(one), l, event.Startups) // it has as many as the other
}

// TestCounts: when all have gone, nothing is counted any more.
func TestCounts(t *testing.T) {
	w := newCrowd(t, 0)
	l := limits{connections: 3, startups: config.Startups{Begin: 50, Full: 60, PerSource: 10}}
	var all []*conn
	for i := range 10 {
		c := w.conn(one)
		c.accepted = w.now.Add(time.Duration(i) * undisturbed)
		if i%2 == 0 { // behind a proxy
			if _, reason := w.registry.addUnknown(c, l); reason != "" {
				t.Fatal(reason)
			}
		}
		if _, reason := w.registry.add(c, l); reason != "" {
			t.Fatal(reason)
		}
		all = append(all, c)
	}
	if n := w.registry.connections(); n != 3 || w.registry.bySource[netip.MustParsePrefix(one)] != 3 {
		t.Errorf("%d connections, %v", n, w.registry.bySource)
	}
	if _, reason := w.registry.add(all[0], l); reason != event.Displaced {
		t.Errorf("a displaced connection came back: %q", reason)
	}
	for _, c := range all {
		w.registry.remove(c)
	}
	if w.registry.startups != 0 || len(w.registry.bySource) != 0 || len(w.registry.conns) != 0 {
		t.Errorf("%d startups, %v", w.registry.startups, w.registry.bySource)
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
