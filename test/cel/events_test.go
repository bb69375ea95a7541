package cel

import (
	"fmt"
	"strings"
	"testing"
)

func TestListenerEvents(t *testing.T) {
	const (
		either = `must have either url or serviceRef`
		url    = `url must be https:// with a DNS name in lower case, not an address, and without a user, blanks and '#', for example https://events.example.com/sftp`
		plain  = `url may be http:// only for a Service, for example http://receiver.team-a.svc:8080/: otherwise others could read the events`
		tls    = `must use https with clientCertificateSecretRef or caBundle: without TLS they have no effect`
		name   = `must be the name of a sink: lower-case letters, digits and '-', starting and ending with a letter or digit`
		names  = `must be a pattern of file names without '/' and '\\', with each '[' closed, for example *.filepart`
		path   = `path must begin with '/' and must not contain blanks, '#' or double quotes`
		size   = `maxSize must be from 1Mi to 16Gi`
		bundle = `must contain certificates in PEM format, and no private key`
	)
	sink := func(s string) string { return `spec: {events: {sinks: [{` + s + `}]}}` }
	to := func(u string) string { return sink(`name: a, url: "` + u + `"`) }
	service := func(s string) string { return sink(`name: a, serviceRef: {name: r, port: 80}, ` + s) }
	testCreations(t, validListener, []creation{
		{name: "a Service", patch: sink(`name: a, serviceRef: {name: receiver, port: 8080, path: "/in?x=1"}`)},
		{name: "everything", patch: `spec: {events: {outbox: {maxSize: 1Gi, maxAgeSeconds: 3600, whenFull: DropOldest}, temporaryNames: ["*.filepart", "[a]?.tmp"], sinks: [
			{name: a-1, url: "https://events.example.com:8443/x?y=%20", types: [io.sftp-operator.file.published.v1, io.sftp-operator.login.refused.v1, io.sftp-operator.key.expiring.v1, io.sftp-operator.key.expired.v1],
			 users: [{name: acme}, {namespace: other}], filter: "true", format: Binary, timeoutSeconds: 300, giveUpAfterSeconds: 60,
			 authentication: {bearerSecretRef: {name: s, key: k}, hmacSecretRef: {name: s, key: k}, clientCertificateSecretRef: {name: t}}}]}}`},
		{"no sinks", `spec: {events: {sinks: []}}`, `should have at least 1 items`},
		{"sinks are required", `spec: {events: {temporaryNames: [a]}}`, `spec.events.sinks: Required value`},
		{"nine sinks", `spec: {events: {sinks: [` + strings.Join(nine(), ", ") + `]}}`, `must have at most 8 items`},
		{"the same name twice", `spec: {events: {sinks: [{name: a, serviceRef: {name: r, port: 80}}, {name: a, serviceRef: {name: r, port: 81}}]}}`, `Duplicate value`},
		{"a name with dots", sink(`name: a.b, serviceRef: {name: r, port: 80}`), name},
		{"neither URL nor Service", sink(`name: a`), either},
		{"both", sink(`name: a, url: "https://events.example.com", serviceRef: {name: r, port: 80}`), either},

		{name: "https", patch: to("https://events.example.com")},
		{name: "http to a Service", patch: to("http://receiver.team-a.svc:8080/x")},
		{name: "http to a Service, in full", patch: to("http://receiver.team-a.svc.cluster.local")},
		{"http", to("http://events.example.com"), plain},
		{"http to what looks like a Service", to("http://a.svc.example.com/.svc"), plain},
		{"http with a Service in the query", to("http://example.com?x=a.b.svc"), plain},
		{"an address", to("https://10.0.0.1/"), url},
		{"metadata", to("http://169.254.169.254/latest"), url},
		{"an address in hexadecimal", to("https://0x7f.1/"), url},
		{"an address as a number", to("https://2130706433/"), url},
		{"an IPv6 address", to("https://[::1]/"), url},
		{"a user", to("https://user:secret@events.example.com/"), url},
		{"a fragment", to("https://events.example.com/#x"), url},
		{"a blank", to("https://events.example.com/a b"), url},
		{"a line", to(`https://events.example.com/\n`), url},
		{"another scheme", to("ftp://events.example.com/"), url},
		{"a dot at the end", to("https://events.example.com./"), url},
		{"upper case", to("https://Events.example.com/"), url},
		{"an invalid port", to("https://events.example.com:65536/"), `url must have a port of at most 65535`},
		{"a long URL", to("https://events.example.com/" + strings.Repeat("a", 1000)), `may not be more than 1024 bytes`},

		{"port 0", sink(`name: a, serviceRef: {name: r, port: 0}`), `serviceRef.port`},
		{"a Service of another namespace", sink(`name: a, serviceRef: {name: r.other, port: 80}`), `must be the name of a Service`},
		{"a path without a slash", sink(`name: a, serviceRef: {name: r, port: 80, path: x}`), path},
		{"another scheme of a Service", sink(`name: a, serviceRef: {name: r, port: 80, scheme: GRPC}`), `supported values: "HTTP", "HTTPS"`},

		{name: "users by labels", patch: service(`users: [{selector: {matchLabels: {example.com/kind: edi}, matchExpressions: [{key: old, operator: DoesNotExist}, {key: tier, operator: In, values: [a, b]}]}}, {namespace: other, selector: {matchLabels: {kind: edi}}}]`)},
		{"a name and labels", service(`users: [{name: acme, selector: {matchLabels: {kind: edi}}}]`), `must not have both name and selector`},
		{"labels that select all", service(`users: [{selector: {}}]`), `should have at least 1 properties`},
		{"a condition without values", service(`users: [{selector: {matchExpressions: [{key: tier, operator: In}]}}]`), `operator must be In or NotIn with values, or Exists or DoesNotExist without`},
		{"a label key that is not valid", service(`users: [{selector: {matchLabels: {"a b": c}}}]`), `each key must be`},
		{"many conditions", service(`users: [{selector: {matchExpressions: [` + strings.Repeat("{key: a, operator: Exists}, ", 5) + `]}}]`), `must have at most 4 items`},
		{"a type that does not exist", service(`types: [io.sftp-operator.file.eaten.v1]`), `supported values`},
		{"no types", service(`types: []`), `should have at least 1 items`},
		{"a type twice", service(`types: [io.sftp-operator.file.deleted.v1, io.sftp-operator.file.deleted.v1]`), `Duplicate value`},
		{"a format", service(`format: Avro`), `supported values: "Structured", "Binary"`},
		{"a long filter", service(`filter: "` + strings.Repeat("a", 1025) + `"`), `may not be more than 1024 bytes`},
		{"an authentication without a method", service(`authentication: {}`), `should have at least 1 properties`},
		{"a certificate without TLS", service(`authentication: {clientCertificateSecretRef: {name: t}}`), tls},
		{"CAs without TLS", service(`caBundle: "-----BEGIN CERTIFICATE-----"`), tls},
		{name: "CAs", patch: sink(`name: a, serviceRef: {name: r, port: 80, scheme: HTTPS}, caBundle: "-----BEGIN CERTIFICATE-----"`)},
		{"not CA certificates", sink(`name: a, url: "https://x.org", caBundle: "text"`), bundle},
		{"a private key among CAs", sink(`name: a, url: "https://x.org", caBundle: "-----BEGIN CERTIFICATE----- -----BEGIN PRIVATE KEY-----"`), bundle},
		{"no time for an answer", service(`timeoutSeconds: 0`), `should be greater than or equal to 1`},
		{"giving up at once", service(`giveUpAfterSeconds: 59`), `should be greater than or equal to 60`},

		{"an empty outbox", `spec: {events: {outbox: {}, sinks: [{name: a, serviceRef: {name: r, port: 80}}]}}`, `should have at least 1 properties`},
		{"a small outbox", `spec: {events: {outbox: {maxSize: 1Ki}, sinks: [{name: a, serviceRef: {name: r, port: 80}}]}}`, size},
		{"a large outbox", `spec: {events: {outbox: {maxSize: 17Gi}, sinks: [{name: a, serviceRef: {name: r, port: 80}}]}}`, size},
		{"whenFull", `spec: {events: {outbox: {whenFull: Panic}, sinks: [{name: a, serviceRef: {name: r, port: 80}}]}}`, `supported values: "Block", "DropOldest"`},
		{"a name with a slash", `spec: {events: {temporaryNames: ["in/*.part"], sinks: [{name: a, serviceRef: {name: r, port: 80}}]}}`, names},
		{"an open bracket", `spec: {events: {temporaryNames: ["[a"], sinks: [{name: a, serviceRef: {name: r, port: 80}}]}}`, names},
	})
}

func nine() (out []string) {
	for i := range 9 {
		out = append(out, fmt.Sprintf("{name: s%d, serviceRef: {name: r, port: 80}}", i))
	}
	return out
}
