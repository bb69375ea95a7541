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
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

func (e *explainer) publicKey() {
	const name = "key"
	if e.Fingerprint == "" {
		e.add(name, Unknown, "no key was given to look for; the user has: %s%s", list(e.known()), e.certificates())
		return
	}
	if e.revoked() {
		e.add(name, Denied, "key_revoked: the listener has revoked %s, in its spec.revokedKeys or a list that it names", e.Fingerprint)
		return
	}
	if e.Key != nil && !e.usableKey(name) {
		return
	}
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
		e.add(name, Unknown, "%s is not among the keys that could be seen: %s", e.Fingerprint, strings.Join(denied, "; "))
		return
	}
	result, certificates := Denied, e.certificates()
	if certificates != "" {
		result = Unknown
	}
	e.add(name, result, "%s is not registered for the user, which has: %s%s%s", e.Fingerprint, list(e.known()), e.keyProblems(), certificates)
}

// revoked says whether the listener revokes the key. Its lists in Secrets are not read: the
// operator has, and says so in the status of the user's keys.
func (e *explainer) revoked() bool {
	if slices.ContainsFunc(e.User.Status.Keys, func(k v1alpha1.UserKeyStatus) bool {
		return k.Fingerprint == e.Fingerprint && k.State == v1alpha1.KeyRevoked
	}) {
		return true
	}
	if e.Listener == nil {
		return false
	}
	revoked, _ := render.Revoked(e.Listener)
	return slices.Contains(revoked.Keys, e.Fingerprint)
}

// certificates tells of certificates if the user logs in with them: any key may have one, and
// none is known here.
func (e *explainer) certificates() string {
	if e.User.Spec.Authentication.Certificates != v1alpha1.CertificatesAccepted {
		return ""
	}
	return "; a certificate of one of the listener's trustedUserCAs would do, too, but certificates are not looked at here"
}

// known are the fingerprints of the user's keys as the operator knows them.
func (e *explainer) known() []string {
	var out []string
	for _, k := range e.User.Status.Keys {
		out = append(out, k.Fingerprint)
	}
	return out
}

// keyByStatus goes by what the operator found, where the caller may not read what the key is in.
func (e *explainer) keyByStatus(name string, k v1alpha1.UserKeyStatus, denied []string) {
	if !inventory.LogsIn(k.State) {
		e.add(name, Denied, "%s is %s, as the status says", k.Fingerprint, k.State)
		return
	}
	e.add(name, OK, "%s is registered, as the status says", k.Fingerprint)
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
		e.add("key's networks", Unknown, "whether networks restrict the key could not be seen: %s", strings.Join(denied, "; "))
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
		e.add(name, Denied, "the key is valid from %s on", notBefore.UTC().Format(time.RFC3339))
	case notAfter != nil && !e.Now.Before(*notAfter):
		e.add(name, Denied, "the key expired at %s", notAfter.UTC().Format(time.RFC3339))
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

// usableKey says whether any user of the listener could log in with the key.
func (e *explainer) usableKey(name string) bool {
	if err := publickey.Check(e.Key); err != nil {
		e.add(name, Denied, "%v", err)
		return false
	}
	if e.Listener == nil {
		return true // the status has no key that the policy refuses
	}
	policyName := e.Listener.Status.CryptoPolicy
	if policyName == "" {
		policyName = e.Listener.Spec.CryptoPolicy
	}
	policy, err := cryptopolicy.Lookup(string(policyName))
	if err != nil {
		e.add("crypto policy", Unknown, "%v", err)
		return true
	}
	if err := policy.CheckUserKey(e.Key); err != nil {
		e.add("crypto policy", Denied, "%v", err)
		return false
	}
	e.add("crypto policy", OK, "%s admits keys of type %s", policy.Name, e.Key.Type())
	return true
}

func (e *explainer) keyFrom(list []string) {
	const name = "key's networks"
	if len(list) == 0 {
		return
	}
	if !e.From.IsValid() {
		e.add(name, Unknown, "networks restrict the key to %s; give --from", strings.Join(list, ", "))
		return
	}
	// A zone, which an address of a link may have, is none of the client's.
	var plain []string
	for _, n := range list {
		if !strings.Contains(n, "%") {
			plain = append(plain, n)
		}
	}
	set, err := networks.Parse(plain)
	switch {
	case err != nil:
		e.add(name, Unknown, "networks of the key: %v", err)
	case e.hidesAddresses():
		e.add(name, Unknown, "the networks of the key are %s; %s", strings.Join(list, ", "), hiddenAddresses)
	case !set.Contains(e.From):
		e.add(name, Denied, "the networks of the key do not contain %s, only %s", e.From, strings.Join(list, ", "))
	default:
		e.add(name, OK, "the networks of the key contain %s", e.From)
	}
}

func (e *explainer) password() {
	const name = "password"
	ref := e.User.Spec.Authentication.PasswordSecretRef
	if ref == nil {
		return // the method says it
	}
	entry := e.seen.entry(credentials.KindPassword, credentials.KindHash)
	switch {
	case entry.denied != nil:
		e.add(name, Unknown, "%v", entry.denied)
	case entry.Problem != nil:
		e.add(name, Denied, "%s: %s", entry.Problem.Reason, entry.Problem.Message)
	case e.seen.keys.Password == nil:
		e.add(name, Denied, "%s", strings.TrimPrefix(e.problems(v1alpha1.ReasonInvalidPassword), "; "))
	default:
		e.add(name, OK, "Secret %s has one; whether the client has the same is not known here", ref.Name)
	}
}

// keyProblems are those of the user's keys, after a semicolon.
func (e *explainer) keyProblems() string {
	return e.problems(v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretKeyMissing, v1alpha1.ReasonInvalidPublicKey, v1alpha1.ReasonKeyNotFound,
		v1alpha1.ReasonKeyAssignedElsewhere, v1alpha1.ReasonNoCredentials, v1alpha1.ReasonKeyRevoked)
}

// problems of some reasons, in one sentence after a semicolon; "" for none.
func (e *explainer) problems(reasons ...string) string {
	c := credentials.Credentials{Problems: slices.DeleteFunc(slices.Clone(e.seen.keys.Problems), func(p credentials.Problem) bool {
		return !slices.Contains(reasons, p.Reason)
	})}
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
