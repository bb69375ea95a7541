package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/inventory"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

func (e *explainer) publicKey() {
	const name = "key"
	if e.Fingerprint == "" {
		e.key.KeyNotRegistered = e.add(name, Unknown, "no key was given; use -i or --fingerprint. The user has: %s%s", list(e.known()), e.certificates())
		return
	}
	if e.revoked() {
		e.key.KeyRevoked = e.add(name, Denied, "key_revoked: the listener has revoked %s, in its spec.revokedKeys or a list that it names", e.Fingerprint)
		return
	}
	if e.Key != nil && !e.usableKey(name) {
		return
	}
	if e.Certificate != nil {
		e.certificate()
		return
	}
	e.registered(name)
	if e.trusted.Unknown || e.trustDenied != "" {
		e.key.KeyRevoked = e.add("revoked keys", e.revokedByStatus(), "a list of revoked keys in a Secret could not be read%s; the status of the user has %s",
			in(e.trustDenied), e.stateByStatus())
	}
}

// registered looks for the key among the user's keys.
func (e *explainer) registered(name string) {
	denied := e.seen.denied
	for _, k := range e.seen.keys.Keys {
		if fingerprintOf(k) == e.Fingerprint {
			e.add(name, OK, "%s is registered", e.Fingerprint)
			e.keyTime(k.NotBefore, k.NotAfter)
			e.keyFrom(k.From)
			return
		}
	}
	for _, k := range e.User.Status.Keys {
		if len(denied) > 0 && k.Fingerprint == e.Fingerprint {
			e.keyByStatus(name, k, denied)
			return
		}
	}
	if len(denied) > 0 && e.User.Status.ObservedGeneration < e.User.Generation {
		e.key.KeyNotRegistered = e.add(name, Unknown, "%s is not among the keys that could be read: %s", e.Fingerprint, strings.Join(denied, "; "))
		return
	}
	result, certificates := Denied, e.certificates()
	if certificates != "" {
		result = Unknown
	}
	e.key.KeyNotRegistered = e.add(name, result, "%s is not registered for the user, which has: %s%s%s",
		e.Fingerprint, list(e.known()), e.keyProblems(), certificates)
}

// revoked reports whether the listener revokes the key. The status of the user's keys reflects the lists in Secrets that the
// operator has read.
func (e *explainer) revoked() bool {
	return e.stateByStatus() == string(v1alpha1.KeyRevoked) || slices.Contains(e.trusted.Revoked.Keys, e.Fingerprint)
}

// stateByStatus returns the operator's finding about the key.
func (e *explainer) stateByStatus() string {
	for _, k := range e.User.Status.Keys {
		if k.Fingerprint == e.Fingerprint {
			return string(k.State)
		}
	}
	return "no entry for the key"
}

// revokedByStatus returns whether the operator, which can read the lists, considers the key valid.
func (e *explainer) revokedByStatus() Result {
	if e.stateByStatus() == string(v1alpha1.KeyActive) && e.User.Status.ObservedGeneration >= e.User.Generation {
		return OK
	}
	return Unknown
}

// certificates adds a check if the user logs in with certificates: any key may have one, and
// none is known here.
func (e *explainer) certificates() string {
	if e.User.Spec.Authentication.Certificates != v1alpha1.CertificatesAccepted {
		return ""
	}
	return "; a certificate of one of the listener's trustedUserCAs would also work: use -i with the file of the certificate"
}

// known returns the fingerprints of the user's keys that the operator knows.
func (e *explainer) known() []string {
	var out []string
	for _, k := range e.User.Status.Keys {
		out = append(out, k.Fingerprint)
	}
	return out
}

// keyByStatus uses the operator's result where the caller may not read the source of the key.
func (e *explainer) keyByStatus(name string, k v1alpha1.UserKeyStatus, denied []string) {
	if !inventory.LogsIn(k.State) {
		e.add(name, Denied, "%s is %s, according to the status", k.Fingerprint, k.State)
		return
	}
	e.add(name, OK, "%s is registered, according to the status", k.Fingerprint)
	e.keyTime(timeOf(k.NotBefore), timeOf(k.ExpirationTime))
	for _, line := range e.User.Spec.Authentication.AuthorizedKeys {
		if parsed, err := publickey.ParseLine(line); err == nil && k.Source == "inline" && parsed.Fingerprint() == k.Fingerprint {
			var from []string
			for _, p := range parsed.From {
				from = append(from, p.String())
			}
			e.keyFrom(from)
		}
	}
	if k.Source != "inline" {
		e.add("key's networks", Unknown, "whether networks restrict the key could not be read: %s", strings.Join(denied, "; "))
	}
}

func timeOf(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}

func (e *explainer) keyTime(notBefore, notAfter *time.Time) {
	const name = "key's time"
	switch {
	case notBefore != nil && e.Now.Before(*notBefore):
		e.key.KeyNotBegun = e.add(name, Denied, "the key is not valid before %s", notBefore.UTC().Format(time.RFC3339))
	case notAfter != nil && !e.Now.Before(*notAfter):
		e.key.KeyExpired = e.add(name, Denied, "the key expired at %s", notAfter.UTC().Format(time.RFC3339))
	case notAfter != nil:
		e.add(name, OK, "the key is valid until %s", notAfter.UTC().Format(time.RFC3339))
	}
}

func fingerprintOf(k config.Key) string {
	parsed, err := publickey.ParseLine(k.PublicKey)
	if err != nil {
		return "" // it was made from a key
	}
	return parsed.Fingerprint()
}

// usableKey reports whether any user of the listener could log in with the key.
func (e *explainer) usableKey(name string) bool {
	if err := publickey.Check(e.Key); err != nil {
		e.key.KeyNotRegistered = e.add(name, Denied, "%v", err)
		return false
	}
	if e.Listener == nil {
		return true // the status has no key that the policy refuses
	}
	policy, err := cryptopolicy.Lookup(string(e.policyName()))
	if err != nil {
		e.key.KeyTooShort = e.add("crypto policy", Unknown, "%v", err)
		return true
	}
	if err := policy.CheckUserKey(e.Key); err != nil {
		e.key.KeyTooShort = e.add("crypto policy", Denied, "%v", err)
		return false
	}
	e.add("crypto policy", OK, "%s allows keys of type %s", policy.Name, e.Key.Type())
	return true
}

func (e *explainer) keyFrom(list []string) {
	if len(list) == 0 {
		return
	}
	// A zone, which a link-local address may have, does not belong to the client's address.
	var plain []string
	for _, n := range list {
		if !strings.Contains(n, "%") {
			plain = append(plain, n)
		}
	}
	e.key.SourceNotAllowed = worse(e.key.SourceNotAllowed, e.network("key's networks", "from= of the key", plain))
}

func (e *explainer) password() {
	const name = "password"
	ref := e.User.Spec.Authentication.PasswordSecretRef
	if ref == nil {
		return // the method reports it
	}
	entry := e.seen.entry(credentials.KindPassword, credentials.KindHash)
	switch {
	case entry.denied != nil:
		e.passwordAsked.Wrong = e.add(name, Unknown, "%v", entry.denied)
	case entry.Problem != nil:
		e.passwordAsked.NoPassword = e.add(name, Denied, "%s: %s", entry.Problem.Reason, entry.Problem.Message)
	case e.seen.keys.Password == nil:
		e.passwordAsked.NoPassword = e.add(name, Denied, "%s", strings.TrimPrefix(e.problems(v1alpha1.ReasonInvalidPassword), "; "))
	case e.Password == nil:
		e.passwordAsked.Wrong = e.add(name, Unknown, "Secret %s has one; whether the client has the same one is unknown: pass it with --password-stdin", ref.Name)
	case !e.seen.matches(e.Password):
		e.passwordAsked.Wrong = e.add(name, Denied, "Secret %s has a different one", ref.Name)
	default:
		e.add(name, OK, "Secret %s has the same one", ref.Name)
	}
}

// keyProblems returns the problems of the user's keys, after a semicolon.
func (e *explainer) keyProblems() string {
	return e.problems(v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretKeyMissing, v1alpha1.ReasonInvalidPublicKey, v1alpha1.ReasonKeyNotFound,
		v1alpha1.ReasonKeyAssignedElsewhere, v1alpha1.ReasonNoCredentials, v1alpha1.ReasonKeyRevoked)
}

// problems returns the problems with certain reasons, in one sentence after a semicolon; "" for none.
func (e *explainer) problems(reasons ...string) string {
	c := credentials.Credentials{Problems: slices.DeleteFunc(slices.Clone(e.seen.keys.Problems), func(p credentials.Problem) bool {
		return !slices.Contains(reasons, p.Reason)
	})}
	return summary(c)
}

// allProblems returns the problems of all credentials, after a semicolon; "" for none.
func (e *explainer) allProblems() string { return summary(e.seen.keys) }

func summary(c credentials.Credentials) string {
	if p, ok := c.Problem(); ok {
		return fmt.Sprintf("; %s: %s", p.Reason, p.Message)
	}
	return ""
}

// list joins texts.
func list(texts []string) string {
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}
