package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// want waits for an amount and holds it for a second, plus a little more for later waiters.
type want struct {
	namespace string
	amount    int64
}

// granted returns the order and the second in which the waiters get their amounts. They arrive one after another.
func granted(s *shares, shared bool, wants ...want) (order []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := time.Now()
	for i, w := range wants {
		wg.Go(func() {
			if s.acquire(context.Background(), w.namespace, shared, w.amount) != nil {
				return
			}
			mu.Lock()
			order = append(order, fmt.Sprint(w.namespace, int(time.Since(begin).Seconds())))
			mu.Unlock()
			time.Sleep(time.Second + time.Duration(i)*time.Millisecond)
			s.release(w.namespace, w.amount)
		})
		synctest.Wait()
	}
	wg.Wait()
	slices.Sort(order)
	return order
}

func TestShares(t *testing.T) {
	a, b, c := want{"a", 1}, want{"b", 1}, want{"c", 1}
	for _, tc := range []struct {
		name   string
		shared bool
		wants  []want
		order  []string
	}{
		{"a single namespace has all", false, []want{a, a, a, a}, []string{"a0", "a0", "a0", "a1"}},
		{"one leaves a place while there are others", true, []want{a, a, a, b, a}, []string{"a0", "a0", "a1", "a1", "b0"}},
		{"namespaces take turns, however many wait", true, []want{a, a, c, a, a, a, a, b, b, b}, []string{"a0", "a0", "a1", "a1", "a2", "a3", "b1", "b2", "b2", "c0"}},
		{"more than the share of a namespace that has nothing", true, []want{{"a", 3}, b, b}, []string{"a0", "b1", "b1"}},
		{"a second one that would be more than the share", true, []want{a, {"a", 2}, b}, []string{"a0", "a1", "b0"}},
		{"who needs much is not overtaken", true, []want{a, {"b", 3}, c, c}, []string{"a0", "b1", "c2", "c2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShares(3, 2)
				if got := granted(s, tc.shared, tc.wants...); !slices.Equal(got, tc.order) {
					t.Errorf("%v, want %v", got, tc.order)
				}
				if s.free != 3 || len(s.held) > 0 || len(s.turns) > 0 || len(s.waiting) > 0 {
					t.Errorf("something is left: %+v", s)
				}
			})
		})
	}
}

// A waiter that leaves at any moment does not block the others.
func TestSharesAreLeft(t *testing.T) {
	for range 200 {
		s := newShares(3, 2)
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 20 {
			wg.Go(func() {
				namespace, amount := string(rune('a'+i%3)), int64(1+i%3)
				if s.acquire(ctx, namespace, true, amount) == nil {
					s.release(namespace, amount)
				}
			})
		}
		cancel()
		wg.Wait()
		if s.free != 3 || len(s.held) > 0 || len(s.turns) > 0 || len(s.waiting) > 0 {
			t.Fatalf("something is left: %+v", s)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := newShares(3, 2)
		if err := s.acquire(t.Context(), "a", true, 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { _ = s.acquire(ctx, "b", true, 3) }()
		synctest.Wait()
		begin := time.Now()
		if err := s.acquire(t.Context(), "c", true, 1); err != nil || time.Since(begin) != time.Second {
			t.Errorf("the next has its place after %v: %v", time.Since(begin), err)
		}
	})
}

// TestLeavingOfSeveral: of two waiters of a namespace one leaves, and the other one keeps its turn. What was granted to one that
// left at the same moment goes to the next.
func TestLeavingOfSeveral(t *testing.T) {
	for first := range 2 {
		synctest.Test(t, func(t *testing.T) {
			s := newShares(3, 3)
			if err := s.acquire(t.Context(), "a", true, 3); err != nil {
				t.Fatal(err)
			}
			var order []int
			var contexts [2]context.CancelFunc
			for i := range 2 {
				ctx, cancel := context.WithCancel(t.Context())
				contexts[i] = cancel
				go func() {
					if s.acquire(ctx, "b", true, 2) == nil {
						order = append(order, i)
						s.release("b", 2)
					}
				}()
				synctest.Wait()
			}
			contexts[first]()
			synctest.Wait()
			s.release("a", 3)
			synctest.Wait()
			contexts[1-first]()
			if !slices.Equal(order, []int{1 - first}) || s.free != 3 || len(s.held) > 0 || len(s.turns) > 0 || len(s.waiting) > 0 {
				t.Errorf("waiter %d leaves: granted to %v, left %+v", first, order, s)
			}
		})
	}
	// The amount of one that only waited is not there for those before it.
	synctest.Test(t, func(t *testing.T) {
		s := newShares(3, 3)
		if err := s.acquire(t.Context(), "a", true, 3); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		early := true
		go func() {
			if s.acquire(t.Context(), "c", true, 2) != nil || early {
				t.Error("granted what another one holds")
			}
			s.release("c", 2)
		}()
		synctest.Wait()
		go func() { _ = s.acquire(ctx, "b", true, 2) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		early = false
		s.release("a", 3)
		synctest.Wait()
		if s.free != 3 || len(s.held) > 0 || len(s.turns) > 0 || len(s.waiting) > 0 {
			t.Errorf("left %+v", s)
		}
	})
	s := newShares(3, 3)
	if err := s.acquire(t.Context(), "a", true, 2); err != nil {
		t.Fatal(err)
	}
	s.leave("a", &waiter{amount: 2}) // it is no longer among those that wait
	if s.free != 3 || len(s.held) > 0 || len(s.turns) > 0 || len(s.waiting) > 0 {
		t.Errorf("left %+v", s)
	}
}
