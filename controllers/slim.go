package controllers

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
)

// slim takes out of an object for a cache what nobody reads there: who manages which field,
// and kubectl's copy of the whole. The operator writes with patches, so nothing of it is lost.
func slim(o any) (any, error) {
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

// slimSecret leaves of the metadata of a Secret what tells its version and whose it is. Most
// Secrets of a cluster are foreign, and kubectl's annotation has their contents.
func slimSecret(o any) (any, error) {
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
