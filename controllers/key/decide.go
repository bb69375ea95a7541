package key

import (
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Verdict is what to do about a key.
type Verdict struct {
	// Generate is set if a pair must be generated and stored.
	Generate bool
	// Material is the usable pair if the condition is True.
	Material Material
	// Condition is Ready; it is not set with Generate.
	Condition metav1.Condition
}

// SecretName returns the name of a key's Secret, "" if it has none.
func SecretName(k *v1alpha1.SFTPKey) string {
	switch {
	case k.Spec.Source == v1alpha1.KeyPublicKey:
		return ""
	case rotates(k):
		return secretOfRevision(baseName(k), Revision(k))
	}
	return baseName(k)
}

// SecretOf returns the name of the Secret that holds a revision of a generated key.
func SecretOf(k *v1alpha1.SFTPKey, revision int32) string {
	return secretOfRevision(baseName(k), revision)
}

// secretNames returns the names of all Secrets of a key.
func secretNames(k *v1alpha1.SFTPKey) []string {
	if SecretName(k) == "" {
		return nil
	}
	out := []string{SecretName(k)}
	for _, old := range k.Status.Retiring {
		out = append(out, old.SecretName)
	}
	return out
}

// baseName returns the name of a key's Secret without the revision.
func baseName(k *v1alpha1.SFTPKey) string { return cmp.Or(k.Spec.SecretName, k.Name) }

// Decide decides what to do, given the current Secret, or nil.
//
// A pair is generated once. The public key in the status records that: if the Secret is
// later gone or holds a different key, this is reported, because to clients a new host
// key looks like a man-in-the-middle attack.
func Decide(k *v1alpha1.SFTPKey, secret *corev1.Secret) Verdict {
	name := SecretName(k)
	generated := k.Spec.Source != v1alpha1.KeyExisting
	switch {
	case k.Spec.Source == v1alpha1.KeyPublicKey:
		pub, err := publickey.ParseLine(k.Spec.PublicKey)
		if err != nil {
			return bad(v1alpha1.ReasonInvalidPublicKey, "spec.publicKey: %v", err)
		}
		ready := conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "The key is in spec.publicKey")
		return Verdict{Material: Material{Public: pub.PublicKey}, Condition: ready}
	case secret == nil && !generated:
		return bad(v1alpha1.ReasonSecretNotFound, "Secret %q does not exist in namespace %q; create it or correct spec.secretName", name, k.Namespace)
	case secret == nil && k.Status.PublicKey != "":
		return bad(v1alpha1.ReasonSecretNotFound, "Secret %q with the key %s is gone; restore it from a backup. No new key is generated, because clients would treat it as an attack; "+
			"to give up the old key for good, delete this SFTPKey and create it again", name, k.Status.Fingerprint)
	case secret == nil:
		return Verdict{Generate: true}
	case generated && !madeFor(secret, k):
		return bad(v1alpha1.ReasonSecretConflict, "Secret %q exists and was not created for this SFTPKey; set a different spec.secretName, or use it with source: Existing", name)
	}
	m, err := Parse(secret.Data, k.Spec.Usage)
	if err != nil {
		return bad(v1alpha1.ReasonInvalidKey, "Secret %q: %v", name, err)
	}
	if generated && k.Status.PublicKey != "" && k.Status.PublicKey != m.Line() {
		return bad(v1alpha1.ReasonInvalidKey, "Secret %q holds the key %s, but the generated one is %s; restore that, or delete this SFTPKey and create it again to continue with the other one",
			name, m.Fingerprint(), k.Status.Fingerprint)
	}
	return Verdict{Material: m, Condition: conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, fmt.Sprintf("The key is in Secret %q", name))}
}

func bad(reason, format string, args ...any) Verdict {
	return Verdict{Condition: conditions.False(v1alpha1.ConditionReady, reason, fmt.Sprintf(format, args...))}
}

// NewSecret returns the Secret for a pair that is generated now.
func NewSecret(k *v1alpha1.SFTPKey, name string, m Material, now time.Time) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:      name,
			Namespace: k.Namespace,
			Labels: map[string]string{
				v1alpha1.LabelKey:              labelOf(k.Name),
				"app.kubernetes.io/managed-by": "sftp-operator",
			},
			Annotations: map[string]string{v1alpha1.AnnotationMade: now.UTC().Format(time.RFC3339)},
		},
		Type: corev1.SecretTypeSSHAuth,
		Data: map[string][]byte{PrivateEntry: m.Private, PublicEntry: []byte(m.Line() + "\n")},
	}
}
