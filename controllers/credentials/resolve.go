// Package credentials turns what an SFTPUser refers to (key lines, Secrets, SFTPKeys) into
// what the daemon gets: checked public keys, a password's hash and the secret of an
// authenticator app. It reads nothing: what is known about Secrets is passed in.
package credentials

import (
	"fmt"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Problem is something that a user must fix.
type Problem struct {
	// Reason is one of the reasons of the condition ResolvedRefs.
	Reason string
	// Message is what is wrong and what to do. It never contains a secret.
	Message string
}

// Credentials are the resolved credentials of one user.
type Credentials struct {
	// Keys that log in.
	Keys []config.Key
	// Inventory has all keys, including unusable ones, with their state.
	Inventory []v1alpha1.UserKeyStatus
	Password  *config.Password
	// TOTP is the secret of an authenticator app, nil for none.
	TOTP *config.TOTP
	// Methods that can succeed with these credentials, see WithMethods.
	Methods factor.Set
	// Certificates is set if certificates of the listener's CAs also log in.
	Certificates bool
	// passwordLength is the length of a clear-text password in characters, 0 for a hash, and
	// passwordSecret is where it is.
	passwordLength int
	passwordSecret string
	// Problems that excluded credentials. The others still work: a typo in one key must not
	// lock out the holder of another.
	Problems []Problem
	// Pending are the references that have not been read yet.
	Pending []Ref
	// Failures are why references could not be read again. What was read before stays, except a
	// password and a TOTP secret.
	Failures []string
}

// Resolve resolves a user's credentials from what is known about the entries that it refers to
// and from the SFTPKeys of its namespace.
func Resolve(u *v1alpha1.SFTPUser, keyring *key.Keyring, entry func(Ref) Entry) Credentials {
	r := resolver{user: u, keyring: keyring, seen: map[string]bool{}}
	auth := u.Spec.Authentication
	// SFTPKeys come first: the first of two duplicates counts, and SFTPKeys have the bounds.
	for _, k := range keyring.Of(u.Name) {
		r.addClient(k)
	}
	for i, line := range auth.AuthorizedKeys {
		r.addLine(fmt.Sprintf("spec.authentication.authorizedKeys[%d]", i), line)
	}
	for _, ref := range Refs(u) {
		e, invalid := ref.Invalid()
		if !invalid {
			e = entry(ref)
		}
		r.addEntry(ref, e)
	}
	if r.further > 0 {
		r.problem(v1alpha1.ReasonInvalidPublicKey, "The user has %d public keys too many: at most %d keys, or %d bytes of keys with their networks, are allowed. The others are ignored; remove keys that are not needed",
			r.further, config.MaxKeysPerUser, config.MaxKeySizePerUser)
	}
	r.out.Certificates = auth.Certificates == v1alpha1.CertificatesAccepted
	explained := len(r.out.Problems)+len(r.out.Pending)+len(r.out.Failures) > 0
	if len(r.out.Inventory) == 0 && !r.out.Certificates && auth.PasswordSecretRef == nil && !explained {
		r.problem(v1alpha1.ReasonNoCredentials, "The user has neither a key nor a password, and accepts no certificates; set spec.authentication, or name the user in spec.userRef of an SFTPKey")
	}
	return r.out
}

// Problem sums up the problems as one reason and message; ok is false if there are none.
func (c Credentials) Problem() (p Problem, ok bool) {
	if len(c.Problems) == 0 {
		return Problem{}, false
	}
	messages := make([]string, 0, len(c.Problems))
	for _, p := range c.Problems {
		messages = append(messages, p.Message)
	}
	return Problem{Reason: c.Problems[0].Reason, Message: strings.Join(messages, "; ")}, true
}

type resolver struct {
	user    *v1alpha1.SFTPUser
	keyring *key.Keyring
	// seen are the fingerprints of all keys so far.
	seen map[string]bool
	// size is the size of the keys that log in, and further is the number of keys without room.
	size, further int
	out           Credentials
}

func (r *resolver) problem(reason, format string, args ...any) {
	r.out.Problems = append(r.out.Problems, Problem{Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (r *resolver) addLine(where, line string) {
	k, err := publickey.ParseLine(line)
	if err != nil {
		r.problem(v1alpha1.ReasonInvalidPublicKey, "%s: %v", where, err)
		return
	}
	r.add(k, bounds{source: "inline"})
}

func (r *resolver) addClient(k *key.Client) {
	if k.Problem != "" {
		r.problem(k.Reason, "%s", k.Problem)
		return
	}
	b := bounds{source: "sftpkey/" + k.Name, notBefore: k.NotBefore, notAfter: k.NotAfter}
	r.add(k.Key, b)
	for _, old := range k.Retiring {
		b.notAfter = old.NotAfter
		r.add(old.Key, b)
	}
}

// addEntry adds the content of a Secret's entry.
func (r *resolver) addEntry(ref Ref, e Entry) {
	if !e.Known {
		r.out.Pending = append(r.out.Pending, ref)
	}
	if e.Failure != "" {
		r.out.Failures = append(r.out.Failures, fmt.Sprintf("Secret %q cannot be read: %s", ref.Secret, e.Failure))
	}
	if e.Problem != nil {
		r.out.Problems = append(r.out.Problems, *e.Problem)
	}
	for _, k := range e.Keys {
		r.add(k, bounds{source: "secret/" + ref.Secret, secret: true})
	}
	r.further += e.Further
	if e.Password != nil {
		r.out.Password, r.out.passwordLength, r.out.passwordSecret = e.Password, e.PasswordLength, ref.Secret
	}
	if e.TOTP != nil {
		r.out.TOTP = e.TOTP
	}
}
