package shard

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// record returns a record with a line of a given length, which begins with the UID.
func record(n, size int) Record {
	uid := fmt.Sprintf("uid-%04d", n)
	return Record{UID: uid, Seniority: int64(n), Line: line(uid, size)}
}

func line(uid string, size int) []byte {
	return []byte(uid + strings.Repeat(".", size-len(uid)-1) + "\n")
}

func records(n, size int) []Record {
	out := make([]Record, n)
	for i := range out {
		out[i] = record(i, size)
	}
	return out
}

// uids returns the UIDs in the lines of a shard.
func uids(shard []byte) (out []string) {
	for l := range bytes.Lines(shard) {
		out = append(out, strings.TrimRight(string(l), ".\n"))
	}
	return out
}

func TestCount(t *testing.T) {
	for maxUsers, want := range map[int]int{0: 1, 1: 1, 625: 1, 626: 2, 1000: 2, 10000: 16, 40000: 64} {
		if got := Count(maxUsers); got != want {
			t.Errorf("Count(%d) = %d, want %d", maxUsers, got, want)
		}
	}
}

func TestEveryRecordIsInOneShard(t *testing.T) {
	plan := Place(Input{Records: records(200, 300), Count: 4})
	seen := map[string]int{}
	for i, s := range plan.Shards {
		if n := len(uids(s)); n < 25 {
			t.Errorf("shard %d has %d of 200 records, want them spread evenly", i, n)
		}
		for _, uid := range uids(s) {
			seen[uid]++
			if plan.Slots[uid] != (Slot{i, 300}) {
				t.Errorf("%s is in shard %d, and its slot is %v", uid, i, plan.Slots[uid])
			}
		}
	}
	for _, r := range records(200, 300) {
		if seen[r.UID] != 1 {
			t.Errorf("%s stands %d times", r.UID, seen[r.UID])
		}
	}
	if len(plan.Slots) != 200 || len(plan.Overflow)+len(plan.GrowthRefused) != 0 {
		t.Errorf("%d slots, %v, %v", len(plan.Slots), plan.Overflow, plan.GrowthRefused)
	}
}

func TestNoUsersGiveEmptyShards(t *testing.T) {
	if got := Place(Input{Count: 2}).Shards; !reflect.DeepEqual(got, [][]byte{{}, {}}) {
		t.Errorf("got %q, want two empty shards, not none", got)
	}
}

func TestOneChangeDirtiesOneShard(t *testing.T) {
	before := Place(Input{Records: records(100, 300), Count: 4})
	changes := map[string]func([]Record) []Record{
		"a user is added":   func(r []Record) []Record { return append(r, record(100, 300)) },
		"a user is removed": func(r []Record) []Record { return append(r[:50], r[51:]...) },
		"a user grows":      func(r []Record) []Record { r[50] = record(50, 301); return r },
		"a user shrinks":    func(r []Record) []Record { r[50] = record(50, 299); return r },
	}
	for name, change := range changes {
		after := Place(Input{Records: change(records(100, 300)), Count: 4, Previous: before.Slots})
		dirty := 0
		for i := range after.Shards {
			if !bytes.Equal(before.Shards[i], after.Shards[i]) {
				dirty++
			}
		}
		if dirty != 1 {
			t.Errorf("%s: %d shards changed, want 1", name, dirty)
		}
	}
}

// The cases have one shard, unless they say otherwise. Sizes are in thirds of a shard.
func TestPlace(t *testing.T) {
	const third = MaxBytes / 3
	slot := func(shard, thirds int) Slot { return Slot{shard, thirds * third} }
	reduced := func(n, thirds, reducedThirds int) Record {
		r := record(n, thirds*third)
		r.Reduced = line(r.UID, reducedThirds*third)
		return r
	}
	for name, c := range map[string]struct {
		records  []Record
		count    int
		previous map[string]Slot
		want     [][]string // UIDs by shard
		overflow []string
		refused  []string
		slots    map[string]Slot // some of them
	}{
		"of those that arrive the oldest come first": {
			records: []Record{record(4, third), record(2, third), record(1, third), record(3, third)},
			want:    [][]string{{"uid-0001", "uid-0002", "uid-0003"}}, overflow: []string{"uid-0004"},
		},
		"a small one fits where a large one does not": {
			records: []Record{record(1, 2*third), record(2, 2*third), record(3, third)},
			want:    [][]string{{"uid-0001", "uid-0003"}}, overflow: []string{"uid-0002"},
		},
		"an older one that arrives pushes out no incumbent": {
			records:  []Record{record(1, third), record(7, 2*third), record(8, third)},
			previous: map[string]Slot{"uid-0007": slot(0, 2), "uid-0008": slot(0, 1)},
			want:     [][]string{{"uid-0007", "uid-0008"}}, overflow: []string{"uid-0001"},
		},
		"growth takes free room": {
			records:  []Record{record(1, 2*third), record(2, third)},
			previous: map[string]Slot{"uid-0001": slot(0, 1), "uid-0002": slot(0, 1)},
			want:     [][]string{{"uid-0001", "uid-0002"}}, slots: map[string]Slot{"uid-0001": slot(0, 2)},
		},
		"growth of an older one pushes out no younger one": {
			records:  []Record{reduced(1, 2, 1), record(2, third), record(3, third)},
			previous: map[string]Slot{"uid-0001": slot(0, 1), "uid-0002": slot(0, 1), "uid-0003": slot(0, 1)},
			want:     [][]string{{"uid-0001", "uid-0002", "uid-0003"}}, refused: []string{"uid-0001"},
			slots: map[string]Slot{"uid-0001": slot(0, 1)},
		},
		"growth moves to another shard": {
			records: []Record{record(1, 2*third), record(2, third), record(3, third)}, count: 2,
			previous: map[string]Slot{"uid-0001": slot(0, 1), "uid-0002": slot(0, 1), "uid-0003": slot(0, 1)},
			want:     [][]string{{"uid-0002", "uid-0003"}, {"uid-0001"}}, slots: map[string]Slot{"uid-0001": slot(1, 2)},
		},
		"growth comes before those that arrive": {
			records:  []Record{record(9, 3*third), record(1, third)},
			previous: map[string]Slot{"uid-0009": slot(0, 1)},
			want:     [][]string{{"uid-0009"}}, overflow: []string{"uid-0001"},
		},
		"a move makes room for an older one that was refused": {
			records: []Record{record(1, 2*third), record(2, 3*third), record(3, third)}, count: 2,
			previous: map[string]Slot{"uid-0001": slot(0, 1), "uid-0002": slot(0, 1), "uid-0003": slot(0, 1)},
			// The older one moves first; then the other one has its whole shard except for uid-0003.
			want:  [][]string{{"uid-0003"}, {"uid-0001"}},
			slots: map[string]Slot{"uid-0001": slot(1, 2), "uid-0002": slot(0, 1)}, refused: []string{"uid-0002"},
		},
		"without a reduced record the slot is kept": {
			records:  []Record{record(1, 2*third), record(2, 2*third), record(3, third)},
			previous: map[string]Slot{"uid-0001": slot(0, 1), "uid-0002": slot(0, 2)},
			want:     [][]string{{"uid-0002"}}, refused: []string{"uid-0001"}, overflow: []string{"uid-0003"},
			slots: map[string]Slot{"uid-0001": slot(0, 1)},
		},
		"a reduced record that is too large is not used": {
			records:  []Record{reduced(1, 3, 2), record(2, 2*third)},
			previous: map[string]Slot{"uid-0001": slot(0, 1), "uid-0002": slot(0, 2)},
			want:     [][]string{{"uid-0002"}}, refused: []string{"uid-0001"},
		},
		"fewer shards: who was in comes before those that arrive": {
			records:  []Record{record(1, 2*third), record(8, 2*third), record(9, third)},
			previous: map[string]Slot{"uid-0008": slot(1, 2), "uid-0009": slot(0, 1)},
			want:     [][]string{{"uid-0008", "uid-0009"}}, overflow: []string{"uid-0001"},
		},
		"slots from elsewhere are more than a shard has": {
			records:  []Record{record(1, 2*third), record(2, 2*third), record(3, third)},
			previous: map[string]Slot{"uid-0001": slot(0, 2), "uid-0002": slot(0, 2), "uid-0003": slot(0, 1)},
			want:     [][]string{{"uid-0001", "uid-0003"}}, overflow: []string{"uid-0002"},
		},
		"a slot that cannot be": {
			records:  []Record{record(1, third), record(2, third)},
			previous: map[string]Slot{"uid-0001": {Shard: -1, Bytes: third}, "uid-0002": {Shard: 0, Bytes: -5}},
			want:     [][]string{{"uid-0001", "uid-0002"}},
		},
		"room of one that is gone is free": {
			records:  []Record{record(5, 3*third)},
			previous: map[string]Slot{"uid-0001": slot(0, 3)},
			want:     [][]string{{"uid-0005"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Place(Input{Records: c.records, Count: max(c.count, 1), Previous: c.previous})
			for i, want := range c.want {
				if got := uids(plan.Shards[i]); !slices.Equal(got, want) {
					t.Errorf("shard %d has %v, want %v", i, got, want)
				}
			}
			if got := slices.Sorted(maps.Keys(plan.Overflow)); !slices.Equal(got, c.overflow) {
				t.Errorf("overflow %v, want %v", got, c.overflow)
			}
			if got := slices.Sorted(maps.Keys(plan.GrowthRefused)); !slices.Equal(got, c.refused) {
				t.Errorf("refused %v, want %v", got, c.refused)
			}
			for uid, want := range c.slots {
				if plan.Slots[uid] != want {
					t.Errorf("the slot of %s is %v, want %v", uid, plan.Slots[uid], want)
				}
			}
		})
	}
}

// A record that spills is in a shard other than its UID's, and stays there.
func TestSpill(t *testing.T) {
	var same []Record // all with one home shard
	for n := 0; len(same) < 7; n++ {
		if r := record(n, MaxBytes/3); home(r.UID, 2) == 0 {
			same = append(same, r)
		}
	}
	plan := Place(Input{Records: same, Count: 2})
	if n, m := len(uids(plan.Shards[0])), len(uids(plan.Shards[1])); n != 3 || m != 3 || len(plan.Overflow) != 1 {
		t.Fatalf("%d and %d records, %d left; want 3, 3 and 1", n, m, len(plan.Overflow))
	}
	spilled := uids(plan.Shards[1])[0]
	rest := slices.DeleteFunc(slices.Clone(same), func(r Record) bool { return r.UID == uids(plan.Shards[0])[0] })
	if after := Place(Input{Records: rest, Count: 2, Previous: plan.Slots}); after.Slots[spilled].Shard != 1 {
		t.Errorf("%s moved back", spilled)
	}
}

func TestSlotsAreSharedWhenNoneChanges(t *testing.T) {
	in := Input{Records: records(10, 300), Count: 2}
	first := Place(in)
	in.Previous = first.Slots
	if second := Place(in); reflect.ValueOf(second.Slots).Pointer() != reflect.ValueOf(first.Slots).Pointer() {
		t.Error("the slots were copied")
	}
	in.Records[3] = record(3, 301)
	before := maps.Clone(first.Slots)
	if third := Place(in); third.Slots["uid-0003"].Bytes != 301 || !maps.Equal(first.Slots, before) {
		t.Error("the previous slots were changed")
	}
}

// random is a random history of a listener's records.
type random struct {
	*rand.Rand
	live map[int]int // sizes by number
	next int
}

func (r *random) size() int {
	if r.IntN(3) == 0 {
		return 100_000 + r.IntN(400_000)
	}
	return 200 + r.IntN(40_000)
}

// step changes some records.
func (r *random) step() {
	for range 1 + r.IntN(5) {
		switch r.IntN(4) {
		case 0, 1:
			r.live[r.next] = r.size()
			r.next++
		case 2:
			for n := range r.live {
				if r.IntN(4) == 0 {
					r.live[n] = r.size()
					break
				}
			}
		default:
			if r.IntN(2) == 0 {
				for n := range r.live {
					delete(r.live, n)
					break
				}
			}
		}
	}
}

func (r *random) records() []Record {
	var out []Record
	for n, size := range r.live {
		rec := record(n, size)
		rec.Seniority = int64((n * 7919) % 100) // not the order of arrival
		if n%3 > 0 {
			rec.Reduced = line(rec.UID, max(size/2, 20))
		}
		out = append(out, rec)
	}
	return out
}

// Whatever happens to other records, an incumbent keeps its place, and sizes never exceed a shard's capacity.
func TestHistories(t *testing.T) {
	var overflows, refusals int
	for seed := range uint64(12) {
		r := &random{Rand: rand.New(rand.NewPCG(seed, 1)), live: map[int]int{}}
		in := Input{Count: 1 + int(seed%3)}
		for range 40 {
			r.step()
			in.Records = r.records()
			plan := Place(in)
			check(t, in, plan)
			overflows += len(plan.Overflow)
			refusals += len(plan.GrowthRefused)
			again := in
			again.Records = slices.Clone(in.Records)
			r.Shuffle(len(again.Records), func(i, j int) {
				again.Records[i], again.Records[j] = again.Records[j], again.Records[i]
			})
			if got := Place(again); !reflect.DeepEqual(got, plan) {
				t.Fatalf("seed %d: another order of the records gives another plan", seed)
			}
			again.Previous = plan.Slots
			if got := Place(again); !reflect.DeepEqual(got, plan) {
				t.Fatalf("seed %d: nothing has changed, and the plan has", seed)
			}
			in.Previous = plan.Slots
		}
	}
	if overflows == 0 || refusals == 0 {
		t.Errorf("%d overflows and %d refusals: the histories do not reach what they are for", overflows, refusals)
	}
}

// check compares a plan with the invariants of every plan.
func check(t *testing.T, in Input, plan Plan) {
	t.Helper()
	where, room := map[string]int{}, make([]int, in.Count)
	for i, s := range plan.Shards {
		for l := range bytes.Lines(s) {
			uid := strings.TrimRight(string(l), ".\n")
			if _, twice := where[uid]; twice {
				t.Fatalf("%s stands twice", uid)
			}
			where[uid] = i
		}
		order := map[string]Record{}
		for _, r := range in.Records {
			order[r.UID] = r
		}
		if !slices.IsSortedFunc(uids(s), func(a, b string) int {
			return int(order[a].Seniority-order[b].Seniority)*10 + strings.Compare(a, b)
		}) {
			t.Fatalf("shard %d is not sorted: %v", i, uids(s))
		}
	}
	for _, s := range plan.Slots {
		room[s.Shard] += s.Bytes
	}
	for i, n := range room {
		if n > MaxBytes || len(plan.Shards[i]) > n {
			t.Fatalf("shard %d has %d bytes, and %d reserved, of %d", i, len(plan.Shards[i]), n, MaxBytes)
		}
	}
	for _, r := range in.Records {
		was, incumbent := in.Previous[r.UID]
		is, in := plan.Slots[r.UID]
		shard, written := where[r.UID]
		refused, left := plan.GrowthRefused[r.UID], plan.Overflow[r.UID]
		switch {
		case in == left:
			t.Fatalf("%s: slot %v, left out %v", r.UID, in, left)
		case incumbent && !in:
			t.Fatalf("%s was in and has lost its slot", r.UID)
		case refused && (is != was || len(r.Line) <= was.Bytes):
			t.Fatalf("%s: growth refused, slot %v, before %v, needs %d", r.UID, is, was, len(r.Line))
		case refused && written != (r.Reduced != nil && len(r.Reduced) <= was.Bytes):
			t.Fatalf("%s: growth refused, written %v", r.UID, written)
		case in && !refused && (!written || is != Slot{shard, len(r.Line)}):
			t.Fatalf("%s: slot %v, written %v in shard %d", r.UID, is, written, shard)
		case in && !refused && incumbent && len(r.Line) <= was.Bytes && is.Shard != was.Shard:
			t.Fatalf("%s moved without a need", r.UID)
		case left && !everywhere(room, len(r.Line)):
			t.Fatalf("%s with %d bytes was left out, and there was room: %v", r.UID, len(r.Line), room)
		case refused && !everywhere(room, len(r.Line)):
			t.Fatalf("%s needs %d bytes and was refused, and there was room: %v", r.UID, len(r.Line), room)
		}
	}
}

// everywhere reports whether a size does not fit into any shard.
func everywhere(room []int, size int) bool {
	return !slices.ContainsFunc(room, func(used int) bool { return used+size <= MaxBytes })
}

// Records that grow after they were admitted displace no others.
func TestLargeRecordsEvictNone(t *testing.T) {
	all := records(240, 400)
	plan := Place(Input{Records: all, Count: 2})
	for i := range 40 { // the oldest
		all[i] = record(i, 16<<10)
	}
	for i := 240; i < 640; i++ { // and newer ones
		all = append(all, record(i, 16<<10))
	}
	plan = Place(Input{Records: all, Count: 2, Previous: plan.Slots})
	for i := 40; i < 240; i++ {
		if uid := all[i].UID; plan.Overflow[uid] || plan.GrowthRefused[uid] {
			t.Errorf("%s is out", uid)
		}
	}
	if len(plan.Overflow) == 0 {
		t.Error("everything fits: the test shows nothing")
	}
}
