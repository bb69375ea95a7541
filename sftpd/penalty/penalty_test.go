package penalty

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

const longest = 600 * time.Second

// clock is set by the tests.
type clock struct{ now time.Time }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

func book() (*Tracker, *clock) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	return New(func() time.Time { return c.now }), c
}

var here, there = netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")

// TestEvents: how many simultaneous events of each kind get a source refused, and for how long.
func TestEvents(t *testing.T) {
	for _, tc := range []struct {
		event Event
		count int
		lasts time.Duration
	}{
		{AuthFailed, 30, 30 * time.Second},
		{NoAuth, 30, 30 * time.Second},
		{GraceExceeded, 3, 30 * time.Second},
		{ProtocolError, 6, 30 * time.Second},
		{Crash, 1, 90 * time.Second},
	} {
		b, c := book()
		for i := range tc.count {
			if b.Refuses(here) {
				t.Errorf("event %d: refused after %d", tc.event, i)
			}
			b.Add(here, tc.event, longest)
		}
		if !b.Refuses(here) || b.Refuses(there) || b.Refused() != 1 {
			t.Errorf("event %d: not refused after %d, or not alone", tc.event, tc.count)
		}
		c.pass(tc.lasts - 1)
		if !b.Refuses(here) {
			t.Errorf("event %d: over too early", tc.event)
		}
		c.pass(1)
		if b.Refuses(here) || b.Refused() != 0 {
			t.Errorf("event %d: still refused after %s", tc.event, tc.lasts)
		}
	}
}

// TestDecay: events that come more slowly than their penalty decays never lead to a refusal.
func TestDecay(t *testing.T) {
	b, c := book()
	for range 10_000 {
		b.Add(here, ProtocolError, longest)
		b.AddLogin(there, "ada", longest)
		if b.Refuses(here) || b.Refuses(there) || b.RefusesLogin(there, "ada") {
			t.Fatal("refused")
		}
		c.pass(5 * time.Second)
	}
}

// TestMaximum: no penalty exceeds the maximum, however many events there were; it is enforced even if it is below Minimum.
func TestMaximum(t *testing.T) {
	for _, limit := range []time.Duration{longest, 10 * time.Second} {
		b, c := book()
		for range 1000 {
			b.Add(here, Crash, limit)
		}
		c.pass(limit - 1)
		if !b.Refuses(here) {
			t.Errorf("%s: over too early", limit)
		}
		c.pass(1)
		if b.Refuses(here) {
			t.Errorf("%s: longer than that", limit)
		}
	}
}

// TestOneUser: one user's failures block only that user, however long they continue, if they come no faster than one a second.
func TestOneUser(t *testing.T) {
	b, c := book()
	refused := 0
	for i := range 3600 {
		if b.RefusesLogin(here, "ada") {
			refused++
		}
		b.AddLogin(here, "ada", longest)
		if b.Refuses(here) || b.RefusesLogin(here, "bob") || b.RefusesLogin(there, "ada") {
			t.Fatalf("others are refused after %d failures", i+1)
		}
		c.pass(time.Second)
	}
	if refused < 2500 {
		t.Errorf("refused %d of 3600 times", refused)
	}
	c.pass(time.Minute)
	if b.RefusesLogin(here, "ada") {
		t.Error("attempts that were refused prolonged the refusal")
	}
}

// TestManyUsers: a source that tries many user names is soon refused as a whole.
func TestManyUsers(t *testing.T) {
	b, _ := book()
	for i := range 30 {
		if b.Refuses(here) {
			t.Fatalf("refused after %d names", i)
		}
		b.AddLogin(here, fmt.Sprint("user", i), longest)
	}
	if !b.Refuses(here) || b.RefusesLogin(here, "user0") {
		t.Error("thirty names: the source is not refused, or a name is")
	}
}

func TestReset(t *testing.T) {
	b, _ := book()
	for range 5 {
		b.AddLogin(here, "ada", longest)
		b.AddLogin(here, "bob", longest)
	}
	b.Reset(here, "ada")
	b.AddLogin(here, "ada", longest)
	b.AddLogin(here, "bob", longest)
	if b.RefusesLogin(here, "ada") || !b.RefusesLogin(here, "bob") {
		t.Error("a login forgave nothing, or too much")
	}
}

// TestOverflow: a full table drops the lightest penalties, keeps the heaviest ones and its size, and never refuses a source
// without events.
func TestOverflow(t *testing.T) {
	b, c := book()
	for range 5 {
		b.Add(here, Crash, longest)
	}
	address := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	for i := range 2 * MaxEntries {
		b.Add(address(i), ProtocolError, longest)
		b.AddLogin(address(i), "ada", longest)
	}
	if len(b.sources.entries) != MaxEntries || len(b.logins.entries) != MaxEntries {
		t.Errorf("%d sources, %d logins", len(b.sources.entries), len(b.logins.entries))
	}
	if !b.Refuses(here) || b.Refuses(there) || b.Refused() != 1 {
		t.Error("the heaviest penalty is forgotten, or a source is refused for nothing")
	}
	c.pass(longest)
	b.Add(there, NoAuth, longest)
	if n := len(b.sources.entries); n != 1 {
		t.Errorf("%d entries are left when all are over", n)
	}
}

// TestModel compares random histories with a list that is never truncated: the penalties match it, and the map and the heap
// match each other.
func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(1_800_000_000, 0)
		tab := newTable[int](1000)
		type state struct {
			until  time.Time
			active bool
		}
		model := map[int]state{}
		for range 500 {
			key, weight := r.IntN(20), time.Duration(r.IntN(40))*time.Second
			switch r.IntN(10) {
			case 0:
				tab.remove(key)
				delete(model, key)
			default:
				m := model[key]
				if !now.Before(m.until) {
					m = state{until: now}
				}
				if m.until = m.until.Add(weight); m.until.Sub(now) > longest {
					m.until = now.Add(longest)
				}
				m.active = m.active || m.until.Sub(now) >= Minimum
				model[key] = m
				tab.add(now, key, weight, longest)
			}
			now = now.Add(time.Duration(r.IntN(5000)) * time.Millisecond)
			for k := range 20 {
				if want := model[k].active && now.Before(model[k].until); tab.enforced(now, k) != want {
					t.Fatalf("seed %d: key %d enforced: %v", seed, k, !want)
				}
			}
			if len(tab.entries) != len(tab.byEnd) {
				t.Fatalf("seed %d: %d entries, %d in the heap", seed, len(tab.entries), len(tab.byEnd))
			}
			for i, e := range tab.byEnd {
				if e.index != i || tab.entries[e.key] != e || i > 0 && e.until.Before(tab.byEnd[(i-1)/2].until) {
					t.Fatalf("seed %d: the heap is out of order at %d", seed, i)
				}
			}
		}
	}
}
