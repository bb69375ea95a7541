package render

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/cryptopolicy"
)

// A CA that cannot be used is named; pods get those that are public keys.
func TestUserCAs(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	const ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	nist := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	l := &v1alpha1.SFTPListener{}
	l.Spec.Authentication.TrustedUserCAs = []string{
		ed25519 + " ca@corp", nist, "ssh-ed25519 AAAA", "cert-authority " + ed25519, `from="192.0.2.1" ` + ed25519,
	}
	if got := userCAs(l); !slices.Equal(got, []string{ed25519, nist}) {
		t.Errorf("pods get %q", got)
	}
	want := []string{
		`spec.authentication.trustedUserCAs[2]: the key after "ssh-ed25519" is damaged or incomplete; copy the whole line of the .pub file again`,
		`spec.authentication.trustedUserCAs[3]: option "cert-authority" is not supported; remove it (only from= is understood)`,
		`spec.authentication.trustedUserCAs[4]: from= has no meaning before the key of a CA; its certificates can have the option source-address`,
	}
	for name, more := range map[string][]string{
		cryptopolicy.Modern2026: nil,
		cryptopolicy.Strict2026: {`spec.authentication.trustedUserCAs[1]: crypto policy Strict2026 has no keys of type ecdsa-sha2-nistp256; make a new key, best of type Ed25519`},
	} {
		policy, err := cryptopolicy.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := CheckUserCAs(l, policy); !slices.Equal(got, append(more, want...)) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
