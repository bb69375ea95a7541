package credentials

import (
	"crypto/rsa"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// smallKeys returns lines with different Ed25519 keys.
func smallKeys(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for i := range n {
		blob := []byte(strings.Repeat("\x00", 32))
		blob[0], blob[1] = byte(i), byte(i>>8)
		public, err := ssh.ParsePublicKey(ssh.Marshal(struct {
			Type string
			Key  []byte
		}{ssh.KeyAlgoED25519, blob}))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))))
	}
	return out
}

// bigKey returns a line with an RSA key of a given size; its modulus has that many bits but is not a product of two primes.
func bigKey(t *testing.T, bits uint, low int64) string {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	public, err := ssh.NewPublicKey(&rsa.PublicKey{N: n.Add(n, big.NewInt(2*low+1)), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

func file(lines ...string) cluster {
	return secrets(secret("keys", "authorized_keys", strings.Join(lines, "\n")))
}

// A record has at most 64 keys, of at most 16 KiB in total; those left out are counted.
func TestBoundsOfARecord(t *testing.T) {
	var big []string
	for i := range 30 {
		big = append(big, bigKey(t, 4096, int64(i)))
	}
	networks := make([]string, 100)
	for i := range networks {
		networks[i] = fmt.Sprintf("192.0.2.%d", i)
	}
	restricted := fmt.Sprintf("from=%q ", strings.Join(networks, ","))
	long := smallKeys(t, 20)
	for i := range long {
		long[i] = restricted + long[i]
	}
	perKey := len(smallKeys(t, 1)[0]) + len(strings.Join(networks, "")) + 100*len("/32")
	inline := func(lines []string) v1alpha1.UserAuthentication {
		return v1alpha1.UserAuthentication{AuthorizedKeys: lines}
	}
	for _, tc := range []struct {
		name       string
		c          cluster
		a          v1alpha1.UserAuthentication
		keys, left int
	}{
		{"64 keys in a file", file(smallKeys(t, 64)...), keysFrom("keys", ""), 64, 0},
		{"65 keys in a file", file(smallKeys(t, 65)...), keysFrom("keys", ""), 64, 1},
		{"600 keys in a file", file(smallKeys(t, 600)...), keysFrom("keys", ""), 64, 536},
		{"each key twice", file(append(smallKeys(t, 64), smallKeys(t, 64)...)...), keysFrom("keys", ""), 64, 0},
		{"65 keys in the spec", cluster{}, inline(smallKeys(t, 65)), 64, 1},
		{"RSA keys in a file", file(big...), keysFrom("keys", ""), config.MaxKeySizePerUser / len(big[0]), 30 - config.MaxKeySizePerUser/len(big[0])},
		{"RSA keys in the spec", cluster{}, inline(big), config.MaxKeySizePerUser / len(big[0]), 30 - config.MaxKeySizePerUser/len(big[0])},
		{"networks", cluster{}, inline(long), config.MaxKeySizePerUser / perKey, 20 - config.MaxKeySizePerUser/perKey},
	} {
		c := resolve(t, tc.c, tc.a, nil)
		size := 0
		for _, k := range c.Keys {
			size += k.Size()
		}
		p, bad := c.Problem()
		if len(c.Keys) != tc.keys || len(c.Inventory) != tc.keys || size > config.MaxKeySizePerUser || bad != (tc.left > 0) {
			t.Errorf("%s: %d keys of %d bytes, %d in the inventory, %+v; want %d", tc.name, len(c.Keys), size, len(c.Inventory), p, tc.keys)
		}
		say := fmt.Sprintf("The user has %d public keys too many: at most 64 keys, or 16384 bytes of keys with their networks, are allowed. The others are ignored; remove keys that are not needed", tc.left)
		if bad && p != (Problem{v1alpha1.ReasonInvalidPublicKey, say}) {
			t.Errorf("%s: %+v, want %s", tc.name, p, say)
		}
		u := config.User{
			Username: "acme", UID: "1", Namespace: "team", Name: "acme", Methods: []string{"PublicKey"}, Keys: c.Keys,
			Mounts: []config.Mount{{Path: "/", Volume: "home", Access: config.ReadWrite}},
		}
		if err := u.Validate(); err != nil {
			t.Errorf("%s: the daemon would refuse it: %v", tc.name, err)
		}
	}
}

// A key that does not fit leaves room for a smaller one, and takes no place in the inventory.
func TestASmallerKeyFits(t *testing.T) {
	lines := []string{}
	for i := range 30 {
		lines = append(lines, bigKey(t, 4096, int64(i)))
	}
	c := resolve(t, cluster{}, keys(append(lines, ed25519Key)...), nil)
	if last := c.Keys[len(c.Keys)-1]; last.PublicKey != ed25519Key || len(c.Inventory) != len(c.Keys) {
		t.Errorf("%d keys, the last is %s", len(c.Keys), last.PublicKey)
	}
}

func TestKeysThatAreTooLong(t *testing.T) {
	c := resolve(t, cluster{}, keys(bigKey(t, 8192, 0), bigKey(t, 8193, 0)), nil)
	p, _ := c.Problem()
	if len(c.Keys) != 1 || p.Message != "spec.authentication.authorizedKeys[1]: RSA key of 8193 bits is too long: at most 8192 are allowed; create a new key, preferably with ssh-keygen -t ed25519" {
		t.Errorf("%d keys, %+v", len(c.Keys), p)
	}
}
