package cel

import "testing"

func TestListenerCryptoPolicy(t *testing.T) {
	const (
		exception = `cryptoPolicy Legacy2026 must have cryptoPolicyExpirationTime and allowedCIDRs: it is a temporary exception, for the networks of the clients that need it`
		all       = `allowedCIDRs must not contain networks larger than /8 (IPv4) or /24 (IPv6) with cryptoPolicy Legacy2026: name the networks of the clients that need it`
		ends      = `cryptoPolicyExpirationTime may be set only with cryptoPolicy Legacy2026: the other policies do not end`
		version   = `softwareVersion must contain only printable ASCII characters other than blank and '-' (RFC 4253 section 4.2)`
	)
	testCreations(t, validListener, []creation{
		{name: "Strict2026", patch: `spec: {cryptoPolicy: Strict2026}`},
		{name: "Fips2026", patch: `spec: {cryptoPolicy: Fips2026}`},
		{name: "Legacy2026", patch: `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z", allowedCIDRs: [192.0.2.0/24]}`},
		{"Legacy2026 alone", `spec: {cryptoPolicy: Legacy2026}`, exception},
		{"Legacy2026 without an end", `spec: {cryptoPolicy: Legacy2026, allowedCIDRs: [192.0.2.0/24]}`, exception},
		{"Legacy2026 for good", `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2031-01-01T00:00:00Z", allowedCIDRs: [192.0.2.0/24]}`, `cryptoPolicyExpirationTime must be before 2031: Legacy2026 is a temporary exception`},
		{name: "Legacy2026 for years", patch: `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2030-12-31T23:59:59Z", allowedCIDRs: [192.0.2.0/24]}`},
		{"Legacy2026 for everyone", `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z"}`, exception},
		{"Legacy2026 for all of IPv4", `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z", allowedCIDRs: [192.0.2.0/24, 0.0.0.0/0]}`, all},
		{"Legacy2026 for all of IPv6", `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z", allowedCIDRs: ["::/0"]}`, all},
		{"Legacy2026 for half of IPv4", `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z", allowedCIDRs: [0.0.0.0/1, 128.0.0.0/1]}`, all},
		{"Legacy2026 for more than /8", `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z", allowedCIDRs: [10.0.0.0/7]}`, all},
		{"Legacy2026 for more than /24 of IPv6", `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z", allowedCIDRs: ["2001::/23"]}`, all},
		{name: "Legacy2026 for /8 and /24", patch: `spec: {cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z", allowedCIDRs: [10.0.0.0/8, "2001:d00::/24"]}`},
		{"an end of Modern2026", `spec: {cryptoPolicyExpirationTime: "2027-01-01T00:00:00Z"}`, ends},
		{name: "softwareVersion", patch: `spec: {softwareVersion: Acme_Files/7}`},
		{"softwareVersion has no blank", `spec: {softwareVersion: "a b"}`, version},
		{"softwareVersion has no hyphen", `spec: {softwareVersion: a-b}`, version},
		{"softwareVersion is ASCII", `spec: {softwareVersion: ä}`, version},
	})
}

func TestListenerSources(t *testing.T) {
	const (
		cidr     = `must be a network in CIDR notation, for example 203.0.113.0/24`
		trusted  = `trustedCIDRs must be set if and only if mode is Required: a header from anyone else could be forged`
		hidden   = `allowedCIDRs may be set with service.externalTrafficPolicy Cluster only if proxyProtocol.mode is Required: otherwise the pods see the addresses of nodes, not of clients`
		everyone = `sources.penalties may be Enabled with service.externalTrafficPolicy Cluster only if proxyProtocol.mode is Required: otherwise one client's penalty would affect all`
		full     = `full must not be below begin (50 unless set)`
	)
	testCreations(t, validListener, []creation{
		{name: "allowedCIDRs", patch: `spec: {allowedCIDRs: [192.0.2.0/24, "2001:db8::/32"]}`},
		{"allowedCIDRs are networks", `spec: {allowedCIDRs: [192.0.2.1]}`, cidr},
		{"allowedCIDRs are not host names", `spec: {allowedCIDRs: [example.com]}`, cidr},
		{"at least one allowed network", `spec: {allowedCIDRs: []}`, `should have at least 1 items`},
		{"the same allowed network twice", `spec: {allowedCIDRs: [192.0.2.0/24, 192.0.2.0/24]}`, `Duplicate value`},
		{"allowedCIDRs where addresses are hidden", `spec: {allowedCIDRs: [192.0.2.0/24], service: {type: NodePort, externalTrafficPolicy: Cluster}}`, hidden},
		{name: "allowedCIDRs behind a proxy", patch: `spec: {allowedCIDRs: [192.0.2.0/24], service: {type: NodePort, externalTrafficPolicy: Cluster}, proxyProtocol: {mode: Required, trustedCIDRs: [10.0.0.0/8]}}`},

		{"PROXY protocol from anyone", `spec: {proxyProtocol: {mode: Required}}`, trusted},
		{"trusted proxies without the protocol", `spec: {proxyProtocol: {trustedCIDRs: [10.0.0.0/8]}}`, trusted},
		{"PROXY protocol modes", `spec: {proxyProtocol: {mode: Optional, trustedCIDRs: [10.0.0.0/8]}}`, `supported values: "Disabled", "Required"`},
		{"trusted proxies are networks", `spec: {proxyProtocol: {mode: Required, trustedCIDRs: [lb.example.com]}}`, `must be a network in CIDR notation, for example 203.0.113.0/24`},

		{"penalties where addresses are hidden", `spec: {sources: {penalties: Enabled}, service: {type: NodePort, externalTrafficPolicy: Cluster}}`, everyone},
		{name: "no penalties where addresses are hidden", patch: `spec: {sources: {penalties: Disabled}, service: {type: NodePort, externalTrafficPolicy: Cluster}}`},
		{"exempt networks are networks", `spec: {sources: {exemptCIDRs: [10.0.0.1]}}`, cidr},
		{"penalties last 15 seconds", `spec: {sources: {maxPenaltySeconds: 14}}`, `should be greater than or equal to 15`},
		{"penalties last a day", `spec: {sources: {maxPenaltySeconds: 86401}}`, `should be less than or equal to 86400`},
		{"an IPv4 source has 32 bits", `spec: {sources: {ipv4PrefixLength: 33}}`, `should be less than or equal to 32`},
		{"an IPv6 source has 16 bits", `spec: {sources: {ipv6PrefixLength: 15}}`, `should be greater than or equal to 16`},

		{name: "when keys are worth a look", patch: `spec: {keyPolicy: {expiringWithinDays: 365, unusedAfterDays: 3650}}`},
		{"a key policy says something", `spec: {keyPolicy: {}}`, `should have at least 1 properties`},
		{"keys expire within a day at least", `spec: {keyPolicy: {expiringWithinDays: 0}}`, `should be greater than or equal to 1`},
		{"keys expire within a year at most", `spec: {keyPolicy: {expiringWithinDays: 366}}`, `should be less than or equal to 365`},
		{"keys are unused after a day at least", `spec: {keyPolicy: {unusedAfterDays: 0}}`, `should be greater than or equal to 1`},

		{"full below begin", `spec: {limits: {startups: {begin: 10, full: 9}}}`, full},
		{"full below the default of begin", `spec: {limits: {startups: {full: 49}}}`, full},
		{"begin above the default of full", `spec: {limits: {startups: {begin: 201}}}`, full},
		{name: "full as low as begin", patch: `spec: {limits: {startups: {begin: 10, full: 10}}}`},
		{"dropPercent is a share", `spec: {limits: {startups: {dropPercent: 101}}}`, `should be less than or equal to 100`},
	})
}

func TestListenerUploads(t *testing.T) {
	const receipts = `receipts need checksum SHA256 and publish OnClose`
	testCreations(t, validListener, []creation{
		{name: "published on close", patch: `spec: {uploads: {publish: OnClose, incomplete: Keep, sync: Never}}`},
		{"publish", `spec: {uploads: {publish: Later}}`, `supported values: "Immediate", "OnClose"`},
		{"incomplete", `spec: {uploads: {incomplete: Move}}`, `supported values: "Keep", "Delete"`},
		{"sync", `spec: {uploads: {sync: Always}}`, `supported values: "Never", "OnClose"`},
		{name: "checksums", patch: `spec: {uploads: {checksum: SHA256}}`},
		{"checksum", `spec: {uploads: {checksum: MD5}}`, `supported values: "None", "SHA256"`},
		{name: "receipts", patch: `spec: {uploads: {publish: OnClose, checksum: SHA256, receipts: {}}}`},
		{"receipts without checksums", `spec: {uploads: {publish: OnClose, receipts: {}}}`, receipts},
		{"receipts of files that are there before", `spec: {uploads: {checksum: SHA256, receipts: {}}}`, receipts},
		{"attributes", `spec: {volumes: [{name: home, emptyDir: {}, attributes: Keep}]}`, `supported values: "Apply", "Ignore"`},
	})
}

func TestListenerTracing(t *testing.T) {
	const endpoint = `endpoint must be http:// or https:// with a host and a port and nothing else, for example http://collector.observability.svc:4318`
	testCreations(t, validListener, []creation{
		{name: "a collector", patch: `spec: {tracing: {endpoint: "http://collector.observability.svc:4318", samplingPercent: 10}}`},
		{name: "an address", patch: `spec: {tracing: {endpoint: "https://[2001:db8::1]:4318"}}`},
		{"no endpoint", `spec: {tracing: {samplingPercent: 10}}`, `spec.tracing.endpoint: Required value`},
		{"no scheme", `spec: {tracing: {endpoint: "collector:4318"}}`, endpoint},
		{"gRPC", `spec: {tracing: {endpoint: "grpc://collector:4317"}}`, endpoint},
		{"a path", `spec: {tracing: {endpoint: "http://collector:4318/v1/traces"}}`, endpoint},
		{"a password", `spec: {tracing: {endpoint: "http://a:b@collector:4318"}}`, endpoint},
		{"a line more", `spec: {tracing: {endpoint: "http://collector:4318\n"}}`, endpoint},
		{"more than all", `spec: {tracing: {endpoint: "http://collector:4318", samplingPercent: 101}}`, `should be less than or equal to 100`},
		{"an empty part of a name", `spec: {tracing: {endpoint: "http://a..b:4318"}}`, endpoint},
		{"brackets without an address", `spec: {tracing: {endpoint: "http://[:::]:4318"}}`, `endpoint must have an IPv6 address between the brackets, for example http://[2001:db8::1]:4318`},
		{"a port that does not exist", `spec: {tracing: {endpoint: "http://collector:65536"}}`, `endpoint must have a port of at most 65535`},
		{name: "the last port", patch: `spec: {tracing: {endpoint: "http://collector:65535"}}`},
		{name: "no port", patch: `spec: {tracing: {endpoint: "http://collector"}}`},
		{"less than none", `spec: {tracing: {endpoint: "http://collector:4318", samplingPercent: -1}}`, `should be greater than or equal to 0`},
	})
}

func TestListenerRevokedKeys(t *testing.T) {
	const (
		one         = `exactly one of the fields in [fingerprint publicKey certificate] must be set`
		name        = `exactly one of serial and keyID must be set`
		counts      = `caFingerprint must be set with serial: each CA has its own serial numbers`
		number      = `must be a decimal number of at least 1: certificates without a serial number have 0, and are identified by their keyID`
		fingerprint = `must be a SHA-256 fingerprint as ssh-keygen -l prints it: SHA256: and 43 characters`
	)
	testCreations(t, validListener, []creation{
		{name: "both kinds", patch: `spec: {revokedKeys: [{fingerprint: "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"}, {publicKey: ssh-ed25519 AAAA}]}`},
		{"neither", `spec: {revokedKeys: [{}]}`, one},
		{"both in one", `spec: {revokedKeys: [{fingerprint: "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI", publicKey: ssh-ed25519 AAAA}]}`, one},
		{"MD5", `spec: {revokedKeys: [{fingerprint: "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"}]}`, fingerprint},
		{"padding", `spec: {revokedKeys: [{fingerprint: "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI="}]}`, fingerprint},
		{"a digit that no fingerprint ends with", `spec: {revokedKeys: [{fingerprint: "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBJ"}]}`, fingerprint},
		{name: "certificates", patch: `spec: {revokedKeys: [{certificate: {keyID: a}}, {certificate: {caFingerprint: "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI", serial: "18446744073709551615"}}]}`},
		{"certificate next to a key", `spec: {revokedKeys: [{publicKey: ssh-ed25519 AAAA, certificate: {keyID: a}}]}`, one},
		{"certificate without a name", `spec: {revokedKeys: [{certificate: {}}]}`, name},
		{"certificate with two names", `spec: {revokedKeys: [{certificate: {keyID: a, serial: "1"}}]}`, name},
		{"serial of any CA", `spec: {revokedKeys: [{certificate: {serial: "1"}}]}`, counts},
		{"serial 0", `spec: {revokedKeys: [{certificate: {serial: "0"}}]}`, number},
		{"serial in hexadecimal", `spec: {revokedKeys: [{certificate: {serial: "0x1f"}}]}`, number},
		{"CA that is not a fingerprint", `spec: {revokedKeys: [{certificate: {keyID: a, caFingerprint: ca}}]}`, fingerprint},
		{name: "lists", patch: `spec: {revokedKeysSecretRefs: [{name: lost, key: krl}]}`},
		{"a list without a name", `spec: {revokedKeysSecretRefs: [{key: krl}]}`, `revokedKeysSecretRefs[0].name: Required value`},
		{"no list", `spec: {revokedKeysSecretRefs: []}`, `should have at least 1 items`},
		{"at most 4 lists", `spec: {revokedKeysSecretRefs: [` + numbered(5, "{name: l%d, key: krl}") + `]}`, `must have at most 4 items`},
		{"none", `spec: {revokedKeys: []}`, `should have at least 1 items`},
		{"too many", `spec: {revokedKeys: [` + numbered(513, "{publicKey: ssh-ed25519 AAAA k%d}") + `]}`, `must have at most 512 items`},
	})
}

func TestListenerTrustedUserCAs(t *testing.T) {
	testCreations(t, validListener, []creation{
		{name: "trustedUserCAs", patch: `spec: {authentication: {trustedUserCAs: [ssh-ed25519 AAAA]}}`},
		{name: "trustedUserCAs with keys alone", patch: `spec: {authentication: {allowedMethods: [PublicKey], trustedUserCAs: [ssh-ed25519 AAAA]}}`},
		{"trustedUserCAs without keys", `spec: {authentication: {allowedMethods: [Password], trustedUserCAs: [ssh-ed25519 AAAA]}}`, `trustedUserCAs may be set only if allowedMethods contains PublicKey: certificate logins use that method`},
		{"the same CA twice", `spec: {authentication: {trustedUserCAs: [ssh-ed25519 AAAA, ssh-ed25519 AAAA]}}`, `Duplicate value`},
		{name: "CAs in Secrets", patch: `spec: {authentication: {trustedUserCAsSecretRefs: [{name: cas, key: a.pub}, {name: cas, key: b.pub}]}}`},
		{"CAs in Secrets without keys", `spec: {authentication: {allowedMethods: [Password], trustedUserCAsSecretRefs: [{name: cas, key: a}]}}`, `trustedUserCAsSecretRefs may be set only if allowedMethods contains PublicKey: certificate logins use that method`},
		{"the same file twice", `spec: {authentication: {trustedUserCAsSecretRefs: [{name: cas, key: a}, {name: cas, key: a}]}}`, `Duplicate value`},
		{"a file without a key", `spec: {authentication: {trustedUserCAsSecretRefs: [{name: cas}]}}`, `trustedUserCAsSecretRefs[0].key: Required value`},
		{"at most 16 CAs", `spec: {authentication: {trustedUserCAs: [` + numbered(17, "ssh-ed25519 AAAA ca%d") + `]}}`, `must have at most 16 items`},
	})
}

func TestListenerPasswordPolicy(t *testing.T) {
	testCreations(t, validListener, []creation{
		{name: "minLength", patch: `spec: {authentication: {passwordPolicy: {minLength: 15}}}`},
		{"minLength is at least 1", `spec: {authentication: {passwordPolicy: {minLength: 0}}}`, `should be greater than or equal to 1`},
		{"minLength is at most 64", `spec: {authentication: {passwordPolicy: {minLength: 65}}}`, `should be less than or equal to 64`},
	})
}
