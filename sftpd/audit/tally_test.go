package audit

import (
	"net/netip"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tally := NewTally(func() time.Time { return now })
	a := Refusal{ConnectionRefused, "source_penalized", netip.MustParsePrefix("192.0.2.1/32")}
	b := Refusal{ConnectionRefused, "startups", a.Source}
	if !tally.Count(a) || !tally.Count(b) {
		t.Error("the first of a kind is not the first")
	}
	for range 1000 {
		if tally.Count(a) {
			t.Error("the second is the first")
		}
	}
	now = now.Add(time.Minute - 1)
	if due := tally.Due(); len(due) != 0 {
		t.Errorf("too early: %v", due)
	}
	now = now.Add(1)
	if due := tally.Due(); len(due) != 1 || due[0] != (Repeated{a, 1000}) {
		t.Errorf("due: %v", due)
	}
	if tally.Count(a) || !tally.Count(b) {
		t.Error("what was repeated is new, or what was not is not")
	}
	if all := tally.All(); len(all) != 1 || all[0] != (Repeated{a, 1}) {
		t.Errorf("all: %v", all)
	}
	now = now.Add(TallyInterval)
	if due := tally.Due(); len(due) != 0 || len(tally.counted) != 0 {
		t.Errorf("something stays: %v, %v", due, tally.counted)
	}
}

// TestTallyBound: above the limit, sources share a line.
func TestTallyBound(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tally := NewTally(func() time.Time { return now })
	firsts := 0
	for i := range 10 * maxTallied {
		source := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		if tally.Count(Refusal{ConnectionRefused, "startups", source}) {
			firsts++
		}
	}
	if firsts != 1024+1 || len(tally.counted) != 1024+1 {
		t.Errorf("%d lines at once, %d counted", firsts, len(tally.counted))
	}
	now = now.Add(TallyInterval)
	due := tally.Due()
	if len(due) != 1 || due[0].Source.IsValid() || due[0].Count != 9*maxTallied-1 {
		t.Errorf("due: %v", due)
	}
}

// TestTallyStartsAnew: after a line, the next interval begins.
func TestTallyStartsAnew(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tally := NewTally(func() time.Time { return now })
	a := Refusal{ConnectionRefused, "startups", netip.MustParsePrefix("192.0.2.1/32")}
	tally.Count(a)
	tally.Unwritten(Refusal{LoginRefused, "other", a.Source}) // also counts from now on
	tally.Count(a)
	for _, step := range []struct {
		wait time.Duration
		due  int
	}{{time.Minute - 1, 0}, {1, 2}, {1, 0}, {time.Minute - 2, 0}} {
		now = now.Add(step.wait)
		if due := tally.Due(); len(due) != step.due {
			t.Errorf("after %s: %v", step.wait, due)
		}
		tally.Count(a)
	}
	now = now.Add(1)
	if due := tally.Due(); len(due) != 1 || due[0] != (Repeated{a, 3}) {
		t.Errorf("%v", due)
	}
}

// TestTallyOfKnownSources: above the limit, a source that is counted on its own still is, and the others add up.
func TestTallyOfKnownSources(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tally := NewTally(func() time.Time { return now })
	source := func(i int) Refusal {
		return Refusal{ConnectionRefused, "startups", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)}
	}
	for i := range 1024 {
		tally.Count(source(i))
	}
	for range 3 {
		tally.Count(source(7))
	}
	for range 5 { // the first of these has a line
		tally.Count(source(2000))
	}
	tally.Unwritten(source(2001))
	got := map[Refusal]int{}
	for _, r := range tally.All() {
		got[r.Refusal] = r.Count
	}
	if len(got) != 2 || got[source(7)] != 3 || got[Refusal{ConnectionRefused, "startups", netip.Prefix{}}] != 5 {
		t.Errorf("%v", got)
	}
}
