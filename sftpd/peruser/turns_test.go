package peruser

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestPlaces: turns may use half of the processors, but at least one.
func TestPlaces(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for processors, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 16: 8} {
		runtime.GOMAXPROCS(processors)
		if got := New().turns.free; got != want || runtime.GOMAXPROCS(0) != processors {
			t.Errorf("%d processors, %d then: %d places, want %d", processors, runtime.GOMAXPROCS(0), got, want)
		}
	}
}

// line is the queue: users in the order of their turns, each with its requests.
type line struct {
	free  int
	users []*Account
	waits map[*Account][]chan struct{}
}

// next returns the request that gets the next free slot.
func (l *line) next() chan struct{} {
	if len(l.users) == 0 {
		l.free++
		return nil
	}
	first := l.users[0]
	place := l.waits[first][0]
	l.drop(first, 0)
	if slices.Contains(l.users, first) {
		l.users = append(l.users[1:], first)
	}
	return place
}

// drop removes one of a user's requests, and the user with its last one.
func (l *line) drop(a *Account, i int) {
	if l.waits[a] = slices.Delete(l.waits[a], i, i+1); len(l.waits[a]) == 0 {
		l.users = slices.DeleteFunc(l.users, func(u *Account) bool { return u == a })
	}
}

func came(place chan struct{}) bool {
	select {
	case <-place:
		return true
	default:
		return false
	}
}

// TestTurns compares turns with a line for any order of arrivals, departures and returned slots.
func TestTurns(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		u := New()
		u.turns.free = 1 + r.IntN(3)
		l := line{free: u.turns.free, waits: map[*Account][]chan struct{}{}}
		users, working := []*Account{u.Join("ada", "team"), u.Join("bob", "team"), u.Join("eve", "team")}, 0
		give := func() {
			if place := l.next(); place == nil {
				working--
			} else if !came(place) {
				t.Fatalf("seed %d: another one's turn", seed)
			}
		}
		for range 200 {
			a := users[r.IntN(len(users))]
			switch r.IntN(6) {
			case 0, 1: // done
				if working > 0 {
					u.turns.release()
					give()
				}
			case 2: // one leaves
				if n := len(l.waits[a]); n > 0 {
					i := r.IntN(n)
					place := l.waits[a][i]
					l.drop(a, i)
					u.turns.leave(a, place)
				}
			case 3: // one leaves at the moment it gets its turn
				if working > 0 && len(l.users) > 0 {
					a := l.users[0]
					place := l.waits[a][0]
					u.turns.release()
					give()
					u.turns.leave(a, place)
					give()
				}
			default:
				place := u.turns.join(a)
				if (place == nil) != (l.free > 0) {
					t.Fatalf("seed %d: a turn at once: %v, %d places are free", seed, place == nil, l.free)
				}
				if place == nil {
					l.free--
					working++
					continue
				}
				if len(l.waits[a]) == 0 {
					l.users = append(l.users, a)
				}
				l.waits[a] = append(l.waits[a], place)
			}
			have := 0
			for _, a := range users {
				have += len(a.queue)
				if !slices.Equal(a.queue, l.waits[a]) || slices.ContainsFunc(a.queue, came) {
					t.Fatalf("seed %d: %d wait, want %d", seed, len(a.queue), len(l.waits[a]))
				}
			}
			if u.turns.free != l.free || !slices.Equal(u.turns.users["team"], l.users) ||
				len(u.turns.waiting) != min(1, len(l.users)) || have > 0 && u.turns.free > 0 {
				t.Fatalf("seed %d: %d are free and %d wait", seed, u.turns.free, have)
			}
		}
	}
}

// TestLent: a turn is passed on after 20 ms, and returning it later, even twice, adds no slot.
func TestLent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := oneTurn()
		turn := func() (done func(), waited time.Duration) {
			t.Helper()
			begin := time.Now()
			done, err := u.Join("ada", "team").Turn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return done, time.Since(begin)
		}
		hung, waited := turn()
		if waited != 0 {
			t.Errorf("the first waits for %s", waited)
		}
		second, waited := turn()
		if waited != 20*time.Millisecond {
			t.Errorf("the second waits for %s", waited)
		}
		time.AfterFunc(5*time.Millisecond, func() { hung(); second() })
		third, waited := turn()
		if waited != 5*time.Millisecond {
			t.Errorf("the third waits for %s", waited)
		}
		hung()
		third()
		third()
		if time.Sleep(time.Second); u.turns.free != 1 {
			t.Errorf("%d places are free", u.turns.free)
		}
	})
}

// TestTurnEnds: a request that stops waiting gets the reason, and no turn is lost.
func TestTurnEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := oneTurn()
		a := u.Join("ada", "team")
		_ = u.turns.join(a) // which is not lent
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		done, err := a.Turn(ctx)
		if done != nil || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		u.turns.release()
		if done, err := a.Turn(ctx); done != nil || !errors.Is(err, context.DeadlineExceeded) || u.turns.free != 1 {
			t.Errorf("after its end: %v, %d places are free", err, u.turns.free)
		}
	})
}
