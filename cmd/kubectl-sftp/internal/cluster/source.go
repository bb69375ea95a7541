package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/explain"
	"github.com/sftp-operator/sftp-operator/controllers/key"
)

// Source reads what users refer to, as the operator does, but with the caller's permissions: anything else
// is an *explain.DeniedError. It implements explain.Source.
type Source struct{ client.Reader }

// Secret implements explain.Source.
func (s Source) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	return secret, classify(err, "Secret", namespace, name)
}

// Keyring implements explain.Source.
func (s Source) Keyring(ctx context.Context, namespace string) (*key.Keyring, error) {
	var keys v1alpha1.SFTPKeyList
	if err := s.List(ctx, &keys, client.InNamespace(namespace)); err != nil {
		return nil, classify(err, "SFTPKey", namespace, "")
	}
	return key.NewKeyring(keys.Items), nil
}

func classify(err error, kind, namespace, name string) error {
	switch {
	case apierrors.IsNotFound(err):
		return explain.ErrNotFound
	case apierrors.IsForbidden(err):
		return &explain.DeniedError{Kind: kind, Namespace: namespace, Name: name}
	}
	return err
}
