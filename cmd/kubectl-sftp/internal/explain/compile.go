package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// ErrNotFound is what a Source returns for an object that does not exist.
var ErrNotFound = errors.New("not found")

// Source reads the objects that a user refers to.
type Source interface {
	// Secret returns a Secret, ErrNotFound, or a *DeniedError.
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Ring returns the SFTPKeys of a namespace, or a *DeniedError.
	Ring(ctx context.Context, namespace string) (*key.Ring, error)
}

// DeniedError is what a Source returns for what the caller may not read: an object, or without a name all of a kind.
type DeniedError struct{ Kind, Namespace, Name string }

func (e *DeniedError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("you may not list the %ss of namespace %s", e.Kind, e.Namespace)
	}
	return fmt.Sprintf("you may not read %s %s/%s", e.Kind, e.Namespace, e.Name)
}

// seen is what could be seen of a user's credentials.
type seen struct {
	entries map[credentials.Ref]entry
	// keys are the credentials that the listener's rules leave of it.
	keys credentials.Credentials
	// denied are the reasons why not all could be seen.
	denied []string
}

// entry is what could be seen of an entry of a Secret.
type entry struct {
	credentials.Entry
	denied error
}

// entry is the entry of a kind. A user has at most one of each.
func (s *seen) entry(kinds ...credentials.Kind) entry {
	for ref, e := range s.entries {
		if slices.Contains(kinds, ref.Kind) {
			return e
		}
	}
	return entry{}
}

// deny notes what the caller may not read, and returns other errors.
func (s *seen) deny(err error) error {
	var d *DeniedError
	if !errors.As(err, &d) {
		return err
	}
	if !slices.Contains(s.denied, d.Error()) {
		s.denied = append(s.denied, d.Error())
	}
	return nil
}

// compile compiles the user as the operator does, now, with what could be seen.
func (e *explainer) compile(ctx context.Context) error {
	if err := e.read(ctx); err != nil {
		return err
	}
	u := e.User
	ring, err := e.Source.Ring(ctx, u.Namespace)
	if err != nil {
		if err := e.seen.deny(err); err != nil {
			return err
		}
		// Without the SFTPKeys it is not known whose a key is.
		u = u.DeepCopy()
		u.Spec.Authentication.AuthorizedKeys, u.Spec.Authentication.KeyRefs = nil, nil
	}
	e.seen.keys = credentials.Resolve(u, ring, func(ref credentials.Ref) credentials.Entry { return e.seen.entries[ref].Entry })
	resolved := e.seen.keys
	if e.Listener == nil {
		return nil
	}
	policy, trust := render.PolicyAt(e.Listener, e.Now), e.trust()
	e.seen.keys = resolved.FilterByRules(compile.Rules(e.Listener, policy, trust))
	in := compile.Input{
		Listener: e.Listener, Now: e.Now, Trust: trust, VolumePath: render.PodVolumePath,
		NamespaceLabels: map[string]map[string]string{e.User.Namespace: e.NamespaceLabels},
		Resolve: func(u *v1alpha1.SFTPUser) (out credentials.Credentials) {
			if u.UID == e.User.UID {
				out = resolved
			}
			return out // those of others do not matter
		},
	}
	others := false
	for i := range e.Users {
		in.Users = append(in.Users, &e.Users[i])
		others = others || e.Users[i].UID == e.User.UID
	}
	if !others {
		in.Users = append(in.Users, e.User)
	}
	e.compiled = compile.Compile(in, nil)
	return nil
}

// read reads what the user refers to.
func (e *explainer) read(ctx context.Context) error {
	e.seen.entries = map[credentials.Ref]entry{}
	for _, ref := range credentials.Refs(e.User) {
		if known, invalid := ref.Invalid(); invalid {
			e.seen.entries[ref] = entry{Entry: known}
			continue
		}
		secret, err := e.Source.Secret(ctx, ref.Namespace, ref.Secret)
		if errors.Is(err, ErrNotFound) {
			secret, err = nil, nil
		}
		if err != nil {
			denied := err
			if err := e.denyEntry(ref, err); err != nil {
				return err
			}
			e.seen.entries[ref] = entry{denied: denied}
			continue
		}
		// The password itself does not matter, and hashing it takes a while.
		known, err := credentials.Read(ref, secret, func([]byte, string) (*config.Password, error) {
			return &config.Password{Hash: "not made"}, nil
		})
		if err != nil {
			return err
		}
		e.seen.entries[ref] = entry{Entry: known}
	}
	return nil
}

// denyEntry is deny for an entry. One that is not of keys does not hide any.
func (e *explainer) denyEntry(ref credentials.Ref, err error) error {
	if ref.Kind == credentials.KindKeys {
		return e.seen.deny(err)
	}
	return (&seen{}).deny(err)
}

// trust is what the listener's spec says of CAs and revoked keys. Its lists in Secrets are the
// operator's to read: that there are some is enough here.
func (e *explainer) trust() render.Trust {
	a := e.Listener.Spec.Authentication
	out := render.Trust{UserCAs: slices.Clone(a.TrustedUserCAs)}
	for _, ref := range a.TrustedUserCAsSecretRefs {
		out.UserCAs = append(out.UserCAs, ref.Name)
	}
	out.Revoked, _ = render.Revoked(e.Listener)
	return out
}
