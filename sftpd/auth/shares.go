package auth

import (
	"context"
	"slices"
	"sync"
)

// shares is a weighted semaphore whose slots go to namespaces in rotation, and within one namespace to waiters in order of
// arrival. A waiter that needs much is not overtaken by those that need little, so it eventually gets its turn.
type shares struct {
	// most is what one namespace may hold while there are others. A single waiter may always have what it needs.
	most int64

	mu   sync.Mutex
	free int64
	held map[string]int64
	// turns are the waiting namespaces, next first, and waiting has their waiters.
	turns   []string
	waiting map[string][]*waiter
}

// waiter waits for an amount. granted is closed when it has it.
type waiter struct {
	amount  int64
	shared  bool
	granted chan struct{}
}

func newShares(free, most int64) *shares {
	return &shares{free: free, most: most, held: map[string]int64{}, waiting: map[string][]*waiter{}}
}

// acquire waits for an amount, which must not exceed the total. An error is the context's. shared means that there are other
// namespaces.
func (s *shares) acquire(ctx context.Context, namespace string, shared bool, amount int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiter{amount: amount, shared: shared, granted: make(chan struct{})}
	s.mu.Lock()
	if len(s.waiting[namespace]) == 0 {
		s.turns = append(s.turns, namespace)
	}
	s.waiting[namespace] = append(s.waiting[namespace], w)
	s.pass()
	s.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		s.leave(namespace, w)
		return ctx.Err()
	}
}

// release returns an amount.
func (s *shares) release(namespace string, amount int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack(namespace, amount)
}

func (s *shares) giveBack(namespace string, amount int64) {
	s.free += amount
	if s.held[namespace] -= amount; s.held[namespace] == 0 {
		delete(s.held, namespace)
	}
	s.pass()
}

// leave stops waiting. An amount granted in the meantime goes to the next waiter.
func (s *shares) leave(namespace string, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting[namespace], w)
	if i < 0 {
		s.giveBack(namespace, w.amount)
		return
	}
	s.remove(namespace, i)
	if len(s.waiting[namespace]) == 0 {
		s.turns = slices.DeleteFunc(s.turns, func(n string) bool { return n == namespace })
	}
	s.pass() // it may have been the one that blocked all others
}

// pass grants what can be granted. A namespace that holds its full share is skipped.
func (s *shares) pass() {
	for i := 0; i < len(s.turns); {
		namespace := s.turns[i]
		w := s.waiting[namespace][0]
		if held := s.held[namespace]; w.shared && held > 0 && held+w.amount > s.most {
			i++
			continue
		}
		if w.amount > s.free {
			return
		}
		s.free -= w.amount
		s.held[namespace] += w.amount
		close(w.granted)
		s.remove(namespace, 0)
		s.turns = slices.Delete(s.turns, i, i+1)
		if len(s.waiting[namespace]) > 0 {
			s.turns = append(s.turns, namespace)
		}
		i = 0 // a skipped one may have become next
	}
}

func (s *shares) remove(namespace string, i int) {
	if s.waiting[namespace] = slices.Delete(s.waiting[namespace], i, i+1); len(s.waiting[namespace]) == 0 {
		delete(s.waiting, namespace)
	}
}
