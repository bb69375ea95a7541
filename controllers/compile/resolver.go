package compile

import (
	"fmt"
	"hash/maphash"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
)

// Resolver resolves users' credentials from what is known. Its methods are for Input.
type Resolver struct {
	// Ring returns the SFTPKeys of a namespace.
	Ring func(namespace string) *key.Ring
	// Entry returns what is known of an entry of a Secret.
	Entry func(credentials.Ref) credentials.Entry
}

// Resolve returns the credentials of a user.
func (r Resolver) Resolve(u *v1alpha1.SFTPUser) credentials.Credentials {
	return credentials.Resolve(u, r.Ring(u.Namespace), r.Entry)
}

// Stamp identifies what Resolve returns for a user.
func (r Resolver) Stamp(u *v1alpha1.SFTPUser) (Stamp, bool) {
	out := Stamp{Keys: r.Ring(u.Namespace).Stamp()}
	a := &u.Spec.Authentication
	if len(a.AuthorizedKeysSecretRefs) == 0 && a.PasswordSecretRef == nil && a.TOTPSecretRef == nil {
		return out, true
	}
	var h maphash.Hash
	h.SetSeed(seed)
	for _, ref := range credentials.Refs(u) {
		if _, invalid := ref.Invalid(); invalid {
			continue // it never changes
		}
		stampEntry(&h, r.Entry(ref))
	}
	out.Entries = h.Sum64()
	return out, true
}

// seed makes equal stamps of unequal entries a matter of chance: they cannot be constructed.
var seed = maphash.MakeSeed()

// stampEntry adds all that an entry says. A version has one content; it may be known, and
// then not any more.
func stampEntry(h *maphash.Hash, e credentials.Entry) {
	text := func(parts ...string) {
		for _, p := range parts {
			h.WriteString(p)
			h.WriteByte(0)
		}
	}
	text(e.Version, e.Failure)
	fmt.Fprint(h, e.Known, len(e.Keys), e.Further, e.PasswordLength, e.TOTP != nil)
	if e.Password != nil {
		text(e.Password.Hash, e.Password.Source)
	}
	if e.TOTP != nil {
		text(e.TOTP.Secret, e.TOTP.Algorithm)
		fmt.Fprint(h, e.TOTP.Digits)
	}
	if e.Problem != nil {
		text(e.Problem.Reason, e.Problem.Message)
	}
	if e.Version == "" { // of a file: its content is not known by a version
		for _, k := range e.Keys {
			text(k.Line(), k.Comment)
			fmt.Fprint(h, k.From)
		}
	}
}
