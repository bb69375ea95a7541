package controllers

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSlim(t *testing.T) {
	full := func() *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: "a", UID: "u", ResourceVersion: "7",
			Labels:          map[string]string{"app": "x", "sftp-operator.io/listener": "l"},
			Annotations:     map[string]string{corev1.LastAppliedConfigAnnotation: `{"data":{"password":"aHVudGVyMg=="}}`, "sftp-operator.io/applied": "s", "note": "n"},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
			OwnerReferences: []metav1.OwnerReference{{Name: "o"}},
		}}
	}
	for _, tc := range []struct {
		name                string
		slim                func(any) (any, error)
		labels, annotations []string
	}{
		{"a Secret", slimSecret, []string{"sftp-operator.io/listener"}, []string{"sftp-operator.io/applied"}},
		{"another object", slim, []string{"app", "sftp-operator.io/listener"}, []string{"note", "sftp-operator.io/applied"}},
	} {
		got := full()
		if _, err := tc.slim(got); err != nil {
			t.Fatal(err)
		}
		if labels := slices.Sorted(maps.Keys(got.Labels)); !slices.Equal(labels, tc.labels) {
			t.Errorf("%s: labels %v, want %v", tc.name, labels, tc.labels)
		}
		if annotations := slices.Sorted(maps.Keys(got.Annotations)); !slices.Equal(annotations, tc.annotations) {
			t.Errorf("%s: annotations %v, want %v", tc.name, annotations, tc.annotations)
		}
		if got.UID != "u" || got.ResourceVersion != "7" || len(got.OwnerReferences) != 1 || len(got.ManagedFields) != 0 {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}
