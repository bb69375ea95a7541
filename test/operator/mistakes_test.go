package operator

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// rsa1024 is a public key that is too short.
const rsa1024 = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCZWtBz5fSJQcs6nqU0b0aGiaF2kDPlgwIpD+eo+RUJy71cc9egl9QfEN7pX3vwF+0aeHWVAt7jR7Sk4AFUWTWRcf7wHxYDuGrCxp765x3MHx1vpQceZA+qLldmmdJUW75p9Jlrg+dVd2KfLG2YavL8zHUWHLw+8HhbWD+51sediw=="

// TestMistakesOfATenant: each mistake that a tenant of a shared listener can make in an SFTPUser is reported where the tenant
// looks: by kubectl apply, or else in the column REASON (or INACTIVE), in a sentence that says what to do, and in an event. The
// test prints the table.
func TestMistakesOfATenant(t *testing.T) {
	tenant := namespace(t, nil)
	l := newListener(namespace(t, nil), func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers.Rules = []v1alpha1.AllowedUsersRule{{
			Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesNames, Names: []string{tenant}},
		}}
		l.Spec.Authentication.PasswordPolicy.MinLength = new(int32(12))
	})
	create(t, l)
	readyPod(t, l, "a")
	closed := readyListener(t, namespace(t, nil))
	for name, password := range map[string]string{"short": "too short", "line-end": "correct horse battery\n", "fine": "correct horse battery"} {
		create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name}, StringData: map[string]string{"password": password}})
	}
	taken := newUser(tenant, "acme", of(l))
	create(t, taken)
	waitReady(t, taken)

	key := publicKey(tenant + "a key")
	good := `authentication: {authorizedKeys: ["` + key + `"]}`
	ref := "listenerRef: {name: partners, namespace: " + l.Namespace + "}"
	for i, tc := range []struct {
		mistake, spec string
		// reason in a column; "" for a refusal at kubectl apply. says is part of the message, and of the event.
		reason, says string
	}{
		{"a field with a typo", ref + "\nauthentification: {}", "", `unknown field "spec.authentification"`},
		{"an invalid value", ref + "\nstate: Disabled", "", `supported values: "Active", "Suspended"`},
		{"an invalid network", ref + "\nallowedCIDRs: [203.0.113.0/33]", "", "must be a network"},
		{"a login name with a space", ref + "\nusername: acme corp", "", "username must start with a letter, digit or '_'"},
		{"a date without a time", ref + "\nexpirationTime: 2027-01-31", "", "must be of type date-time"}, // the API server's own message: kubectl explain has an example
		{"no login at all", ref + "\nauthentication: {}", "NoCredentials", "set spec.authentication, or name the user in spec.userRef of an SFTPKey"},
		{"another listener", "listenerRef: {name: partner, namespace: " + l.Namespace + "}\n" + good, "ListenerNotFound", "Listeners that admit namespace"},
		{"a listener without its namespace", "listenerRef: {name: partners}\n" + good, "ListenerNotFound", `does not exist in namespace "` + tenant + `"`},
		{"a listener that does not admit it", "listenerRef: {name: partners, namespace: " + closed.Namespace + "}\n" + good, "NotAllowedByListener", "its owner decides"},
		{"a Secret that is not there", ref + "\nauthentication: {passwordSecretRef: {name: nowhere}}", "SecretNotFound", "create it or correct spec.authentication.passwordSecretRef"},
		{"an entry that is not there", ref + "\nauthentication: {passwordSecretRef: {name: fine, key: pass}}", "SecretKeyMissing", `has no entry "pass"`},
		{"a password with a line end", ref + "\nauthentication: {passwordSecretRef: {name: line-end}}", "InvalidPassword", "line"},
		{"a short password", ref + "\nauthentication: {passwordSecretRef: {name: short}}", "InvalidPassword", "12"},
		{"a private key in place of a public one", ref + "\nauthentication: {authorizedKeys: ['-----BEGIN OPENSSH PRIVATE KEY-----']}", "", "must never be a private key"},
		{"a damaged key", ref + "\nauthentication: {authorizedKeys: ['" + key[:len(key)-4] + "']}", "InvalidPublicKey", "damaged"},
		{"an RSA key of 1024 bits", ref + "\nauthentication: {authorizedKeys: ['" + rsa1024 + "']}", "InvalidPublicKey", "too short"},
		{"the whole volume", ref + "\n" + good + "\nhomeDirectory: {scope: Volume}", "DirectoryNotAllowed", "tenants"},
		{"a volume that is not there", ref + "\n" + good + "\nmounts: [{path: /in, volume: inbox}]", "VolumeNotFound", "the listener's volumes are: home; correct the name, or ask the listener's owner"},
		{"directories that overlap", ref + "\n" + good + "\nmounts: [{path: /in, subPath: in, access: WriteOnly}]", "DirectoriesOverlap", "give them the same access, or put the directories side by side"},
		{"an end that has passed", ref + "\n" + good + "\nexpirationTime: 2020-01-01T00:00:00Z", "Expired", "set a later spec.expirationTime"},
		{"suspended", ref + "\n" + good + "\nstate: Suspended", "Suspended", "set it to Active"},
		{"a name that is taken", ref + "\n" + good + "\nusername: acme", "UsernameConflict", "delete this SFTPUser and recreate it with a different spec.username"},
		{"methods without their secret", ref + "\nauthentication: {authorizedKeys: ['" + key + "'], methods: [{steps: [PublicKey, TOTP]}]}", "", "methods with TOTP require totpSecretRef"},
		{"a code as the first step", ref + "\nauthentication: {methods: [{steps: [TOTP]}]}", "", "a code comes after PublicKey or Password"},
		{"two keys wanted, and one there", ref + "\nauthentication: {authorizedKeys: ['" + key + "'], methods: [{steps: [PublicKey, PublicKey]}]}", "FactorMissing", "key"},
	} {
		t.Run(tc.mistake, func(t *testing.T) {
			name := fmt.Sprintf("m-%02d", i)
			o := &unstructured.Unstructured{}
			text := "apiVersion: sftp-operator.io/v1alpha1\nkind: SFTPUser\nmetadata: {name: " + name + ", namespace: " + tenant + "}\nspec:\n  " + strings.ReplaceAll(tc.spec, "\n", "\n  ")
			if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			strict := client.WithFieldValidation(api, metav1.FieldValidationStrict)
			if err := strict.Create(t.Context(), o); err != nil {
				if tc.reason != "" || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("kubectl apply: %v, want %q %q", err, tc.reason, tc.says)
				}
				t.Logf("MISTAKE | %-38s | at apply | %s", tc.mistake, message(err.Error()))
				return
			}
			if tc.reason == "" {
				t.Fatalf("it was accepted, want a refusal with %q", tc.says)
			}
			u := &v1alpha1.SFTPUser{}
			var column, says, event string
			eventually(t, func() error {
				get(t, u, tenant, name)
				column, says = columnReason(u)
				if column != tc.reason || !strings.Contains(says, tc.says) {
					return fmt.Errorf("%s: %s, want %s: %s", column, says, tc.reason, tc.says)
				}
				event = eventOf(t.Context(), u)
				if event == "" || !strings.Contains(event, tc.says) {
					return fmt.Errorf("got the event %q", event)
				}
				return nil
			})
			kind, _, _ := strings.Cut(event, " ")
			t.Logf("MISTAKE | %-38s | %s, %s | %s", tc.mistake, column, kind, says)
		})
	}
}

// message returns the part of an answer of the API server that a person reads.
func message(text string) string {
	if _, after, ok := strings.Cut(text, " is invalid: "); ok {
		return after
	}
	return text
}

// columnReason returns what kubectl get shows for a user in REASON or INACTIVE, and the message of the condition.
func columnReason(u *v1alpha1.SFTPUser) (reason, says string) {
	c := cmp.Or(meta.FindStatusCondition(u.Status.Conditions, "Ready"), meta.FindStatusCondition(u.Status.Conditions, "Inactive"))
	if c == nil {
		return "", ""
	}
	return c.Reason, c.Message
}

// eventOf returns the last event of a user, with its type.
func eventOf(ctx context.Context, u *v1alpha1.SFTPUser) string {
	var list eventsv1.EventList
	if err := api.List(ctx, &list, client.InNamespace(u.Namespace)); err != nil {
		return ""
	}
	out := ""
	for i := range list.Items {
		if e := &list.Items[i]; e.Regarding.Name == u.Name {
			out = e.Type + " " + e.Reason + ": " + e.Note
		}
	}
	return out
}
