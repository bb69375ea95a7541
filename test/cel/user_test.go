package cel

import (
	"strings"
	"testing"
)

const validUser = `
apiVersion: sftp-operator.io/v1alpha1
kind: SFTPUser
metadata: {name: acme, namespace: default}
spec:
  listenerRef: {name: partners}
  authentication:
    authorizedKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== acme"]
`

func TestUserCreation(t *testing.T) {
	const (
		username = `username must start with a letter, digit or '_' and contain only letters, digits and . _ @ + -`
	)
	testCreations(t, validUser, []creation{
		{name: "the base"},
		{name: "all fields", patch: `
spec:
  listenerRef: {namespace: platform}
  username: ACME_2026.ops@acme+sftp-1
  state: Suspended
  expirationTime: "2027-01-01T00:00:00Z"
  authentication:
    methods: [{steps: [PublicKey, Password]}]
    authorizedKeysSecretRefs: [{name: keys}, {name: more, key: ops}]
    passwordSecretRef: {name: acme-password, key: secret}
  homeDirectory: {volume: home, scope: Namespace, subPath: acme/in, access: ReadOnly}
  allowedCIDRs: [192.0.2.0/24, "2001:db8::/32"]
  mounts: [{path: /inbox, volume: other, access: WriteOnly, listing: Names}, {path: /a/b, subPath: x/y}]
  limits: {maxConnections: 3}
`},

		// Who and where.
		{"listenerRef is required", `spec: {listenerRef: null}`, `spec.listenerRef: Required value`},
		{"listenerRef.name is required", `spec: {listenerRef: {name: null, namespace: platform}}`, `spec.listenerRef.name: Required value`},
		{"username starts with a letter, digit or _", `spec: {username: -acme}`, username},
		{"username has no space", `spec: {username: "acme corp"}`, username},
		{"username has no slash", `spec: {username: acme/ops}`, username},
		{"username has no line end", `spec: {username: "acme\n"}`, username},
		{"username is not empty", `spec: {username: ""}`, `spec.username in body should be at least 1 chars long`},
		{"username has at most 64 characters", `spec: {username: ` + strings.Repeat("a", 65) + `}`, `Too long: may not be more than 64`},
		{"state is Active or Suspended", `spec: {state: Disabled}`, `supported values: "Active", "Suspended"`},
		{"expirationTime is a time", `spec: {expirationTime: tomorrow}`, `spec.expirationTime in body must be of type date-time`},

		{"allowedCIDRs are networks", `spec: {allowedCIDRs: [192.0.2.1]}`, `must be a network in CIDR notation, for example 203.0.113.0/24`},
		{"at least one allowed network", `spec: {allowedCIDRs: []}`, `should have at least 1 items`},
		{"listing is for WriteOnly", `spec: {homeDirectory: {listing: Names}}`, `listing may be set only with access WriteOnly or CreateOnly: the other kinds of access always allow listing`},
		{"listing of a mount is for WriteOnly", `spec: {mounts: [{path: /in, access: ReadOnly, listing: Denied}]}`, `listing may be set only with access WriteOnly or CreateOnly`},
		{name: "a drop box in which nothing changes", patch: `spec: {mounts: [{path: /in, access: CreateOnly, listing: Names}]}`},

		// Credentials.
		{name: "no authentication: SFTPKeys have the keys", patch: `spec: {authentication: null}`},
		{"an empty list is not a credential", `spec: {authentication: {authorizedKeys: []}}`, `spec.authentication.authorizedKeys in body should have at least 1 items`},
		{name: "a password alone", patch: `spec: {authentication: {authorizedKeys: null, passwordSecretRef: {name: p}}}`},
		{name: "certificates alone", patch: `spec: {authentication: {authorizedKeys: null, certificates: Accepted}}`},
		{name: "certificates refused: SFTPKeys have the keys", patch: `spec: {authentication: {authorizedKeys: null, certificates: Refused}}`},
		{"certificates is known", `spec: {authentication: {certificates: All}}`, `supported values: "Accepted", "Refused"`},
		{"the same key twice", `spec: {authentication: {authorizedKeys: [ssh-rsa AAAA, ssh-rsa AAAA]}}`, `Duplicate value: "ssh-rsa AAAA"`},
		{"an empty key", `spec: {authentication: {authorizedKeys: [""]}}`, `spec.authentication.authorizedKeys[0] in body should be at least 1 chars long`},
		{"a key is not endless", `spec: {authentication: {authorizedKeys: [` + strings.Repeat("a", 4097) + `]}}`, `may not be more than 4096`},
		{"at most 32 keys", `spec: {authentication: {authorizedKeys: [` + numbered(33, "ssh-rsa AAAA k%d") + `]}}`, `must have at most 32 items`},
		{"at most 8 Secrets with keys", `spec: {authentication: {authorizedKeysSecretRefs: [` + numbered(9, "{name: s%d}") + `]}}`, `must have at most 8 items`},
		{"the same Secret twice", `spec: {authentication: {authorizedKeysSecretRefs: [{name: s}, {name: s, key: other}]}}`, `Duplicate value: {"name":"s"}`},
		{"a Secret reference has a name", `spec: {authentication: {passwordSecretRef: {key: password}}}`, `spec.authentication.passwordSecretRef.name: Required value`},
		{"a Secret of another namespace", `spec: {authentication: {passwordSecretRef: {name: p, namespace: other}}}`, `unknown field "spec.authentication.passwordSecretRef.namespace"`},
		{name: "a hash of a password", patch: `spec: {authentication: {passwordSecretRef: {name: p, key: passwordHash, format: Hash}}}`},
		{"format is known", `spec: {authentication: {passwordSecretRef: {name: p, format: MD5}}}`, `supported values: "Plain", "Hash"`},
		{"a password in clear", `spec: {authentication: {password: hunter2}}`, `unknown field "spec.authentication.password"`},

		{"maxConnections is at least 1", `spec: {limits: {maxConnections: 0}}`, `should be greater than or equal to 1`},
		{"maxConnections is at most 1000", `spec: {limits: {maxConnections: 1001}}`, `should be less than or equal to 1000`},
		{"unknown field", `spec: {userName: acme}`, `unknown field "spec.userName"`},
	})
}

func TestUserDirectories(t *testing.T) {
	const (
		subPath = `subPath must be a relative path without empty, '.' or '..' parts, for example in/2026`
		path    = `path must be absolute, must not be "/" (set homeDirectory instead), and must not have empty, '.' or '..' parts or a trailing '/'`
		control = `must not contain control characters`
	)
	testCreations(t, validUser, []creation{
		{name: "a name with dots", patch: `spec: {homeDirectory: {subPath: ..a/b../...}, mounts: [{path: /..a}]}`},
		{name: "a name in another script", patch: `spec: {homeDirectory: {subPath: Eingänge/受信}, mounts: [{path: /Eingänge}]}`},

		{"subPath with ..", `spec: {homeDirectory: {subPath: in/../../other}}`, subPath},
		{"subPath that is ..", `spec: {homeDirectory: {subPath: ..}}`, subPath},
		{"subPath with .", `spec: {homeDirectory: {subPath: ./in}}`, subPath},
		{"subPath that is absolute", `spec: {homeDirectory: {subPath: /in}}`, subPath},
		{"subPath with //", `spec: {homeDirectory: {subPath: in//out}}`, subPath},
		{"subPath with / at the end", `spec: {homeDirectory: {subPath: in/}}`, subPath},
		{"subPath with a NUL", `spec: {homeDirectory: {subPath: "in\0"}}`, control},
		{"subPath with a line end", `spec: {homeDirectory: {subPath: "in\n"}}`, control},
		{"subPath is not endless", `spec: {homeDirectory: {subPath: ` + strings.Repeat("a", 256) + `}}`, `may not be more than 255`},
		{"scope is known", `spec: {homeDirectory: {scope: Cluster}}`, `supported values: "User", "Namespace", "Volume"`},
		{"access is known", `spec: {homeDirectory: {access: Append}}`, `supported values: "ReadWrite", "ReadOnly", "WriteOnly", "CreateOnly"`},
		{"volume has at most 20 characters", `spec: {homeDirectory: {volume: ` + strings.Repeat("v", 21) + `}}`, `may not be more than 20`},

		{"path is required", `spec: {mounts: [{volume: home}]}`, `spec.mounts[0].path: Required value`},
		{"path with ..", `spec: {mounts: [{path: /in/../../etc}]}`, path},
		{"path with .", `spec: {mounts: [{path: /./in}]}`, path},
		{"path that is relative", `spec: {mounts: [{path: inbox}]}`, path},
		{"path that is the root", `spec: {mounts: [{path: /}]}`, path},
		{"path with //", `spec: {mounts: [{path: //in}]}`, path},
		{"path with / at the end", `spec: {mounts: [{path: /in/}]}`, path},
		{"path with a NUL", `spec: {mounts: [{path: "/in\0"}]}`, control},
		{"the same path twice", `spec: {mounts: [{path: /in}, {path: /in, volume: other}]}`, `Duplicate value: {"path":"/in"}`},
		{"subPath of a mount with ..", `spec: {mounts: [{path: /in, subPath: ../other}]}`, subPath},
		{"at most 16 mounts", `spec: {mounts: [` + numbered(17, "{path: /m%d}") + `]}`, `must have at most 16 items`},
		{"no mounts", `spec: {mounts: []}`, `spec.mounts in body should have at least 1 items`},
	})
}

func TestUserUpdate(t *testing.T) {
	const (
		listener = `listenerRef is immutable: delete the SFTPUser and make a new one`
		username = `username is immutable: delete the SFTPUser and make a new one`
	)
	testUpdates(t, validUser, []update{
		{"listenerRef is immutable", ``, `spec: {listenerRef: {name: other}}`, listener},
		{"listenerRef.namespace cannot be added", ``, `spec: {listenerRef: {namespace: default}}`, listener},
		{"username is immutable", `spec: {username: a}`, `spec: {username: b}`, username},
		{"username cannot be added", ``, `spec: {username: b}`, username},
		{"username cannot be removed", `spec: {username: a}`, ``, username},
		{name: "everything else may change", to: `
spec:
  state: Suspended
  expirationTime: "2027-01-01T00:00:00Z"
  authentication: {methods: [{steps: [Password]}], authorizedKeys: [ssh-rsa AAAAB], passwordSecretRef: {name: p}}
  homeDirectory: {subPath: in}
  mounts: [{path: /in}]
  limits: {maxConnections: 2}
`},
		{"a rule holds for updates as well", ``, `spec: {homeDirectory: {subPath: ..}}`, `subPath must be a relative path`},
	})
}

func TestUserDefaults(t *testing.T) {
	o := created(t, validUser, `
spec:
  authentication:
    authorizedKeysSecretRefs: [{name: keys}]
    passwordSecretRef: {name: p}
  homeDirectory: {subPath: in}
  mounts: [{path: /out}]
`)
	wantFields(t, o, `
spec:
  state: Active
  authentication:
    authorizedKeysSecretRefs: [{name: keys, key: authorized_keys}]
    passwordSecretRef: {name: p, key: password}
  homeDirectory: {subPath: in, scope: User, access: ReadWrite}
  mounts: [{path: /out, scope: User, access: ReadWrite}]
`)
	wantPending(t, o, "Accepted", "ResolvedRefs", "Ready")
}
