package credentials

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Kind is what an entry of a Secret is parsed as.
type Kind string

// The kinds of entries.
const (
	// KindKeys is an authorized_keys file.
	KindKeys Kind = "Keys"
	// KindPassword is a password in clear text.
	KindPassword Kind = "Password"
	// KindHash is the hash of a password.
	KindHash Kind = "Hash"
	// KindTOTP is the secret of an authenticator app.
	KindTOTP Kind = "TOTP"
	// KindFile is a file that a listener refers to: a list of CAs or of revoked keys. It is not parsed, and contains public data
	// only.
	KindFile Kind = "File"
)

// Default entries for references that name none. The CRD has the same defaults, but objects
// in files are not defaulted.
const (
	defaultKeysEntry     = "authorized_keys"
	defaultPasswordEntry = "password"
	defaultTOTPEntry     = "totp"
)

// Ref names one entry of a Secret and what it is parsed as.
type Ref struct {
	Namespace, Secret, Entry string
	Kind                     Kind
}

// Refs returns what a user refers to, defaults applied, in the order of the spec.
func Refs(u *v1alpha1.SFTPUser) []Ref {
	auth := u.Spec.Authentication
	var out []Ref
	for _, ref := range auth.AuthorizedKeysSecretRefs {
		r := Ref{u.Namespace, ref.Name, cmp.Or(ref.Key, defaultKeysEntry), KindKeys}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	if ref := auth.PasswordSecretRef; ref != nil {
		kind := KindPassword
		if ref.Format == v1alpha1.PasswordHash {
			kind = KindHash
		}
		out = append(out, Ref{u.Namespace, ref.Name, cmp.Or(ref.Key, defaultPasswordEntry), kind})
	}
	if ref := auth.TOTPSecretRef; ref != nil {
		out = append(out, Ref{u.Namespace, ref.Name, cmp.Or(ref.Key, defaultTOTPEntry), KindTOTP})
	}
	return out
}

// HasRefs reports whether Refs returns any.
func HasRefs(u *v1alpha1.SFTPUser) bool {
	auth := &u.Spec.Authentication
	return len(auth.AuthorizedKeysSecretRefs) > 0 || auth.PasswordSecretRef != nil || auth.TOTPSecretRef != nil
}

// field returns the field of a user's spec that has the reference.
func (r Ref) field() string {
	switch r.Kind {
	case KindKeys:
		return "spec.authentication.authorizedKeysSecretRefs"
	case KindTOTP:
		return "spec.authentication.totpSecretRef"
	default:
		return "spec.authentication.passwordSecretRef"
	}
}

// problem returns a problem of the entry. The text begins with its location.
func (r Ref) problem(reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf("Secret %q, entry %q ", r.Secret, r.Entry) + fmt.Sprintf(format, args...)}
}

// Invalid returns the entry of a reference whose Secret cannot exist, because no object may have
// its name. Such a Secret must not be requested: a client refuses the name with an error that
// looks temporary.
func (r Ref) Invalid() (Entry, bool) {
	if len(content.IsPathSegmentName(r.Secret)) == 0 && r.Secret != "" {
		return Entry{}, false
	}
	return Entry{Known: true, Problem: &Problem{
		Reason:  v1alpha1.ReasonSecretNotFound,
		Message: fmt.Sprintf("Secret %q cannot exist, because no object can have this name; correct %s", r.Secret, r.field()),
	}}, true
}

// Entry is what is known about a Ref. The zero Entry has not been read yet.
type Entry struct {
	// Known reports whether it has been read, or is known to be missing.
	Known bool
	// Version is "<uid>/<resourceVersion>" of the Secret that it was read from, "" if there is
	// no Secret.
	Version string
	// Keys of an authorized_keys file, at most as many as a record may have, and how many
	// further ones there are.
	Keys    []publickey.Key
	Further int
	// Password is a password's hash, and PasswordLength is its number of characters; 0 if it
	// already was a hash.
	Password       *config.Password
	PasswordLength int
	TOTP           *config.TOTP
	// Data is the content of a file.
	Data []byte
	// Problem is what the owner must fix: a missing Secret or entry, or content that cannot be
	// used. It never quotes content.
	Problem *Problem
	// Failure is why a newer version could not be read. The rest is then the last good state,
	// from which a password and a TOTP secret have been dropped.
	Failure string
}

// Version identifies the version of a Secret. It is empty for a Secret without one, from a
// file: then changes cannot be detected.
func Version(s *corev1.Secret) string {
	if s == nil || s.ResourceVersion == "" {
		return ""
	}
	return string(s.UID) + "/" + s.ResourceVersion
}

// Read parses the entry of a Secret; nil means that it does not exist. hash returns the hash to
// use for a clear-text password; source identifies the version of the password and is empty if the
// Secret has none. Errors are from hash.
func Read(ref Ref, s *corev1.Secret, hash func(data []byte, source string) (*config.Password, error)) (Entry, error) {
	if e, invalid := ref.Invalid(); invalid {
		return e, nil
	}
	e := Entry{Known: true, Version: Version(s)}
	if s == nil {
		e.Problem = &Problem{
			Reason:  v1alpha1.ReasonSecretNotFound,
			Message: fmt.Sprintf("Secret %q does not exist in namespace %q; create it or correct %s", ref.Secret, ref.Namespace, ref.field()),
		}
		return e, nil
	}
	data, ok := s.Data[ref.Entry]
	if !ok {
		e.Problem = &Problem{
			Reason:  v1alpha1.ReasonSecretKeyMissing,
			Message: fmt.Sprintf("Secret %q has no entry %q; add it or set the key of %s", ref.Secret, ref.Entry, ref.field()),
		}
		return e, nil
	}
	switch ref.Kind {
	case KindKeys:
		e.readKeys(ref, data)
		return e, nil
	case KindTOTP:
		e.readTOTP(ref, data)
		return e, nil
	case KindHash:
		e.readHash(ref, data)
		return e, nil
	case KindFile:
		e.Data = data
		return e, nil
	default:
		err := e.readPassword(ref, data, hash)
		return e, err
	}
}
