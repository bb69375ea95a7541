package cel

import "testing"

const (
	steps = `must be steps with commas and without blanks between them, of publickey, password and keyboard-interactive:totp (the code of an authenticator app), for example publickey,keyboard-interactive:totp`
	first = `must not begin with keyboard-interactive:totp: a code comes after publickey or password`
	few   = `must have at most 4 steps, password and keyboard-interactive:totp at most once`
)

func TestUserMethods(t *testing.T) {
	const (
		exclusive  = `mode and methods exclude each other: remove mode, which is the short form`
		noPassword = `methods with password must have passwordSecretRef`
		noSecret   = `methods with keyboard-interactive:totp must have totpSecretRef: kubectl sftp totp makes the secret`
		unused     = `totpSecretRef must be used: add ,keyboard-interactive:totp to one of methods, or remove methods to have a code asked for always`
	)
	testCreations(t, validUser, []creation{
		{name: "a key", patch: `spec: {authentication: {methods: [publickey]}}`},
		{name: "two keys", patch: `spec: {authentication: {methods: ["publickey,publickey"]}}`},
		{name: "all steps", patch: `spec: {authentication: {methods: ["publickey,publickey,password,keyboard-interactive:totp", "password,publickey"], passwordSecretRef: {name: p}, totpSecretRef: {name: t, key: uri}}}`},
		{name: "a secret without methods", patch: `spec: {authentication: {totpSecretRef: {name: t}}}`},
		{name: "a secret with a mode", patch: `spec: {authentication: {mode: AllOf, passwordSecretRef: {name: p}, totpSecretRef: {name: t}}}`},

		{"no combination", `spec: {authentication: {methods: []}}`, `should have at least 1 items`},
		{"too many combinations", `spec: {authentication: {methods: [` + numbered(9, "m%d") + `]}}`, `must have at most 8 items`},
		{"the same twice", `spec: {authentication: {methods: [publickey, publickey]}}`, `Duplicate value: "publickey"`},
		{"a method of another server", `spec: {authentication: {methods: ["publickey,gssapi-with-mic"]}}`, steps},
		{"keyboard-interactive alone", `spec: {authentication: {methods: ["publickey,keyboard-interactive"]}}`, steps},
		{"a blank", `spec: {authentication: {methods: ["publickey, publickey"]}}`, steps},
		{"a comma too many", `spec: {authentication: {methods: ["publickey,"]}}`, steps},
		{"a code first", `spec: {authentication: {methods: ["keyboard-interactive:totp"], totpSecretRef: {name: t}}}`, first},
		{"five steps", `spec: {authentication: {methods: ["publickey,publickey,publickey,publickey,publickey"]}}`, few},
		{"two passwords", `spec: {authentication: {methods: ["password,password"], passwordSecretRef: {name: p}}}`, few},
		{"two codes", `spec: {authentication: {methods: ["publickey,keyboard-interactive:totp,keyboard-interactive:totp"], totpSecretRef: {name: t}}}`, few},
		{"no end", `spec: {authentication: {methods: ["publickey` + numbered(30, "publickey") + `"]}}`, `may not be more than 100`},

		{"mode and methods", `spec: {authentication: {mode: AnyOf, methods: [publickey]}}`, exclusive},
		{"a password that is not there", `spec: {authentication: {methods: ["publickey,password"]}}`, noPassword},
		{"a secret that is not there", `spec: {authentication: {methods: ["publickey,keyboard-interactive:totp"]}}`, noSecret},
		{"a secret that is not asked for", `spec: {authentication: {methods: [publickey], totpSecretRef: {name: t}}}`, unused},
		{"a secret has a name", `spec: {authentication: {totpSecretRef: {key: totp}}}`, `spec.authentication.totpSecretRef.name: Required value`},
	})
}

func TestListenerRequiredMethods(t *testing.T) {
	const allowed = `requiredMethods must have a combination that allowedMethods allows`
	testCreations(t, validListener, []creation{
		{name: "several", patch: `spec: {authentication: {requiredMethods: ["publickey,keyboard-interactive:totp", "publickey,password"]}}`},
		{name: "one that is allowed", patch: `spec: {authentication: {allowedMethods: [PublicKey], requiredMethods: ["publickey,password", "publickey,publickey"]}}`},
		{"none that is allowed", `spec: {authentication: {allowedMethods: [PublicKey], requiredMethods: ["publickey,password"]}}`, allowed},
		{"no key allowed", `spec: {authentication: {allowedMethods: [Password], requiredMethods: ["publickey,keyboard-interactive:totp"]}}`, allowed},
		{"none", `spec: {authentication: {requiredMethods: []}}`, `should have at least 1 items`},
		{"a code first", `spec: {authentication: {requiredMethods: ["keyboard-interactive:totp"]}}`, first},
		{"a method of another server", `spec: {authentication: {requiredMethods: [hostbased]}}`, steps},
	})
}
