package cel

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	privateKey = `must never be a private key: use the contents of the .pub file, and generate a new key pair, because others may have seen this private key`
	pubLine    = `must be one line like that of a .pub file, for example ssh-ed25519 AAAA... comment, without options`
	keysLine   = `must be one line like that of a .pub file, for example ssh-ed25519 AAAA... comment, with from="203.0.113.0/24" before it and no other option`
)

// publicKeyPlaces are all fields with a public key.
var publicKeyPlaces = []place{
	{"publicKey", validKey, `spec: {source: PublicKey, publicKey: %s}`},
	{"revokedKeys", validListener, `spec: {revokedKeys: [{publicKey: %s}]}`},
	{"trustedUserCAs", validListener, `spec: {authentication: {trustedUserCAs: [%s]}}`},
	{"authorizedKeys", validUser, `spec: {authentication: {authorizedKeys: [%s]}}`},
}

func TestPublicKeys(t *testing.T) {
	valid := []string{
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== Jörg's laptop, of 2026\n",
		"\tecdsa-sha2-nistp256\tAAAA  a",
		"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
		"sk-ecdsa-sha2-nistp256@openssh.com AAAA BEGINNER",
		// RSA of 8192 bits: 1,047 bytes, and a comment.
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAEA" + strings.Repeat("Q", 1359) + "== " + strings.Repeat("c", 100),
	}
	refused := func(line string) []refusal {
		return []refusal{
			{"nonsense", line},
			{"ssh-ed25519", line},
			{"ssh-ed25519 BBBB", line},
			{"ssh-ed25519 A", line},
			{"hello AAAA", line},
			{"ssh-ed25519 AAAA a\nssh-ed25519 AAAAB b", line},
			{"ssh-ed25519 AAAA a\x1b[2J", line},
			{"ssh-ed25519 AAAA a\u009b2J", line},
			{"no-pty ssh-ed25519 AAAA", line},
			{`command="ls" ssh-ed25519 AAAA`, line},
			{"-----BEGIN CERTIFICATE-----", line},
			{"", `should be at least 1 chars long`},
			{strings.Repeat("a", 4097), `may not be more than`},
		}
	}
	const from = `FROM="192.0.2.0/24,2001:db8::/32" ssh-ed25519 AAAA`
	testFormat(t, publicKeyPlaces[:3], valid, append(refused(pubLine), refusal{from, pubLine}))
	testFormat(t, publicKeyPlaces[3:], append(valid, from), append(refused(keysLine), refusal{`from="192.0.2.1",no-pty ssh-ed25519 AAAA`, keysLine}))
}

// TestPrivateKeys: no private key is accepted in any field, and the answer, which many systems log, contains nothing of it.
func TestPrivateKeys(t *testing.T) {
	const content = "b3BlbnNzaC1rZXktdjEAAAAA"
	for _, p := range publicKeyPlaces {
		for _, key := range []string{
			"-----BEGIN OPENSSH PRIVATE KEY-----\n" + content + "\n-----END OPENSSH PRIVATE KEY-----\n",
			"-----BEGIN RSA PRIVATE KEY----- " + content,
			"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n" + content,
			"ssh-ed25519 AAAA -----BEGIN OPENSSH PRIVATE KEY-----" + content,
		} {
			err := api.Create(t.Context(), patched(t, p.base, fmt.Sprintf(p.patch, quoted(key))), client.DryRunAll)
			switch {
			case err == nil:
				t.Errorf("%s: accepted %q", p.name, key)
			case !strings.Contains(err.Error(), privateKey):
				t.Errorf("%s: refused with\n\t%v\nwant\n\t%s", p.name, err, privateKey)
			case strings.Contains(err.Error(), content[:8]):
				t.Errorf("%s: the answer quotes the key: %v", p.name, err)
			}
		}
	}
}
