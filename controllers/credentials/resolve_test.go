package credentials

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// Two valid keys and their fingerprints.
const (
	ed25519Key   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	otherKey     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"
	truncatedKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ"
)

// cluster has objects in the namespace "team".
type cluster struct {
	secrets map[string]*corev1.Secret
	// keys are the lines of SFTPKeys that are assigned to the user, by name.
	keys     map[string]string
	sftpKeys []v1alpha1.SFTPKey
}

func (c cluster) keyring() *key.Keyring {
	var all []v1alpha1.SFTPKey
	for name, line := range c.keys {
		all = append(all, clientKey(name, line, givenTo("acme")))
	}
	return key.NewKeyring(append(all, c.sftpKeys...))
}

// clientKey returns an SFTPKey whose Secret has a key, or none if line is empty.
func clientKey(name, line string, edits ...func(*v1alpha1.SFTPKey)) v1alpha1.SFTPKey {
	k := v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyExisting},
		Status:     v1alpha1.SFTPKeyStatus{PublicKey: line},
	}
	if line != "" {
		k.Status.Conditions = []metav1.Condition{conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "")}
	}
	for _, edit := range edits {
		edit(&k)
	}
	return k
}

func secret(name, entry, data string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7"},
		Data:       map[string][]byte{entry: []byte(data)},
	}
}

func secrets(list ...*corev1.Secret) cluster {
	c := cluster{secrets: map[string]*corev1.Secret{}}
	for _, s := range list {
		c.secrets[s.Name] = s
	}
	return c
}

func user(a v1alpha1.UserAuthentication) *v1alpha1.SFTPUser {
	return &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "acme"},
		Spec:       v1alpha1.SFTPUserSpec{Authentication: a},
	}
}

func keys(lines ...string) v1alpha1.UserAuthentication {
	return v1alpha1.UserAuthentication{AuthorizedKeys: lines}
}

func keysFrom(name, entry string) v1alpha1.UserAuthentication {
	return v1alpha1.UserAuthentication{AuthorizedKeysSecretRefs: []v1alpha1.AuthorizedKeysSecretReference{{Name: name, Key: entry}}}
}

func rsaKey(t *testing.T, bits int) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

func resolve(t *testing.T, c cluster, a v1alpha1.UserAuthentication, previous *config.Password) Credentials {
	t.Helper()
	return Resolve(user(a), c.keyring(), func(ref Ref) Entry {
		if ref.Namespace != "team" {
			t.Errorf("the Secret of another namespace was asked for: %+v", ref)
		}
		e, err := Read(ref, c.secrets[ref.Secret], func(data []byte, source string) (*config.Password, error) {
			return Hash(data, source, previous)
		})
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

// Each mistake that a tenant can make, and its message.
func TestProblems(t *testing.T) {
	const pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----"
	tests := []struct {
		name            string
		src             cluster
		authentication  v1alpha1.UserAuthentication
		reason, message string
	}{
		{
			"a typo in a key",
			cluster{},
			keys(strings.Replace(ed25519Key, "AAAAC3", "AAAC3", 1) + " ops@acme"), "InvalidPublicKey",
			`spec.authentication.authorizedKeys[0]: the key after "ssh-ed25519" is damaged or incomplete; copy the whole line of the .pub file again`,
		},
		{
			"a key that was cut off",
			cluster{},
			keys(ed25519Key, truncatedKey), "InvalidPublicKey",
			`spec.authentication.authorizedKeys[1]: the key after "ssh-ed25519" is damaged or incomplete; copy the whole line of the .pub file again`,
		},
		{
			"no key at all",
			cluster{},
			keys("acme's key"), "InvalidPublicKey",
			`spec.authentication.authorizedKeys[0]: not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`,
		},
		{
			"an option that is not supported",
			cluster{},
			keys(`from="192.0.2.1",command="ls" ` + ed25519Key), "InvalidPublicKey",
			`spec.authentication.authorizedKeys[0]: option "command" is not supported; remove it (only from= is understood)`,
		},
		{
			"a from= with a host name",
			cluster{},
			keys(`from="*.example.com" ` + ed25519Key), "InvalidPublicKey",
			`spec.authentication.authorizedKeys[0]: from= is not supported: its entry 1 is neither an address nor a network such as 203.0.113.0/24`,
		},
		{
			"an RSA key of 1024 bits",
			cluster{},
			keys(rsaKey(t, 1024)), "InvalidPublicKey",
			`spec.authentication.authorizedKeys[0]: RSA key of 1024 bits is too short: at least 2048 are required; create a new key, preferably with ssh-keygen -t ed25519`,
		},
		{
			"a private key",
			cluster{},
			keys(pem), "InvalidPublicKey",
			`spec.authentication.authorizedKeys[0]: this is a private key: use the public half, the line in the .pub file, and generate a new key pair if others have seen this one`,
		},
		{
			"two keys in one entry",
			cluster{},
			keys(ed25519Key + "\n" + otherKey), "InvalidPublicKey",
			`spec.authentication.authorizedKeys[0]: more than one line: give each key its own entry`,
		},

		{
			"a Secret with keys that does not exist",
			cluster{},
			keysFrom("keys", ""), "SecretNotFound",
			`Secret "keys" does not exist in namespace "team"; create it or correct spec.authentication.authorizedKeysSecretRefs`,
		},
		{
			"a Secret with keys under another entry", secrets(secret("keys", "id.pub", ed25519Key)), keysFrom("keys", ""), "SecretKeyMissing",
			`Secret "keys" has no entry "authorized_keys"; add it or set the key of spec.authentication.authorizedKeysSecretRefs`,
		},
		{
			"a typo in a file", secrets(secret("keys", "ops", "# ops\n\n"+ed25519Key+"\n"+truncatedKey)), keysFrom("keys", "ops"), "InvalidPublicKey",
			`Secret "keys", entry "ops" cannot be used: line 4: the key after "ssh-ed25519" is damaged or incomplete; copy the whole line of the .pub file again`,
		},
		{
			"a file without a key", secrets(secret("keys", "authorized_keys", "# none yet\n")), keysFrom("keys", ""), "InvalidPublicKey",
			`Secret "keys", entry "authorized_keys" holds no public key; add a line such as the one in a .pub file`,
		},
		{
			"a private key in a file", secrets(secret("keys", "authorized_keys", pem)), keysFrom("keys", ""), "InvalidPublicKey",
			`Secret "keys", entry "authorized_keys" cannot be used: line 1: this is a private key: use the public half, the line in the .pub file, and generate a new key pair if others have seen this one`,
		},

		{"an SFTPKey that is not ready", cluster{keys: map[string]string{"ops": ""}}, v1alpha1.UserAuthentication{}, "KeyNotFound", `SFTPKey "ops" is not ready; kubectl describe sftpkey ops says why`},

		{
			"a password's Secret that does not exist",
			cluster{},
			passwordFrom("p", ""), "SecretNotFound",
			`Secret "p" does not exist in namespace "team"; create it or correct spec.authentication.passwordSecretRef`,
		},
		{
			"a password's Secret without the entry", secrets(secret("p", "pass", "x")), passwordFrom("p", ""), "SecretKeyMissing",
			`Secret "p" has no entry "password"; add it or set the key of spec.authentication.passwordSecretRef`,
		},
		{
			"an empty password", secrets(secret("p", "password", "")), passwordFrom("p", ""), "InvalidPassword",
			`Secret "p", entry "password" is empty; put the password there`,
		},
		{
			"a password with a line end", secrets(secret("p", "password", "hunter2\n")), passwordFrom("p", ""), "InvalidPassword",
			`Secret "p", entry "password" contains a line end; write the password without it (kubectl create secret ... --from-literal, or printf %s)`,
		},
		{
			"a password that is endless", secrets(secret("p", "pw", strings.Repeat("x", 1025))), passwordFrom("p", "pw"), "InvalidPassword",
			`Secret "p", entry "pw" has 1025 bytes, but a password may have at most 1024`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := resolve(t, tt.src, tt.authentication, nil).Problem()
			if !ok {
				t.Fatal("no problem was found")
			}
			if got.Reason != tt.reason || got.Message != tt.message {
				t.Errorf("%s\n\t%s\nwant %s\n\t%s", got.Reason, got.Message, tt.reason, tt.message)
			}
		})
	}
}

// A typo in one key must not lock out the holders of others.
func TestGoodCredentialsWorkBesideBadOnes(t *testing.T) {
	a := keys(truncatedKey, ed25519Key)
	a.AuthorizedKeysSecretRefs = keysFrom("none", "").AuthorizedKeysSecretRefs
	c := resolve(t, cluster{keys: map[string]string{"ops": otherKey, "none": ""}}, a, nil)

	if len(c.Keys) != 2 || c.Keys[0].PublicKey != otherKey || c.Keys[1].PublicKey != ed25519Key {
		t.Errorf("keys %v, want the two good ones", c.Keys)
	}
	if len(c.Inventory) != 2 || c.Inventory[0].Source != "sftpkey/ops" || c.Inventory[1].Source != "inline" {
		t.Errorf("inventory %+v, want both keys", c.Inventory)
	}
	if !c.WithMethods(factor.Set{{factor.PublicKey}, {factor.Password}}, false).CanLogIn() || c.WithMethods(factor.Set{{factor.PublicKey, factor.Password}}, false).CanLogIn() {
		t.Error("a key suffices where it is asked for alone, and not with a password")
	}
	p, _ := c.Problem()
	if len(c.Problems) != 3 || p.Reason != "KeyNotFound" || strings.Count(p.Message, "; ") < 3 {
		t.Errorf("problems %v, want all three, the first with its reason: %v", c.Problems, p)
	}
}

func TestKeysAreTakenOnce(t *testing.T) {
	file := secret("keys", "authorized_keys", ed25519Key+" again\n"+otherKey+"\n")
	a := keys(ed25519Key + " ops@acme")
	a.AuthorizedKeysSecretRefs = keysFrom("keys", "").AuthorizedKeysSecretRefs
	c := resolve(t, secrets(file), a, nil)
	if len(c.Keys) != 2 || len(c.Problems) != 0 {
		t.Errorf("keys %v and problems %v, want two keys", c.Keys, c.Problems)
	}
}

// The operator must render from= the way the daemon reads it.
func TestFromIsRenderedForTheDaemon(t *testing.T) {
	c := resolve(t, cluster{}, keys(`from="192.0.2.1,203.0.113.9/24,2001:db8::1,::ffff:192.0.2.7,fe80::1%eth0" `+ed25519Key), nil)
	if len(c.Problems) != 0 {
		t.Fatalf("problems %v", c.Problems)
	}
	got := fmt.Sprint(c.Keys[0].From)
	if !strings.HasPrefix(got, "[192.0.2.1/32 203.0.113.0/24 2001:db8::1/128 ") {
		t.Errorf("from %s", got)
	}
	u := config.User{
		Username: "acme", UID: "1", Namespace: "team", Name: "acme", Methods: []string{"PublicKey"}, Keys: c.Keys,
		Mounts: []config.Mount{{Path: "/", Volume: "home", Access: config.ReadWrite}},
	}
	if err := u.Validate(); err != nil {
		t.Errorf("the daemon would refuse it: %v", err)
	}
}
