package server

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// maxKeysLogged bounds the fingerprints in one line of the audit log.
const maxKeysLogged = 16

// attempts are the credentials of a login that were refused.
type attempts struct {
	refusals int
	// repeated of them are keys that had succeeded before in this login: a client with
	// several offers them from the first on for each step.
	repeated int
	keys     []string     // fingerprints that were offered in vain
	keyIssue event.Reason // of the last of them
	keyUsers []string     // login names that they were for
	// certificate is what came with the last of them, nil for none, and certified that key.
	certificate *auth.Certificate
	certified   string
}

// refused takes note of a refused credential. Keys are gathered, since a client with an
// agent offers them one after another and mostly ends with the right one.
func (l *login) refused(r auth.Refusal) {
	if l.gather(r) {
		l.server.emit(event.KeyRefused{Method: r.Method, Reason: r.Reason})
		return
	}
	// Neither of the two is the client's fault.
	if r.Reason != event.PasswordQueueFull && r.Reason != event.CodeOlderThanServer {
		l.place.PenalizeLogin(r.Username)
	}
	l.server.emit(event.LoginRefused{
		Connection: l.describeAttempt(r.Method), Method: r.Method, Reason: r.Reason, Detail: r.Detail, KeysOffered: l.keys,
	})
}

// gather takes note of a refused credential, and reports whether that is all until the login ends: of a key.
func (a *attempts) gather(r auth.Refusal) bool {
	a.refusals++
	if r.Reason == event.KeyUsedBefore {
		a.repeated++
		return true
	}
	if r.Method != auth.PublicKey || r.Fingerprint == "" {
		return false
	}
	// A client offers the key of a certificate by itself, too. Why the certificate was
	// refused says more.
	if r.Reason == event.BadSignature || r.Certificate != nil || a.certificate == nil || r.Fingerprint != a.certified {
		a.keyIssue, a.certificate, a.certified = r.Reason, r.Certificate, r.Fingerprint
	}
	if !slices.Contains(a.keyUsers, r.Username) { // no more than tries
		a.keyUsers = append(a.keyUsers, r.Username)
	}
	if len(a.keys) < maxKeysLogged && !slices.Contains(a.keys, r.Fingerprint) {
		a.keys = append(a.keys, r.Fingerprint)
	}
	return true
}

// reason is why a client that exchanged keys did not log in, "" if each refusal has its line. partial is whether a step of
// the login succeeded.
func (a *attempts) reason(maxTries int, partial bool) event.Reason {
	switch {
	case a.keyIssue == event.BadSignature:
		return a.keyIssue
	case a.refusals >= maxTries:
		// A client with a full agent, above all.
		return event.MaxTriesReached
	case partial && a.refusals == a.repeated:
		return event.NextFactorMissing
	case len(a.keys) > 0:
		return a.keyIssue
	case a.refusals > 0:
		return ""
	}
	return event.LoginAbandoned
}
