package peruser

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func oneTurn() *Users {
	u := New()
	u.turns.free = 1
	return u
}

// waitFor queues requests for turns of a user, in order; each sends the user's name when it gets its turn.
func waitFor(t *testing.T, u *Users, uid, namespace string, n int, order chan<- string) {
	t.Helper()
	a := u.Join(uid, namespace)
	for range n {
		go func() {
			done, err := a.Turn(t.Context())
			if err == nil {
				order <- uid
				done()
			}
		}()
		synctest.Wait()
	}
}

// TestTurnsAreFair: a user who arrives late with one request does not wait for all requests of another user.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := oneTurn()
		if u.turns.join(u.Join("first", "team")) != nil { // not lent, unlike one from Turn
			t.Fatal("no place")
		}
		order := make(chan string, 16)
		waitFor(t, u, "ada", "team", 5, order)
		waitFor(t, u, "bob", "team", 2, order)
		waitFor(t, u, "eve", "team", 1, order)
		u.turns.release()
		var got []string
		for range 8 {
			got = append(got, <-order)
		}
		if want := []string{"ada", "bob", "eve", "ada", "bob", "ada", "ada", "ada"}; !slices.Equal(got, want) {
			t.Errorf("turns of %s, want %s", got, want)
		}
		synctest.Wait() // the last one returns its slot after it has sent
		if u.turns.free != 1 || len(u.turns.waiting) != 0 {
			t.Errorf("%d places are free and %d users wait", u.turns.free, len(u.turns.waiting))
		}
	})
}

// TestNamespacesAreFair: a namespace with one user gets as many turns as one with several.
func TestNamespacesAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := oneTurn()
		if u.turns.join(u.Join("first", "team")) != nil {
			t.Fatal("no place")
		}
		order := make(chan string, 16)
		waitFor(t, u, "ada", "team", 2, order)
		waitFor(t, u, "bob", "team", 2, order)
		waitFor(t, u, "eve", "other", 3, order)
		gone := u.Join("gone", "left")
		u.turns.leave(gone, u.turns.join(gone))
		u.turns.release()
		var got []string
		for range 7 {
			got = append(got, <-order)
		}
		if want := []string{"ada", "eve", "bob", "eve", "ada", "eve", "bob"}; !slices.Equal(got, want) {
			t.Errorf("turns of %s, want %s", got, want)
		}
		synctest.Wait()
		if u.turns.free != 1 || len(u.turns.waiting)+len(u.turns.users) != 0 {
			t.Errorf("%d places are free and %v wait", u.turns.free, u.turns.waiting)
		}
	})
}

// TestTurnEndsWithItsContext: a turn ends with its context while it waits, and also if its slot becomes free at that moment.
func TestTurnEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := oneTurn()
		a := u.Join("ada", "team")
		if u.turns.join(a) != nil {
			t.Fatal("no place")
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := a.Turn(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: %v", err)
		}
		if len(a.queue) != 0 || len(u.turns.waiting) != 0 {
			t.Error("it still waits")
		}
		place := u.turns.join(a)
		u.turns.release()
		<-place
		u.turns.leave(a, place) // it became free at the same moment
		if u.turns.free != 1 {
			t.Error("a place is lost")
		}
		if _, err := a.Turn(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestPace(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := pace{tokens: logBurst, at: now}
	for _, n := range []int{logBurst / 2, logBurst / 2} {
		if wait := p.take(n, now); wait != 0 {
			t.Errorf("the burst waits for %s", wait)
		}
	}
	if wait := p.take(logRate, now); wait != time.Second {
		t.Errorf("a second's worth waits for %s", wait)
	}
	now = now.Add(time.Second)
	if wait := p.take(logRate/2, now); wait != time.Second/2 {
		t.Errorf("half a second's worth waits for %s", wait)
	}
	if p.full(now) || !p.full(now.Add(time.Hour)) {
		t.Error("fullness is wrong")
	}
}

// TestAccountsStayWhileInDebt: logging in again gives no new burst, and accounts do not accumulate.
func TestAccountsStayWhileInDebt(t *testing.T) {
	u := New()
	a := u.Join("ada", "team")
	a.Logged(logBurst)
	a.Leave()
	for i := range 10 * minClear {
		u.Join(strconv.Itoa(i), "team").Leave()
	}
	if u.Join("ada", "team") != a {
		t.Error("the debt is forgotten")
	}
	if n := len(u.accounts); n > minClear+1 {
		t.Errorf("%d accounts", n)
	}
}
