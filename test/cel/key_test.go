package cel

import (
	"strings"
	"testing"
)

const validKey = `
apiVersion: sftp-operator.io/v1alpha1
kind: SFTPKey
metadata: {name: acme, namespace: default}
spec: {usage: Client}
`

func TestKeyCreation(t *testing.T) {
	const (
		noRoom      = `the name of the Secret (spec.secretName, or else metadata.name) must be at most 244 characters with source Generated: -r and the number of the revision are appended to it`
		period      = `periodSeconds must be set with policy Periodic, and with no other`
		generated   = `rotation.madeAfter and policy Periodic are only for generated keys: other keys are replaced by whatever maintains their Secrets`
		rotating    = `rotation is for generated keys, and for host keys with source Existing`
		clientAlone = `userRef, notBefore, expirationTime and from are only for usage Client`
	)
	testCreations(t, validKey, []creation{
		{name: "the base"},
		{name: "all fields", patch: `spec: {usage: Host, source: Generated, algorithm: RSA4096, secretName: keys, deletionPolicy: Delete}`},
		{name: "a public key", patch: `spec: {source: PublicKey, publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== acme, of 2026"}`},
		{name: "an assigned key with times", patch: `
spec:
  source: PublicKey
  publicKey: sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t
  userRef: {name: acme}
  notBefore: "2026-12-01T00:00:00Z"
  expirationTime: "2027-12-01T00:00:00Z"
  from: [192.0.2.0/24, "2001:db8::/32"]
`},
		{name: "an end alone", patch: `spec: {expirationTime: "2027-12-01T00:00:00Z"}`},
		{name: "an existing key", patch: `spec: {source: Existing, secretName: keys.of.acme}`},

		{"usage is required", `spec: {usage: null}`, `spec.usage: Required value`},
		{"usage is Host or Client", `spec: {usage: Server}`, `supported values: "Host", "Client"`},
		{"sources are named", `spec: {source: Vault}`, `supported values: "PublicKey", "Generated", "Existing"`},
		{name: "a rotation by hand", patch: `spec: {rotation: {policy: Manual, madeAfter: "2026-12-01T00:00:00Z", overlapSeconds: 0}}`},
		{name: "a periodic rotation", patch: `spec: {rotation: {policy: Periodic, periodSeconds: 7776000, overlapSeconds: 604800}}`},
		{"a period without its policy", `spec: {rotation: {periodSeconds: 7776000}}`, period},
		{"a periodic rotation without a period", `spec: {rotation: {policy: Periodic}}`, period},
		{"a period of an hour at least", `spec: {rotation: {policy: Periodic, periodSeconds: 3599}}`, `should be greater than or equal to 3600`},
		{"an overlap that never ends", `spec: {rotation: {policy: Periodic, periodSeconds: 3600, overlapSeconds: 3600}}`, `overlapSeconds must be less than periodSeconds`},
		{"rotation policies are named", `spec: {rotation: {policy: Never}}`, `supported values: "Manual", "Periodic"`},
		{"madeAfter is a time", `spec: {rotation: {madeAfter: now}}`, `spec.rotation.madeAfter in body must be of type date-time`},
		{"a partner's key is made by the partner", `spec: {source: PublicKey, publicKey: ssh-ed25519 AAAA, rotation: {madeAfter: "2026-12-01T00:00:00Z"}}`, generated},
		{"a partner's key has no rotation", `spec: {source: PublicKey, publicKey: ssh-ed25519 AAAA, rotation: {overlapSeconds: 0}}`, rotating},
		{"an existing key has no rotation", `spec: {source: Existing, rotation: {policy: Manual}}`, rotating},
		{name: "a host key that is rotated", patch: `spec: {usage: Host, rotation: {madeAfter: "2026-12-01T00:00:00Z", policy: Periodic, periodSeconds: 31536000, overlapSeconds: 1209600}}`},
		{name: "an existing host key with an overlap", patch: `spec: {usage: Host, source: Existing, rotation: {overlapSeconds: 0}}`},
		{"an existing host key is made elsewhere", `spec: {usage: Host, source: Existing, rotation: {madeAfter: "2026-12-01T00:00:00Z"}}`, generated},
		{"an existing host key has no period", `spec: {usage: Host, source: Existing, rotation: {policy: Periodic, periodSeconds: 7776000}}`, generated},
		{"source PublicKey needs it", `spec: {source: PublicKey}`, `publicKey must be set with source PublicKey, and with no other`},
		{"a public key needs its source", `spec: {publicKey: ssh-ed25519 AAAA}`, `publicKey must be set with source PublicKey, and with no other`},
		{"a host key is more than its public half", `spec: {usage: Host, source: PublicKey, publicKey: ssh-ed25519 AAAA}`, `source PublicKey is only for usage Client: a host key needs its private half`},
		{"a public key has no Secret", `spec: {source: PublicKey, publicKey: ssh-ed25519 AAAA, secretName: keys}`, `secretName must not be set with source PublicKey: there is no Secret`},
		{"a public key has no algorithm", `spec: {source: PublicKey, publicKey: ssh-ed25519 AAAA, algorithm: Ed25519}`, `algorithm may be set only with source Generated`},
		{"a public key without options", `spec: {source: PublicKey, publicKey: "from=\"192.0.2.1\" ssh-ed25519 AAAA"}`, pubLine},
		{"a public key of one line", `spec: {source: PublicKey, publicKey: "ssh-ed25519 AAAA a\nssh-ed25519 AAAAB b"}`, pubLine},
		{"no private key", `spec: {source: PublicKey, publicKey: "-----BEGIN OPENSSH PRIVATE KEY-----"}`, privateKey},
		{"no control characters", `spec: {source: PublicKey, publicKey: "ssh-ed25519 AAAA a\u001b[2J"}`, pubLine},
		{"a key has a type", `spec: {source: PublicKey, publicKey: "hello AAAA"}`, pubLine},
		{"a host key has no user", `spec: {usage: Host, userRef: {name: acme}}`, clientAlone},
		{"a host key has no end", `spec: {usage: Host, expirationTime: "2027-12-01T00:00:00Z"}`, clientAlone},
		{"a host key has no beginning", `spec: {usage: Host, notBefore: "2027-12-01T00:00:00Z"}`, clientAlone},
		{"a host key has no networks", `spec: {usage: Host, from: [192.0.2.0/24]}`, clientAlone},
		{"userRef has a name", `spec: {userRef: {}}`, `spec.userRef.name: Required value`},
		{"a user of another namespace", `spec: {userRef: {name: acme, namespace: other}}`, `unknown field "spec.userRef.namespace"`},
		{"the end comes after the beginning", `spec: {notBefore: "2027-12-01T00:00:00Z", expirationTime: "2027-12-01T00:00:00Z"}`, `expirationTime must be after notBefore`},
		{"times are times", `spec: {notBefore: tomorrow}`, `spec.notBefore in body must be of type date-time`},
		{"from are networks", `spec: {from: [192.0.2.1]}`, `must be a network in CIDR notation, for example 203.0.113.0/24`},
		{"at least one network", `spec: {from: []}`, `should have at least 1 items`},
		{"algorithms are named", `spec: {algorithm: RSA1024}`, `supported values: "Ed25519", "ECDSAP256", "RSA3072", "RSA4096"`},
		{
			"an existing key has the algorithm that it has", `spec: {source: Existing, algorithm: Ed25519}`,
			`algorithm may be set only with source Generated: an existing key already has its algorithm`,
		},
		{"deletionPolicy is Retain or Delete", `spec: {deletionPolicy: Orphan}`, `supported values: "Retain", "Delete"`},
		{"secretName is a name", `spec: {secretName: Keys_Of_Acme}`, `must be the name of an object`},
		{"secretName is not empty", `spec: {secretName: ""}`, `spec.secretName in body should be at least 1 chars long`},
		{"a name without room for the number of a revision", `metadata: {name: ` + strings.Repeat("a", 245) + `}`, noRoom},
		{"a secretName without room for the number of a revision", `spec: {secretName: ` + strings.Repeat("a", 245) + `}`, noRoom},
		{name: "a name with room for the number of a revision", patch: `metadata: {name: ` + strings.Repeat("a", 244) + `}`},
		{name: "a long name with a short secretName", patch: `{metadata: {name: ` + strings.Repeat("a", 253) + `}, spec: {secretName: a}}`},
		{name: "a long name of a key that exists", patch: `{metadata: {name: ` + strings.Repeat("a", 253) + `}, spec: {source: Existing}}`},
		{"unknown field", `spec: {algorythm: Ed25519}`, `unknown field "spec.algorythm"`},
	})
}

func TestKeyUpdate(t *testing.T) {
	testUpdates(t, validKey, []update{
		{"usage is immutable", ``, `spec: {usage: Host}`, `usage is immutable: make a new SFTPKey`},
		{"source is immutable", ``, `spec: {source: Existing}`, `source is immutable: make a new SFTPKey`},
		{"algorithm is immutable", `spec: {algorithm: Ed25519}`, `spec: {algorithm: RSA4096}`, `algorithm is immutable: make a new SFTPKey`},
		{"algorithm cannot be added", ``, `spec: {algorithm: RSA4096}`, `algorithm is immutable: make a new SFTPKey`},
		{"algorithm cannot be removed", `spec: {algorithm: RSA4096}`, ``, `algorithm is immutable: make a new SFTPKey`},
		{"secretName is immutable", `spec: {secretName: a}`, `spec: {secretName: b}`, `secretName is immutable: make a new SFTPKey`},
		{"secretName cannot be added", ``, `spec: {secretName: b}`, `secretName is immutable: make a new SFTPKey`},
		{
			"publicKey is immutable", `spec: {source: PublicKey, publicKey: ssh-ed25519 AAAA}`, `spec: {source: PublicKey, publicKey: ssh-ed25519 AAAAB}`,
			`publicKey is immutable: make a new SFTPKey`,
		},
		{name: "a new pair may be asked for", to: `spec: {rotation: {madeAfter: "2026-12-01T00:00:00Z"}}`},
		{name: "and no longer", from: `spec: {rotation: {madeAfter: "2026-12-01T00:00:00Z"}}`},
		{name: "the times may change", from: `spec: {expirationTime: "2027-12-01T00:00:00Z"}`, to: `spec: {expirationTime: "2026-12-01T00:00:00Z"}`},
		{name: "the user may change", from: `spec: {userRef: {name: a}}`, to: `spec: {userRef: {name: b}}`},
		{name: "deletionPolicy may change", to: `spec: {deletionPolicy: Delete}`},
		{name: "labels may change", to: `metadata: {labels: {team: a}}`},
	})
}

func TestKeyDefaults(t *testing.T) {
	wantFields(t, created(t, validKey, ``), `
spec: {usage: Client, source: Generated, deletionPolicy: Retain}
`)
	wantPending(t, created(t, validKey, ``), "Ready")
}
