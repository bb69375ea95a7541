package key

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func hostKey(changes ...func(*v1alpha1.SFTPKey)) *v1alpha1.SFTPKey {
	k := &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "host"},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageHost, Source: v1alpha1.KeyGenerated},
	}
	for _, change := range changes {
		change(k)
	}
	return k
}

func existing(k *v1alpha1.SFTPKey) { k.Spec.Source = v1alpha1.KeyExisting }

// remembering returns a key with a record of its generated pair.
func remembering(m Material) func(*v1alpha1.SFTPKey) {
	return func(k *v1alpha1.SFTPKey) { k.Status.PublicKey, k.Status.Fingerprint = m.Line(), m.Fingerprint() }
}

func pair(t *testing.T) Material {
	t.Helper()
	m, err := Generate(v1alpha1.KeyEd25519, "test")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A pair is generated once in the life of an SFTPKey; whatever happens to its Secret later is reported, not repaired.
func TestDecide(t *testing.T) {
	made, other := pair(t), pair(t)
	secretOf := func(k *v1alpha1.SFTPKey, m Material) *corev1.Secret { return NewSecret(k, SecretName(k), m, began) }
	foreign := func(m Material) *corev1.Secret {
		s := NewSecret(hostKey(), "host", m, began)
		s.Labels = nil
		return s
	}
	tests := []struct {
		name   string
		key    *v1alpha1.SFTPKey
		secret *corev1.Secret
		// want is "generate", or the reason of Ready.
		want    string
		message string
	}{
		{"new", hostKey(), nil, "generate", ``},
		{"made", hostKey(), secretOf(hostKey(), made), "Ready", `The key is in Secret "host"`},
		{"made and remembered", hostKey(remembering(made)), secretOf(hostKey(), made), "Ready", `The key is in Secret "host"`},
		{
			"a retained Secret of an SFTPKey before this one is taken up again",
			hostKey(), secretOf(hostKey(), other), "Ready", `The key is in Secret "host"`,
		},
		{
			"the Secret is gone", hostKey(remembering(made)), nil, "SecretNotFound",
			`Secret "host" with the key ` + made.Fingerprint() + ` is gone; restore it from a backup. No new key is generated, because clients would treat it as an attack; ` +
				`to give up the old key for good, delete this SFTPKey and create it again`,
		},
		{
			"the Secret holds another key", hostKey(remembering(made)), secretOf(hostKey(), other), "InvalidKey",
			`Secret "host" holds the key ` + other.Fingerprint() + `, but the generated one is ` + made.Fingerprint() +
				`; restore that, or delete this SFTPKey and create it again to continue with the other one`,
		},
		{
			"the Secret is someone else's", hostKey(), foreign(other), "SecretConflict",
			`Secret "host" exists and was not created for this SFTPKey; set a different spec.secretName, or use it with source: Existing`,
		},
		{
			"the Secret is that of another SFTPKey", hostKey(func(k *v1alpha1.SFTPKey) { k.Name, k.Spec.SecretName = "other", "host" }),
			secretOf(hostKey(), made), "SecretConflict",
			`Secret "host" exists and was not created for this SFTPKey; set a different spec.secretName, or use it with source: Existing`,
		},
		{"an existing key", hostKey(existing), foreign(other), "Ready", `The key is in Secret "host"`},
		{"an existing key that was changed is taken", hostKey(existing, remembering(made)), foreign(other), "Ready", `The key is in Secret "host"`},
		{
			"an existing key that is missing", hostKey(existing, func(k *v1alpha1.SFTPKey) { k.Spec.SecretName = "mine" }), nil, "SecretNotFound",
			`Secret "mine" does not exist in namespace "platform"; create it or correct spec.secretName`,
		},
		{
			"a host key with its public half alone", hostKey(existing), &corev1.Secret{Data: map[string][]byte{PublicEntry: []byte(made.Line())}}, "InvalidKey",
			`Secret "host": it has no entry "ssh-privatekey"; put the private key there`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := Decide(tt.key, tt.secret)
			got := v.Condition.Reason
			if v.Generate {
				got = "generate"
			}
			if got != tt.want || v.Condition.Message != tt.message {
				t.Errorf("%s\n\t%s\nwant %s\n\t%s", got, v.Condition.Message, tt.want, tt.message)
			}
			if ready := v.Condition.Status == metav1.ConditionTrue; ready != (tt.want == "Ready") || ready != (v.Material.Public != nil) {
				t.Errorf("status %q with material %v", v.Condition.Status, v.Material.Public)
			}
		})
	}
}

func TestNewSecret(t *testing.T) {
	m := pair(t)
	s := NewSecret(hostKey(), "mine", m, began)
	if s.Name != "mine" || s.Namespace != "platform" || s.Type != corev1.SecretTypeSSHAuth || s.Labels[v1alpha1.LabelKey] != "host" {
		t.Errorf("Secret %s/%s of type %s with labels %v", s.Namespace, s.Name, s.Type, s.Labels)
	}
	if len(s.OwnerReferences) != 0 {
		t.Error("it has an owner: deleting that would delete the key")
	}
	if len(s.Data) != 2 || !strings.HasPrefix(string(s.Data["ssh-privatekey"]), "-----BEGIN OPENSSH PRIVATE KEY-----\n") ||
		string(s.Data["ssh-publickey"]) != m.Line()+"\n" {
		t.Error("its data are not the two halves of the pair")
	}
}
