package cel

import (
	"fmt"
	"strings"
	"testing"
)

// place is a field with a format: a patch of a base in which %s stands for the value, a YAML string in double quotes.
type place struct{ name, base, patch string }

// refusal is a value that violates a format, and the API server's message.
type refusal struct{ value, want string }

// testFormat tries values of a format in each field that has it.
func testFormat(t *testing.T, places []place, valid []string, refused []refusal) {
	t.Helper()
	for _, p := range places {
		var cases []creation
		for _, v := range valid {
			cases = append(cases, creation{name: "valid " + short(v), patch: fmt.Sprintf(p.patch, quoted(v))})
		}
		for _, r := range refused {
			cases = append(cases, creation{name: "refused " + short(r.value), patch: fmt.Sprintf(p.patch, quoted(r.value)), want: r.want})
		}
		t.Run(p.name, func(t *testing.T) { testCreations(t, p.base, cases) })
	}
}

// quoted returns s as a double-quoted YAML string, with only the escapes that JSON has.
func quoted(s string) string { return strings.ReplaceAll(fmt.Sprintf("%q", s), `\x`, `\u00`) }

func short(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%s... of %d", s[:20], len(s))
	}
	return s
}

func TestObjectNames(t *testing.T) {
	const bad = `must be the name of an object: lower-case letters, digits, '-' and '.', with each part between dots starting and ending with a letter or digit`
	testFormat(t, []place{
		{"authorizedKeysSecretRefs", validUser, `spec: {authentication: {authorizedKeysSecretRefs: [{name: %s}]}}`},
		{"passwordSecretRef", validUser, `spec: {authentication: {passwordSecretRef: {name: %s}}}`},
		{"totpSecretRef", validUser, `spec: {authentication: {totpSecretRef: {name: %s}}}`},
		{"userRef", validKey, `spec: {userRef: {name: %s}}`},
		{"secretName", validKey, `spec: {source: Existing, secretName: %s}`},
		{"hostKeyRefs", validListener, `spec: {hostKeyRefs: [{name: %s}]}`},
		{"revokedKeysSecretRefs", validListener, `spec: {revokedKeysSecretRefs: [{name: %s, key: krl}]}`},
		{"trustedUserCAsSecretRefs", validListener, `spec: {authentication: {trustedUserCAsSecretRefs: [{name: %s, key: cas}]}}`},
		{"claimName", validListener, `spec: {volumes: [{name: home, persistentVolumeClaim: {claimName: %s}}]}`},
		{"storageClassName", validListener, `spec: {volumes: [{name: home, claimTemplate: {storage: 1Gi, storageClassName: %s}}]}`},
		{"imagePullSecrets", validListener, `spec: {infrastructure: {pod: {imagePullSecrets: [{name: %s}]}}}`},
		{"priorityClassName", validListener, `spec: {infrastructure: {pod: {priorityClassName: %s}}}`},
	}, []string{"a", "0", "a.b-c.9", strings.Repeat("a", 253)}, []refusal{
		{"a/b", bad},
		{"..", bad},
		{"../x", bad},
		{"50%", bad},
		{"A-b", bad},
		{"A B", bad},
		{"a..b", bad},
		{"a.-b", bad},
		{"-a", bad},
		{"a.", bad},
		{"a_b", bad},
		{"ä", bad},
		{"a\n", bad},
		{"a\x00", bad},
		{"", `should be at least 1 chars long`},
		{strings.Repeat("a", 254), `may not be more than 253`},
	})
	testCreations(t, validListener, []creation{
		{"a priority class of Kubernetes itself", `spec: {infrastructure: {pod: {priorityClassName: system-node-critical}}}`, `must not be a priority class of Kubernetes itself (system-...): its pods would evict those of the cluster's own components`},
		{name: "a priority class that only sounds like it", patch: `spec: {infrastructure: {pod: {priorityClassName: systems}}}`},
		{"the same pull Secret twice", `spec: {infrastructure: {pod: {imagePullSecrets: [{name: a}, {name: a}]}}}`, `Duplicate value: {"name":"a"}`},
	})
}

func TestListenerReferences(t *testing.T) {
	const (
		listener  = `must be the name of an SFTPListener: lower-case letters, digits and '-', starting with a letter and ending with a letter or digit`
		namespace = `must be the name of a namespace: lower-case letters, digits and '-', starting and ending with a letter or digit`
	)
	testFormat(t, []place{{"name", validUser, `spec: {listenerRef: {name: %s}}`}}, []string{"a", "a-1", strings.Repeat("a", 40)}, []refusal{
		{"a/b", listener},
		{"1a", listener},
		{"a.b", listener},
		{"a-", listener},
		{"A", listener},
		{strings.Repeat("a", 41), `may not be more than 40`},
	})
	testFormat(t, []place{{"namespace", validUser, `spec: {listenerRef: {namespace: %s}}`}}, []string{"a", "1-a", strings.Repeat("a", 63)}, []refusal{
		{"a/b", namespace},
		{"a.b", namespace},
		{"..", namespace},
		{"-a", namespace},
		{"", `should be at least 1 chars long`},
		{strings.Repeat("a", 64), `may not be more than 63`},
	})
}

func TestVolumeNames(t *testing.T) {
	const bad = `must be the name of a volume: lower-case letters, digits and '-', starting and ending with a letter or digit`
	testFormat(t, []place{
		{"homeDirectory of a user", validUser, `spec: {homeDirectory: {volume: %s}}`},
		{"mounts", validUser, `spec: {mounts: [{path: /in, volume: %s}]}`},
		{"volumes", validListener, `spec: {volumes: [{name: %s, emptyDir: {}}]}`},
	}, []string{"a", "0-a", strings.Repeat("v", 20)}, []refusal{
		{"../etc", bad},
		{"a.b", bad},
		{"a-", bad},
		{"A", bad},
		{strings.Repeat("v", 21), `may not be more than 20`},
	})
	testCreations(t, validListener, []creation{{"homeDirectory of a listener", `spec: {homeDirectory: {volume: ../home}}`, bad}})
}

func TestSecretEntries(t *testing.T) {
	const bad = `must be the key of a Secret's entry: letters, digits, '-', '_' and '.'; it must not be '.' or begin with '..'`
	testFormat(t, []place{
		{"authorizedKeysSecretRefs", validUser, `spec: {authentication: {authorizedKeysSecretRefs: [{name: a, key: %s}]}}`},
		{"passwordSecretRef", validUser, `spec: {authentication: {passwordSecretRef: {name: a, key: %s}}}`},
		{"totpSecretRef", validUser, `spec: {authentication: {totpSecretRef: {name: a, key: %s}}}`},
		{"revokedKeysSecretRefs", validListener, `spec: {revokedKeysSecretRefs: [{name: a, key: %s}]}`},
		{"trustedUserCAsSecretRefs", validListener, `spec: {authentication: {trustedUserCAsSecretRefs: [{name: a, key: %s}]}}`},
	}, []string{"a", ".ssh", "A_b-c.1", "a..b", strings.Repeat("a", 253)}, []refusal{
		{"a/b", bad},
		{".", bad},
		{"..", bad},
		{"..data", bad},
		{"a b", bad},
		{"a\n", bad},
		{"", `should be at least 1 chars long`},
		{strings.Repeat("a", 254), `may not be more than 253`},
	})
}

func TestNetworks(t *testing.T) {
	const (
		bad  = `must be a network in CIDR notation, for example 203.0.113.0/24`
		bits = `must begin with the first address of the network: 203.0.113.0/24 for the network of 203.0.113.7, 203.0.113.7/32 for that address`
	)
	testFormat(t, []place{
		{"allowedCIDRs of a listener", validListener, `spec: {allowedCIDRs: [%s]}`},
		{"allowedCIDRs of a user", validUser, `spec: {allowedCIDRs: [%s]}`},
		{"exemptCIDRs", validListener, `spec: {sources: {exemptCIDRs: [%s]}}`},
		{"trustedCIDRs", validListener, `spec: {proxyProtocol: {mode: Required, trustedCIDRs: [%s]}}`},
		{"loadBalancerSourceRanges", validListener, `spec: {service: {type: LoadBalancer, loadBalancerSourceRanges: [%s]}}`},
		{"from", validKey, `spec: {from: [%s]}`},
	}, []string{"192.0.2.0/24", "192.0.2.7/32", "10.0.0.0/8", "2001:db8::/32", "2001:db8::7/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124"}, []refusal{
		{"192.0.2.1", bad},
		{"192.0.2.0/33", bad},
		{"192.0.2.0/024", bad},
		{"192.0.2/24", bad},
		{"192.0.2.00/24", bad},
		{"2001:db8::/129", bad},
		{"::ffff:192.0.2.0/120", bad},
		{"fe80::%eth0/64", bad},
		{"example.com/24", bad},
		{"192.0.2.0/24\n", bad},
		{"192.0.2.7/24", bits},
		{"10.0.0.7/8", bits},
		{"2001:db8::7/64", bits},
		{"", `should be at least 1 chars long`},
		{strings.Repeat("1", 44), `may not be more than 43`},
	})
	// Any single address is also a network, unless that would allow everything.
	testCreations(t, validListener, []creation{
		{name: "all addresses", patch: `spec: {allowedCIDRs: [0.0.0.0/0, "::/0"]}`},
		{"half of all proxies", `spec: {proxyProtocol: {mode: Required, trustedCIDRs: [0.0.0.0/1]}}`, `trustedCIDRs must not contain networks larger than /8 (IPv4) or /24 (IPv6): anyone in them can claim any address`},
		{"many proxies of IPv6", `spec: {proxyProtocol: {mode: Required, trustedCIDRs: ["2001::/23"]}}`, `trustedCIDRs must not contain networks larger than`},
	})
}

func TestHostnames(t *testing.T) {
	const (
		bad       = `must be a DNS name in lower case, or an IP address without brackets, port or prefix length, for example sftp.example.com, 203.0.113.7 or 2001:db8::7`
		canonical = `must be an IPv6 address in its shortest form in lower case (RFC 5952), for example 2001:db8::7: clients look it up in this form`
		nowhere   = `must be an address that clients can connect to, not 0.0.0.0 or ::`
	)
	testFormat(t, []place{{"hostnames", validListener, `spec: {hostnames: [%s]}`}}, []string{
		"sftp", "sftp.example.com", "xn--bcher-kva.example", "1.example", "a.b2", "203.0.113.7", "::1", "2001:db8::", "2001:db8::7",
		strings.Repeat("a", 63) + ".example", strings.Repeat("abcdefg.", 31) + "abcde",
	}, []refusal{
		{"a..b", bad},
		{"1.2.3.4.5", bad},
		{"256.0.0.1", bad},
		{"123", bad},
		{"a:22", bad},
		{"[2001:db8::7]", bad},
		{"2001:db8::7/64", bad},
		{"fe80::1%eth0", bad},
		{"::ffff:192.0.2.1", bad},
		{"https://sftp.example.com/", bad},
		{"SFTP.example.com", bad},
		{"sftp.example.com.", bad},
		{"a_b.example", bad},
		{"*.example.com", bad},
		{"a b", bad},
		{"a\n", bad},
		{"-a.example", bad},
		{strings.Repeat("a", 64) + ".example", bad},
		{"2001:DB8::7", canonical},
		{"2001:db8:0::7", canonical},
		{"0.0.0.0", nowhere},
		{"::", nowhere},
		{strings.Repeat("a.", 127), `may not be more than 253`},
	})
}
