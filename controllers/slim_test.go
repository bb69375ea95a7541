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

// What is no object is an error, not a panic, and an object without labels or annotations stays as it is. Of kubectl's
// annotation nothing is left in the cache, of whatever kind the object is.
func TestSlimOddObjects(t *testing.T) {
	for name, f := range map[string]func(any) (any, error){"slim": slim, "slimSecret": slimSecret} {
		if o, err := f("text"); err == nil || o != nil {
			t.Errorf("%s of a text: %v, %v", name, o, err)
		}
		bare := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "a", ManagedFields: []metav1.ManagedFieldsEntry{{}}}}
		if o, err := f(bare); err != nil || o != any(bare) || bare.Name != "a" || len(bare.Labels)+len(bare.Annotations)+len(bare.ManagedFields) != 0 {
			t.Errorf("%s of a bare object: %+v, %v", name, o, err)
		}
		for _, labels := range []map[string]string{{"sftp-operator.io.example.com/x": "y"}, {"x-sftp-operator.io/a": "b"}, {"sftp-operator.io": "c"}} {
			s := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
				Labels: maps.Clone(labels), Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "secret", "a": "b"},
			}}
			if _, err := f(s); err != nil || s.Annotations[corev1.LastAppliedConfigAnnotation] != "" {
				t.Errorf("%s: annotations %v, %v", name, s.Annotations, err)
			}
			if kept := len(s.Labels) == 1; kept != (name == "slim") {
				t.Errorf("%s of foreign labels %v: %v", name, labels, s.Labels)
			}
		}
	}
}
