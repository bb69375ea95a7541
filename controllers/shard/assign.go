package shard

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
)

// Verdict is the decision about a record.
type Verdict uint8

// Verdicts.
const (
	// Fits means that the whole record is in its shard.
	Fits Verdict = iota
	// GrowthRefused means that the record keeps its slot, which is too small for it.
	GrowthRefused
	// Overflow means that the record has no place.
	Overflow
)

// Decision is where a record goes.
type Decision struct {
	Verdict Verdict
	// Shard of the record, unless Verdict is Overflow.
	Shard int
}

// maxPasses bounds how often refused growth is retried after other records have moved and
// made room. One pass after the last move changes nothing, and more than two are rare.
const maxPasses = 16

// Assign decides where records go, in the order of the input, and which slots are then held.
// It only considers the lengths of lines, never Reduced. The slots are those of in.Previous,
// the same map, if none has changed.
func Assign(in Input) ([]Decision, map[string]Slot) {
	a := &assignment{Input: in, free: make([]int, in.Count), decisions: make([]Decision, len(in.Records))}
	for i := range a.free {
		a.free[i] = MaxBytes
	}
	a.keep()
	a.placeDisplaced()
	a.grow()
	a.admit()
	return a.decisions, a.slots()
}

// assignment is a placement in progress. Records are named by their index.
type assignment struct {
	Input
	free      []int // by shard
	decisions []Decision

	grown, displaced, newcomers []int
}

func (a *assignment) size(i int) int { return len(a.Records[i].Line) }

// held returns the room that an incumbent held.
func (a *assignment) held(i int) int { return a.Previous[a.Records[i].UID].Bytes }

// keep gives each incumbent the room that it had, or less if its record needs less.
func (a *assignment) keep() {
	for i := range a.Records {
		slot, ok := a.Previous[a.Records[i].UID]
		switch {
		case !ok || slot.Bytes < 0:
			a.newcomers = append(a.newcomers, i)
			continue
		case slot.Shard < 0 || slot.Shard >= a.Count:
			a.displaced = append(a.displaced, i) // maxUsers was lowered
			continue
		case a.size(i) > slot.Bytes:
			a.decisions[i] = Decision{GrowthRefused, slot.Shard} // unless grow finds room
			a.grown = append(a.grown, i)
		default:
			a.decisions[i] = Decision{Fits, slot.Shard}
		}
		a.free[slot.Shard] -= min(a.size(i), slot.Bytes)
	}
	for shard, free := range a.free {
		if free < 0 {
			a.displaceExcess(shard)
		}
	}
}

// displaceExcess removes records from a shard that holds too much, which only happens with slots
// from elsewhere: the oldest stay.
func (a *assignment) displaceExcess(shard int) {
	var members []int
	for i := range a.Records {
		if slot, ok := a.Previous[a.Records[i].UID]; ok && slot.Bytes >= 0 && slot.Shard == shard {
			members = append(members, i)
		}
	}
	a.free[shard] = MaxBytes
	for _, i := range a.sorted(members) {
		room := min(a.size(i), a.held(i))
		if room > a.free[shard] {
			a.displaced = append(a.displaced, i)
			a.grown = slices.DeleteFunc(a.grown, func(g int) bool { return g == i })
			continue
		}
		a.free[shard] -= room
	}
}

// placeDisplaced finds places for incumbents whose shard no longer exists, before anything else
// grows or arrives.
func (a *assignment) placeDisplaced() {
	for _, i := range a.sorted(a.displaced) {
		a.place(i)
	}
}

// grow finds room for incumbents that need more than they hold: in their own shard, or in
// another one, to which they move.
func (a *assignment) grow() {
	waiting := a.sorted(a.grown)
	for range maxPasses {
		moved := false
		waiting = slices.DeleteFunc(waiting, func(i int) bool {
			d := &a.decisions[i]
			held := a.held(i)
			to := d.Shard
			if a.size(i)-held > a.free[to] {
				if to = a.emptiest(); a.size(i) > a.free[to] {
					return false
				}
				moved = true
			}
			a.free[d.Shard] += held
			a.free[to] -= a.size(i)
			*d = Decision{Fits, to}
			return true
		})
		if !moved || len(waiting) == 0 {
			return
		}
	}
}

// admit finds places for new records. Incumbents without one are not tried again: a record
// moves only to a shard with more room than it leaves behind, so no move makes more room
// than there was.
func (a *assignment) admit() {
	for _, i := range a.sorted(a.newcomers) {
		a.place(i)
	}
}

// place finds a place for a record that has none: in the shard given by its UID, so that
// shards fill evenly, otherwise in the emptiest one.
func (a *assignment) place(i int) {
	to := home(a.Records[i].UID, a.Count)
	if a.size(i) > a.free[to] {
		if to = a.emptiest(); a.size(i) > a.free[to] {
			a.decisions[i] = Decision{Verdict: Overflow}
			return
		}
	}
	a.free[to] -= a.size(i)
	a.decisions[i] = Decision{Fits, to}
}

// emptiest returns the shard with the most room, the first if there are several.
func (a *assignment) emptiest() int {
	best := 0
	for i, free := range a.free {
		if free > a.free[best] {
			best = i
		}
	}
	return best
}

// slots returns the slots held after the decisions.
func (a *assignment) slots() map[string]Slot {
	var changed map[string]Slot
	kept := 0
	for i, d := range a.decisions {
		uid := a.Records[i].UID
		was, had := a.Previous[uid]
		is := Slot{d.Shard, a.size(i)}
		if d.Verdict == GrowthRefused {
			is = was
		}
		if had && d.Verdict != Overflow {
			kept++
		}
		if d.Verdict == Overflow || had && is == was {
			continue
		}
		if changed == nil {
			changed = map[string]Slot{}
		}
		changed[uid] = is
	}
	if kept == len(a.Previous) {
		if changed == nil && a.Previous != nil {
			return a.Previous
		}
		out := maps.Clone(a.Previous)
		if out == nil {
			out = map[string]Slot{}
		}
		maps.Copy(out, changed)
		return out
	}
	out := make(map[string]Slot, len(a.Records))
	for i, d := range a.decisions {
		switch uid := a.Records[i].UID; d.Verdict {
		case Fits:
			out[uid] = Slot{d.Shard, a.size(i)}
		case GrowthRefused:
			out[uid] = a.Previous[uid]
		case Overflow:
		}
	}
	return out
}

func (a *assignment) sorted(records []int) []int {
	slices.SortFunc(records, func(x, y int) int { return order(a.Records[x], a.Records[y]) })
	return records
}

func order(a, b Record) int {
	return cmp.Or(cmp.Compare(a.Seniority, b.Seniority), strings.Compare(a.UID, b.UID))
}

// Assemble returns the content of a shard with records, which it sorts.
func Assemble(records []Record) []byte {
	slices.SortFunc(records, order)
	size := 0
	for i := range records {
		size += len(records[i].Line)
	}
	out := make([]byte, 0, size)
	for i := range records {
		out = append(out, records[i].Line...)
	}
	return out
}

func home(uid string, count int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid)) // a hash.Hash never fails
	return int(h.Sum32() % uint32(count))
}
