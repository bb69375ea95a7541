package cel

import (
	"strings"
	"testing"
)

const (
	first = `steps must not begin with TOTP: a code comes after PublicKey or Password`
	once  = `steps must contain Password and TOTP at most once`
	known = `supported values: "PublicKey", "Password", "TOTP"`
)

func TestUserMethods(t *testing.T) {
	const (
		noPassword = `methods with Password require passwordSecretRef`
		noSecret   = `methods with TOTP require totpSecretRef: kubectl sftp totp creates the secret`
		unused     = `totpSecretRef must be used: add TOTP to one of methods, or remove methods to always require a code`
		twice      = `methods must not contain the same steps twice`
	)
	testCreations(t, validUser, []creation{
		{name: "a key", patch: `spec: {authentication: {methods: [{steps: [PublicKey]}]}}`},
		{name: "two keys", patch: `spec: {authentication: {methods: [{steps: [PublicKey, PublicKey]}]}}`},
		{name: "all steps", patch: `spec: {authentication: {methods: [{steps: [PublicKey, PublicKey, Password, TOTP]}, {steps: [Password, PublicKey]}], passwordSecretRef: {name: p}, totpSecretRef: {name: t, key: uri}}}`},
		{name: "a secret without methods", patch: `spec: {authentication: {totpSecretRef: {name: t}}}`},
		{name: "the keys of SFTPKeys, and a password", patch: `spec: {authentication: {methods: [{steps: [PublicKey, Password]}], authorizedKeys: null, passwordSecretRef: {name: p}}}`},
		{name: "a certificate, and a password", patch: `spec: {authentication: {methods: [{steps: [PublicKey, Password]}], authorizedKeys: null, certificates: Accepted, passwordSecretRef: {name: p}}}`},

		{"no combination", `spec: {authentication: {methods: []}}`, `should have at least 1 items`},
		{"no step", `spec: {authentication: {methods: [{steps: []}]}}`, `should have at least 1 items`},
		{"steps are required", `spec: {authentication: {methods: [{}]}}`, `spec.authentication.methods[0].steps: Required value`},
		{"too many combinations", `spec: {authentication: {methods: [` + numbered(9, "{steps: [m%d]}") + `]}}`, `must have at most 8 items`},
		{"the same twice", `spec: {authentication: {methods: [{steps: [PublicKey]}, {steps: [PublicKey]}]}}`, twice},
		{"a method of another server", `spec: {authentication: {methods: [{steps: [PublicKey, gssapi-with-mic]}]}}`, known},
		{"the name that SSH has", `spec: {authentication: {methods: [{steps: [publickey]}]}}`, known},
		{"a code first", `spec: {authentication: {methods: [{steps: [TOTP]}], totpSecretRef: {name: t}}}`, first},
		{"five steps", `spec: {authentication: {methods: [{steps: [` + strings.Repeat("PublicKey, ", 4) + `PublicKey]}]}}`, `must have at most 4 items`},
		{"two passwords", `spec: {authentication: {methods: [{steps: [Password, Password]}], passwordSecretRef: {name: p}}}`, once},
		{"two codes", `spec: {authentication: {methods: [{steps: [PublicKey, TOTP, TOTP]}], totpSecretRef: {name: t}}}`, once},

		{"a password that is not there", `spec: {authentication: {methods: [{steps: [PublicKey, Password]}]}}`, noPassword},
		{"a secret that is not there", `spec: {authentication: {methods: [{steps: [PublicKey, TOTP]}]}}`, noSecret},
		{"a secret that is not asked for", `spec: {authentication: {methods: [{steps: [PublicKey]}], totpSecretRef: {name: t}}}`, unused},
		{"a secret has a name", `spec: {authentication: {totpSecretRef: {key: totp}}}`, `spec.authentication.totpSecretRef.name: Required value`},
	})
}

func TestListenerMethods(t *testing.T) {
	const (
		allowed = `requiredMethods must contain a combination that allowedMethods allows`
		code    = `allowedMethods must not contain TOTP: a code comes after another method, and is always allowed`
		twice   = `requiredMethods must not contain the same steps twice`
	)
	testCreations(t, validListener, []creation{
		{name: "several", patch: `spec: {authentication: {requiredMethods: [{steps: [PublicKey, TOTP]}, {steps: [PublicKey, Password]}]}}`},
		{name: "one that is allowed", patch: `spec: {authentication: {allowedMethods: [PublicKey], requiredMethods: [{steps: [PublicKey, Password]}, {steps: [PublicKey, PublicKey]}]}}`},
		{"none that is allowed", `spec: {authentication: {allowedMethods: [PublicKey], requiredMethods: [{steps: [PublicKey, Password]}]}}`, allowed},
		{"no key allowed", `spec: {authentication: {allowedMethods: [Password], requiredMethods: [{steps: [PublicKey, TOTP]}]}}`, allowed},
		{"none", `spec: {authentication: {requiredMethods: []}}`, `should have at least 1 items`},
		{"the same twice", `spec: {authentication: {requiredMethods: [{steps: [PublicKey, TOTP]}, {steps: [PublicKey, TOTP]}]}}`, twice},
		{"a code first", `spec: {authentication: {requiredMethods: [{steps: [TOTP]}]}}`, first},
		{"a method of another server", `spec: {authentication: {requiredMethods: [{steps: [hostbased]}]}}`, known},
		{"a code alone", `spec: {authentication: {allowedMethods: [PublicKey, TOTP]}}`, code},
	})
}
