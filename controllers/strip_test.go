package controllers

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unsafe"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
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
		stripUnused         func(any) (any, error)
		labels, annotations []string
	}{
		{"a Secret", stripSecretMetadata, []string{"sftp-operator.io/listener"}, []string{"sftp-operator.io/applied"}},
		{"another object", stripUnused, []string{"app", "sftp-operator.io/listener"}, []string{"note", "sftp-operator.io/applied"}},
	} {
		got := full()
		if _, err := tc.stripUnused(got); err != nil {
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

// A value that is not an object is an error, not a panic, and an object without labels or annotations stays as it is. kubectl's
// annotation is not kept in the cache, whatever the object's kind.
func TestSlimOddObjects(t *testing.T) {
	for name, f := range map[string]func(any) (any, error){"stripUnused": stripUnused, "stripSecretMetadata": stripSecretMetadata} {
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
			if kept := len(s.Labels) == 1; kept != (name == "stripUnused") {
				t.Errorf("%s of foreign labels %v: %v", name, labels, s.Labels)
			}
		}
	}
}

// No field of a user that is read anywhere is lost, and values that users have in common are in memory once.
func TestSlimUser(t *testing.T) {
	of := func(name string) *v1alpha1.SFTPUser {
		text := strings.Clone
		u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: text("team-a"), Name: name}}
		u.Spec.ListenerRef = v1alpha1.ListenerReference{Namespace: text("files"), Name: text("partners")}
		u.Status = v1alpha1.SFTPUserStatus{
			Address:    text("sftp.example.com:22"),
			Conditions: make([]metav1.Condition, 0, 4), Keys: make([]v1alpha1.UserKeyStatus, 0, 4),
		}
		u.Status.Conditions = append(u.Status.Conditions, metav1.Condition{
			Type: text("Ready"), Status: metav1.ConditionStatus(text("True")), Reason: text("Ready"), Message: text("The user can log in"),
		})
		u.Status.Keys = append(u.Status.Keys, v1alpha1.UserKeyStatus{
			Fingerprint: "SHA256:" + name, Type: text("ssh-ed25519"), Source: text("inline"), AddedDate: text("2026-11-29"), LastUsedDate: text("2026-11-29"),
		})
		return u
	}
	slimmed := func(name string) *v1alpha1.SFTPUser {
		u := of(name)
		u.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
		if o, err := stripUser(u); err != nil || o != any(u) {
			t.Fatalf("%v, %v", o, err)
		}
		if !equality.Semantic.DeepEqual(u, of(name)) {
			t.Errorf("%+v, want %+v", u, of(name))
		}
		if cap(u.Status.Conditions) != 1 || cap(u.Status.Keys) != 1 {
			t.Errorf("room for %d conditions and %d keys", cap(u.Status.Conditions), cap(u.Status.Keys))
		}
		return u
	}
	a, b := slimmed("a"), slimmed("b")
	for _, pair := range [][2]string{
		{a.Namespace, b.Namespace},
		{a.Spec.ListenerRef.Namespace, b.Spec.ListenerRef.Namespace},
		{a.Spec.ListenerRef.Name, b.Spec.ListenerRef.Name},
		{a.Status.Address, b.Status.Address},
		{a.Status.Conditions[0].Type, b.Status.Conditions[0].Type},
		{string(a.Status.Conditions[0].Status), string(b.Status.Conditions[0].Status)},
		{a.Status.Conditions[0].Message, b.Status.Conditions[0].Message},
		{a.Status.Keys[0].Type, b.Status.Keys[0].Type},
		{a.Status.Keys[0].Source, b.Status.Keys[0].Source},
		{a.Status.Keys[0].AddedDate, b.Status.Keys[0].AddedDate},
		{a.Status.Keys[0].LastUsedDate, b.Status.Keys[0].LastUsedDate},
	} {
		if pair[0] != pair[1] || unsafe.StringData(pair[0]) != unsafe.StringData(pair[1]) {
			t.Errorf("%q is in memory twice", pair[0])
		}
	}
	if o, err := stripUser("text"); err == nil || o != nil {
		t.Errorf("of a text: %v, %v", o, err)
	}
}
