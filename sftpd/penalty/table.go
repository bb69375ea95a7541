package penalty

import (
	"container/heap"
	"time"
)

// entry is the penalty of one key.
type entry[K comparable] struct {
	key K
	// until is when it has fully decayed.
	until time.Time
	// active is set once it has reached Minimum.
	active bool
	index  int // in the heap
}

// table holds the penalties of at most limit keys.
type table[K comparable] struct {
	limit   int
	entries map[K]*entry[K]
	byEnd   ends[K]
}

func newTable[K comparable](limit int) table[K] {
	return table[K]{limit: limit, entries: map[K]*entry[K]{}}
}

// add extends the penalty of a key, up to longest from now on.
func (t *table[K]) add(now time.Time, key K, weight, longest time.Duration) {
	t.expire(now)
	e, known := t.entries[key]
	if !known {
		e = &entry[K]{key: key, until: now}
		t.entries[key] = e
		heap.Push(&t.byEnd, e)
	}
	// A lowered maximum shortens existing penalties.
	if e.until = e.until.Add(weight); e.until.Sub(now) > longest {
		e.until = now.Add(longest)
	}
	e.active = e.active || e.until.Sub(now) >= min(Minimum, longest)
	heap.Fix(&t.byEnd, e.index)
	if len(t.entries) > t.limit {
		t.remove(t.byEnd[0].key)
	}
}

// expire drops penalties that are over.
func (t *table[K]) expire(now time.Time) {
	for len(t.byEnd) > 0 && !now.Before(t.byEnd[0].until) {
		t.remove(t.byEnd[0].key)
	}
}

func (t *table[K]) remove(key K) {
	if e, known := t.entries[key]; known {
		heap.Remove(&t.byEnd, e.index)
		delete(t.entries, key)
	}
}

func (t *table[K]) enforced(now time.Time, key K) bool {
	e, known := t.entries[key]
	return known && e.active && now.Before(e.until)
}

func (t *table[K]) countEnforced(now time.Time) int {
	t.expire(now)
	n := 0
	for _, e := range t.entries {
		if e.active {
			n++
		}
	}
	return n
}

// ends is a heap of entries, the one that ends first on top.
type ends[K comparable] []*entry[K]

func (h ends[K]) Len() int           { return len(h) }
func (h ends[K]) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h ends[K]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *ends[K]) Push(x any) {
	e, _ := x.(*entry[K])
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *ends[K]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
