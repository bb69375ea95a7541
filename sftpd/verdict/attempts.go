package verdict

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// maxKeysLogged bounds the fingerprints in one line of the audit log.
const maxKeysLogged = 16

// Attempts are the credentials of a login that were refused. The zero value is a login without any.
type Attempts struct {
	refusals int
	// repeated counts keys among them that had already succeeded in this login: for each factor, a client with several keys offers
	// them again starting with the first.
	repeated int
	keys     []string     // fingerprints that were offered and refused
	keyIssue event.Reason // of the last one
	keyUsers []string     // login names that they were for
	known    []string     // those of them that are suspended or expired, and whose own key was offered
	// certificate is the certificate of the last one, nil for none, and certified its key.
	certificate *auth.Certificate
	certified   string
}

// Keys returns the fingerprints of the keys that were refused, at most 16.
func (a *Attempts) Keys() []string { return a.keys }

// Certificate returns the certificate of the last refused key, nil for none.
func (a *Attempts) Certificate() *auth.Certificate { return a.certificate }

// KeyUsers returns the login names that are penalized for the keys if the login fails: all that they were offered for, except one
// that is suspended or expired and whose own key was among them. A former partner that keeps trying is not scanning, and others
// may share its address.
func (a *Attempts) KeyUsers() []string {
	return slices.DeleteFunc(slices.Clone(a.keyUsers), func(name string) bool { return slices.Contains(a.known, name) })
}

// Costs reports whether a refusal penalizes its user's source immediately.
func Costs(r auth.Refusal) bool {
	// Neither is the client's fault.
	return r.Reason != event.PasswordQueueFull && r.Reason != event.CodeOlderThanServer
}

// Gather records a refused credential, and reports whether it is logged only when the login ends, as is done for keys: a client
// with an agent offers them one after another and usually ends up with the right one.
func (a *Attempts) Gather(r auth.Refusal) bool {
	a.refusals++
	if r.Reason == event.KeyUsedBefore {
		a.repeated++
		return true
	}
	if r.Step != factor.PublicKey || r.Fingerprint == "" {
		return false
	}
	// A client also offers the key of a certificate without it. The reason for refusing the
	// certificate says more.
	if r.Reason == event.BadSignature || r.Certificate != nil || a.certificate == nil || r.Fingerprint != a.certified {
		a.keyIssue, a.certificate, a.certified = r.Reason, r.Certificate, r.Fingerprint
	}
	if !slices.Contains(a.keyUsers, r.Username) { // no more than twice the tries allowed
		a.keyUsers = append(a.keyUsers, r.Username)
	}
	if r.Known && !slices.Contains(a.known, r.Username) {
		a.known = append(a.known, r.Username)
	}
	if len(a.keys) < maxKeysLogged && !slices.Contains(a.keys, r.Fingerprint) {
		a.keys = append(a.keys, r.Fingerprint)
	}
	return true
}

// reason returns why a client that exchanged keys did not log in, "" if each refusal has its own line. noneLeft is set if it had
// no tries left, and partial if a factor succeeded.
func (a *Attempts) reason(noneLeft, partial bool) event.Reason {
	switch {
	case a.keyIssue == event.BadSignature:
		return a.keyIssue
	case noneLeft && a.refusals > 0: // and not for requests with the method "none"
		// Typically a client with a full agent.
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
