package record

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const (
	// SecretType is the type of the Secret, and Entry the entry with the record.
	SecretType = corev1.SecretType("sftp-operator.io/record")
	Entry      = "record.json"
)

// ErrForeign is returned if the Secret of a record does not belong to the listener.
var ErrForeign = errors.New("exists and is not a record of this listener; rename or delete it")

// SecretName is the name of the Secret with the record of a listener.
func SecretName(listener string) string { return listener + "-sftp-record" }

// Read reads the record of a listener, zero if there is none. One that cannot be decoded counts as none, because nothing in it
// could be kept. The Secret is nil if there is none; an error is the API server's, or ErrForeign.
func Read(ctx context.Context, r client.Reader, namespace, listener string) (Record, *corev1.Secret, error) {
	s := &corev1.Secret{}
	name := SecretName(listener)
	err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, s)
	if apierrors.IsNotFound(err) {
		return Record{}, nil, nil
	}
	if err != nil {
		return Record{}, nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	if s.Type != SecretType || s.Labels[v1alpha1.LabelRecord] != listener {
		return Record{}, nil, fmt.Errorf("Secret %q in namespace %q %w", name, namespace, ErrForeign) //nolint:staticcheck // the name of a kind
	}
	rec, err := Decode(s.Data[Entry])
	if err != nil {
		return Record{}, s, nil //nolint:nilerr // see above
	}
	return rec, s, nil
}

// Write replaces the record that was read from a Secret, or creates it. It fails with a conflict if the Secret has changed
// since, for example because of a restore from a backup. The record is deleted with the listener only if its claims are.
func Write(ctx context.Context, c client.Client, l *v1alpha1.SFTPListener, rec Record, was *corev1.Secret) (*corev1.Secret, error) {
	data, err := rec.Encode()
	if err != nil {
		return nil, err
	}
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: SecretName(l.Name)}, Type: SecretType}
	if was != nil {
		s = was.DeepCopy()
	}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels[v1alpha1.LabelRecord], s.Labels["app.kubernetes.io/managed-by"] = l.Name, "sftp-operator"
	s.Data = map[string][]byte{Entry: data}
	s.OwnerReferences = slices.DeleteFunc(s.OwnerReferences, func(o metav1.OwnerReference) bool { return ofListener(o, l) })
	if l.Spec.VolumeClaimRetention == v1alpha1.Delete {
		if err := controllerutil.SetControllerReference(l, s, c.Scheme()); err != nil {
			return nil, err
		}
	}
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

// Kept reports whether the listener wants the Secret of its record to outlive it.
func Kept(l *v1alpha1.SFTPListener, s *corev1.Secret) bool {
	if l.Spec.VolumeClaimRetention == v1alpha1.Delete {
		return metav1.IsControlledBy(s, l)
	}
	return !slices.ContainsFunc(s.OwnerReferences, func(o metav1.OwnerReference) bool { return ofListener(o, l) })
}

// ofListener reports whether an owner is the listener, or an earlier one of its name.
func ofListener(o metav1.OwnerReference, l *v1alpha1.SFTPListener) bool {
	return o.Kind == "SFTPListener" && o.Name == l.Name
}
