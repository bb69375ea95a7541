package shard

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// model is Assign in its slowest form: free room is summed up whenever it is needed.
type model struct {
	Input
	slots   map[string]Slot // reserved now
	refused map[string]bool
}

func (m *model) free(shard int) int {
	left := MaxBytes
	for _, s := range m.slots {
		if s.Shard == shard {
			left -= s.Bytes
		}
	}
	return left
}

// emptiest returns the first of the shards with the most room.
func (m *model) emptiest() int {
	shards := make([]int, m.Count)
	for i := range shards {
		shards[i] = i
	}
	return slices.MaxFunc(shards, func(a, b int) int {
		if fa, fb := m.free(a), m.free(b); fa != fb {
			return fa - fb
		}
		return b - a
	})
}

func (m *model) place(r Record) {
	for _, shard := range []int{home(r.UID, m.Count), m.emptiest()} {
		if len(r.Line) <= m.free(shard) {
			m.slots[r.UID] = Slot{shard, len(r.Line)}
			return
		}
	}
}

// grown tries a record that needs more than it holds, and reports whether it has moved.
func (m *model) grown(r Record) bool {
	was := m.slots[r.UID]
	if len(r.Line)-was.Bytes <= m.free(was.Shard) {
		m.slots[r.UID] = Slot{was.Shard, len(r.Line)}
		return false
	}
	to := m.emptiest()
	if len(r.Line) > m.free(to) {
		return false
	}
	m.slots[r.UID] = Slot{to, len(r.Line)}
	return true
}

// assign goes by seniority in each step: incumbents keep what they have, those whose shard is gone or too full get another
// place, those that need more get it, and finally new ones are placed.
func (m *model) assign() {
	m.slots, m.refused = map[string]Slot{}, map[string]bool{}
	records := slices.SortedFunc(slices.Values(m.Records), order)
	var displaced, arrivals []Record
	for _, r := range records {
		was, in := m.Previous[r.UID]
		keeps := Slot{was.Shard, min(was.Bytes, len(r.Line))}
		switch {
		case !in || was.Bytes < 0:
			arrivals = append(arrivals, r)
		case was.Shard < 0 || was.Shard >= m.Count || m.free(was.Shard) < keeps.Bytes:
			displaced = append(displaced, r)
		default:
			m.slots[r.UID] = keeps
		}
	}
	for _, r := range displaced {
		m.place(r)
	}
	for moved := true; moved; {
		moved = false
		for _, r := range records {
			if s, in := m.slots[r.UID]; in && len(r.Line) > s.Bytes {
				moved = m.grown(r) || moved
			}
		}
	}
	arrivals = append(arrivals, displaced...)
	slices.SortFunc(arrivals, order)
	for _, r := range arrivals {
		if _, in := m.slots[r.UID]; !in {
			m.place(r)
		}
	}
	for _, r := range records {
		if s, in := m.slots[r.UID]; in && s.Bytes < len(r.Line) {
			m.refused[r.UID] = true
		}
	}
}

func (m *model) decision(uid string) Decision {
	s, in := m.slots[uid]
	switch {
	case !in:
		return Decision{Verdict: Overflow}
	case m.refused[uid]:
		return Decision{GrowthRefused, s.Shard}
	}
	return Decision{Fits, s.Shard}
}

var filler = make([]byte, MaxBytes+1)

// aSize often returns a size with which some records fill a shard exactly, or up to one byte less or more.
func aSize(r *rand.Rand) int {
	switch r.IntN(6) {
	case 0:
		return r.IntN(3)
	case 1:
		return r.IntN(MaxBytes / 2)
	}
	return min(max((1+r.IntN(5))*MaxBytes/5+r.IntN(3)-1, 0), len(filler))
}

// anInput also has slots that no operator leaves: more than a shard holds, and in shards that do not exist.
func anInput(r *rand.Rand) Input {
	in := Input{Count: 1 + r.IntN(4)}
	if r.IntN(8) > 0 {
		in.Previous = map[string]Slot{}
	}
	for range r.IntN(14) {
		n := r.IntN(1000)
		rec := Record{UID: fmt.Sprint("uid-", n), Seniority: r.Int64N(6), Line: filler[:aSize(r)]}
		if slices.ContainsFunc(in.Records, func(o Record) bool { return o.UID == rec.UID }) {
			continue
		}
		in.Records = append(in.Records, rec)
		if in.Previous == nil || r.IntN(4) == 0 {
			continue
		}
		slot := Slot{r.IntN(in.Count), aSize(r)}
		switch r.IntN(12) {
		case 0:
			slot.Shard = -1 - r.IntN(2)
		case 1:
			slot.Shard = in.Count + r.IntN(2)
		case 2:
			slot.Bytes = -1 - r.IntN(MaxBytes)
		case 3:
			slot.Bytes = -1
		case 4, 5:
			slot.Bytes = len(rec.Line)
		}
		in.Previous[rec.UID] = slot
	}
	if in.Previous != nil && r.IntN(4) == 0 {
		in.Previous["uid-gone"] = Slot{0, MaxBytes}
	}
	return in
}

func TestAssignAgainstAModel(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	for n := range 6000 {
		in := anInput(r)
		for range 3 { // what one round leaves is where the next one begins
			previous := maps.Clone(in.Previous)
			m := model{Input: in}
			m.assign()
			decisions, slots := Assign(in)
			for i, d := range decisions {
				rec := in.Records[i]
				want, held := m.decision(rec.UID), m.slots[rec.UID]
				if want.Verdict == GrowthRefused {
					held = in.Previous[rec.UID]
				}
				got, in2 := slots[rec.UID]
				if d != want || in2 != (want.Verdict != Overflow) || got != held {
					t.Fatalf("set %d, %s with %d bytes: %v and slot %v, want %v and %v\nof %+v\nin %d shards, before %v",
						n, rec.UID, len(rec.Line), d, got, want, held, sizes(in.Records), in.Count, previous)
				}
			}
			if slots == nil || len(slots) != len(m.slots) {
				t.Fatalf("set %d: slots %v, want %v", n, slots, m.slots)
			}
			if !maps.Equal(in.Previous, previous) {
				t.Fatalf("set %d: the previous slots were changed", n)
			}
			in.Previous = slots
			for i := range in.Records {
				if r.IntN(3) == 0 {
					in.Records[i].Line = filler[:aSize(r)]
				}
			}
		}
	}
}

func sizes(records []Record) map[string]int {
	out := map[string]int{}
	for _, r := range records {
		out[r.UID] = len(r.Line)
	}
	return out
}
