package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/inventory"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
)

// Source reads what users refer to, as the operator does, but with the caller's rights: what these do not cover is an
// *inventory.DeniedError. It implements credentials.Source.
type Source struct{ client.Reader }

// Secret implements credentials.Source.
func (s Source) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	return secret, classify(err, "Secret", namespace, name)
}

// ClientKey implements credentials.Source.
func (s Source) ClientKey(ctx context.Context, namespace, name string) (string, error) {
	k := &v1alpha1.SFTPKey{}
	err := s.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, k)
	switch {
	case err != nil:
		return "", classify(err, "SFTPKey", namespace, name)
	case k.Spec.Usage != v1alpha1.KeyUsageClient:
		return "", &credentials.Problem{
			Reason:  v1alpha1.ReasonKeyNotFound,
			Message: fmt.Sprintf("SFTPKey %q has usage %s; users need a key of usage Client", name, k.Spec.Usage),
		}
	case k.Status.PublicKey == "" || !meta.IsStatusConditionTrue(k.Status.Conditions, v1alpha1.ConditionReady):
		return "", &credentials.Problem{
			Reason:  v1alpha1.ReasonKeyNotFound,
			Message: fmt.Sprintf("SFTPKey %q is not ready; kubectl describe sftpkey %s says why", name, name),
		}
	}
	return k.Status.PublicKey, nil
}

func classify(err error, kind, namespace, name string) error {
	switch {
	case apierrors.IsNotFound(err):
		return credentials.ErrNotFound
	case apierrors.IsForbidden(err):
		return &inventory.DeniedError{Kind: kind, Namespace: namespace, Name: name}
	}
	return err
}
