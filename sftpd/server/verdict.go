package server

import (
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
)

// verdict is what becomes of a connection that logged nobody in, besides the credentials that were refused.
type verdict struct {
	// reason in the metric and the audit log. With none, each refusal has been counted and has its line.
	reason event.Reason
	detail string
	// penalized is whether its source gets a penalty; that of penalty.NoAuth grows with the time for which it held its place.
	penalized bool
	penalty   penalty.Event
	// unlogged is whether the audit log is spared: of those who do not get as far as to exchange keys there may be many.
	unlogged bool
}

// verdicts are those that depend on the outcome only.
var verdicts = map[handshake.Outcome]verdict{
	handshake.TimedOut:      {reason: event.LoginGraceExceeded, penalized: true, penalty: penalty.GraceExceeded},
	handshake.TooMuch:       {reason: event.TooMuchBeforeLogin, penalized: true, penalty: penalty.ProtocolError},
	handshake.ProtocolError: {reason: event.ProtocolError, penalized: true, penalty: penalty.ProtocolError, unlogged: true},
	handshake.Left:          {reason: event.ClientLeft, penalized: true, penalty: penalty.NoAuth, unlogged: true},
}

// verdict is that of a login that the daemon has closed for a reason, "" for none, or that failed.
func (l *login) verdict(closed event.Reason, f *handshake.Failure) verdict {
	if closed != "" {
		// Whoever has to give its place up was silent or slow. All other reasons are the daemon's.
		return verdict{reason: closed, penalized: closed == event.Displaced, penalty: penalty.NoAuth}
	}
	if v, ok := verdicts[f.Outcome]; ok {
		return v
	}
	// Refused credentials have had their penalties.
	partial := l.auth.Done() != nil
	v := verdict{penalized: l.refusals == 0 && !partial, penalty: penalty.NoAuth}
	if f.Outcome == handshake.NoCommonAlgorithm {
		v.reason, v.detail = event.NoCommonAlgorithm, f.Err.Error()
	} else {
		v.reason = l.reason(l.maxTries, partial)
	}
	return v
}

// failed logs why a connection ended without a login, and counts it for its source.
func (l *login) failed(f *handshake.Failure) {
	closed := l.closed()
	if closed == "" && f.Outcome == handshake.Silent {
		// A load balancer's probe.
		l.server.emit(event.Probe{})
		l.server.Log.Debug("connection closed before any data", "connection", l.id, "source", l.remote)
		return
	}
	if l.peer != nil {
		l.auth.Failed(f.Err)
	}
	for _, username := range l.keyUsers {
		l.place.PenalizeLogin(username)
	}
	v := l.verdict(closed, f)
	switch {
	case v.penalized && v.penalty == penalty.NoAuth:
		l.place.PenalizeHolding()
	case v.penalized:
		l.place.Penalize(v.penalty)
	}
	switch {
	case v.reason == "":
	case v.unlogged:
		l.server.emit(event.Refused{Reason: v.reason})
		l.server.Log.Debug("handshake failed", "connection", l.id, "source", l.remote, "error", f.Err)
	case l.peer == nil || f.Outcome == handshake.NoCommonAlgorithm:
		l.refuse(v.reason, v.detail)
	default:
		l.server.emit(event.LoginRefused{Connection: l.describeAttempt(""), Reason: v.reason, KeysOffered: l.keys})
	}
}
