package outbox

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// kept is an event of a ledger.
type kept struct {
	n, at int
	user  string
	size  int64
	seg   *segment
	needs map[string]bool // sinks that still need it
	dead  bool
}

// ledger is an index that is easy to get right: a list of events, which is counted again for each question.
type ledger struct {
	events  []*kept
	acked   map[string]int
	dropped map[string]int
}

func (l *ledger) of(sink string, dead bool) (out []*kept) {
	for _, e := range l.events {
		if e.dead == dead && e.needs[sink] {
			out = append(out, e)
		}
	}
	return out
}

func (l *ledger) ack(sink string, n int) {
	if n <= l.acked[sink] {
		return
	}
	l.acked[sink] = n
	for _, e := range l.of(sink, false) {
		if e.n <= n {
			delete(e.needs, sink)
		}
	}
}

// drop drops what is older than a time, except for receipts that are not in their store.
func (l *ledger) drop(before int) {
	for _, e := range l.events {
		for sink := range e.needs {
			if e.at < before && (e.dead || sink != receiptsSink) {
				delete(e.needs, sink)
				l.dropped[sink]++
			}
		}
	}
}

func (l *ledger) configure(names []string, last int) {
	for _, e := range l.events {
		maps.DeleteFunc(e.needs, func(sink string, _ bool) bool { return sink != receiptsSink && !slices.Contains(names, sink) })
	}
	for _, sink := range names {
		if _, known := l.acked[sink]; !known {
			l.acked[sink] = last
		}
	}
	gone := func(sink string, _ int) bool { return sink != receiptsSink && !slices.Contains(names, sink) }
	maps.DeleteFunc(l.acked, gone)
	maps.DeleteFunc(l.dropped, gone)
}

// differs returns what an index answers differently, "" if nothing.
func (l *ledger) differs(x *index, segs []*segment) string {
	var wrong []string
	check := func(what string, ok bool) {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	var total, deadBytes int64
	users, namespaces := map[string]int64{}, map[string]int64{}
	live := map[*segment]int64{}
	for _, e := range l.events {
		live[e.seg] += e.size
		if e.dead {
			deadBytes += e.size
			continue
		}
		namespace, _, _ := strings.Cut(e.user, "/")
		total, users[e.user], namespaces[namespace] = total+e.size, users[e.user]+e.size, namespaces[namespace]+e.size
	}
	have := map[string]int64{}
	for name, a := range x.users {
		have[name] = a.bytes
	}
	check("bytes of all", x.total == total)
	check("bytes by user", maps.Equal(have, users))
	check("bytes by namespace", maps.Equal(x.namespaces, namespaces))
	check("bytes of dead letters", x.deadBytes == deadBytes)
	for _, s := range segs {
		check("bytes of a segment", s.live == live[s])
	}
	for at, s := range x.sinks {
		pending, letters := l.of(s.Name, false), l.of(s.Name, true)
		var bytes, oldest int64
		for _, e := range pending {
			bytes += e.size
		}
		if len(pending) > 0 {
			oldest = int64(pending[0].at)
		}
		check(s.Name+" pending", s.pending == len(pending) && s.bytes == bytes)
		check(s.Name+" dropped", s.dropped == uint64(l.dropped[s.Name]))
		check(s.Name+" oldest", x.oldest(at) == oldest)
		check(s.Name+" dead", slices.EqualFunc(s.dead, letters, func(a letter, b *kept) bool { return a.n == uint64(b.n) && a.user == b.user }))
	}
	return strings.Join(wrong, ", ")
}

// TestBooksBalance: whatever is recorded, delivered, given up, dropped and configured in whatever order, what sinks and users
// occupy is the total of the events that are still needed. If it were less, events would be refused while there is room; if it
// were more, a log would grow without a bound.
func TestBooksBalance(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 1))
		names := []string{"a", "b", "c"}
		x := newIndex(1<<40, sinks(names...))
		l := &ledger{acked: map[string]int{"a": 0, "b": 0, "c": 0, receiptsSink: 0}, dropped: map[string]int{}}
		segs := []*segment{{}, {}, {}}
		last := 0
		for step := range 1000 {
			last++
			name := slices.Concat(names, []string{receiptsSink})[rng.IntN(len(names)+1)]
			at := slices.IndexFunc(x.sinks, func(s *sink) bool { return s.Name == name })
			switch what := rng.IntN(20); {
			case what < 12:
				e := &kept{n: last, at: last, user: []string{"t/a", "t/b", "u/a", strangers}[rng.IntN(4)], size: int64(rng.IntN(50) + 1), seg: segs[rng.IntN(3)], needs: map[string]bool{}}
				set := uint32(rng.IntN(1 << len(x.sinks)))
				for i, s := range x.sinks {
					if set&(1<<i) != 0 {
						e.needs[s.Name] = true
					}
				}
				l.events = append(l.events, e)
				was := x.total
				if added := x.add(entry{n: uint64(e.n), seg: e.seg, size: e.size, at: int64(e.at), user: x.account(e.user), sinks: set}); added != (set != 0) || added != (x.total > was) {
					t.Fatalf("seed %d: an event for %d sinks was added: %v", seed, len(e.needs), added)
				}
			case what < 15:
				n := l.acked[name] + rng.IntN(max(last-l.acked[name], 1))
				changed := n > l.acked[name]
				if l.ack(name, n); x.ack(at, uint64(n)) != changed {
					t.Fatalf("seed %d: acknowledged up to %d, changed: %v", seed, n, !changed)
				}
			case what < 17 && name != receiptsSink:
				e := &kept{n: last, at: last, user: "t/a", size: 7, seg: segs[0], needs: map[string]bool{name: true}, dead: true}
				l.events = append(l.events, e)
				x.bury(at, entry{n: uint64(e.n), seg: e.seg, size: e.size, at: int64(e.at), user: x.account(e.user)}, "id")
			case what < 18:
				if letters := l.of(name, true); len(letters) > 0 {
					gone := letters[rng.IntN(len(letters))]
					delete(gone.needs, name)
					x.removeDead(at, uint64(gone.n))
				}
			case what < 19:
				before := max(last-200-rng.IntN(200), 0)
				l.drop(before)
				x.expire(int64(before))
			default:
				names = [][]string{{"a", "b", "c"}, {"c", "a"}, {"b"}, {"d", "a", "b"}}[rng.IntN(4)]
				l.configure(names, last)
				x.configure(1<<40, sinks(names...), uint64(last))
			}
			l.events = slices.DeleteFunc(l.events, func(e *kept) bool { return len(e.needs) == 0 })
			if why := l.differs(x, segs); why != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, why)
			}
		}
		if least := 2*len(l.events) + 300; len(x.entries) > least {
			t.Errorf("seed %d: %d entries for %d events are in memory", seed, len(x.entries), len(l.events))
		}
	}
}
