package verdict

import (
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
)

// End describes how a connection without a login ended.
type End struct {
	// Closed is why the daemon closed it, "" if it has not.
	Closed  event.Reason
	Failure handshake.Failure
	// Exchanged is set if keys were exchanged, and Partial if a factor succeeded.
	Exchanged, Partial bool
}

// Telling is how much is reported about a failed login.
type Telling int

const (
	// Nothing: each refused credential has already been reported.
	Nothing Telling = iota
	// Probe: it is counted as a load balancer's probe.
	Probe
	// Counted: it is only counted, as there may be many clients that do not get as far as exchanging keys.
	Counted
	// Connection: it is logged as a refused connection.
	Connection
	// Login: it is logged as a refused login.
	Login
)

// Verdict is the consequence of a connection without a login, besides those of its refused credentials.
type Verdict struct {
	Telling Telling
	Reason  event.Reason
	Detail  string
	// Penalized is set if its source is penalized; the penalty of penalty.NoAuth grows with the time that it held its place.
	Penalized bool
	Penalty   penalty.Event
}

// byOutcome holds the verdicts that depend only on the outcome. Counted clients never exchanged keys.
var byOutcome = map[handshake.Outcome]Verdict{
	handshake.Silent:        {Telling: Probe},
	handshake.TimedOut:      {Telling: Login, Reason: event.LoginGraceExceeded, Penalized: true, Penalty: penalty.GraceExceeded},
	handshake.TooMuch:       {Telling: Login, Reason: event.TooMuchBeforeLogin, Penalized: true, Penalty: penalty.ProtocolError},
	handshake.ProtocolError: {Telling: Counted, Reason: event.ProtocolError, Penalized: true, Penalty: penalty.ProtocolError},
	handshake.Left:          {Telling: Counted, Reason: event.ClientLeft, Penalized: true, Penalty: penalty.NoAuth},
}

// Of returns the verdict on a login that ended, given the credentials that were refused.
func Of(e End, a *Attempts) Verdict {
	v, known := byOutcome[e.Failure.Outcome]
	switch {
	case e.Closed != "":
		// A client that lost its place was silent or slow. All other reasons are the daemon's.
		v = Verdict{Telling: Login, Reason: e.Closed, Penalized: e.Closed == event.Displaced, Penalty: penalty.NoAuth}
	case !known:
		v = ofAttempts(e, a)
	}
	if v.Telling == Login && (!e.Exchanged || e.Failure.Outcome == handshake.NoCommonAlgorithm) {
		v.Telling = Connection
	}
	return v
}

func ofAttempts(e End, a *Attempts) Verdict {
	// Refused credentials have already been penalized.
	v := Verdict{Telling: Login, Penalized: a.refusals == 0 && !e.Partial, Penalty: penalty.NoAuth}
	if e.Failure.Outcome == handshake.NoCommonAlgorithm {
		v.Reason, v.Detail = event.NoCommonAlgorithm, e.Failure.Err.Error()
	} else if v.Reason = a.reason(e.Failure.Outcome == handshake.NoTriesLeft, e.Partial); v.Reason == "" {
		v.Telling = Nothing
	}
	return v
}
