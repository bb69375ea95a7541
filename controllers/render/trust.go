package render

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/revocation"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// maxWrongLines is how many invalid lines of a file are reported individually. A Secret has room for half a million of them.
const maxWrongLines = 8

// maxUserCAs bounds the CAs of a listener: each endpoint looks them up at each login.
const maxUserCAs = 64

const (
	caField      = "spec.authentication.trustedUserCAsSecretRefs"
	revokedField = "spec.revokedKeysSecretRefs"
)

// SecretFile is the result for a SecretFileReference.
type SecretFile struct {
	// NoSecret and NoEntry are set if it is missing, and Unread if that is not known yet.
	NoSecret, NoEntry, Unread bool
	Data                      []byte
}

// Trust is whose signatures an endpoint trusts, and what it has revoked.
type Trust struct {
	// UserCAs are the CAs for the pods, without those that are not public keys. The pods
	// refuse CAs that the policy does not allow, because a policy may end.
	UserCAs []string
	Revoked config.Revoked
	// Unknown is set if a list of revoked keys cannot be read, and never was: it is unknown
	// who must not log in.
	Unknown bool
}

// ResolveTrust determines what a listener trusts, and what is wrong with its references. While
// a list of revoked keys cannot be read, everything that was revoked stays revoked, and while
// a list of CAs has not been read, all CAs that were trusted stay trusted: previous is what
// the pods last got, nil if they never got anything.
func ResolveTrust(l *v1alpha1.SFTPListener, policy cryptopolicy.Policy, file func(v1alpha1.SecretFileReference) SecretFile,
	previous *Trust,
) (Trust, []credentials.Problem) {
	r := trustResolver{namespace: l.Namespace, policy: policy}
	for i, line := range l.Spec.Authentication.TrustedUserCAs {
		if err := r.trustCA(line); err != nil {
			r.problem(v1alpha1.ReasonInvalidUserCA, "spec.authentication.trustedUserCAs[%d]: %v", i, err)
		}
	}
	unread := false
	for _, ref := range l.Spec.Authentication.TrustedUserCAsSecretRefs {
		f := file(ref)
		unread = unread || f.Unread
		r.addCAs(ref, f)
	}
	if unread && previous != nil {
		r.out.UserCAs = union(r.out.UserCAs, previous.UserCAs)
		r.out.UserCAs = r.out.UserCAs[:min(len(r.out.UserCAs), maxUserCAs)]
	}
	r.revoke(l, file, previous)
	return r.out, r.problems
}

type trustResolver struct {
	namespace string
	policy    cryptopolicy.Policy
	out       Trust
	problems  []credentials.Problem
}

func (r *trustResolver) problem(reason, format string, args ...any) {
	r.problems = append(r.problems, credentials.Problem{Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// data returns the content of a file, or false after recording what is missing and its consequences.
func (r *trustResolver) data(field, consequence string, ref v1alpha1.SecretFileReference, f SecretFile) ([]byte, bool) {
	switch {
	case f.Unread: // it will be read
	case f.NoSecret:
		r.problem(v1alpha1.ReasonSecretNotFound, "Secret %q does not exist in namespace %q, %s; create it or correct %s", ref.Name, r.namespace, consequence, field)
	case f.NoEntry:
		r.problem(v1alpha1.ReasonSecretKeyMissing, "Secret %q has no entry %q, %s; add it or correct %s", ref.Name, ref.Key, consequence, field)
	default:
		return f.Data, true
	}
	return nil, false
}

func (r *trustResolver) addCAs(ref v1alpha1.SecretFileReference, f SecretFile) {
	data, ok := r.data(caField, "and its CAs are not trusted", ref, f)
	if !ok {
		return
	}
	n, found, wrong := 0, false, 0
	for line := range bytes.Lines(data) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		found = true
		err := r.trustCA(string(line))
		if err == nil {
			continue
		}
		if wrong++; wrong <= maxWrongLines {
			r.problem(v1alpha1.ReasonInvalidUserCA, "Secret %q, entry %q, line %d: %v", ref.Name, ref.Key, n, err)
		}
	}
	if more := wrong - maxWrongLines; more > 0 {
		r.problem(v1alpha1.ReasonInvalidUserCA, "Secret %q, entry %q has %d more invalid lines", ref.Name, ref.Key, more)
	}
	if !found {
		r.problem(v1alpha1.ReasonInvalidUserCA, "Secret %q, entry %q holds no public key; add the line of the CA's .pub file, or remove it from %s", ref.Name, ref.Key, caField)
	}
}

// trustCA adds a CA. One that the policy does not allow is added with an error.
func (r *trustResolver) trustCA(line string) error {
	key, err := publickey.ParseLine(line)
	if err == nil && len(key.From) > 0 {
		err = errors.New("from= has no meaning before the key of a CA; its certificates can have the option source-address")
	}
	switch {
	case err != nil:
		return err
	case slices.Contains(r.out.UserCAs, key.Line()):
		return nil
	case len(r.out.UserCAs) == maxUserCAs:
		return fmt.Errorf("a listener trusts %d CAs at most, so this one is not trusted; remove those that are not needed", maxUserCAs)
	}
	r.out.UserCAs = append(r.out.UserCAs, key.Line())
	return r.policy.CheckUserKey(key.PublicKey) // not its wrapper, which hides the size
}

func (r *trustResolver) revoke(l *v1alpha1.SFTPListener, file func(v1alpha1.SecretFileReference) SecretFile, previous *Trust) {
	inline, problems := Revoked(l)
	for _, p := range problems {
		r.problem(v1alpha1.ReasonInvalidRevokedKey, "%s", p)
	}
	const stays = "and what was revoked before stays revoked"
	listed, readable := inline, true
	for _, ref := range l.Spec.RevokedKeysSecretRefs {
		data, ok := r.data(revokedField, stays, ref, file(ref))
		if !ok {
			readable = false
			continue
		}
		list, err := revocation.Parse(data)
		if err != nil {
			readable = false
			r.problem(v1alpha1.ReasonInvalidRevokedKey, "Secret %q, entry %q cannot be read, %s: %v", ref.Name, ref.Key, stays, err)
			continue
		}
		listed = join(listed, list)
	}
	if size(listed) > config.MaxRevoked {
		readable = false
		r.problem(v1alpha1.ReasonInvalidRevokedKey, "%s revoke more than %d keys, serial numbers and key IDs, %s; remove those that have expired", revokedField, config.MaxRevoked, stays)
		listed = inline
	}
	if !readable {
		if previous == nil {
			r.out.Unknown = true
			return
		}
		// New entries come last, so that they are dropped if there are too many.
		listed = bounded(join(join(inline, previous.Revoked), listed))
	}
	r.out.Revoked = listed
}

func size(r config.Revoked) int { return len(r.Keys) + len(r.Certificates) }

// join returns the union of both.
func join(a, b config.Revoked) config.Revoked {
	return config.Revoked{Keys: union(a.Keys, b.Keys), Certificates: union(a.Certificates, b.Certificates)}
}

func union[T comparable](a, b []T) []T {
	seen := make(map[T]bool, len(a)+len(b))
	var out []T
	for _, list := range [][]T{a, b} {
		for _, e := range list {
			if !seen[e] {
				seen[e] = true
				out = append(out, e)
			}
		}
	}
	return out
}

func bounded(r config.Revoked) config.Revoked {
	r.Keys = r.Keys[:min(len(r.Keys), config.MaxRevoked)]
	r.Certificates = r.Certificates[:min(len(r.Certificates), config.MaxRevoked-len(r.Keys))]
	return r
}
