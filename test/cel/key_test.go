package cel

import "testing"

const validKey = `
apiVersion: sftp-operator.io/v1alpha1
kind: SFTPKey
metadata: {name: acme, namespace: default}
spec: {usage: Client}
`

func TestKeyCreation(t *testing.T) {
	testCreations(t, validKey, []creation{
		{name: "the base"},
		{name: "all fields", patch: `spec: {usage: Host, source: Generated, algorithm: RSA4096, secretName: keys, deletionPolicy: Delete}`},
		{name: "an existing key", patch: `spec: {source: Existing, secretName: keys.of.acme}`},

		{"usage is required", `spec: {usage: null}`, `spec.usage: Required value`},
		{"usage is Host or Client", `spec: {usage: Server}`, `supported values: "Host", "Client"`},
		{"source is Generated or Existing", `spec: {source: Vault}`, `supported values: "Generated", "Existing"`},
		{"algorithms are named", `spec: {algorithm: RSA1024}`, `supported values: "Ed25519", "ECDSAP256", "RSA3072", "RSA4096"`},
		{
			"an existing key has the algorithm that it has", `spec: {source: Existing, algorithm: Ed25519}`,
			`algorithm may be set only with source Generated: an existing key has the algorithm it has`,
		},
		{"deletionPolicy is Retain or Delete", `spec: {deletionPolicy: Orphan}`, `supported values: "Retain", "Delete"`},
		{"secretName is a name", `spec: {secretName: Keys_Of_Acme}`, `spec.secretName in body should match`},
		{"secretName is not empty", `spec: {secretName: ""}`, `spec.secretName in body should be at least 1 chars long`},
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
