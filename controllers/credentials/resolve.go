// Package credentials turns what an SFTPUser refers to (key lines, Secrets, SFTPKeys)
// into what the daemon gets: checked public keys, a password's hash and the secret of an
// authenticator app.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

// ErrNotFound is what a Source returns for an object that does not exist.
var ErrNotFound = errors.New("not found")

// Source gives access to the objects that users refer to.
type Source interface {
	// Secret returns a Secret, or ErrNotFound.
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Ring returns the SFTPKeys of a namespace.
	Ring(ctx context.Context, namespace string) (*key.Ring, error)
}

// Problem is something that a user must put right.
type Problem struct {
	// Reason is one of the reasons of the condition ResolvedRefs.
	Reason string
	// Message says what is wrong and what to do. It never contains a secret.
	Message string
}

// Credentials are the resolved credentials of one user.
type Credentials struct {
	// Keys that log in.
	Keys []config.Key
	// Inventory has all keys, those that cannot be used included. Of these the state is set.
	Inventory []v1alpha1.UserKeyStatus
	Password  *config.Password
	// TOTP is the secret of an authenticator app, nil for none.
	TOTP *config.TOTP
	// Methods that can succeed with these credentials, see For.
	Methods factor.Set
	// Certificates of the listener's CAs log in, too.
	Certificates bool
	// passwordLength is that of a password in clear, in characters, and passwordSecret where
	// it is. 0 stands for a hash.
	passwordLength int
	passwordSecret string
	// Problems that left credentials out. The others work all the same: a typo in one
	// key must not lock out whoever holds another.
	Problems []Problem
}

// Resolve resolves a user's credentials. previous is the password that was rendered
// before, or nil; its hash is used again as long as the password is the same, so that
// nobody is logged out and equal input gives equal output.
//
// The error is transient (an API call that failed); what the user must put right is in
// Credentials.Problems.
func Resolve(ctx context.Context, src Source, u *v1alpha1.SFTPUser, previous *config.Password) (Credentials, error) {
	r := resolver{src: src, namespace: u.Namespace, user: u.Name, seen: map[string]bool{}}
	var err error
	if r.ring, err = src.Ring(ctx, u.Namespace); err != nil {
		return Credentials{}, err
	}
	auth := u.Spec.Authentication
	// SFTPKeys come first: of a key that stands twice the first one counts, and these have
	// the bounds.
	for _, k := range r.ring.Of(u.Name) {
		r.addClient(k)
	}
	for _, ref := range auth.KeyRefs {
		r.addKeyRef(ref.Name)
	}
	for i, line := range auth.AuthorizedKeys {
		r.addLine(fmt.Sprintf("spec.authentication.authorizedKeys[%d]", i), line)
	}
	for _, ref := range auth.AuthorizedKeysSecretRefs {
		if err := r.addSecret(ctx, ref); err != nil {
			return Credentials{}, err
		}
	}
	if auth.PasswordSecretRef != nil {
		if err := r.setPassword(ctx, *auth.PasswordSecretRef, previous); err != nil {
			return Credentials{}, err
		}
	}
	if auth.TOTPSecretRef != nil {
		if err := r.setTOTP(ctx, *auth.TOTPSecretRef); err != nil {
			return Credentials{}, err
		}
	}
	r.out.Certificates = auth.Certificates == v1alpha1.CertificatesAccepted
	if len(r.out.Inventory) == 0 && !r.out.Certificates && auth.PasswordSecretRef == nil && len(r.out.Problems) == 0 {
		r.problem(v1alpha1.ReasonNoCredentials, "The user has neither a key nor a password, and accepts no certificates; set spec.authentication, or name the user in spec.userRef of an SFTPKey")
	}
	return r.out, nil
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
	src       Source
	namespace string
	user      string
	ring      *key.Ring
	seen      map[string]bool
	out       Credentials
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

// bounds are what is known of a key beside itself.
type bounds struct {
	source              string
	notBefore, notAfter *metav1.Time
}

// add adds a key, unless it is another user's.
func (r *resolver) add(k publickey.Key, b bounds) {
	fp := k.Fingerprint()
	if r.seen[fp] {
		return
	}
	if owner := r.ring.Owner(fp); owner != nil && owner.User != r.user {
		r.problem(v1alpha1.ReasonKeyAssignedElsewhere, "The key %s (%s) is assigned to SFTPUser %q by SFTPKey %q; remove it here and give each user a key of its own, or change spec.userRef there",
			fp, b.source, owner.User, owner.Name)
		r.note(k, b, v1alpha1.KeyAssignedElsewhere)
		return
	}
	if !r.note(k, b, "") {
		return
	}
	line := config.Key{PublicKey: k.Line(), NotBefore: utc(b.notBefore), NotAfter: utc(b.notAfter)}
	for _, p := range k.From {
		line.From = append(line.From, p.String())
	}
	r.out.Keys = append(r.out.Keys, line)
}

// note puts a key into the inventory, if there is room and it is not there.
func (r *resolver) note(k publickey.Key, b bounds, state v1alpha1.KeyState) bool {
	fp := k.Fingerprint()
	if r.seen[fp] {
		return false
	}
	r.seen[fp] = true
	if len(r.out.Inventory) == config.MaxKeysPerUser {
		if len(r.seen) == config.MaxKeysPerUser+1 {
			r.problem(v1alpha1.ReasonInvalidPublicKey, "The user has more than %d public keys; the further ones are left out, remove those that are not needed", config.MaxKeysPerUser)
		}
		return false
	}
	r.out.Inventory = append(r.out.Inventory, v1alpha1.UserKeyStatus{
		Fingerprint: fp, Type: k.Type(), Bits: publickey.Size(k.PublicKey),
		Source: b.source, Comment: printable(k.Comment), NotBefore: b.notBefore, ExpirationTime: b.notAfter, State: state,
	})
	return true
}

func utc(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

// maxComment bounds a comment in the inventory, in bytes.
const maxComment = 128

// printable is a comment that may be shown on a terminal, or nothing.
func printable(comment string) string {
	odd := func(c rune) bool { return c == utf8.RuneError || !unicode.IsPrint(c) }
	if len(comment) > maxComment || strings.ContainsFunc(comment, odd) {
		return ""
	}
	return comment
}

func (r *resolver) addSecret(ctx context.Context, ref v1alpha1.AuthorizedKeysSecretReference) error {
	entry := ref.Key
	if entry == "" {
		entry = "authorized_keys"
	}
	s, err := r.secret(ctx, "spec.authentication.authorizedKeysSecretRefs", ref.Name, entry)
	if err != nil || s == nil {
		return err
	}
	data := s.Data[entry]
	keys, err := publickey.ParseFile(data)
	if err != nil {
		r.problem(v1alpha1.ReasonInvalidPublicKey, "Secret %q, entry %q, %v", ref.Name, entry, err)
		return nil
	}
	if len(keys) == 0 {
		r.problem(v1alpha1.ReasonInvalidPublicKey, "Secret %q, entry %q holds no public key; add a line such as that of a .pub file", ref.Name, entry)
	}
	for _, k := range keys {
		r.add(k, bounds{source: "secret/" + ref.Name})
	}
	return nil
}

func (r *resolver) addKeyRef(name string) {
	k, ok := r.ring.Get(name)
	if !ok {
		r.problem(v1alpha1.ReasonKeyNotFound, "SFTPKey %q does not exist in namespace %q; create it or correct spec.authentication.keyRefs", name, r.namespace)
		return
	}
	r.addClient(k)
}

func (r *resolver) addClient(k *key.Client) {
	b := bounds{source: "sftpkey/" + k.Name, notBefore: k.NotBefore, notAfter: k.NotAfter}
	switch {
	case k.Problem != "":
		r.problem(k.Reason, "%s", k.Problem)
	case k.User != "" && k.User != r.user:
		r.problem(v1alpha1.ReasonKeyAssignedElsewhere, "SFTPKey %q is assigned to SFTPUser %q by its spec.userRef; remove it from spec.authentication.keyRefs, or change the userRef", k.Name, k.User)
		r.note(k.Key, b, v1alpha1.KeyAssignedElsewhere)
	default:
		r.add(k.Key, b)
		for _, old := range k.Retiring {
			b.notAfter = old.NotAfter
			r.add(old.Key, b)
		}
	}
}

// secret returns a Secret that has an entry, or nil after noting the problem.
func (r *resolver) secret(ctx context.Context, field, name, entry string) (*corev1.Secret, error) {
	s, err := r.src.Secret(ctx, r.namespace, name)
	if errors.Is(err, ErrNotFound) {
		r.problem(v1alpha1.ReasonSecretNotFound, "Secret %q does not exist in namespace %q; create it or correct %s", name, r.namespace, field)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w", name, err)
	}
	if _, ok := s.Data[entry]; !ok {
		r.problem(v1alpha1.ReasonSecretKeyMissing, "Secret %q has no entry %q; add it or set the key of %s", name, entry, field)
		return nil, nil
	}
	return s, nil
}
