// Package queue decides which event of a sink is sent next, and which events the pods may forget. It keeps each user's
// events in order, sends those of different users in parallel within bounds, and stops sending while a receiver is failing.
// It is pure: time, results and pods are arguments.
package queue

import (
	"cmp"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/relay/outcome"
)

// Limits bound a sink.
type Limits struct {
	// Parallel is how many events are in flight at a time, each of a different user.
	Parallel int
	// Entries and Bytes bound the events that a Sink holds, including settled ones behind one that is not settled.
	Entries int
	Bytes   int
	// MaxAge is how long delivery of an event is attempted, 0 for no limit.
	MaxAge time.Duration
}

// trip is how many attempts in a row, for more than one user, must fail before the whole sink waits: then the problem is the
// receiver, and not one event that it cannot handle.
const trip = 3

// Entry is an event of a pod.
type Entry struct {
	// Stream is the pod that has the event, and Cursor its position there.
	Stream, Cursor string
	// Entries with the same Key are sent one after another. Those with "" have no order.
	Key string
	// Happened is when the event happened.
	Happened time.Time
	// Body is the event as it was recorded. It is nil once the entry is settled.
	Body []byte

	attempts int
	first    time.Time // when the first attempt began
	began    time.Time // of the last attempt
	due      time.Time
	last     string // the reason of the last failure
	settled  bool
	dead     string // the reason of a dead letter that was not reported to its pod yet
	gone     bool   // its stream was dropped
	lane     *lane
	size     int
}

// lane holds the entries of one key in order. Only the first may be in flight.
type lane struct {
	key     string
	entries []*Entry
	sending bool
	at      int // in Sink.waiting, -1 if not there
	// failing is when the first failed attempt since the last accepted one began, or zero. gaveWay is set if an entry has
	// made room since then; see relieve.
	failing time.Time
	gaveWay bool
}

// stream holds the entries of one pod in order, starting with the first one that is not acknowledged.
type stream struct {
	entries []*Entry
	settled int // how many at the beginning are settled
	done    int // how many are settled in total
	dead    []*Entry
}

// Sink is the queue of one sink. It is not safe for concurrent use.
type Sink struct {
	limits  Limits
	lanes   map[string]*lane
	waiting heap
	streams map[string]*stream

	entries, bytes, sending int
	// failures is the number of failures in a row, where attempts at the same time count as one. failedAt is when the last one was,
	// failed is the lane of the first one, and several is set if another lane also failed.
	failures int
	failedAt time.Time
	failed   *lane
	several  bool
	// paused is until when the sink sends nothing because of failures, and reason is that of the last one.
	paused time.Time
	reason string
	// suspended is why nothing is sent, "" if sending is not suspended.
	suspended string
	// accepted is when the receiver last accepted an event, and gaveWay how many have made room since then.
	accepted time.Time
	gaveWay  int
	// almostFull contains the pods that are running out of room for events.
	almostFull map[string]bool
	// dead is how many events became dead letters, for any reason, and why the last one did.
	dead     uint64
	deadLast string
}

// New returns an empty queue.
func New(l Limits) *Sink {
	return &Sink{limits: l, lanes: map[string]*lane{}, streams: map[string]*stream{}}
}

// Room reports whether more events may be added. If the queue is empty, one is added even if it does not fit.
func (s *Sink) Room() bool { return s.entries < s.limits.Entries && s.bytes < s.limits.Bytes }

// Add adds the next event of a pod.
func (s *Sink) Add(e *Entry) {
	s.stream(e.Stream).append(e)
	e.size = len(e.Body)
	s.entries++
	s.bytes += e.size
	l := s.lanes[e.Key]
	if l == nil || e.Key == "" {
		l = &lane{key: e.Key, at: -1}
		if e.Key != "" {
			s.lanes[e.Key] = l
		}
	}
	e.lane = l
	l.entries = append(l.entries, e)
	if len(l.entries) == 1 && !l.sending {
		s.waiting.push(l)
	}
}

// Skip records the next event of a pod, which is not for the sink.
func (s *Sink) Skip(of, cursor string) {
	e := &Entry{Stream: of, Cursor: cursor, settled: true}
	s.entries++
	st := s.stream(of)
	st.done++
	st.append(e)
}

func (s *Sink) stream(name string) *stream {
	st := s.streams[name]
	if st == nil {
		st = &stream{}
		s.streams[name] = st
	}
	return st
}

func (st *stream) append(e *Entry) {
	st.entries = append(st.entries, e)
	st.advance()
}

func (st *stream) advance() {
	for st.settled < len(st.entries) && st.entries[st.settled].settled {
		st.settled++
	}
}

// Next returns the entry to send now, which is then in flight until Done. If there is none, Next returns when to call it again;
// zero means only after something else has happened.
func (s *Sink) Next(now time.Time) (*Entry, time.Time) {
	s.relieve(now)
	parallel := s.limits.Parallel
	if s.tripped() {
		parallel = 1
	}
	for s.suspended == "" && s.sending < parallel && len(s.waiting) > 0 {
		l := s.waiting[0]
		e := l.entries[0]
		if s.tooOld(e, now) {
			s.bury(e, outcome.TooOld(s.limits.MaxAge, cmp.Or(e.last, s.reason)))
			continue
		}
		if at := later(e.due, s.paused); now.Before(at) {
			return nil, at
		}
		s.waiting.pop()
		l.sending = true
		s.sending++
		if e.attempts++; e.attempts == 1 {
			e.first = now
		}
		e.began = now
		return e, time.Time{}
	}
	return nil, time.Time{}
}

// tooOld reports whether an event is too old for another attempt.
func (s *Sink) tooOld(e *Entry, now time.Time) bool {
	return s.limits.MaxAge > 0 && (e.attempts > 0 || s.tripped()) && now.Sub(e.Happened) >= s.limits.MaxAge
}

// Attempt returns everything that the decision about an attempt depends on, except its result.
func (s *Sink) Attempt(e *Entry, now time.Time, random float64) outcome.Attempt {
	number := e.attempts
	if s.tripped() {
		number = max(number, s.failures+1)
	}
	return outcome.Attempt{
		Number: number, Accepting: s.accepted.After(e.first), Happened: e.Happened, MaxAge: s.limits.MaxAge, Now: now, Random: random,
	}
}

// Done handles the result of an attempt.
func (s *Sink) Done(e *Entry, d outcome.Decision, now time.Time) {
	s.sending--
	e.lane.sending = false
	if d.Verdict == outcome.Retry || d.Verdict == outcome.Suspend {
		s.fail(e, d, now)
	} else {
		s.failures, s.failed, s.several, s.reason, s.paused = 0, nil, false, "", time.Time{}
	}
	switch d.Verdict {
	case outcome.Suspend:
		s.suspended = d.Reason
	case outcome.Accepted:
		s.accepted, s.gaveWay = now, 0
		e.lane.failing, e.lane.gaveWay = time.Time{}, false
	case outcome.Retry, outcome.Dead:
	}
	switch {
	case e.gone:
		s.advanceLane(e)
	case d.Verdict == outcome.Accepted:
		s.settle(e)
	case d.Verdict == outcome.Dead:
		s.bury(e, d.Reason)
	default:
		s.waiting.push(e.lane)
	}
}

// tripped reports whether the receiver is failing.
func (s *Sink) tripped() bool { return s.failures >= trip && s.several }

func (s *Sink) fail(e *Entry, d outcome.Decision, now time.Time) {
	if !e.began.Before(s.failedAt) {
		s.failures++
	}
	s.failedAt = now
	if e.lane.failing.IsZero() {
		e.lane.failing = e.began
	}
	s.several = s.several || d.ReceiverFailed || s.failed != nil && s.failed != e.lane
	if s.failed == nil {
		s.failed = e.lane
	}
	e.last, s.reason = d.Reason, d.Reason
	e.due = now.Add(d.After)
	if d.ReceiverFailed || s.tripped() {
		s.paused = later(s.paused, e.due)
	}
}

// bury settles an entry as a dead letter.
func (s *Sink) bury(e *Entry, reason string) {
	e.dead = reason
	s.dead++
	s.deadLast = reason
	st := s.streams[e.Stream]
	st.dead = append(st.dead, e)
	s.settle(e)
}

// settle completes the first entry of a lane.
func (s *Sink) settle(e *Entry) {
	e.settled, e.Body = true, nil
	s.bytes -= e.size
	st := s.streams[e.Stream]
	st.done++
	st.advance()
	s.advanceLane(e)
}

// advanceLane removes the first entry of a lane, which is e.
func (s *Sink) advanceLane(e *Entry) {
	l := e.lane
	l.entries[0] = nil
	if l.entries = l.entries[1:]; len(l.entries) > 0 {
		s.waiting.set(l)
		return
	}
	s.waiting.remove(l)
	if s.lanes[l.key] == l {
		delete(s.lanes, l.key)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
