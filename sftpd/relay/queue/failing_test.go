package queue

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/relay/outcome"
)

// What a receiver accepted before the first attempt for an event does not show that it accepts others than this one.
func TestAcceptingSinceTheFirstAttempt(t *testing.T) {
	s, now := New(limits), start
	accept := func(n int) {
		t.Helper()
		now = now.Add(time.Second)
		s.Add(eventOf("bob", n))
		s.Done(take(t, s, now, "bob"), outcome.Decision{Verdict: outcome.Accepted}, now)
	}
	accept(0)
	now = now.Add(time.Second)
	s.Add(eventOf("ada", 0))
	e := take(t, s, now, "ada")
	if s.Attempt(e, now, 0).Accepting {
		t.Error("it accepts others, from before")
	}
	s.Done(e, fails(time.Hour), now)
	accept(1)
	if a := s.Attempt(e, now, 0); !a.Accepting || a.Number != 1 {
		t.Errorf("%+v", a)
	}
}

// An event gives way only if others were accepted since its user's events began to fail. If the receiver accepts one of the
// user's own events, the earlier failures no longer count.
func TestFailuresBegin(t *testing.T) {
	small := limits
	small.Entries = 4
	s, now := New(small), start
	s.Add(eventOf("ada", 0))
	s.Done(take(t, s, now, "ada"), fails(0), now)
	now = now.Add(time.Second)
	s.Add(eventOf("bob", 0))
	for range 2 { // both, in any order
		e, _ := s.Next(now)
		s.Done(e, outcome.Decision{Verdict: outcome.Accepted}, now)
	}
	s.Acknowledged("a", s.Report("a"))
	for n := 1; n <= 4; n++ {
		s.Add(eventOf("ada", n))
	}
	for range outcome.Tries {
		now = now.Add(time.Minute)
		s.Done(take(t, s, now, "ada"), fails(30*time.Second), now)
	}
	if s.Room() {
		t.Fatal("there is room")
	}
	if s.Next(now); len(s.Report("a").Dead) != 0 {
		t.Error("an event gave way, although nothing was accepted since")
	}
}

// What is known about a pod that is gone no longer matters.
func TestToldAfterThePodIsGone(t *testing.T) {
	s := New(limits)
	s.Add(eventOf("ada", 0))
	e := take(t, s, start, "ada")
	s.Done(e, outcome.Decision{Verdict: outcome.Dead, Reason: "400"}, start)
	if st := s.State(); st.Dead != 1 || st.DeadReason != "400" {
		t.Errorf("%+v", st)
	}
	r := s.Report("a")
	s.Drop("a")
	s.Buried("a", r.Dead[0])
	s.Acknowledged("a", r)
	if st := s.State(); st.Held != 0 || !s.Report("a").Empty() || s.Last("a") != "" {
		t.Errorf("%+v", st)
	}
}

// Whichever users have nothing left to send, those that remain are sent in the order in which they are due.
func TestOrderOfWhatIsDue(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 5))
		s := New(Limits{Parallel: 1, Entries: 1000, Bytes: 1 << 20})
		users := 1 + rng.IntN(12)
		for u := range users {
			s.Add(&Entry{Stream: fmt.Sprint("pod-", u), Cursor: "1", Key: fmt.Sprint("ns/", u), Happened: start, Body: []byte("x")})
		}
		now := start
		for range users { // each fails once, and is due at a different time
			e, _ := s.Next(now)
			s.Done(e, fails(time.Duration(1+rng.IntN(1000))*time.Hour), now)
			s.failures = 0 // it is not the receiver
		}
		for u := range users {
			if rng.IntN(2) == 0 {
				s.Drop(fmt.Sprint("pod-", u))
			}
		}
		var last time.Time
		for len(s.waiting) > 0 {
			e, at := s.Next(now)
			if e == nil {
				now = at
				continue
			}
			if e.due.Before(last) {
				t.Fatalf("seed %d: one that was due at %s comes after one at %s", seed, e.due, last)
			}
			last = e.due
			s.Done(e, outcome.Decision{Verdict: outcome.Accepted}, now)
		}
		if s.State().Sending != 0 || len(s.lanes) != 0 {
			t.Errorf("seed %d: %+v, %d lanes", seed, s.State(), len(s.lanes))
		}
	}
}
