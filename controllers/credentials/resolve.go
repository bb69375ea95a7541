// Package credentials turns what an SFTPUser refers to (key lines, Secrets, SFTPKeys)
// into what the daemon gets: checked public keys and a password's hash.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

// ErrNotFound is what a Source returns for an object that does not exist.
var ErrNotFound = errors.New("not found")

// Source gives access to the objects that users refer to.
type Source interface {
	// Secret returns a Secret, or ErrNotFound.
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// ClientKey returns the line of authorized_keys of an SFTPKey of usage Client. It
	// returns ErrNotFound when there is none, and a *Problem when it cannot be used.
	ClientKey(ctx context.Context, namespace, name string) (string, error)
}

// Problem is something that a user must put right.
type Problem struct { //nolint:errname // it is what a user must put right, and an error only on its way there
	// Reason is one of the reasons of the condition ResolvedRefs.
	Reason string
	// Message says what is wrong and what to do. It never contains a secret.
	Message string
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return p.Message }

// Credentials are the resolved credentials of one user.
type Credentials struct {
	Keys []config.Key
	// Fingerprints of Keys, in the same order.
	Fingerprints []string
	Password     *config.Password
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
	r := resolver{src: src, namespace: u.Namespace, seen: map[string]bool{}}
	auth := u.Spec.Authentication
	for i, line := range auth.AuthorizedKeys {
		r.addLine(fmt.Sprintf("spec.authentication.authorizedKeys[%d]", i), line)
	}
	for _, ref := range auth.AuthorizedKeysSecretRefs {
		if err := r.addSecret(ctx, ref); err != nil {
			return Credentials{}, err
		}
	}
	for _, ref := range auth.KeyRefs {
		if err := r.addKeyRef(ctx, ref.Name); err != nil {
			return Credentials{}, err
		}
	}
	if auth.PasswordSecretRef != nil {
		if err := r.setPassword(ctx, *auth.PasswordSecretRef, previous); err != nil {
			return Credentials{}, err
		}
	}
	r.out.Certificates = auth.Certificates == v1alpha1.CertificatesAccepted
	return r.out, nil
}

// CanLogIn says whether the credentials suffice for the mode.
func (c Credentials) CanLogIn(mode v1alpha1.AuthMode) bool {
	byKey := len(c.Keys) > 0 || c.Certificates
	if mode == v1alpha1.AuthAllOf {
		return byKey && c.Password != nil
	}
	return byKey || c.Password != nil
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
	seen      map[string]bool
	out       Credentials
}

func (r *resolver) problem(reason, format string, args ...any) {
	r.out.Problems = append(r.out.Problems, Problem{Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (r *resolver) addLine(where, line string) {
	key, err := publickey.ParseLine(line)
	if err != nil {
		r.problem(v1alpha1.ReasonInvalidPublicKey, "%s: %v", where, err)
		return
	}
	r.add(key)
}

func (r *resolver) add(key publickey.Key) {
	fp := key.Fingerprint()
	if r.seen[fp] {
		return
	}
	r.seen[fp] = true
	if len(r.out.Keys) == config.MaxKeysPerUser {
		if len(r.seen) == config.MaxKeysPerUser+1 {
			r.problem(v1alpha1.ReasonInvalidPublicKey, "The user has more than %d public keys; the further ones are left out, remove those that are not needed", config.MaxKeysPerUser)
		}
		return
	}
	k := config.Key{PublicKey: key.Line()}
	for _, p := range key.From {
		k.From = append(k.From, p.String())
	}
	r.out.Keys = append(r.out.Keys, k)
	r.out.Fingerprints = append(r.out.Fingerprints, fp)
}

func (r *resolver) addSecret(ctx context.Context, ref v1alpha1.AuthorizedKeysSecretReference) error {
	key := ref.Key
	if key == "" {
		key = "authorized_keys"
	}
	s, err := r.secret(ctx, "spec.authentication.authorizedKeysSecretRefs", ref.Name, key)
	if err != nil || s == nil {
		return err
	}
	data := s.Data[key]
	keys, err := publickey.ParseFile(data)
	if err != nil {
		r.problem(v1alpha1.ReasonInvalidPublicKey, "Secret %q, entry %q, %v", ref.Name, key, err)
		return nil
	}
	if len(keys) == 0 {
		r.problem(v1alpha1.ReasonInvalidPublicKey, "Secret %q, entry %q holds no public key; add a line such as that of a .pub file", ref.Name, key)
	}
	for _, k := range keys {
		r.add(k)
	}
	return nil
}

func (r *resolver) addKeyRef(ctx context.Context, name string) error {
	line, err := r.src.ClientKey(ctx, r.namespace, name)
	var p *Problem
	switch {
	case errors.Is(err, ErrNotFound):
		r.problem(v1alpha1.ReasonKeyNotFound, "SFTPKey %q does not exist in namespace %q; create it or correct spec.authentication.keyRefs", name, r.namespace)
	case errors.As(err, &p):
		r.out.Problems = append(r.out.Problems, *p)
	case err != nil:
		return fmt.Errorf("SFTPKey %q: %w", name, err)
	default:
		r.addLine(fmt.Sprintf("SFTPKey %q", name), line)
	}
	return nil
}

// secret returns a Secret that has an entry, or nil after noting the problem.
func (r *resolver) secret(ctx context.Context, field, name, key string) (*corev1.Secret, error) {
	s, err := r.src.Secret(ctx, r.namespace, name)
	if errors.Is(err, ErrNotFound) {
		r.problem(v1alpha1.ReasonSecretNotFound, "Secret %q does not exist in namespace %q; create it or correct %s", name, r.namespace, field)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w", name, err)
	}
	if _, ok := s.Data[key]; !ok {
		r.problem(v1alpha1.ReasonSecretKeyMissing, "Secret %q has no entry %q; add it or set the key of %s", name, key, field)
		return nil, nil
	}
	return s, nil
}
