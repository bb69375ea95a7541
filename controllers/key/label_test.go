package key

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// TestLabels: every possible name of an SFTPKey gives a valid and unique label.
func TestLabels(t *testing.T) {
	long := strings.Repeat("a", 253)
	seen := map[string]string{}
	for _, name := range []string{
		"a", "a.b-c", long[:62], long[:63], long[:64], long[:65], long,
		long[:64] + ".b", long[:29] + "." + long[:40], long[:30] + "-" + long[:40], long[:252] + "b",
	} {
		label := labelOf(name)
		if errs := validation.IsValidLabelValue(label); len(errs) > 0 {
			t.Errorf("label %q of %q: %v", label, name, errs)
		}
		if other, taken := seen[label]; taken {
			t.Errorf("%q and %q have the label %q", name, other, label)
		}
		seen[label] = name
		if len(name) <= 63 && label != name {
			t.Errorf("label %q of %q, want the name", label, name)
		}
		if len(name) > 63 && len(validation.IsDNS1123Subdomain(label)) == 0 {
			t.Errorf("an SFTPKey can be called %q as the label of %q is", label, name)
		}
	}
}

// TestLongName: the Secret of a key with a long name is recognized as its own, and that of another key with the same prefix is
// not.
func TestLongName(t *testing.T) {
	key := func(name string) *v1alpha1.SFTPKey {
		return &v1alpha1.SFTPKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: "files", Name: name},
			Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyGenerated, SecretName: "keys"},
		}
	}
	a, b := key(strings.Repeat("a", 200)), key(strings.Repeat("a", 201))
	m, err := Generate(v1alpha1.KeyEd25519, "")
	if err != nil {
		t.Fatal(err)
	}
	secret := NewSecret(a, SecretName(a), m, began)
	if c := Decide(a, secret).Condition; c.Reason != v1alpha1.ReasonReady {
		t.Errorf("its own Secret: %s: %s", c.Reason, c.Message)
	}
	if c := Decide(b, secret).Condition; c.Reason != v1alpha1.ReasonSecretConflict {
		t.Errorf("another key's Secret: %s: %s", c.Reason, c.Message)
	}
}
