package queue

import stdheap "container/heap"

// heap contains the lanes whose first entry waits. The lane that is due first is at index 0.
type heap []*lane

// Len implements sort.Interface.
func (h *heap) Len() int { return len(*h) }

// Less implements sort.Interface.
func (h *heap) Less(i, j int) bool { return (*h)[i].entries[0].due.Before((*h)[j].entries[0].due) }

// Swap implements sort.Interface.
func (h *heap) Swap(i, j int) {
	(*h)[i], (*h)[j] = (*h)[j], (*h)[i]
	(*h)[i].at, (*h)[j].at = i, j
}

// Push implements container/heap.
func (h *heap) Push(x any) {
	l, _ := x.(*lane)
	l.at = len(*h)
	*h = append(*h, l)
}

// Pop implements container/heap.
func (h *heap) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	l.at = -1
	return l
}

func (h *heap) push(l *lane) { stdheap.Push(h, l) }
func (h *heap) pop()         { stdheap.Pop(h) }

// set moves a lane to its place after its first entry has changed.
func (h *heap) set(l *lane) {
	if l.at < 0 {
		stdheap.Push(h, l)
		return
	}
	stdheap.Fix(h, l.at)
}

func (h *heap) remove(l *lane) {
	if l.at >= 0 {
		// Less looks at first entries, and this lane may have none: it must not be compared.
		last := len(*h) - 1
		at := l.at
		if at != last {
			h.Swap(at, last)
		}
		h.Pop()
		if at != last {
			stdheap.Fix(h, at)
		}
	}
}
