package platform

import (
	"strings"
	"testing"
)

// everything is a policy with every field.
const everything = `
defaults:
  labels: {cost-center: files}
  storageClassName: fast
  loadBalancerClass: example.com/internal
  ipFamilyPolicy: PreferDualStack
  imagePullSecrets: [registry, mirror]
  imagePullPolicy: IfNotPresent
  fsGroupPolicy: Platform
  priorityClassName: files
  runtimeClassName: sandbox
  nodeSelector: {pool: files}
  tolerations: [{key: files, operator: Exists, effect: NoSchedule}]
  resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 512Mi}}
bounds:
  serviceTypes: [ClusterIP, LoadBalancer]
  loadBalancerClasses: [example.com/internal]
  ipFamilyPolicies: [SingleStack, PreferDualStack]
  storageClasses: [fast, slow]
  priorityClasses: [files]
  runtimeClasses: [sandbox]
  schedulers: []
  imagePullPolicies: [IfNotPresent, Always]
  fsGroupPolicies: [Platform]
  supplementalGroups: [2000]
  tolerations: [{key: files, operator: Exists, effect: NoSchedule}, {key: pool, value: files}]
  annotations: [external-dns.alpha.kubernetes.io/*, example.com/contact]
  labels: [example.com/*]
  maxRequests: {cpu: 1, memory: 1Gi}
  maxLimits: {memory: 2Gi}
  cryptoPolicies: [Modern2026, Strict2026, Legacy2026]
  legacyMaxDays: 90
  legacyUntil: "2027-01-31T00:00:00Z"
  tracingHosts: [collector.observability.svc, 10.20.0.7, "*.traces.example.com"]
  events: {hosts: [events.example.com, "*.partners.example.com", broker-ingress.knative-eventing.svc], networks: [10.20.0.0/16]}
`

func parsed(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"everything":                    {everything, ""},
		"nothing":                       {"", ""},
		"empty":                         {"{}", ""},
		"a field that does not exist":   {"bounds: {serviceType: [ClusterIP]}", `unknown field "serviceType"`},
		"a field twice":                 {"bounds: {}\nbounds: {}", `already set in map`},
		"a type of Services":            {"bounds: {serviceTypes: [ExternalName]}", `serviceTypes: "ExternalName" is not one of [ClusterIP NodePort LoadBalancer]`},
		"a default that does not exist": {"defaults: {ipFamilyPolicy: Both}", `ipFamilyPolicies: "Both" is not one of`},
		"a pull policy":                 {"defaults: {imagePullPolicy: Sometimes}", `imagePullPolicies: "Sometimes"`},
		"an owner of volumes":           {"bounds: {fsGroupPolicies: [Root]}", `fsGroupPolicies: "Root"`},
		"a crypto policy":               {"bounds: {cryptoPolicies: [Modern]}", `cryptoPolicies: "Modern"`},
		"a star in the middle":          {"bounds: {annotations: [a*b]}", `"a*b" must be a key, or a prefix of keys`},
		"a star in a label":             {"bounds: {labels: ['*a']}", `bounds.labels: "*a" must be`},
		"no key":                        {`bounds: {annotations: [""]}`, `"" must be a key`},
		"all annotations":               {`bounds: {annotations: ["*"]}`, ""},
		"no day":                        {"bounds: {legacyMaxDays: 0}", "bounds.legacyMaxDays must be 1 to 36500, but is 0"},
		"a label with a blank":          {"defaults: {labels: {my team: a b}}", "defaults.labels: my team: "},
		"not a quantity":                {"bounds: {maxLimits: {memory: 1GB}}", "quantities must match"},
		"a URL for a host":              {"bounds: {events: {hosts: ['https://events.example.com']}}", `bounds.events.hosts: "https://events.example.com" must be a DNS name`},
		"an address for a host":         {"bounds: {events: {hosts: [10.0.0.1]}}", `must be a DNS name`},
		"a collector's URL":             {"bounds: {tracingHosts: ['http://collector:4318']}", `bounds.tracingHosts: "http://collector:4318" must be an address, or a DNS name`},
		"all hosts":                     {"bounds: {events: {hosts: ['*']}}", `must be a DNS name`},
		"a network without bits":        {"bounds: {events: {networks: [10.0.0.0]}}", `must be a network in CIDR notation`},
		"a network with an address":     {"bounds: {events: {networks: [10.0.0.7/8]}}", `must be a network in CIDR notation`},
		"metadata of clouds":            {"bounds: {events: {networks: [169.254.169.254/32]}}", `which are never allowed`},
		"all networks":                  {"bounds: {events: {networks: [0.0.0.0/0]}}", `which are never allowed`},
		"a default that bounds forbid": {
			"defaults: {priorityClassName: high}\nbounds: {priorityClasses: [low]}",
			"a default breaks a bound: spec.infrastructure.pod.priorityClassName must not be high: the platform allows low (bounds.priorityClasses)",
		},
		"a class of volumes that bounds forbid":       {"defaults: {storageClassName: a}\nbounds: {storageClasses: []}", "must not be a: the platform allows none (bounds.storageClasses)"},
		"a load balancer that bounds forbid":          {"defaults: {loadBalancerClass: a/b}\nbounds: {loadBalancerClasses: [a/c]}", "(bounds.loadBalancerClasses)"},
		"no limit by default, and no resources":       {"bounds: {maxLimits: {memory: 1Gi}}", ""},
		"no limit by default":                         {"defaults: {resources: {requests: {cpu: 1}}}\nbounds: {maxLimits: {memory: 1Gi}}", "must have limits.memory, of at most 1Gi"},
		"a limit that stands in for a request, later": {"defaults: {resources: {limits: {cpu: 2}}}\nbounds: {maxRequests: {cpu: 1}}", "must not have requests.cpu 2: the platform allows at most 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestReadFile(t *testing.T) {
	if p, err := ReadFile(""); p != nil || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := ReadFile(t.TempDir() + "/none"); err == nil {
		t.Error("a file that is not there is no policy")
	}
	if _, err := Parse(make([]byte, maxFile+1)); err == nil {
		t.Error("an endless file was read")
	}
}

// A policy is either refused, or decides about any listener without a panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte("bounds: {tolerations: [{}], annotations: ['*'], maxLimits: {}, cryptoPolicies: []}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			return
		}
		l := listener(t, "{}")
		before := l.DeepCopy()
		p.Decide(l, now)
		if !equal(l, before) {
			t.Error("the listener was changed")
		}
	})
}
