package credentials

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// A key that a policy does not admit is left out and named; the others stay.
func TestCredentialsUnderAPolicy(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	short, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	c := Credentials{
		Keys:      []config.Key{{PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(short)))}, {PublicKey: ed25519Key, From: []string{"192.0.2.0/24"}}},
		Inventory: []v1alpha1.UserKeyStatus{{Fingerprint: ssh.FingerprintSHA256(short)}, {Fingerprint: "SHA256:other"}},
		Password:  &config.Password{Hash: "h"},
		Problems:  []Problem{{Reason: "Before"}},
	}
	for _, p := range cryptopolicy.All() {
		got := c.FilterByRules(Rules{Policy: p})
		if p.Name != cryptopolicy.Strict2026 {
			if len(got.Keys) != 2 || len(got.Problems) != 1 || got.Password == nil {
				t.Errorf("%s: %+v", p.Name, got)
			}
			continue
		}
		if len(got.Keys) != 1 || got.Keys[0].PublicKey != ed25519Key || len(got.Keys[0].From) != 1 ||
			len(got.Inventory) != 2 || got.Inventory[0].State != v1alpha1.KeyWeak || got.Inventory[1].State != "" {
			t.Errorf("%s: %+v", p.Name, got)
		}
		want := "The key " + c.Inventory[0].Fingerprint + " cannot be used: RSA key of 2048 bits is too short for crypto policy Strict2026: at least 3072 are required; create a new key, preferably Ed25519"
		if len(got.Problems) != 2 || got.Problems[1].Reason != v1alpha1.ReasonInvalidPublicKey || got.Problems[1].Message != want {
			t.Errorf("%s: %+v", p.Name, got.Problems)
		}
	}
	if len(c.Keys) != 2 || len(c.Problems) != 1 || c.Inventory[0].State != "" {
		t.Error("the original has changed")
	}
}

// A key that the listener has revoked is left out and named, whatever the policy says.
func TestCredentialsWithoutRevokedKeys(t *testing.T) {
	c := Credentials{
		Keys:      []config.Key{{PublicKey: ed25519Key}, {PublicKey: otherKey}},
		Inventory: []v1alpha1.UserKeyStatus{{Fingerprint: fingerprint(t, ed25519Key)}, {Fingerprint: fingerprint(t, otherKey)}},
	}
	lost := c.Inventory[0].Fingerprint
	policy, err := cryptopolicy.Lookup(cryptopolicy.Default)
	if err != nil {
		t.Fatal(err)
	}
	got := c.FilterByRules(NewRules(policy, config.Revoked{Keys: []string{"SHA256:another", lost}}, 0))
	if len(got.Keys) != 1 || got.Keys[0].PublicKey != otherKey {
		t.Errorf("left: %v", got.Keys)
	}
	if got.Inventory[0].State != v1alpha1.KeyRevoked || got.Inventory[1].State != "" || c.Inventory[0].State != "" {
		t.Errorf("inventory: %+v", got.Inventory)
	}
	want := Problem{Reason: v1alpha1.ReasonKeyRevoked, Message: "The key " + lost + " is revoked: the listener's spec.revokedKeys, or a list that it names, contains it. Remove it here, and log in with a different one"}
	if len(got.Problems) != 1 || got.Problems[0] != want {
		t.Errorf("problems: %v", got.Problems)
	}
}

func fingerprint(t *testing.T, line string) string {
	t.Helper()
	k, err := publickey.ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	return k.Fingerprint()
}
