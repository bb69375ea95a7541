package audit

import (
	"net/netip"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tally := NewTally(func() time.Time { return now })
	a := Refusal{ConnectionRefused, "source_penalised", netip.MustParsePrefix("192.0.2.1/32")}
	b := Refusal{ConnectionRefused, "startups", a.Source}
	if !tally.Count(a) || !tally.Count(b) {
		t.Error("the first of a kind is not the first")
	}
	for range 1000 {
		if tally.Count(a) {
			t.Error("the second is the first")
		}
	}
	now = now.Add(TallyInterval - 1)
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

// TestTallyBound: beyond it, sources share a line.
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
	if firsts != maxTallied+1 || len(tally.counted) != maxTallied+1 {
		t.Errorf("%d lines at once, %d counted", firsts, len(tally.counted))
	}
	now = now.Add(TallyInterval)
	due := tally.Due()
	if len(due) != 1 || due[0].Source.IsValid() || due[0].Count != 9*maxTallied-1 {
		t.Errorf("due: %v", due)
	}
}
