package server

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
)

// maxKeysLogged bounds the fingerprints in one line of the audit log.
const maxKeysLogged = 16

// attempts are the credentials of a login that were refused.
type attempts struct {
	refusals int
	// repeated of them are keys that had succeeded before in this login: a client with
	// several offers them from the first on for each step.
	repeated int
	keys     []string    // fingerprints that were offered in vain
	keyIssue auth.Reason // of the last of them
	keyUsers []string    // login names that they were for
	// certificate is what came with the last of them, nil for none, and certified that key.
	certificate *auth.Certificate
	certified   string
}

// refused takes note of a refused credential. Keys are gathered, since a client with an
// agent offers them one after another and mostly ends with the right one.
func (l *login) refused(r auth.Refusal) {
	l.server.Metrics.LoginRefused(r.Method, string(r.Reason))
	if l.gather(r) {
		return
	}
	// Neither of the two is the client's fault.
	if r.Reason != auth.PasswordQueueFull && r.Reason != auth.CodeOlderThanServer {
		l.penaliseLogin(r.Username)
	}
	l.write(audit.LoginRefused, string(r.Reason), r.Method, r.Detail)
}

// gather takes note of a refused credential, and reports whether that is all until the login ends: of a key.
func (a *attempts) gather(r auth.Refusal) bool {
	a.refusals++
	if r.Reason == auth.KeyUsedBefore {
		a.repeated++
		return true
	}
	if r.Method != auth.PublicKey || r.Fingerprint == "" {
		return false
	}
	// A client offers the key of a certificate by itself, too. Why the certificate was
	// refused says more.
	if r.Reason == auth.BadSignature || r.Certificate != nil || a.certificate == nil || r.Fingerprint != a.certified {
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
func (a *attempts) reason(maxTries int, partial bool) string {
	switch {
	case a.keyIssue == auth.BadSignature:
		return string(a.keyIssue)
	case a.refusals >= maxTries:
		// A client with a full agent, above all.
		return string(auth.MaxTriesReached)
	case partial && a.refusals == a.repeated:
		return string(auth.NextFactorMissing)
	case len(a.keys) > 0:
		return string(a.keyIssue)
	case a.refusals > 0:
		return ""
	}
	return reasonLoginAbandoned
}
