package explain

import (
	"bytes"
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
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// ErrNotFound is what a Source returns for an object that does not exist.
var ErrNotFound = errors.New("not found")

// Source reads the objects that a user refers to.
type Source interface {
	// Secret returns a Secret, ErrNotFound, or a *DeniedError.
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Keyring returns the SFTPKeys of a namespace, or a *DeniedError.
	Keyring(ctx context.Context, namespace string) (*key.Keyring, error)
}

// DeniedError is returned by a Source for something that the caller may not read: an object or, without a name, all objects of
// a kind.
type DeniedError struct{ Kind, Namespace, Name string }

func (e *DeniedError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("you may not list the %ss of namespace %s", e.Kind, e.Namespace)
	}
	return fmt.Sprintf("you may not read %s %s/%s", e.Kind, e.Namespace, e.Name)
}

// seen is what could be read of a user's credentials.
type seen struct {
	entries map[credentials.Ref]entry
	// keys are the keys among the credentials that the listener's rules allow.
	keys credentials.Credentials
	// denied are the reasons why some could not be read.
	denied []string
	// matches compares a password with the user's; it is nil if there is none.
	matches func(given []byte) bool
}

// entry is what could be read of an entry of a Secret.
type entry struct {
	credentials.Entry
	denied error
}

// entry returns the entry of a kind. A user has at most one of each.
func (s *seen) entry(kinds ...credentials.Kind) entry {
	for ref, e := range s.entries {
		if slices.Contains(kinds, ref.Kind) {
			return e
		}
	}
	return entry{}
}

// deny records what the caller may not read, and returns other errors.
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

// compile compiles the user as the operator does, now, with the objects that could be read.
func (e *explainer) compile(ctx context.Context) error {
	if err := e.read(ctx); err != nil {
		return err
	}
	u := e.User
	keyring, err := e.Source.Keyring(ctx, u.Namespace)
	if err != nil {
		if err := e.seen.deny(err); err != nil {
			return err
		}
		// Without the SFTPKeys, a key's owner is unknown.
		u = u.DeepCopy()
		u.Spec.Authentication.AuthorizedKeys = nil
	}
	e.seen.keys = credentials.Resolve(u, keyring, func(ref credentials.Ref) credentials.Entry { return e.seen.entries[ref].Entry })
	resolved := e.seen.keys
	if e.Listener == nil {
		return nil
	}
	policy := render.PolicyAt(e.Listener, e.Now)
	if e.trusted, err = e.trust(ctx, policy); err != nil {
		return err
	}
	trust := e.trusted
	trust.Unknown = false // it blocks the files, which are not needed
	e.seen.keys = resolved.FilterByRules(compile.Rules(e.Listener, policy, trust))
	in := compile.Input{
		Listener: e.Listener, Now: e.Now, Trust: trust, VolumePath: render.PodVolumePath,
		NamespaceLabels: map[string]map[string]string{e.User.Namespace: e.NamespaceLabels},
		Resolve: func(u *v1alpha1.SFTPUser) (out credentials.Credentials) {
			if u.UID == e.User.UID {
				out = resolved
			}
			return out // others' do not matter
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
	in.Seats = compile.Recall(nil, in.Users).Seats // the holder of a name is not always the older user
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
		// Hashing takes a while, and is not needed to compare.
		known, err := credentials.Read(ref, secret, func(text []byte, _ string) (*config.Password, error) {
			e.seen.matches = func(given []byte) bool { return bytes.Equal(given, text) }
			return &config.Password{Hash: "not made"}, nil
		})
		if err != nil {
			return err
		}
		if ref.Kind == credentials.KindHash && known.Password != nil {
			e.seen.matches = func(given []byte) bool {
				hash, err := password.Parse(known.Password.Hash)
				return err == nil && len(given) <= hash.MaxLength() && hash.Verify(given)
			}
		}
		e.seen.entries[ref] = entry{Entry: known}
	}
	return nil
}

// denyEntry is deny for an entry. An entry that does not contain keys does not hide any.
func (e *explainer) denyEntry(ref credentials.Ref, err error) error {
	if ref.Kind == credentials.KindKeys {
		return e.seen.deny(err)
	}
	return (&seen{}).deny(err)
}

// trust determines what the listener trusts, as the operator does, including the lists in Secrets that the caller may read.
func (e *explainer) trust(ctx context.Context, policy render.Policy) (render.Trust, error) {
	var failure error
	out, _ := render.ResolveTrust(e.Listener, policy.Policy, func(ref v1alpha1.SecretFileReference) render.SecretFile {
		secret, err := e.Source.Secret(ctx, e.Listener.Namespace, ref.Name)
		var denied *DeniedError
		switch {
		case errors.Is(err, ErrNotFound):
			return render.SecretFile{NoSecret: true}
		case errors.As(err, &denied):
			e.trustDenied = denied.Error()
			return render.SecretFile{Unread: true}
		case err != nil:
			failure = err
			return render.SecretFile{Unread: true}
		}
		data, ok := secret.Data[ref.Key]
		return render.SecretFile{NoEntry: !ok, Data: data}
	}, nil)
	if e.trustDenied != "" {
		// For the rules it is enough to know that there are CAs; the check of the certificate finds out which certificate they
		// signed.
		for _, ref := range e.Listener.Spec.Authentication.TrustedUserCAsSecretRefs {
			out.UserCAs = append(out.UserCAs, ref.Name)
		}
	}
	return out, failure
}
