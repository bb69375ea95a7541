package sweep

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestDeadlines compares Deadlines with a map, for random calls in random order.
func TestDeadlines(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		var d deadlines
		watches := make([]*Watch, 1+r.IntN(20))
		for i := range watches {
			watches[i] = &Watch{}
		}
		due, gone, again := map[*Watch]time.Duration{}, map[*Watch]bool{}, false
		for range 300 {
			w, when := watches[r.IntN(len(watches))], time.Duration(r.IntN(100))
			switch n := r.IntN(20); {
			case n == 0:
				d.all()
				for w := range due {
					due[w] = 0
				}
				again = true
			case n == 1:
				d.remove(w)
				delete(due, w)
				gone[w] = true
			case n < 7:
				var want []time.Duration
				for w, at := range due {
					if at <= when {
						want = append(want, at)
						delete(due, w)
					}
				}
				var got []time.Duration
				for _, w := range d.take(when) {
					got = append(got, w.due)
				}
				slices.Sort(want) // the earliest deadline comes first
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d: at %d these are due: %v, want %v", seed, when, got, want)
				}
				again = false
			case !gone[w]:
				if d.at(w, when); again {
					when = 0
				}
				due[w] = when
			default:
				d.at(w, when)
			}
			for _, w := range d.queue[len(d.queue):cap(d.queue)] {
				if w != nil {
					t.Fatal("memory is kept for a session that is not in the queue")
				}
			}
			if len(d.queue) != len(due) {
				t.Fatalf("seed %d: %d are in the queue, want %d", seed, len(d.queue), len(due))
			}
		}
		for w, at := range due {
			if w.due != at {
				t.Errorf("seed %d: one is due at %d, want %d", seed, w.due, at)
			}
		}
	}
}

// TestAfter: a time too far in the future to be represented is Never.
func TestAfter(t *testing.T) {
	const Never = time.Duration(math.MaxInt64)
	for _, tc := range [][3]time.Duration{
		{0, 0, 0}, {5, 3, 8}, {0, Never, Never}, {1, Never, Never}, {5, Never - 5, Never}, {5, Never - 6, Never - 1}, {Never, 1, Never},
	} {
		if got := after(tc[0], tc[1]); got != tc[2] {
			t.Errorf("%d after %d is %d, want %d", tc[1], tc[0], got, tc[2])
		}
	}
}
