package server

import (
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
	"github.com/sftp-operator/sftp-operator/sftpd/verdict"
)

// refused takes note of a refused credential.
func (l *login) refused(r auth.Refusal) {
	if l.attempts.Gather(r) {
		l.server.emit(event.KeyRefused{Method: r.Method, Reason: r.Reason})
		return
	}
	if verdict.Costs(r) {
		l.place.PenalizeLogin(r.Username)
	}
	l.server.emit(event.LoginRefused{
		Connection: l.describeAttempt(r.Method), Method: r.Method, Reason: r.Reason, Detail: r.Detail, KeysOffered: l.attempts.Keys(),
	})
}

// failed tells why a connection ended without a login, and counts it for its source.
func (l *login) failed(f *handshake.Failure) {
	if l.peer != nil {
		l.auth.Failed(f.Err)
	}
	for _, username := range l.attempts.KeyUsers() {
		l.place.PenalizeLogin(username)
	}
	v := verdict.Of(verdict.End{
		Closed: l.closed(), Failure: *f, Exchanged: l.peer != nil, Partial: l.auth.Done() != nil, MaxTries: l.maxTries,
	}, &l.attempts)
	switch {
	case v.Penalized && v.Penalty == penalty.NoAuth:
		l.place.PenalizeHolding()
	case v.Penalized:
		l.place.Penalize(v.Penalty)
	}
	switch v.Telling {
	case verdict.Nothing:
	case verdict.Probe:
		l.server.emit(event.Probe{})
		l.server.Log.Debug("connection closed before any data", "connection", l.about.ID, "source", l.about.Source)
	case verdict.Counted:
		l.server.emit(event.Refused{Reason: v.Reason})
		l.server.Log.Debug("handshake failed", "connection", l.about.ID, "source", l.about.Source, "error", f.Err)
	case verdict.Connection:
		l.refuse(v.Reason, v.Detail)
	case verdict.Login:
		l.server.emit(event.LoginRefused{Connection: l.describeAttempt(""), Reason: v.Reason, KeysOffered: l.attempts.Keys()})
	}
}

// notAdmitted tells of a login with valid credentials that found no room, or came too late.
func (l *login) notAdmitted(g *auth.Grant, reason event.Reason) {
	l.server.emit(event.LoginRefused{Connection: l.describeGrant(g), Method: strings.Join(g.Methods, "+"), Reason: reason})
}
