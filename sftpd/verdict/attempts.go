package verdict

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// maxKeysLogged bounds the fingerprints in one line of the audit log.
const maxKeysLogged = 16

// Attempts are the credentials of a login that were refused. The zero value is of a login without any.
type Attempts struct {
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

// Keys are the fingerprints of those that were offered in vain, at most 16.
func (a *Attempts) Keys() []string { return a.keys }

// Certificate is what came with the last of them, nil for none.
func (a *Attempts) Certificate() *auth.Certificate { return a.certificate }

// KeyUsers are the login names that the keys were for. Each pays for them when the login has failed.
func (a *Attempts) KeyUsers() []string { return a.keyUsers }

// Costs reports whether a refusal costs its user's source something at once.
func Costs(r auth.Refusal) bool {
	// Neither of the two is the client's fault.
	return r.Reason != event.PasswordQueueFull && r.Reason != event.CodeOlderThanServer
}

// Gather takes note of a refused credential, and reports whether that is all until the login ends: of a key. Keys are
// gathered, since a client with an agent offers them one after another and mostly ends with the right one.
func (a *Attempts) Gather(r auth.Refusal) bool {
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
func (a *Attempts) reason(maxTries int, partial bool) event.Reason {
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
