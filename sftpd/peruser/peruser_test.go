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

// waitFor queues turns of a user, in order, that send its name when they come.
func waitFor(t *testing.T, u *Users, uid string, n int, order chan<- string) {
	t.Helper()
	a := u.Join(uid)
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

// TestTurnsAreFair: who comes late with one request is not behind all of another user's.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := oneTurn()
		if u.turns.join(u.Join("first")) != nil { // not lent, as Turn's would be
			t.Fatal("no place")
		}
		order := make(chan string, 16)
		waitFor(t, u, "ada", 5, order)
		waitFor(t, u, "bob", 2, order)
		waitFor(t, u, "eve", 1, order)
		u.turns.release()
		var got []string
		for range 8 {
			got = append(got, <-order)
		}
		if want := []string{"ada", "bob", "eve", "ada", "bob", "ada", "ada", "ada"}; !slices.Equal(got, want) {
			t.Errorf("turns of %s, want %s", got, want)
		}
		synctest.Wait() // the last gives its place back after it has sent
		if u.turns.free != 1 || len(u.turns.waiting) != 0 {
			t.Errorf("%d places are free and %d users wait", u.turns.free, len(u.turns.waiting))
		}
	})
}

// TestTurnEndsWithItsContext: while it waits, and if its place comes at that moment.
func TestTurnEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := oneTurn()
		a := u.Join("ada")
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
		u.turns.leave(a, place) // it came at the same moment
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

// TestAccountsStayWhileInDebt: logging in again gives no other burst, and accounts do not add up.
func TestAccountsStayWhileInDebt(t *testing.T) {
	u := New()
	a := u.Join("ada")
	a.Logged(logBurst)
	a.Leave()
	for i := range 10 * minClear {
		u.Join(strconv.Itoa(i)).Leave()
	}
	if u.Join("ada") != a {
		t.Error("the debt is forgotten")
	}
	if n := len(u.accounts); n > minClear+1 {
		t.Errorf("%d accounts", n)
	}
}
