package queue

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/relay/outcome"
)

// fewSettled is how many settled events of a pod may wait behind an unsettled one before that matters.
const fewSettled = 100

// AlmostFull sets which pods are running out of room for events. Events that they have to keep matter before they refuse uploads.
func (s *Sink) AlmostFull(pods map[string]bool) { s.almostFull = pods }

// relieve makes dead letters of events that the receiver does not accept, although it accepts those of other users, when too many
// settled events wait behind them. A pod is only told a position, so whatever is settled behind such an event is kept until that
// event is settled, both here and in the pod. Without this, one event that makes a receiver fail would stop the events of all
// users, or make the pods refuse uploads, until that event is given up.
//
// The receiver must have accepted an event of another user since the failures began. Otherwise the receiver itself may be
// failing, and its events wait. As the receiver may have begun to fail since then, only part of the queue gives way until it
// accepts an event again.
func (s *Sink) relieve(now time.Time) {
	full := s.full(now)
	if !full && len(s.almostFull) == 0 || s.suspended != "" || s.tripped() || now.Before(s.paused) {
		return
	}
	for name, st := range s.streams {
		short := s.almostFull[name] && st.done > fewSettled && st.done > len(st.entries)/2
		if st.settled == len(st.entries) || !full && !short || s.gaveWay >= max(s.limits.Entries/10, 1) {
			continue
		}
		l := st.entries[st.settled].lane
		first := l.entries[0] // possibly of another pod
		tries := outcome.Tries
		if full && l.gaveWay { // it is not the first one
			tries = 1
		}
		if l.sending || first.attempts < tries || !s.accepted.After(l.failing) {
			continue
		}
		l.gaveWay = true
		s.gaveWay++
		s.bury(first, outcome.Blocking(first.last))
	}
}

// full reports whether there is no room for more events and none of those in the queue can be sent now.
func (s *Sink) full(now time.Time) bool {
	return !s.Room() && s.sending == 0 && len(s.waiting) > 0 && now.Before(s.waiting[0].entries[0].due)
}
