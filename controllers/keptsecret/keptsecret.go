// Package keptsecret reads and writes Secrets that stay when their listener is deleted, for one that is created again under its name:
// the record of the listener, and the key that signs its receipts.
package keptsecret

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Kind describes a kind of Secret.
type Kind struct {
	Type corev1.SecretType
	// Label is the label whose value is the name of the listener.
	Label string
	// Foreign is the error for a Secret that is not the listener's. Its text continues a sentence whose subject is the
	// Secret.
	Foreign error
}

// Read returns the Secret of a listener, or nil if there is none. An error is the API server's, or Foreign.
func (k Kind) Read(ctx context.Context, r client.Reader, namespace, name, listener string) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, s)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	if s.Type != k.Type || s.Labels[k.Label] != listener {
		return nil, fmt.Errorf("Secret %q in namespace %q %w", name, namespace, k.Foreign) //nolint:staticcheck // Secret is the name of a kind
	}
	return s, nil
}

// Write replaces the content of the Secret that Read returned, or creates it. It fails with a conflict if the Secret has
// changed since, for example because a backup was restored.
func (k Kind) Write(
	ctx context.Context, c client.Client, l *v1alpha1.SFTPListener, name string, data map[string][]byte, was *corev1.Secret,
) (*corev1.Secret, error) {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: name}, Type: k.Type}
	if was != nil {
		s = was.DeepCopy()
	}
	labels := maps.Clone(s.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[k.Label], labels["app.kubernetes.io/managed-by"] = l.Name, "sftp-operator"
	s.Labels, s.Data = labels, data
	s.OwnerReferences = slices.DeleteFunc(s.OwnerReferences, func(o metav1.OwnerReference) bool { return ofListener(o, l) })
	if endsWith(l) {
		if err := controllerutil.SetControllerReference(l, s, c.Scheme()); err != nil {
			return nil, err
		}
	}
	var err error
	if was == nil {
		err = c.Create(ctx, s)
	} else {
		err = c.Patch(ctx, s, client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{}))
	}
	if err != nil {
		return nil, fmt.Errorf("write Secret %s/%s: %w", s.Namespace, s.Name, err)
	}
	return s, nil
}

// Owned reports whether a Secret's owner references are as the listener wants them: set if it should be deleted with
// the listener, and not set otherwise.
func Owned(l *v1alpha1.SFTPListener, s *corev1.Secret) bool {
	if endsWith(l) {
		return metav1.IsControlledBy(s, l)
	}
	return !slices.ContainsFunc(s.OwnerReferences, func(o metav1.OwnerReference) bool { return ofListener(o, l) })
}

// endsWith reports whether a listener's kept Secrets are deleted with it: they are if its claims are.
func endsWith(l *v1alpha1.SFTPListener) bool { return l.Spec.VolumeClaimRetention == v1alpha1.Delete }

// ofListener reports whether an owner is the listener, or an earlier one with its name.
func ofListener(o metav1.OwnerReference, l *v1alpha1.SFTPListener) bool {
	return o.Kind == "SFTPListener" && o.Name == l.Name
}
