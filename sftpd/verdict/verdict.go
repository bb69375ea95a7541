package verdict

import (
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
)

// End is how a connection ended that logged nobody in.
type End struct {
	// Closed is why the daemon closed it, "" if it has not.
	Closed  event.Reason
	Failure handshake.Failure
	// Exchanged is whether keys were, and Partial whether a step of the login succeeded.
	Exchanged, Partial bool
	// MaxTries is how many credentials the client could have had refused.
	MaxTries int
}

// Telling is how much is told of a failed login.
type Telling int

const (
	// Nothing, since each refused credential has been told of.
	Nothing Telling = iota
	// Probe: it is counted as a load balancer's.
	Probe
	// Counted: it is counted only, as there may be many of those who do not get as far as to exchange keys.
	Counted
	// Connection: it has a line as a connection that was refused.
	Connection
	// Login: it has a line as a login that was refused.
	Login
)

// Verdict is what becomes of a connection that logged nobody in, besides the credentials that were refused.
type Verdict struct {
	Telling Telling
	Reason  event.Reason
	Detail  string
	// Penalized is whether its source gets a penalty; that of penalty.NoAuth grows with the time for which it held its place.
	Penalized bool
	Penalty   penalty.Event
}

// byOutcome has those that depend on the outcome only. Those who are Counted never exchanged keys.
var byOutcome = map[handshake.Outcome]Verdict{
	handshake.Silent:        {Telling: Probe},
	handshake.TimedOut:      {Telling: Login, Reason: event.LoginGraceExceeded, Penalized: true, Penalty: penalty.GraceExceeded},
	handshake.TooMuch:       {Telling: Login, Reason: event.TooMuchBeforeLogin, Penalized: true, Penalty: penalty.ProtocolError},
	handshake.ProtocolError: {Telling: Counted, Reason: event.ProtocolError, Penalized: true, Penalty: penalty.ProtocolError},
	handshake.Left:          {Telling: Counted, Reason: event.ClientLeft, Penalized: true, Penalty: penalty.NoAuth},
}

// Of judges a login that ended, by the credentials that were refused.
func Of(e End, a *Attempts) Verdict {
	v, known := byOutcome[e.Failure.Outcome]
	switch {
	case e.Closed != "":
		// Whoever has to give its place up was silent or slow. All other reasons are the daemon's.
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
	// Refused credentials have had their penalties.
	v := Verdict{Telling: Login, Penalized: a.refusals == 0 && !e.Partial, Penalty: penalty.NoAuth}
	if e.Failure.Outcome == handshake.NoCommonAlgorithm {
		v.Reason, v.Detail = event.NoCommonAlgorithm, e.Failure.Err.Error()
	} else if v.Reason = a.reason(e.MaxTries, e.Partial); v.Reason == "" {
		v.Telling = Nothing
	}
	return v
}
