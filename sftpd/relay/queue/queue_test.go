package queue

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/relay/outcome"
)

var start = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

var limits = Limits{Parallel: 8, Entries: 1000, Bytes: 1 << 20, MaxAge: 24 * time.Hour}

// play sends events that are due until none are left or the time is over, and returns the time and event of each attempt.
// answer returns the status of an attempt, and Retry-After. The duration of each attempt is takes.
type play struct {
	*Sink
	now    time.Time
	takes  time.Duration
	answer func(e *Entry, at time.Time) (status int, retryAfter string)
	log    []sent
}

type sent struct {
	at     time.Duration
	cursor string
}

type flight struct {
	e    *Entry
	ends time.Time
}

func (p *play) run(until time.Time) {
	var flying []flight
	for {
		e, at := p.Next(p.now)
		if e != nil {
			p.log = append(p.log, sent{p.now.Sub(start), e.Cursor})
			flying = append(flying, flight{e, p.now.Add(p.takes)})
			continue
		}
		if len(flying) > 0 && (at.IsZero() || !at.Before(flying[0].ends)) {
			at = flying[0].ends
		}
		if at.IsZero() || at.After(until) {
			return
		}
		p.now = at
		for len(flying) > 0 && !flying[0].ends.After(p.now) {
			e := flying[0].e
			flying = flying[1:]
			status, after := p.answer(e, p.now)
			a := p.Attempt(e, p.now, 0.5)
			a.Status, a.RetryAfter = status, after
			if status == 0 {
				a.Failure = "connection refused"
			}
			p.Done(e, outcome.Decide(a), p.now)
		}
	}
}

// fill adds n events of each of some users, which happened at the start.
func fill(s *Sink, pod string, users, n int) {
	for i := range n {
		for u := range users {
			s.Add(&Entry{
				Stream: pod, Cursor: fmt.Sprintf("%s-%d-%d", pod, u, i), Key: fmt.Sprintf("ns/user-%d", u),
				Happened: start, Body: []byte(`{"specversion":"1.0"}`),
			})
		}
	}
}

func always(status int) func(*Entry, time.Time) (int, string) {
	return func(*Entry, time.Time) (int, string) { return status, "" }
}

func TestOrderOfAUser(t *testing.T) {
	p := &play{Sink: New(limits), now: start, takes: 10 * time.Millisecond}
	fill(p.Sink, "a", 5, 20)
	rng := rand.New(rand.NewPCG(1, 2))
	p.answer = func(*Entry, time.Time) (int, string) { // one of three fails
		return []int{200, 202, 500}[rng.IntN(3)], ""
	}
	p.run(start.Add(24 * time.Hour))
	accepted := map[string]int{}
	for _, s := range p.log {
		var user, n int
		if _, err := fmt.Sscanf(s.cursor, "a-%d-%d", &user, &n); err != nil {
			t.Fatal(err)
		}
		key := strconv.Itoa(user)
		if n != accepted[key] && n != accepted[key]-1 {
			t.Fatalf("event %d of user %d was sent after event %d", n, user, accepted[key]-1)
		}
		accepted[key] = max(accepted[key], n+1)
	}
	r := p.Report("a")
	if p.Acknowledged("a", r); r.Cursor != "a-4-19" || p.State().Held != 0 || len(p.lanes) != 0 || p.bytes != 0 {
		t.Errorf("report %+v, state %+v, %d lanes, %d bytes", r, p.State(), len(p.lanes), p.bytes)
	}
}

// A receiver that answers 500 for an hour gets a few requests, and once it has recovered it gets everything, in order.
func TestAnHourOf500(t *testing.T) {
	well := start.Add(time.Hour)
	p := &play{Sink: New(limits), now: start, takes: 10 * time.Millisecond}
	fill(p.Sink, "a", 50, 10)
	p.answer = func(_ *Entry, at time.Time) (int, string) {
		if at.Before(well) {
			return 500, ""
		}
		return 204, ""
	}
	p.run(start.Add(2 * time.Hour))
	during, last := 0, time.Duration(0)
	for _, s := range p.log {
		if s.at < time.Hour {
			during++
		}
		last = s.at
	}
	if during < 20 || during > 80 {
		t.Errorf("%d requests in the hour", during)
	}
	if got := len(p.log) - during; got < 500 || p.Report("a").Cursor != "a-49-9" || p.State().Failures != 0 {
		t.Errorf("%d requests afterward, %+v", got, p.State())
	}
	if last > time.Hour+2*outcome.MaxPause {
		t.Errorf("delivered only after %s", last)
	}
	t.Logf("QUEUE an hour of 500: %d requests in the hour, everything delivered %s after it", during, (last - time.Hour).Round(time.Second))
}

// One event that a receiver cannot take delays those of its user and of no one else, and ends as a dead letter.
func TestPoison(t *testing.T) {
	p := &play{Sink: New(limits), now: start, takes: time.Millisecond}
	fill(p.Sink, "a", 3, 4)
	p.answer = func(e *Entry, _ time.Time) (int, string) {
		if e.Cursor == "a-1-0" {
			return 500, ""
		}
		return 200, ""
	}
	p.run(start.Add(time.Minute))
	others := slices.DeleteFunc(slices.Clone(p.log), func(s sent) bool { return strings.HasPrefix(s.cursor, "a-1-") })
	if len(others) != 8 || others[7].at > time.Second {
		t.Errorf("others: %v", others)
	}
	fill(p.Sink, "b", 1, 1) // much later, while the sink has only failed
	p.run(start.Add(2 * time.Minute))
	if i := slices.IndexFunc(p.log, func(s sent) bool { return s.cursor == "b-0-0" }); i < 0 || p.log[i].at > time.Minute+time.Second {
		t.Errorf("the event of another user was held up: %v", p.log)
	}
	p.run(start.Add(25 * time.Hour))
	r := p.Report("a")
	if len(r.Dead) != 1 || r.Dead[0].Cursor != "a-1-0" || !strings.Contains(r.Dead[0].Reason, "within 24h0m0s: the receiver answered 500") || r.Cursor != "a-2-3" {
		t.Errorf("%+v", r)
	}
	p.Buried("a", r.Dead[0])
	if r = p.Report("a"); len(r.Dead) != 0 || r.Cursor == "" {
		t.Errorf("%+v", r)
	}
}

// A receiver that refuses the sink's token for an hour gets a few requests, and then everything: nothing is a dead letter.
func TestWrongToken(t *testing.T) {
	for _, status := range []int{401, 403, 404} {
		corrected := start.Add(time.Hour)
		p := &play{Sink: New(limits), now: start, takes: 10 * time.Millisecond}
		fill(p.Sink, "a", 50, 10)
		p.answer = func(_ *Entry, at time.Time) (int, string) {
			if at.Before(corrected) {
				return status, ""
			}
			return 204, ""
		}
		p.run(start.Add(2 * time.Hour))
		r := p.Report("a")
		during := 0
		for _, s := range p.log {
			if s.at < time.Hour {
				during++
			}
		}
		if len(r.Dead) != 0 || r.Cursor != "a-49-9" || during > 80 || len(p.log)-during < 500 {
			t.Errorf("%d: %d dead letters, %q, %d requests in the hour of %d", status, len(r.Dead), r.Cursor, during, len(p.log))
		}
	}
}

// An event that the receiver forbids while it accepts others is a dead letter within seconds: it does not hold up those of its user.
func TestForbiddenEvent(t *testing.T) {
	p := &play{Sink: New(limits), now: start, takes: time.Millisecond}
	fill(p.Sink, "a", 3, 4)
	p.answer = func(e *Entry, _ time.Time) (int, string) {
		if e.Cursor == "a-1-0" {
			return 403, ""
		}
		return 200, ""
	}
	p.run(start.Add(time.Minute))
	r := p.Report("a")
	if len(r.Dead) != 1 || r.Dead[0].Cursor != "a-1-0" || r.Cursor != "a-2-3" || len(p.log) != 11+3 {
		t.Errorf("%+v after %d requests", r, len(p.log))
	}
}

func TestRetryAfterStopsAll(t *testing.T) {
	p := &play{Sink: New(limits), now: start, takes: time.Millisecond}
	fill(p.Sink, "a", 4, 1)
	asked := start.Add(10 * time.Minute)
	p.answer = func(_ *Entry, at time.Time) (int, string) {
		if at.Before(asked) {
			return 429, "600"
		}
		return 200, ""
	}
	p.run(start.Add(time.Hour))
	if len(p.log) != 8 || p.log[3].at != 0 || p.log[4].at < 10*time.Minute {
		t.Errorf("%v", p.log)
	}
}

func TestGone(t *testing.T) {
	p := &play{Sink: New(limits), now: start, takes: time.Millisecond, answer: always(410)}
	fill(p.Sink, "a", 1, 3)
	p.run(start.Add(48 * time.Hour))
	if st := p.State(); len(p.log) != 1 || st.Suspended != "the receiver answered 410 Gone" || st.Held != 3 || !p.Report("a").Empty() {
		t.Errorf("%v, %+v, %+v", p.log, st, p.Report("a"))
	}
}

func TestDeadLetters(t *testing.T) {
	p := &play{Sink: New(limits), now: start, takes: time.Millisecond, answer: always(301)}
	fill(p.Sink, "a", 1, 3)
	p.run(start.Add(time.Minute))
	if r := p.Report("a"); len(r.Dead) != 3 || r.Cursor != "a-0-2" || len(p.log) != 3 {
		t.Errorf("%+v", r)
	}
}

// What waits while the receiver accepts nothing becomes a dead letter when it is too old, without a request for each.
func TestTooOldWithoutAnAttempt(t *testing.T) {
	p := &play{Sink: New(limits), now: start, takes: time.Millisecond, answer: always(0)}
	fill(p.Sink, "a", 100, 1)
	p.run(start.Add(25 * time.Hour))
	if r := p.Report("a"); len(r.Dead) != 100 || len(p.log) > 700 {
		t.Errorf("%d dead letters after %d requests", len(r.Dead), len(p.log))
	}
}

func TestSkip(t *testing.T) {
	s := New(limits)
	s.Skip("a", "1")
	fill(s, "a", 1, 1)
	s.Skip("a", "3")
	r := s.Report("a")
	if s.Acknowledged("a", r); r.Cursor != "1" || s.Last("a") != "3" || s.State().Held != 2 {
		t.Errorf("%+v, %+v", r, s.State())
	}
	if s.Acknowledged("a", r); s.State().Held != 2 {
		t.Error("the same report was taken twice")
	}
}

func TestRoom(t *testing.T) {
	s := New(Limits{Parallel: 1, Entries: 2, Bytes: 30})
	fill(s, "a", 1, 1)
	if !s.Room() {
		t.Error("no room for a second event")
	}
	if fill(s, "a", 1, 1); s.Room() {
		t.Error("room for a third")
	}
	e, _ := s.Next(start)
	if s.Done(e, outcome.Decision{}, start); s.Room() {
		t.Error("a settled entry takes no place")
	}
	if s.Acknowledged("a", s.Report("a")); !s.Room() {
		t.Error("no room although the first is acknowledged")
	}
}

// The queue against a model: random operations on several pods, and at the end nothing is left, lost or sent out of order.
func TestAgainstAModel(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		s := New(Limits{Parallel: 1 + rng.IntN(4), Entries: 50, Bytes: 1 << 20})
		m := model{next: map[string]int{}, live: map[string]map[string]bool{}}
		now := start
		for range 400 {
			now = now.Add(time.Duration(rng.IntN(3000)) * time.Millisecond)
			m.step(t, rng, s, now)
		}
		for range 100_000 { // everything is accepted now
			for _, e := range m.flying {
				s.Done(e, outcome.Decision{}, now)
			}
			m.flying = nil
			now = now.Add(10 * time.Minute)
			e, _ := s.Next(now)
			if e == nil {
				break
			}
			m.check(t, e)
			m.flying = append(m.flying, e)
		}
		for pod := range m.live {
			for _, l := range s.Report(pod).Dead {
				s.Buried(pod, l)
			}
			s.Acknowledged(pod, s.Report(pod))
		}
		if st := s.State(); st.Held != 0 || st.Sending != 0 || s.bytes != 0 || len(s.lanes) != 0 || len(s.waiting) != 0 {
			t.Fatalf("seed %d: left %+v, %d bytes, %d lanes, %d waiting", seed, st, s.bytes, len(s.lanes), len(s.waiting))
		}
	}
}

type model struct {
	count  int
	flying []*Entry
	next   map[string]int             // by pod and key: the least event that may be sent
	live   map[string]map[string]bool // by pod: cursors that were added and not dropped
}

func (m *model) step(t *testing.T, rng *rand.Rand, s *Sink, now time.Time) {
	pod := fmt.Sprint("pod-", rng.IntN(3))
	switch op := rng.IntN(10); {
	case op < 4 && s.Room():
		m.count++
		if m.live[pod] == nil {
			m.live[pod] = map[string]bool{}
		}
		cursor := fmt.Sprintf("%06d", m.count)
		m.live[pod][cursor] = true
		s.Add(&Entry{Stream: pod, Cursor: cursor, Key: fmt.Sprint("u", rng.IntN(4)), Happened: now, Body: []byte("x")})
	case op < 7:
		if e, _ := s.Next(now); e != nil {
			m.check(t, e)
			m.flying = append(m.flying, e)
		}
	case op < 9 && len(m.flying) > 0:
		i := rng.IntN(len(m.flying))
		e := m.flying[i]
		m.flying = slices.Delete(m.flying, i, i+1)
		a := s.Attempt(e, now, rng.Float64())
		a.Status = []int{200, 400, 500, 429, 0}[rng.IntN(5)]
		s.Done(e, outcome.Decide(a), now)
	case op == 9 && rng.IntN(20) == 0:
		s.Drop(pod)
		delete(m.live, pod)
		maps.DeleteFunc(m.next, func(k string, _ int) bool { return strings.HasPrefix(k, pod) })
	default:
		s.Acknowledged(pod, s.Report(pod))
	}
}

// check fails if an entry is sent before another one of its user in its pod, or at the same time as one of its user.
func (m *model) check(t *testing.T, e *Entry) {
	t.Helper()
	for _, o := range m.flying {
		if o.Key == e.Key {
			t.Fatalf("two events of %s in flight", e.Key)
		}
	}
	if !m.live[e.Stream][e.Cursor] {
		t.Fatalf("an event of a pod that was dropped was sent")
	}
	var n int
	_, _ = fmt.Sscanf(e.Cursor, "%d", &n)
	key := e.Stream + e.Key
	if n < m.next[key] {
		t.Fatalf("%s: event %d after %d", key, n, m.next[key])
	}
	m.next[key] = n
}

// An event that makes the receiver crash or hang has no answer. After a few attempts the others do not wait for it.
func TestPoisonWithoutAnswer(t *testing.T) {
	p := &play{Sink: New(limits), now: start, takes: time.Millisecond}
	fill(p.Sink, "a", 3, 4)
	p.answer = func(e *Entry, _ time.Time) (int, string) {
		if e.Cursor == "a-1-0" {
			return 0, ""
		}
		return 200, ""
	}
	p.run(start.Add(time.Minute))
	for n := range 10 {
		p.now = start.Add(time.Minute + time.Duration(n)*10*time.Second)
		p.Add(&Entry{Stream: "b", Cursor: strconv.Itoa(n), Key: "ns/user-0", Happened: p.now, Body: []byte("{}")})
		p.run(p.now.Add(5 * time.Second))
		if r := p.Report("b"); r.Cursor != strconv.Itoa(n) {
			t.Fatalf("event %d of another user waits: %+v", n, p.State())
		}
	}
}

// backlog adds the events of a pod when there is room, as a pump does, and plays until a time. It returns the cursors of dead letters.
func (p *play) backlog(pod []*Entry, until time.Time) (dead []string) {
	for p.now.Before(until) { // no attempt takes longer than a step
		for p.Room() && len(pod) > 0 {
			p.Add(pod[0])
			pod = pod[1:]
		}
		p.run(p.now.Add(time.Second))
		p.now = p.now.Add(time.Second)
		r := p.Report("a")
		for _, l := range r.Dead {
			dead = append(dead, l.Cursor)
			p.Buried("a", l)
		}
		p.Acknowledged("a", r)
	}
	return dead
}

func eventOf(user string, n int) *Entry {
	return &Entry{Stream: "a", Cursor: fmt.Sprintf("%s-%d", user, n), Key: "ns/" + user, Happened: start, Body: []byte("{}")}
}

// sentOf counts the events of a user that were sent.
func (p *play) sentOf(user string) int {
	have := map[string]bool{}
	for _, s := range p.log {
		if strings.HasPrefix(s.cursor, user+"-") {
			have[s.cursor] = true
		}
	}
	return len(have)
}

// TestFullBehindPoison: events that a receiver does not take, one or all of a user, keep those of other users from it for minutes at
// most, however many there are, and no more of them become dead letters than have to.
func TestFullBehindPoison(t *testing.T) {
	for name, c := range map[string]struct {
		poison func(n int) bool // of the user's events
		most   int
	}{
		"one event":         {func(n int) bool { return n == 0 }, 1},
		"all of one user's": {func(int) bool { return true }, 3000},
	} {
		p := &play{Sink: New(limits), now: start, takes: time.Microsecond}
		var pod []*Entry
		for n := range 3000 {
			pod = append(pod, eventOf("ada", n))
			if n%10 == 0 || n > 2000 {
				pod = append(pod, eventOf("bob", n))
			}
		}
		p.answer = func(e *Entry, _ time.Time) (int, string) {
			var n int
			if _, err := fmt.Sscanf(e.Cursor, "ada-%d", &n); err == nil && c.poison(n) {
				return 500, ""
			}
			return 200, ""
		}
		dead := p.backlog(pod, start.Add(time.Hour))
		if have := p.sentOf("bob"); have != 1200 || len(dead) == 0 || len(dead) > c.most {
			t.Errorf("%s: %d of 1200 events of another user were sent, %d dead letters", name, have, len(dead))
		}
	}
}

// TestShortPods: where a pod has no room for more events, those that wait behind one that the receiver does not accept are not
// kept for long.
func TestShortPods(t *testing.T) {
	for name, short := range map[string]map[string]bool{"room": nil, "another pod is short": {"b": true}, "short": {"a": true}} {
		p := &play{Sink: New(limits), now: start, takes: time.Microsecond}
		p.AlmostFull(short)
		pod := []*Entry{eventOf("ada", 0), eventOf("ada", 1)}
		for n := range 2 * fewSettled {
			pod = append(pod, eventOf("bob", n))
		}
		p.answer = func(e *Entry, _ time.Time) (int, string) {
			return map[bool]int{true: 500, false: 200}[e.Cursor == "ada-0"], ""
		}
		dead := p.backlog(pod, start.Add(time.Minute))
		if short["a"] && (len(dead) != 1 || p.State().Held != 0) || !short["a"] && (len(dead) != 0 || p.State().Held != 2*fewSettled+2) {
			t.Errorf("%s: dead letters %q, %+v", name, dead, p.State())
		}
	}
}

// TestFullBehindOutage: when the receiver is failing, its events wait.
func TestFullBehindOutage(t *testing.T) {
	for name, c := range map[string]struct {
		before func(p *play) // the outage
		most   int
	}{
		"at once": {func(*play) {}, 0},
		"after all were accepted": {func(p *play) {
			p.answer = always(200)
			p.backlog([]*Entry{eventOf("ada", -2), eventOf("bob", -1)}, p.now.Add(time.Minute))
		}, 0},
		"after another user's was accepted": {func(p *play) {
			p.answer = func(e *Entry, _ time.Time) (int, string) {
				return map[string]int{"ns/ada": 500, "ns/bob": 200}[e.Key], ""
			}
			p.backlog([]*Entry{eventOf("ada", -2), eventOf("bob", -1)}, p.now.Add(time.Minute))
		}, limits.Entries / 10},
	} {
		p := &play{Sink: New(limits), now: start, takes: time.Microsecond}
		c.before(p)
		var pod []*Entry
		for n := range 3000 {
			pod = append(pod, eventOf("ada", n))
		}
		p.answer = always(500)
		if dead := p.backlog(pod, start.Add(23*time.Hour)); len(dead) > c.most {
			t.Errorf("%s: %d dead letters", name, len(dead))
		}
	}
}

// A backlog of 100,000 events passes in memory that does not grow with it.
func TestBacklog(t *testing.T) {
	const total = 100_000
	s := New(Limits{Parallel: 16, Entries: 10_000, Bytes: 16 << 20})
	body := []byte(strings.Repeat("x", 800))
	added, delivered := 0, 0
	var most uint64
	began := time.Now()
	for delivered < total {
		for added < total && s.Room() {
			s.Add(&Entry{Stream: "a", Cursor: strconv.Itoa(added), Key: fmt.Sprint("u", added%1000), Happened: start, Body: slices.Clone(body)})
			added++
		}
		e, _ := s.Next(start)
		s.Done(e, outcome.Decision{}, start)
		if delivered++; delivered%500 == 0 {
			s.Acknowledged("a", s.Report("a"))
		}
		if delivered%20_000 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	t.Logf("QUEUE backlog of %d: %s, heap at most %d MiB", total, time.Since(began).Round(time.Millisecond), most>>20)
	if most > 64<<20 {
		t.Errorf("heap of %d MiB", most>>20)
	}
}
