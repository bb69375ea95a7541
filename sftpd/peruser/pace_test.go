package peruser

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

const (
	mib = 1 << 20
	// burst is how many bytes a user may log at once, and speed how many a second after that.
	burst, speed = 16 * mib, 1 * mib
)

// TestPaceOfLines: a user may cause log lines of 16 MiB at once, then 1 MiB a second; a line counts as 500 bytes or its length,
// whichever is greater.
func TestPaceOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New().Join("ada", "team")
		pace := func(want time.Duration) {
			t.Helper()
			begin := time.Now()
			if err := a.Pace(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); (took - want).Abs() > 100*time.Nanosecond {
				t.Errorf("a line waits for %s, want %s", took, want)
			}
		}
		bytes := func(n float64) time.Duration { return time.Duration(n / speed * float64(time.Second)) }
		for range burst / 500 {
			pace(0)
		}
		left := float64(burst % 500)
		pace(bytes(500 - left))
		pace(bytes(500))
		a.Logged(100) // it was charged as 500
		a.Logged(0)
		pace(bytes(500))
		a.Logged(500 + mib)
		pace(time.Second + bytes(500))
		time.Sleep(10 * time.Second)
		a.Logged(500 + 10*mib)
		pace(bytes(500))
		time.Sleep(time.Hour) // allowance does not accumulate beyond a burst
		a.Logged(500 + burst)
		pace(bytes(500))
	})
}

// TestPaceEnds: waiting ends with the caller's context, which is not consulted if no wait is needed.
func TestPaceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New().Join("ada", "team")
		over, end := context.WithCancel(t.Context())
		end()
		for range 100 {
			if err := a.Pace(over); err != nil {
				t.Fatal(err)
			}
		}
		a.Logged(burst + 10*mib)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		if err := a.Pace(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

// TestAccounts: all connections of a user share one account, which is removed once it is unused and its allowance has
// recovered.
func TestAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := New()
		many := func(n int) {
			for i := range n {
				u.Join(strconv.Itoa(i), "team").Leave()
			}
		}
		ada, eve := u.Join("ada", "team"), u.Join("eve", "team")
		if u.Join("ada", "team") != ada || ada == eve {
			t.Fatal("users and accounts do not match")
		}
		ada.Leave()
		eve.Logged(500 + 2*mib)
		eve.Leave()
		many(62)
		if len(u.accounts) != 64 {
			t.Errorf("%d accounts of 64 users", len(u.accounts))
		}
		time.Sleep(2*time.Second - 1)
		u.Join("late", "team").Leave()
		if len(u.accounts) != 3 || u.accounts["ada"] != ada || u.accounts["eve"] != eve {
			t.Errorf("%d accounts are left", len(u.accounts))
		}
		ada.Leave()
		time.Sleep(2 * time.Nanosecond)
		many(61)
		u.Join("later", "team")
		if len(u.accounts) != 1 {
			t.Errorf("%d accounts are left", len(u.accounts))
		}
		for i := range 200 { // these stay
			u.Join(strconv.Itoa(i), "team")
		}
		if len(u.accounts) != 201 || u.clearAt < 201 || u.clearAt > 402 {
			t.Errorf("%d accounts, the next look is at %d", len(u.accounts), u.clearAt)
		}
	})
}

// TestDebtIsOnesOwn: one user's logging does not delay another's.
func TestDebtIsOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := New()
		u.Join("eve", "team").Logged(10 * burst)
		begin := time.Now()
		if err := u.Join("ada", "team").Pace(t.Context()); err != nil || time.Since(begin) != 0 {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}
