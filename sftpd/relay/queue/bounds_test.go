package queue

import (
	"strconv"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/relay/outcome"
)

// take returns the next entry, and fails if it is not of the user.
func take(t *testing.T, s *Sink, now time.Time, user string) *Entry {
	t.Helper()
	e, at := s.Next(now)
	if e == nil {
		t.Fatalf("nothing is sent until %s, want %s", at, user)
	}
	if e.Key != "ns/"+user {
		t.Fatalf("%s is sent, want %s", e.Key, user)
	}
	return e
}

// fails is the answer of a receiver that is to be retried after a time.
func fails(after time.Duration) outcome.Decision {
	return outcome.Decision{Verdict: outcome.Retry, After: after, Reason: "500"}
}

// Memory is bounded by the size of the events, even if they are few.
func TestRoomInBytes(t *testing.T) {
	for size, want := range map[int]bool{99: true, 100: false, 101: false} {
		s := New(Limits{Parallel: 1, Entries: 1000, Bytes: 100})
		s.Add(&Entry{Stream: "a", Cursor: "1", Key: "ns/ada", Body: make([]byte, size)})
		if s.Room() != want {
			t.Errorf("%d of 100 bytes: room %v", size, !want)
		}
	}
}

// An event that has become too old while waiting is not sent again, whether or not the receiver is failing.
func TestTooOldForAnotherAttempt(t *testing.T) {
	s := New(Limits{Parallel: 2, Entries: 10, Bytes: 1 << 10, MaxAge: time.Hour})
	s.Add(&Entry{Stream: "a", Cursor: "1", Key: "ns/ada", Happened: start, Body: []byte("x")})
	s.Done(take(t, s, start.Add(50*time.Minute), "ada"), fails(20*time.Minute), start.Add(50*time.Minute))
	if e, at := s.Next(start.Add(59 * time.Minute)); e != nil || !at.Equal(start.Add(70*time.Minute)) {
		t.Errorf("%+v, again at %s", e, at)
	}
	if e, _ := s.Next(start.Add(70 * time.Minute)); e != nil {
		t.Errorf("%+v is sent", e)
	}
	if r := s.Report("a"); len(r.Dead) != 1 || r.Cursor != "1" {
		t.Errorf("%+v", r)
	}
}

// A receiver counts as failing after three failed attempts in a row, for more than one user. Until then, other users' events
// are sent in parallel; from then on, one event at a time.
func TestTrip(t *testing.T) {
	for name, tc := range map[string]struct {
		failing  []string
		want     bool // more than one is sent at a time
		receiver bool // eve's failures are the receiver's
	}{
		"none":                  {nil, true, false},
		"two of two users":      {[]string{"ada", "bob"}, true, false},
		"three of three":        {[]string{"ada", "bob", "eve"}, false, false},
		"three of one user":     {[]string{"ada", "ada", "ada"}, true, false},
		"three of two users":    {[]string{"ada", "ada", "bob"}, false, false},
		"after one that went":   {[]string{"ada", "bob", "", "eve"}, true, false},
		"three of the receiver": {[]string{"eve", "eve", "eve"}, false, true},
		"two of the receiver":   {[]string{"eve", "eve"}, true, true},
	} {
		s := New(Limits{Parallel: 4, Entries: 100, Bytes: 1 << 20, MaxAge: time.Hour})
		now := start
		for i, user := range tc.failing {
			d := fails(0)
			if user == "eve" {
				d.ReceiverFailed = tc.receiver
			}
			if user == "" {
				user, d = "accepted", outcome.Decision{Verdict: outcome.Accepted}
			}
			if i == 0 || s.lanes["ns/"+user] == nil {
				s.Add(&Entry{Stream: "a", Cursor: strconv.Itoa(i), Key: "ns/" + user, Happened: start, Body: []byte("x")})
			}
			now = now.Add(time.Second)
			for _, l := range s.lanes { // the others have to wait
				if l.key != "ns/"+user {
					l.entries[0].due = now.Add(time.Second)
				} else {
					l.entries[0].due = now
				}
			}
			for i := range s.waiting {
				s.waiting.set(s.waiting[i])
			}
			s.Done(take(t, s, now, user), d, now)
		}
		for _, l := range s.lanes {
			l.entries[0].due = now.Add(time.Hour)
		}
		s.paused = time.Time{}
		for _, user := range []string{"x", "y"} {
			s.Add(&Entry{Stream: "a", Cursor: user, Key: "ns/" + user, Happened: start, Body: []byte("x")})
		}
		now = now.Add(time.Second)
		first, _ := s.Next(now)
		second, _ := s.Next(now)
		if first == nil || (second != nil) != tc.want {
			t.Errorf("%s: %v and %v are sent", name, first, second)
		}
	}
}

// A sink whose receiver wants no more events reports that, and sends nothing.
func TestStateOfASuspendedSink(t *testing.T) {
	s := New(limits)
	fill(s, "a", 2, 1)
	e, _ := s.Next(start)
	s.Done(e, outcome.Decision{Verdict: outcome.Suspend, ReceiverFailed: true, Reason: "410 Gone"}, start)
	if st := s.State(); st.Suspended != "410 Gone" || st.Reason != "410 Gone" || st.Failures != 1 || st.Sending != 0 || st.Held != 2 {
		t.Errorf("%+v", st)
	}
	if e, _ := s.Next(start.Add(48 * time.Hour)); e != nil {
		t.Errorf("%+v is sent", e)
	}
}

// blocked is a sink whose first event, ada's, was refused three times, while bob's events from the same pod were accepted.
func blocked(t *testing.T, l Limits, accepted int) (s *Sink, now time.Time) {
	t.Helper()
	s, now = New(l), start
	s.Add(eventOf("ada", 0))
	for range outcome.Tries {
		s.Done(take(t, s, now, "ada"), fails(time.Second), now)
		now = now.Add(time.Second)
	}
	s.lanes["ns/ada"].entries[0].due = now.Add(time.Hour)
	for i := range accepted {
		s.Add(eventOf("bob", i))
		s.Done(take(t, s, now, "bob"), outcome.Decision{Verdict: outcome.Accepted}, now)
	}
	return s, now
}

// An event makes room in a pod that is almost full only if many settled events wait for it, and most of those that the pod
// has to keep.
func TestWhenAnEventGivesWay(t *testing.T) {
	for name, tc := range map[string]struct {
		accepted, others int
		want             int
	}{
		"few wait":          {fewSettled, 0, 0},
		"many wait":         {fewSettled + 1, 0, 1},
		"most do not":       {fewSettled + 1, fewSettled + 1, 0},
		"most of them wait": {fewSettled + 2, fewSettled, 1},
	} {
		s, now := blocked(t, limits, tc.accepted)
		for i := range tc.others {
			e := eventOf("eve", i)
			s.Add(e)
			e.due = now.Add(time.Minute)
		}
		s.AlmostFull(map[string]bool{"a": true})
		s.Next(now)
		if got := len(s.Report("a").Dead); got != tc.want {
			t.Errorf("%s: %d dead letters, want %d", name, got, tc.want)
		}
	}
}

// A small queue that is full also makes room, but not while an attempt in flight may do so.
func TestSmallQueueMakesRoom(t *testing.T) {
	small := limits
	small.Entries = 4
	s, now := blocked(t, small, 3)
	if s.Room() {
		t.Fatal("there is room")
	}
	s.sending++ // an attempt that takes long
	if s.Next(now); len(s.Report("a").Dead) != 0 {
		t.Error("an event gave way to one in flight")
	}
	s.sending--
	if s.Next(now); len(s.Report("a").Dead) != 1 {
		t.Error("the queue stays full")
	}
}
