package credentials

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func givenTo(user string) func(*v1alpha1.SFTPKey) {
	return func(k *v1alpha1.SFTPKey) { k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: user} }
}

// partner returns a key with source PublicKey.
func partner(line string) func(*v1alpha1.SFTPKey) {
	return func(k *v1alpha1.SFTPKey) {
		k.Spec.Source, k.Spec.PublicKey = v1alpha1.KeyPublicKey, line
		k.Status = v1alpha1.SFTPKeyStatus{}
	}
}

// The user in these tests is acme.
func TestAssignedKeys(t *testing.T) {
	mine := clientKey("mine", ed25519Key, givenTo("acme"))
	other := clientKey("theirs", ed25519Key, givenTo("other"))
	for _, tc := range []struct {
		name    string
		keyring []v1alpha1.SFTPKey
		a       v1alpha1.UserAuthentication
		// keys that log in, and the inventory as "<source> <state>"
		keys      int
		inventory string
		reason    string
	}{
		{"assigned to it", []v1alpha1.SFTPKey{mine}, v1alpha1.UserAuthentication{}, 1, "[sftpkey/mine ]", ""},
		{"assigned and copied", []v1alpha1.SFTPKey{mine}, keys(ed25519Key), 1, "[sftpkey/mine ]", ""},
		{"nothing at all", nil, v1alpha1.UserAuthentication{}, 0, "[]", "NoCredentials"},
		{"certificates alone", nil, v1alpha1.UserAuthentication{Certificates: v1alpha1.CertificatesAccepted}, 0, "[]", ""},
		{"assigned to another", []v1alpha1.SFTPKey{other}, v1alpha1.UserAuthentication{}, 0, "[]", "NoCredentials"},
		{"another's by copy", []v1alpha1.SFTPKey{other}, keys(ed25519Key), 0, "[inline AssignedElsewhere]", "KeyAssignedElsewhere"},
		{"another's by copy next to its own", []v1alpha1.SFTPKey{other}, keys(ed25519Key, otherKey), 1, "[inline AssignedElsewhere inline ]", "KeyAssignedElsewhere"},
		{"assigned to both, the other being first by name", []v1alpha1.SFTPKey{
			clientKey("a", ed25519Key, givenTo("other")), mine,
		}, v1alpha1.UserAuthentication{}, 0, "[sftpkey/mine AssignedElsewhere]", "KeyAssignedElsewhere"},
		{"assigned to both, it being older", []v1alpha1.SFTPKey{
			clientKey("a", ed25519Key, givenTo("other"), func(k *v1alpha1.SFTPKey) { k.CreationTimestamp = metav1.NewTime(time.Unix(1000, 0)) }), mine,
		}, v1alpha1.UserAuthentication{}, 1, "[sftpkey/mine ]", ""},
		{"assigned to another that is being deleted", []v1alpha1.SFTPKey{
			clientKey("a", ed25519Key, givenTo("other"), func(k *v1alpha1.SFTPKey) { k.DeletionTimestamp = new(metav1.Now()) }),
		}, keys(ed25519Key), 1, "[inline ]", ""},
		{"assigned without its Secret", []v1alpha1.SFTPKey{clientKey("a", "", givenTo("acme"))}, v1alpha1.UserAuthentication{}, 0, "[]", "KeyNotFound"},
		{"a key of no user", []v1alpha1.SFTPKey{clientKey("k", ed25519Key)}, v1alpha1.UserAuthentication{}, 0, "[]", "NoCredentials"},
		{"a public key", []v1alpha1.SFTPKey{clientKey("p", "", partner(ed25519Key+" me"), givenTo("acme"))}, v1alpha1.UserAuthentication{}, 1, "[sftpkey/p ]", ""},
		{"a damaged public key", []v1alpha1.SFTPKey{clientKey("p", "", partner(truncatedKey), givenTo("acme"))}, v1alpha1.UserAuthentication{}, 0, "[]", "InvalidPublicKey"},
	} {
		c := resolve(t, cluster{sftpKeys: tc.keyring}, tc.a, nil)
		var inventory []string
		for _, k := range c.Inventory {
			inventory = append(inventory, k.Source+" "+string(k.State))
		}
		p, _ := c.Problem()
		if len(c.Keys) != tc.keys || fmt.Sprint(inventory) != tc.inventory || p.Reason != tc.reason {
			t.Errorf("%s: %d keys, inventory %v, %s: %s\nwant %d, %s, %s", tc.name, len(c.Keys), inventory, p.Reason, p.Message, tc.keys, tc.inventory, tc.reason)
		}
	}
}

// If a user has the same key twice, the restrictions of the SFTPKey apply; otherwise a copy of the line would lift them.
func TestBoundsOfASFTPKeyHold(t *testing.T) {
	end := metav1.NewTime(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	k := clientKey("mine", ed25519Key, givenTo("acme"), func(k *v1alpha1.SFTPKey) {
		k.Spec.ExpirationTime, k.Spec.From = &end, []string{"192.0.2.7/24"}
	})
	c := resolve(t, cluster{sftpKeys: []v1alpha1.SFTPKey{k}}, keys(ed25519Key+" copy"), nil)
	if len(c.Keys) != 1 || c.Keys[0].NotAfter == nil || !c.Keys[0].NotAfter.Equal(end.Time) || c.Keys[0].NotBefore != nil || fmt.Sprint(c.Keys[0].From) != "[192.0.2.0/24]" {
		t.Errorf("%+v", c.Keys)
	}
}

// A comment is an untrusted text: it is shown only if it cannot control a terminal.
func TestComments(t *testing.T) {
	for comment, want := range map[string]string{
		"":                             "",
		"ops@acme, 2026":               "ops@acme, 2026",
		"zażółć":                       "zażółć",
		"\x1b[2Jops":                   "",
		"ops\x7f":                      "",
		"ops\u202egro":                 "",
		"\xff\xfe":                     "",
		strings.Repeat("a", 128):       strings.Repeat("a", 128),
		strings.Repeat("a", 129):       "",
		"\u200b":                       "",
		"a\u00a0b":                     "",
		"\ufffd":                       "",
		strings.Repeat("\u00e9", 64):   strings.Repeat("\u00e9", 64),
		strings.Repeat("\u00e9", 65):   "",
		"tab\tulator":                  "",
		"quotes \" and ' and \\ and <": "quotes \" and ' and \\ and <",
	} {
		if got := printable(comment); got != want {
			t.Errorf("%q became %q, want %q", comment, got, want)
		}
	}
}
