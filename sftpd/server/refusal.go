package server

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
	"github.com/sftp-operator/sftp-operator/sftpd/verdict"
)

// refused records a refused credential.
func (l *login) refused(r auth.Refusal) {
	if l.attempts.Gather(r) {
		l.server.emit(event.KeyRefused{Method: string(r.Step), Reason: r.Reason})
		return
	}
	if verdict.Costs(r) {
		l.place.PenalizeLogin(r.Username)
	}
	l.loginRefused(event.LoginRefused{
		Connection: l.describeAttempt(r.Step), Method: string(r.Step), Reason: r.Reason, Detail: r.Detail, KeysOffered: l.attempts.Keys(),
	})
}

// failed logs why a connection ended without a login, and penalizes its source.
func (l *login) failed(f *handshake.Failure) {
	if l.peer != nil {
		l.auth.Failed(f.Err)
	}
	for _, username := range l.attempts.KeyUsers() {
		l.place.PenalizeLogin(username)
	}
	v := verdict.Of(verdict.End{
		Closed: l.closed(), Failure: *f, Exchanged: l.peer != nil, Partial: l.auth.Done() != nil,
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
		l.loginRefused(event.LoginRefused{Connection: l.describeAttempt(""), Reason: v.Reason, KeysOffered: l.attempts.Keys()})
	}
}

// loginRefused logs a refused login, and records it for the status of its user.
func (l *login) loginRefused(e event.LoginRefused) {
	l.server.emit(e)
	s := l.server.Current()
	if s == nil || e.User == "" {
		return
	}
	r := keyuse.Refusal{At: time.Now(), Reason: string(e.Reason)}
	if l.client.IsValid() {
		r.Source = l.client.Unmap().WithZone("").String()
	}
	if n := len(e.KeysOffered); n > 0 {
		r.Fingerprint = e.KeysOffered[n-1]
	}
	l.server.KeyUse.NoteRefusal(s.UIDOf(e.User), r)
}

// notAdmitted logs a login with valid credentials that got no place, or got one too late.
func (l *login) notAdmitted(g *auth.Grant, reason event.Reason) {
	l.loginRefused(event.LoginRefused{Connection: l.describeGrant(g), Method: g.Steps.String(), Reason: reason})
}
