package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Each mistake causes a message that says what is wrong: when it is applied, or in a condition.
func TestBadInput(t *testing.T) {
	ns := newNamespace(t, "bad", nil)
	foreign := newNamespace(t, "foreign", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	newUser(t, l, ns, "acme", keyAuth(k))
	newSecret(t, ns, "no-password", map[string]string{"passwort": "typo in the name"})

	line := func(s string) v1alpha1.UserAuthentication {
		return v1alpha1.UserAuthentication{AuthorizedKeys: []string{s}}
	}
	for _, c := range []struct {
		name, namespace, condition, reason, message string
		auth                                        v1alpha1.UserAuthentication
		username                                    string
	}{
		{"username taken", ns, v1alpha1.ConditionAccepted, v1alpha1.ReasonUsernameConflict, "is taken by SFTPUser", keyAuth(k), "acme"},
		{"key with a typo", ns, v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonInvalidPublicKey, "damaged or incomplete", line(strings.Replace(k.line, "AAAA", "AAAAA", 1)), ""},
		{"RSA key of 1024 bits", ns, v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonInvalidPublicKey, "RSA key of 1024 bits is too short", line(rsa1024(t)), ""},
		{"missing Secret", ns, v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonSecretNotFound, `Secret "nowhere" does not exist`, passwordFrom("nowhere"), ""},
		{"missing entry in a Secret", ns, v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonSecretKeyMissing, `Secret "no-password" has no entry "password"`, passwordFrom("no-password"), ""},
		{"listener that does not admit the namespace", foreign, v1alpha1.ConditionAccepted, v1alpha1.ReasonNotAllowedByListener, "does not admit users of namespace", keyAuth(k), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := userOf(l, c.namespace, "bad-"+strings.ToLower(strings.ReplaceAll(c.name, " ", "-")), c.auth)
			u.Spec.Username = c.username
			must(t, kube.Create(t.Context(), u))
			message := waitCondition(t, u, c.condition, metav1.ConditionFalse, c.reason, 30*time.Second)
			if !strings.Contains(message, c.message) {
				t.Errorf("message %q does not contain %q", message, c.message)
			}
			fmt.Printf("MESSAGE %s: %s=False/%s: %s\n", c.name, c.condition, c.reason, message)
		})
	}

	for _, c := range []struct{ name, yaml, message string }{
		{
			"replicas 2 on a ReadWriteOnce claim", listenerYAML(ns, "  replicas: 2\n  volumes: [{name: data, claimTemplate: {storage: 1Gi}}]\n"),
			"replicas must be 0 or 1 while a volume with a claimTemplate is not ReadWriteMany",
		},
		{"path with ..", userYAML(ns, "  mounts: [{path: /in/../../etc}]\n"), "must not have empty, '.' or '..' parts"},
		{"subPath with ..", userYAML(ns, "  mounts: [{path: /in, subPath: ../other}]\n"), "subPath must be a relative path without"},
		{"a name with a slash", userYAML(ns, "  authentication: {passwordSecretRef: {name: a/b}}\n"), "must be the name of an object"},
		{"key with an unknown option", userYAML(ns, "  authentication: {authorizedKeys: ['command=\"ls\" "+k.line+"']}\n"), "and no other option"},
		{"a private key", userYAML(ns, "  authentication: {authorizedKeys: ['-----BEGIN OPENSSH PRIVATE KEY-----']}\n"), "must never be a private key"},
		{"unknown field", userYAML(ns, "  shell: /bin/sh\n"), `unknown field "spec.shell"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "object.yaml")
			must(t, os.WriteFile(file, []byte(c.yaml), 0o600))
			out, err := kubectl("apply", "-f", file)
			if err == nil || !strings.Contains(out, c.message) {
				t.Errorf("kubectl apply: %v: %s does not contain %q", err, out, c.message)
			}
			fmt.Printf("MESSAGE %s: %s\n", c.name, strings.TrimSpace(strings.ReplaceAll(out, file, "object.yaml")))
		})
	}

	t.Run("replicas 2 on an existing ReadWriteOnce claim", func(t *testing.T) {
		owner := newListener(t, ns, "single", nil)
		shared := &v1alpha1.SFTPListener{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "shared"},
			Spec: v1alpha1.SFTPListenerSpec{
				Replicas: new(int32(2)),
				Volumes:  []v1alpha1.ListenerVolume{{Name: "data", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: owner.Name + "-data"}}},
			},
		}
		must(t, kube.Create(t.Context(), shared))
		message := waitCondition(t, shared, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonVolumeNotShareable, 30*time.Second)
		fmt.Printf("MESSAGE replicas 2 on an existing ReadWriteOnce claim: Accepted=False/VolumeNotShareable: %s\n", message)
	})
}

func passwordFrom(secret string) v1alpha1.UserAuthentication {
	return v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: secret}}
}

func rsa1024(t *testing.T) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	pub, err := ssh.NewPublicKey(&private.PublicKey)
	must(t, err)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
}

func listenerYAML(ns, spec string) string {
	return "apiVersion: sftp-operator.io/v1alpha1\nkind: SFTPListener\nmetadata: {name: bad, namespace: " + ns + "}\nspec:\n" + spec
}

func userYAML(ns, spec string) string {
	return "apiVersion: sftp-operator.io/v1alpha1\nkind: SFTPUser\nmetadata: {name: bad, namespace: " + ns +
		"}\nspec:\n  listenerRef: {name: partners}\n  authentication: {passwordSecretRef: {name: x}}\n" + spec
}
