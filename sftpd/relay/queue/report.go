package queue

import (
	"slices"
	"time"
)

// Letter is a dead letter to report to its pod.
type Letter struct {
	Cursor, Reason string
	entry          *Entry
}

// Report is what to report to a pod: first the dead letters, and then that everything up to Cursor is settled. Cursor is ""
// if there is nothing new.
type Report struct {
	Dead   []Letter
	Cursor string
	count  int
}

// Empty reports whether there is nothing to report.
func (r Report) Empty() bool { return len(r.Dead) == 0 && r.Cursor == "" }

// Report returns what to report to a pod.
func (s *Sink) Report(of string) Report {
	st := s.streams[of]
	if st == nil {
		return Report{}
	}
	var r Report
	for _, e := range st.dead {
		r.Dead = append(r.Dead, Letter{Cursor: e.Cursor, Reason: e.dead, entry: e})
	}
	if st.settled > 0 {
		r.Cursor, r.count = st.entries[st.settled-1].Cursor, st.settled
	}
	return r
}

// Buried records that a pod has kept a dead letter.
func (s *Sink) Buried(of string, l Letter) {
	if st := s.streams[of]; st != nil {
		st.dead = slices.DeleteFunc(st.dead, func(e *Entry) bool { return e == l.entry })
		l.entry.dead = ""
	}
}

// Acknowledged records that a pod has accepted the acknowledgment of a Report.
func (s *Sink) Acknowledged(of string, r Report) {
	st := s.streams[of]
	if st == nil || r.count > len(st.entries) || r.count == 0 || st.entries[r.count-1].Cursor != r.Cursor {
		return
	}
	clear(st.entries[:r.count])
	st.entries = st.entries[r.count:]
	st.settled -= r.count
	st.done -= r.count
	s.entries -= r.count
}

// Drop forgets the events of a pod. Those in flight are forgotten when their attempt ends.
func (s *Sink) Drop(of string) {
	st := s.streams[of]
	if st == nil {
		return
	}
	delete(s.streams, of)
	s.entries -= len(st.entries)
	for _, e := range st.entries {
		if e.settled {
			continue
		}
		s.bytes -= e.size
		e.gone = true
		l := e.lane
		if l.sending && l.entries[0] == e {
			continue // Done forgets it
		}
		first := l.entries[0] == e
		l.entries = slices.DeleteFunc(l.entries, func(o *Entry) bool { return o == e })
		switch {
		case len(l.entries) == 0:
			s.waiting.remove(l)
			if s.lanes[l.key] == l {
				delete(s.lanes, l.key)
			}
		case first:
			s.waiting.set(l)
		}
	}
}

// Last returns the cursor of the last event of a pod that was added, or "" if all are acknowledged.
func (s *Sink) Last(of string) string {
	if st := s.streams[of]; st != nil && len(st.entries) > 0 {
		return st.entries[len(st.entries)-1].Cursor
	}
	return ""
}

// State is the state of a sink.
type State struct {
	// Sending and Held are how many events are in flight, and how many are held in total, including settled ones.
	Sending, Held int
	// Failures are the attempts in a row that failed, Reason is that of the last one, and Paused until when nothing is sent.
	Failures int
	Reason   string
	Paused   time.Time
	// Suspended is why the receiver wants no more events, "" if it wants them.
	Suspended string
	// Dead is how many events became dead letters since the start, and DeadReason why the last one did.
	Dead       uint64
	DeadReason string
}

// State returns the sink's state.
func (s *Sink) State() State {
	return State{
		Sending: s.sending, Held: s.entries, Failures: s.failures, Reason: s.reason, Paused: s.paused, Suspended: s.suspended,
		Dead: s.dead, DeadReason: s.deadLast,
	}
}
