package credentials

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// ErrNotFound is what a Source returns for an object that does not exist.
var ErrNotFound = errors.New("not found")

// Source gives access to the objects that users refer to. It and ResolveFrom serve callers that have
// not moved to Resolve yet, and go with the last of them.
type Source interface {
	// Secret returns a Secret, or ErrNotFound.
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Ring returns the SFTPKeys of a namespace.
	Ring(ctx context.Context, namespace string) (*key.Ring, error)
}

// ResolveFrom reads what a user refers to and resolves it. The error is that of a read.
func ResolveFrom(ctx context.Context, src Source, u *v1alpha1.SFTPUser, previous *config.Password) (Credentials, error) {
	ring, err := src.Ring(ctx, u.Namespace)
	if err != nil {
		return Credentials{}, err
	}
	hash := func(data []byte, source string) (*config.Password, error) { return Hash(data, source, previous) }
	entries := map[Ref]Entry{}
	for _, ref := range Refs(u) {
		if _, invalid := ref.Invalid(); invalid {
			continue
		}
		s, err := src.Secret(ctx, ref.Namespace, ref.Secret)
		if errors.Is(err, ErrNotFound) {
			s, err = nil, nil
		}
		if err == nil {
			entries[ref], err = Read(ref, s, hash)
		}
		if err != nil {
			return Credentials{}, fmt.Errorf("secret %q: %w", ref.Secret, err)
		}
	}
	return Resolve(u, ring, func(ref Ref) Entry { return entries[ref] }), nil
}
