package flow

import (
	"testing"
	"testing/synctest"
	"time"
)

// growing is a stream over a connection in simulated time, whose window may grow up to the maximum without a budget.
func growing(t *testing.T, rtt func() time.Duration) *Stream {
	t.Helper()
	_, s := pair(t)
	s.growWithin(&budget{ofAll: windowsOfAll, ofUser: windowsOfAll, users: map[string]int64{}}, "ada")
	s.window.roundTrip = rtt
	return s
}

// TestRateDecides: a window doubles when three quarters of it pass in a round trip; a quarter is enough to keep its size.
func TestRateDecides(t *testing.T) {
	const rtt, size = 100 * time.Millisecond, int64(channelWindow)
	for name, tc := range map[string]struct {
		elapsed         time.Duration
		bytes           int64
		change          func(s *Stream)
		early           bool // nothing is decided
		needed          bool
		promised, taken int64
	}{
		"a moment":                {elapsed: rtt - 1, bytes: 10 * size, early: true},
		"little":                  {elapsed: rtt, bytes: size/4 - 1},
		"some":                    {elapsed: rtt, bytes: size / 4, needed: true},
		"not enough":              {elapsed: rtt, bytes: size/4*3 - 1, needed: true},
		"enough":                  {elapsed: rtt, bytes: size / 4 * 3, needed: true, promised: size, taken: size},
		"little in two":           {elapsed: 2 * rtt, bytes: size/2 - 2},
		"some in two":             {elapsed: 2 * rtt, bytes: size / 2, needed: true},
		"enough in two":           {elapsed: 2 * rtt, bytes: size / 2 * 3, needed: true, promised: size, taken: size},
		"enough, but at its end":  {elapsed: rtt, bytes: size, needed: true, change: func(s *Stream) { s.window.closed = true }},
		"enough, and not covered": {elapsed: rtt, bytes: 2 * size, needed: true, promised: size, change: func(s *Stream) { s.account.promised = size }},
		"the last growth": {
			elapsed: rtt, bytes: maxWindow, needed: true, promised: maxWindow - size, taken: 1 << 20,
			change: func(s *Stream) {
				s.account.promised = maxWindow - size - 1<<20
				s.account.covered = s.account.promised
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := growing(t, func() time.Duration { return rtt })
				s.conn.mu.Lock()
				defer s.conn.mu.Unlock()
				w := s.window
				if tc.change != nil {
					tc.change(s)
				}
				w.period, w.bytes = time.Now().Add(-tc.elapsed), tc.bytes-1
				s.measure(1)
				if early := w.bytes == tc.bytes; early != tc.early || !early && (w.bytes != 0 || !w.period.Equal(time.Now())) {
					t.Errorf("%d bytes since %s ago", w.bytes, time.Since(w.period))
				}
				if w.needed != tc.needed || s.account.promised != tc.promised || w.budget.all != tc.taken {
					t.Errorf("needed %t, promised %d, taken %d", w.needed, s.account.promised, w.budget.all)
				}
			})
		})
	}
}

// TestNearIsMeasuredForAWhile: the rate is measured over a minimum interval, however short a round trip is.
func TestNearIsMeasuredForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := growing(t, func() time.Duration { return 0 })
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		s.window.period = time.Now()
		time.Sleep(10*time.Millisecond - 1)
		if s.measure(100); s.window.bytes != 100 {
			t.Error("measured too soon")
		}
		time.Sleep(time.Nanosecond)
		if s.measure(100); s.window.bytes != 0 {
			t.Error("not measured")
		}
	})
}

// TestRoundTripIsAskedForAgain: the round-trip time is refreshed only when it is old, because reading it is a system call.
func TestRoundTripIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := growing(t, func() time.Duration { asked++; return time.Millisecond })
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		for range 301 {
			time.Sleep(10 * time.Millisecond)
			s.measure(1)
		}
		if asked != 3 { // it is valid for a second
			t.Errorf("asked %d times in 3 s", asked)
		}
	})
}

// TestWindowBecomesSmall: a window shrinks when it was not needed for a while or for some round trips, and no data of the
// client is waiting for the volume.
func TestWindowBecomesSmall(t *testing.T) {
	for name, tc := range map[string]struct {
		rtt  time.Duration
		busy func(s *Stream) (over func())
		want time.Duration
	}{
		"near": {time.Millisecond, nil, 4 * time.Second},
		"far":  {time.Second, nil, 10 * time.Second},
		"while a request is executed": {time.Millisecond, func(s *Stream) func() {
			s.account.waiting = false
			return func() { s.account.waiting = true }
		}, 12 * time.Second},
		"while an answer is written": {time.Millisecond, func(s *Stream) func() {
			s.account.waiting = false
			s.writing.begin()
			return func() { s.writing.end(); s.account.waiting = true }
		}, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := growing(t, func() time.Duration { return tc.rtt })
				begin := time.Now()
				change := func(f func()) {
					s.conn.mu.Lock()
					defer s.conn.mu.Unlock()
					f()
				}
				change(func() {
					s.window.rtt, s.window.needed, s.account.waiting = tc.rtt, true, true
					s.grow(channelWindow)
					if tc.busy != nil {
						over := tc.busy(s)
						time.AfterFunc(10*time.Second+time.Millisecond/2, func() { change(over) })
					}
				})
				covered := func() (n int64) {
					change(func() { n = s.account.covered })
					return n
				}
				for covered() > 0 && time.Since(begin) < time.Minute {
					time.Sleep(time.Millisecond)
					synctest.Wait()
				}
				if took := time.Since(begin); took < tc.want || took > tc.want+2*time.Millisecond {
					t.Errorf("after %s, want %s", took, tc.want)
				}
				change(func() {
					if s.window.idle != nil || s.window.budget.all != 0 || s.account.promised != 0 { // the client had no credit for it yet
						t.Errorf("%v, %d taken, %d promised", s.window.idle, s.window.budget.all, s.account.promised)
					}
				})
			})
		})
	}
}
