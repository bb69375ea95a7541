package queue

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/relay/outcome"
)

// fewSettled is up to how many settled events of a pod it does not matter that they wait.
const fewSettled = 100

// Short notes which pods soon have no room for events: before they refuse uploads, it matters what they have to keep.
func (s *Sink) Short(pods map[string]bool) { s.short = pods }

// relieve makes events dead letters that the receiver does not take, although it accepts those of other users, where too much waits
// for them: a pod is told of a position, so what is settled behind one of them is kept until it is, here and there. Without it, one
// event that makes a receiver fail would keep the events of all users from it, or let the pods refuse uploads, until it is given up.
//
// The receiver must have accepted an event of another user since the failures began. Otherwise it may be the receiver that is not
// well, and its events wait. As it may have become unwell since, only a part of the queue gives way until it accepts one again.
func (s *Sink) relieve(now time.Time) {
	full := s.full(now)
	if !full && len(s.short) == 0 || s.suspended != "" || s.tripped() || now.Before(s.paused) {
		return
	}
	for name, st := range s.streams {
		short := s.short[name] && st.done > fewSettled && st.done > len(st.entries)/2
		if st.settled == len(st.entries) || !full && !short || s.gaveWay >= max(s.limits.Entries/10, 1) {
			continue
		}
		l := st.entries[st.settled].lane
		first := l.entries[0] // perhaps of another pod
		tries := outcome.Tries
		if full && l.gaveWay { // it is not the first one
			tries = 1
		}
		if l.sending || first.attempts < tries || !s.accepted.After(l.failing) {
			continue
		}
		l.gaveWay = true
		s.gaveWay++
		s.bury(first, outcome.InTheWay(first.last))
	}
}

// full reports whether there is no room for further events, and nothing of what there is can be sent now.
func (s *Sink) full(now time.Time) bool {
	return !s.Room() && s.sending == 0 && len(s.waiting) > 0 && now.Before(s.waiting[0].entries[0].due)
}
