package controllers

import (
	"fmt"
	"maps"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// stripUnused removes from an object for a cache what the operator does not read: managedFields, and
// kubectl's copy of the object. The operator writes patches, so nothing is lost.
func stripUnused(o any) (any, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, fmt.Errorf("%T has no metadata: %w", o, err)
	}
	m.SetManagedFields(nil)
	if a := m.GetAnnotations(); a[corev1.LastAppliedConfigAnnotation] != "" {
		delete(a, corev1.LastAppliedConfigAnnotation)
	}
	return o, nil
}

// stripUser is stripUnused for users. There may be a hundred thousand of them, so strings that most of
// their statuses share are kept once.
func stripUser(o any) (any, error) {
	if u, ok := o.(*v1alpha1.SFTPUser); ok {
		share(&u.Kind, &u.APIVersion, &u.Namespace, &u.Spec.ListenerRef.Name, &u.Spec.ListenerRef.Namespace, &u.Status.Address)
		for i := range u.Status.KnownHosts {
			share(&u.Status.KnownHosts[i])
		}
		for i := range u.Status.Conditions {
			c := &u.Status.Conditions[i]
			share(&c.Type, &c.Reason, &c.Message)
			c.Status = metav1.ConditionStatus(unique.Make(string(c.Status)).Value())
		}
		for i := range u.Status.Keys {
			k := &u.Status.Keys[i]
			share(&k.Type, &k.Source, &k.AddedDate, &k.LastUsedDate)
		}
		u.Status.Conditions, u.Status.Keys = trim(u.Status.Conditions), trim(u.Status.Keys)
	}
	return stripUnused(o)
}

// share replaces strings with equal ones that others already have.
func share(strings ...*string) {
	for _, s := range strings {
		*s = unique.Make(*s).Value()
	}
}

// trim frees the capacity that a decoder reserved beyond the end.
func trim[T any](s []T) []T {
	if len(s) == cap(s) {
		return s
	}
	return append(make([]T, 0, len(s)), s...)
}

// stripSecretMetadata reduces a Secret's metadata to its version and owner. Most Secrets of a cluster
// are foreign, and kubectl's annotation has their contents.
func stripSecretMetadata(o any) (any, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, fmt.Errorf("%T has no metadata: %w", o, err)
	}
	foreign := func(name, _ string) bool { return !strings.HasPrefix(name, "sftp-operator.io/") }
	labels, annotations := m.GetLabels(), m.GetAnnotations()
	maps.DeleteFunc(labels, foreign)
	maps.DeleteFunc(annotations, foreign)
	m.SetLabels(labels)
	m.SetAnnotations(annotations)
	m.SetManagedFields(nil)
	return o, nil
}
