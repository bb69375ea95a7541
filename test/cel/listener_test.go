package cel

import (
	"strings"
	"testing"
)

const validListener = `
apiVersion: sftp-operator.io/v1alpha1
kind: SFTPListener
metadata: {name: partners, namespace: default}
spec:
  volumes: [{name: home, claimTemplate: {storage: 10Gi}}]
`

func TestListenerCreation(t *testing.T) {
	const banner = `banner must not contain control or formatting characters other than newline and tab`
	const hostname = `must be a DNS name in lower case, or an IP address`
	testCreations(t, validListener, []creation{
		{name: "the base"},
		{name: "all fields", patch: `
spec:
  replicas: 3
  maxUsers: 40000
  hostnames: [sftp.example.com, 203.0.113.7, "2001:db8::7"]
  service:
    type: LoadBalancer
    port: 2222
    nodePort: 30022
    externalTrafficPolicy: Cluster
    loadBalancerClass: example.com/fast
    loadBalancerSourceRanges: [203.0.113.0/24, "2001:db8::/32"]
    annotations: {a: b}
    ipFamilyPolicy: RequireDualStack
    ipFamilies: [IPv6, IPv4]
    appProtocol: tcp
    loadBalancerNodePorts: Allocate
    sessionAffinity: ClientIP
    sessionAffinityTimeoutSeconds: 60
    trafficDistribution: PreferClose
  allowedUsers:
    rules:
    - {name: own, namespaces: {from: Same}}
    - {name: team, namespaces: {from: Names, names: [team-a]}, volumes: [{name: archive, subPaths: [in], access: ReadOnly}], methods: [PublicKey], certificates: Refused}
    - {name: tenants, namespaces: {from: Selector, selector: {matchLabels: {sftp: allowed}}}, access: ReadWrite, maxUsers: 40000, maxConnections: 20000}
    usernames: NamespacePrefixed
  authentication: {allowedMethods: [PublicKey], maxAuthTries: 20, loginGraceSeconds: 300}
  hostKeyRefs: [{name: a}, {name: b}]
  cryptoPolicy: Legacy2026
  cryptoPolicyExpirationTime: "2027-06-30T22:00:00Z"
  softwareVersion: files_1.0
  allowedCIDRs: [198.51.100.0/24, "2001:db8::/32"]
  proxyProtocol: {mode: Required, trustedCIDRs: [10.0.0.0/16]}
  sources: {penalties: Enabled, maxPenaltySeconds: 300, exemptCIDRs: [198.51.100.7/32], ipv4PrefixLength: 24, ipv6PrefixLength: 56}
  uploads: {publish: OnClose, incomplete: Delete, sync: OnClose}
  volumes:
  - {name: home, attributes: Ignore, claimTemplate: {storage: 10Gi, storageClassName: nfs, accessModes: [ReadWriteMany]}}
  - {name: archive, persistentVolumeClaim: {claimName: archive}}
  volumeClaimRetention: Delete
  homeDirectory: {volume: archive}
  limits: {maxConnections: 20000, maxConnectionsPerUser: 1000, idleTimeoutSeconds: 86400, startups: {begin: 100, dropPercent: 50, full: 400, perSource: 0}}
  shutdown: {readinessDelaySeconds: 0, drainTimeoutSeconds: 0}
  infrastructure:
    labels: {team: a}
    annotations: {note: b}
    rollout: Paused
    pod:
      resources: {limits: {memory: 1Gi}}
      nodeSelector: {disk: fast}
      tolerations: [{key: a, operator: Exists}]
      priorityClassName: high
      imagePullSecrets: [{name: pull}]
      imagePullPolicy: Always
      runtimeClassName: sandbox
      schedulerName: other
      fsGroupPolicy: Platform
      supplementalGroups: [1, 2147483647]
`},

		// The name becomes a Service's.
		{"name has at most 40 characters", `metadata: {name: ` + strings.Repeat("a", 41) + `}`, `metadata.name must be at most 40 characters: the names of the Service and the Secrets are made from it`},
		{name: "name with 40 characters", patch: `metadata: {name: ` + strings.Repeat("a", 40) + `}`},
		{"name has no dot", `metadata: {name: sftp.example.com}`, `metadata.name must start with a letter and contain only lower-case letters, digits and '-': it becomes the name of a Service`},
		{"name starts with a letter", `metadata: {name: 2026-partners}`, `metadata.name must start with a letter`},

		{"replicas is not negative", `spec: {replicas: -1}`, `should be greater than or equal to 0`},
		{"replicas is at most 50", `spec: {replicas: 51}`, `should be less than or equal to 50`},
		{"maxUsers is at least 1", `spec: {maxUsers: 0}`, `should be greater than or equal to 1`},
		{"maxUsers is at most 40000", `spec: {maxUsers: 40001}`, `should be less than or equal to 40000`},
		{"hostnames are names or addresses", `spec: {hostnames: ["https://sftp.example.com/"]}`, hostname},
		{"hostnames have no space", `spec: {hostnames: ["a b"]}`, hostname},
		{"at most 8 hostnames", `spec: {hostnames: [` + numbered(9, "h%d") + `]}`, `must have at most 8 items`},
		{"the same hostname twice", `spec: {hostnames: [a, a]}`, `Duplicate value: "a"`},

		{"methods are known", `spec: {authentication: {allowedMethods: [GSSAPI]}}`, `supported values: "PublicKey", "Password"`},
		{"at least one method", `spec: {authentication: {allowedMethods: []}}`, `should have at least 1 items`},
		{"maxAuthTries is at least 1", `spec: {authentication: {maxAuthTries: 0}}`, `should be greater than or equal to 1`},
		{"maxAuthTries is at most 20", `spec: {authentication: {maxAuthTries: 21}}`, `should be less than or equal to 20`},
		{"loginGraceSeconds is at least 5", `spec: {authentication: {loginGraceSeconds: 4}}`, `should be greater than or equal to 5`},
		{"loginGraceSeconds is at most 300", `spec: {authentication: {loginGraceSeconds: 301}}`, `should be less than or equal to 300`},
		{name: "a banner of lines", patch: `spec: {authentication: {banner: "Für Partner.\n\tAll use is logged.\n"}}`},
		{"a banner of at most 2048 characters", `spec: {authentication: {banner: "` + strings.Repeat("x", 2049) + `"}}`, `may not be more than 2048`},
		{"a banner without escape sequences", `spec: {authentication: {banner: "\x1b[2J"}}`, banner},
		{"a banner without carriage returns", `spec: {authentication: {banner: "a\r\n"}}`, banner},
		{"a banner without C1 controls", `spec: {authentication: {banner: "\u009b2J"}}`, banner},
		{"a banner without changes of direction", `spec: {authentication: {banner: "\u202ea"}}`, banner},
		{"a banner without line separators", `spec: {authentication: {banner: "\u2028a"}}`, banner},
		{"a banner that no script takes for a question", `spec: {authentication: {banner: "Enter your Password: "}}`, `banner must not contain the words`},
		{"crypto policies are named", `spec: {cryptoPolicy: Modern}`, `spec.cryptoPolicy: Unsupported value: "Modern": supported values: "Modern2026", "Strict2026", "Fips2026", "Legacy2026"`},
		{"rollouts are automatic or paused", `spec: {infrastructure: {rollout: Never}}`, `spec.infrastructure.rollout: Unsupported value: "Never": supported values: "Automatic", "Paused"`},
		{"at most 4 host keys", `spec: {hostKeyRefs: [` + numbered(5, "{name: k%d}") + `]}`, `must have at most 4 items`},
		{"the same host key twice", `spec: {hostKeyRefs: [{name: a}, {name: a}]}`, `Duplicate value: {"name":"a"}`},

		{"maxConnections is at least 1", `spec: {limits: {maxConnections: 0}}`, `should be greater than or equal to 1`},
		{"maxConnections is at most 20000", `spec: {limits: {maxConnections: 20001}}`, `should be less than or equal to 20000`},
		{"maxConnectionsPerUser is at most 1000", `spec: {limits: {maxConnectionsPerUser: 1001}}`, `should be less than or equal to 1000`},
		{"more connections of one user than of all", `spec: {limits: {maxConnections: 20, maxConnectionsPerUser: 21}}`, `maxConnectionsPerUser must not be above maxConnections (500 unless set)`},
		{"more connections of one user than all have by default", `spec: {limits: {maxConnectionsPerUser: 501}}`, `maxConnectionsPerUser must not be above maxConnections (500 unless set)`},
		{name: "as many connections of one user as of all", patch: `spec: {limits: {maxConnections: 20, maxConnectionsPerUser: 20}}`},
		{name: "fewer connections than one user has by default", patch: `spec: {limits: {maxConnections: 5}}`},
		{"idleTimeoutSeconds is at least 10", `spec: {limits: {idleTimeoutSeconds: 9}}`, `should be greater than or equal to 10`},
		{"idleTimeoutSeconds is at most a day", `spec: {limits: {idleTimeoutSeconds: 86401}}`, `should be less than or equal to 86400`},
		{"readinessDelaySeconds is at most 60", `spec: {shutdown: {readinessDelaySeconds: 61}}`, `should be less than or equal to 60`},
		{"drainTimeoutSeconds is at most an hour", `spec: {shutdown: {drainTimeoutSeconds: 3601}}`, `should be less than or equal to 3600`},

		// Settings that would give a tenant more than its namespace.
		{"no host path", `spec: {volumes: [{name: home, hostPath: {path: /etc}}]}`, `unknown field "spec.volumes[0].hostPath"`},
		{"no security context", `spec: {infrastructure: {pod: {securityContext: {runAsUser: 0}}}}`, `unknown field "spec.infrastructure.pod.securityContext"`},
		{"no service account", `spec: {infrastructure: {pod: {serviceAccountName: admin}}}`, `unknown field "spec.infrastructure.pod.serviceAccountName"`},
		{"no image", `spec: {infrastructure: {pod: {image: evil}}}`, `unknown field "spec.infrastructure.pod.image"`},
		{"unknown field", `spec: {replica: 2}`, `unknown field "spec.replica"`},
	})
}

func TestListenerVolumes(t *testing.T) {
	const (
		oneOf     = `exactly one of persistentVolumeClaim, claimTemplate or emptyDir must be set`
		size      = `must be a whole number of bytes and more than 0`
		shareable = `replicas must be 0 or 1 while a volume with a claimTemplate is not ReadWriteMany; add ReadWriteMany to its accessModes or lower replicas`
	)
	testCreations(t, validListener, []creation{
		{"volumes are required", `spec: {volumes: null}`, `spec.volumes: Required value`},
		{"at least one volume", `spec: {volumes: []}`, `spec.volumes in body should have at least 1 items`},
		{"at most 16 volumes", `spec: {volumes: [` + numbered(17, "{name: v%d, emptyDir: {}}") + `]}`, `must have at most 16 items`},
		{"a volume has a name", `spec: {volumes: [{emptyDir: {}}]}`, `spec.volumes[0].name: Required value`},
		{"the name of a volume is that of a directory", `spec: {volumes: [{name: ../etc, emptyDir: {}}]}`, `must be the name of a volume`},
		{"the same volume twice", `spec: {volumes: [{name: a, emptyDir: {}}, {name: a, emptyDir: {}}]}`, `Duplicate value: {"name":"a"}`},
		{"a volume of no kind", `spec: {volumes: [{name: home}]}`, oneOf},
		{"a volume of two kinds", `spec: {volumes: [{name: home, emptyDir: {}, claimTemplate: {storage: 1Gi}}]}`, oneOf},
		{"a claim has a name", `spec: {volumes: [{name: home, persistentVolumeClaim: {}}]}`, `persistentVolumeClaim.claimName: Required value`},
		{"a claimTemplate has a size", `spec: {volumes: [{name: home, claimTemplate: {}}]}`, `claimTemplate.storage: Required value`},
		{"a size is a quantity", `spec: {volumes: [{name: home, claimTemplate: {storage: big}}]}`, `claimTemplate.storage in body should match`},
		{"access modes are known", `spec: {volumes: [{name: home, claimTemplate: {storage: 1Gi, accessModes: [ReadOnlyMany]}}]}`, `supported values: "ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"`},

		{"two replicas on a ReadWriteOnce claim", `spec: {replicas: 2}`, shareable},
		{"two replicas on an explicit ReadWriteOnce claim", `spec: {replicas: 2, volumes: [{name: home, claimTemplate: {storage: 1Gi, accessModes: [ReadWriteOnce]}}]}`, shareable},
		{name: "two replicas on a ReadWriteMany claim", patch: `spec: {replicas: 2, volumes: [{name: home, claimTemplate: {storage: 1Gi, accessModes: [ReadWriteMany]}}]}`},
		{name: "two replicas on an existing claim", patch: `spec: {replicas: 2, volumes: [{name: home, persistentVolumeClaim: {claimName: a}}]}`},
		{name: "no replicas", patch: `spec: {replicas: 0}`},
		{"two replicas on an emptyDir", `spec: {replicas: 2, volumes: [{name: home, emptyDir: {}}]}`, `replicas must be 0 or 1 while a volume is an emptyDir: each pod would have files of its own`},

		{"a negative size", `spec: {volumes: [{name: home, claimTemplate: {storage: -1Gi}}]}`, size},
		{"no size", `spec: {volumes: [{name: home, claimTemplate: {storage: "0"}}]}`, size},
		{"a size of half a byte", `spec: {volumes: [{name: home, claimTemplate: {storage: 500m}}]}`, size},
		{"an endless size", `spec: {volumes: [{name: home, claimTemplate: {storage: "` + strings.Repeat("1", 33) + `"}}]}`, `may not be more than 32`},
		{name: "a size in bytes", patch: `spec: {volumes: [{name: home, claimTemplate: {storage: 1073741824}}]}`},
		{"a negative limit", `spec: {volumes: [{name: home, emptyDir: {sizeLimit: -1}}]}`, size},
		{"a limit of nothing", `spec: {volumes: [{name: home, emptyDir: {sizeLimit: "0"}}]}`, size},
		{name: "a limit", patch: `spec: {volumes: [{name: home, emptyDir: {sizeLimit: 1Gi}}]}`},
		{"ReadWriteOncePod and others", `spec: {volumes: [{name: home, claimTemplate: {storage: 1Gi, accessModes: [ReadWriteOncePod, ReadWriteMany]}}]}`, `ReadWriteOncePod must not be combined with other access modes`},
		{name: "ReadWriteOncePod", patch: `spec: {volumes: [{name: home, claimTemplate: {storage: 1Gi, accessModes: [ReadWriteOncePod]}}]}`},
		{name: "two modes", patch: `spec: {volumes: [{name: home, claimTemplate: {storage: 1Gi, accessModes: [ReadWriteOnce, ReadWriteMany]}}]}`},
		{"the same claim twice", `spec: {volumes: [{name: a, persistentVolumeClaim: {claimName: files}}, {name: b, persistentVolumeClaim: {claimName: files}}]}`, `volumes must not name the same persistentVolumeClaim twice`},
		{name: "two claims", patch: `spec: {volumes: [{name: a, persistentVolumeClaim: {claimName: files}}, {name: b, persistentVolumeClaim: {claimName: more}}]}`},
		{"the claim of another volume", `{metadata: {name: partners}, spec: {volumes: [{name: home, claimTemplate: {storage: 1Gi}}, {name: b, persistentVolumeClaim: {claimName: partners-home}}]}}`, `a persistentVolumeClaim in spec.volumes must not be the claim <listener>-<volume> of another volume's claimTemplate`},

		{"the home volume exists", `spec: {homeDirectory: {volume: homes}}`, `homeDirectory.volume must name an entry of volumes`},
		{"volumeClaimRetention is Retain or Delete", `spec: {volumeClaimRetention: Keep}`, `supported values: "Retain", "Delete"`},
	})
}

func TestListenerService(t *testing.T) {
	const nodePort = `nodePort may be set only with type NodePort or LoadBalancer`
	testCreations(t, validListener, []creation{
		{"type is known", `spec: {service: {type: ExternalName}}`, `supported values: "ClusterIP", "NodePort", "LoadBalancer"`},
		{"port is at least 1", `spec: {service: {port: 0}}`, `should be greater than or equal to 1`},
		{"port is at most 65535", `spec: {service: {port: 65536}}`, `should be less than or equal to 65535`},
		{"nodePort without a type", `spec: {service: {nodePort: 30022}}`, nodePort},
		{"nodePort with ClusterIP", `spec: {service: {type: ClusterIP, nodePort: 30022}}`, nodePort},
		{name: "nodePort with NodePort", patch: `spec: {service: {type: NodePort, nodePort: 30022}}`},
		{name: "nodePort with LoadBalancer", patch: `spec: {service: {type: LoadBalancer, nodePort: 30022}}`},
		{"externalTrafficPolicy with ClusterIP", `spec: {service: {externalTrafficPolicy: Local}}`, `externalTrafficPolicy may be set only with type NodePort or LoadBalancer`},
		{"externalTrafficPolicy is known", `spec: {service: {type: NodePort, externalTrafficPolicy: Global}}`, `supported values: "Local", "Cluster"`},
		{"loadBalancerClass with NodePort", `spec: {service: {type: NodePort, loadBalancerClass: a}}`, `loadBalancerClass and loadBalancerSourceRanges may be set only with type LoadBalancer`},
		{"loadBalancerSourceRanges with ClusterIP", `spec: {service: {loadBalancerSourceRanges: [10.0.0.0/8]}}`, `loadBalancerClass and loadBalancerSourceRanges may be set only with type LoadBalancer`},
		{"loadBalancerSourceRanges are networks", `spec: {service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.1]}}`, `must be a network in CIDR notation, for example 203.0.113.0/24`},
	})
}

func TestListenerAllowedUsers(t *testing.T) {
	const (
		selector = `selector must be set if and only if from is Selector`
		names    = `names must be set if and only if from is Names`
	)
	// from is a listener with one rule for certain namespaces.
	from := func(namespaces string) string {
		return `spec: {allowedUsers: {rules: [{name: a, namespaces: {` + namespaces + `}}]}}`
	}
	expressions := func(list string) string { return from(`from: Selector, selector: {matchExpressions: [` + list + `]}`) }
	testCreations(t, validListener, []creation{
		{name: "all namespaces", patch: from(`from: All`)},
		{name: "names", patch: from(`from: Names, names: [team-a, team-b]`)},
		{name: "an expression", patch: expressions(`{key: a, operator: In, values: [b]}`)},
		{"a rule without namespaces", `spec: {allowedUsers: {rules: [{name: a}]}}`, `namespaces: Required value`},
		{"from is known", from(`from: Some`), `supported values: "Same", "Names", "Selector", "All"`},
		{"from Selector without a selector", from(`from: Selector`), selector},
		{"a selector with from All", from(`from: All, selector: {}`), selector},
		{"from Names without names", from(`from: Names`), names},
		{"names with from All", from(`from: All, names: [a]`), names},
		{"an invalid name", from(`from: Names, names: [a_b]`), `must be the name of a namespace`},
		{"at most 32 names", from(`from: Names, names: [` + numbered(33, "n%d") + `]`), `must have at most 32 items`},
		{"an operator that does not exist", expressions(`{key: a, operator: Is, values: [b]}`), `supported values: "In", "NotIn", "Exists", "DoesNotExist"`},
		{"In without values", expressions(`{key: a, operator: In}`), `operator must be In or NotIn with values, or Exists or DoesNotExist without`},
		{"Exists with values", expressions(`{key: a, operator: Exists, values: [b]}`), `operator must be In or NotIn with values, or Exists or DoesNotExist without`},
		{name: "an expression without values", patch: expressions(`{key: a, operator: DoesNotExist}`)},
		{"In of nothing", expressions(`{key: a, operator: In, values: []}`), `should have at least 1 items`},
		{"at most 16 expressions", expressions(numbered(17, "{key: a%d, operator: Exists}")), `must have at most 16 items`},
		{"at most 32 values", expressions(`{key: a, operator: In, values: [` + numbered(33, "v%d") + `]}`), `must have at most 32 items`},
		{"usernames is known", `spec: {allowedUsers: {usernames: Prefixed}}`, `supported values: "Any", "OthersPrefixed", "NamespacePrefixed"`},
	})
}

func TestListenerAllowedUsersRules(t *testing.T) {
	rules := func(list string) string { return `spec: {allowedUsers: {rules: [` + list + `]}}` }
	one := func(fields string) string { return rules(`{name: a, namespaces: {from: All}, ` + fields + `}`) }
	const last = `rules must not have more than one rule with namespaces.from All, and that must be the last`
	testCreations(t, validListener, []creation{
		{name: "everything", patch: one(`volumes: [{name: home, subPaths: [in/2026, out], access: ReadOnly}], access: CreateOnly, maxUsers: 5, ` +
			`maxConnections: 500, methods: [PublicKey], certificates: Accepted`)},
		{name: "own, some and all", patch: rules(`{name: own, namespaces: {from: Same}}, {name: some, namespaces: {from: Names, names: [b]}}, {name: all, namespaces: {from: All}}`)},
		{"a rule after All", rules(`{name: a, namespaces: {from: All}}, {name: b, namespaces: {from: Same}}`), last},
		{"All twice", rules(`{name: a, namespaces: {from: All}}, {name: b, namespaces: {from: All}}`), last},
		{"Same twice", rules(`{name: a, namespaces: {from: Same}}, {name: b, namespaces: {from: Same}}`), `rules must not have more than one rule with namespaces.from Same`},
		{
			"a namespace twice", rules(`{name: a, namespaces: {from: Names, names: [team-a, team-b]}}, {name: b, namespaces: {from: Names, names: [team-c, team-a]}}`),
			`rules must not name a namespace twice`,
		},
		{"a rule's name twice", rules(`{name: a, namespaces: {from: Same}}, {name: a, namespaces: {from: All}}`), `Duplicate value`},
		{"a rule's name is one", rules(`{name: A, namespaces: {from: Same}}`), `name must contain only lower-case letters, digits and '-'`},
		{"no rule", rules(``), `should have at least 1 items`},
		{"at most 16 rules", rules(numbered(17, "{name: r%d, namespaces: {from: Names, names: [n%[1]d]}}")), `must have at most 16 items`},
		{"a volume that does not exist", one(`volumes: [{name: nowhere}]`), `each of the volumes in allowedUsers.rules must name an entry of volumes`},
		{"a path that is not clean", one(`volumes: [{name: home, subPaths: [../x]}]`), `subPath must be a relative path`},
		{"an access that does not exist", one(`access: All`), `supported values: "ReadWrite", "ReadOnly", "WriteOnly", "CreateOnly"`},
		{"no users", one(`maxUsers: 0`), `should be greater than or equal to 1`},
		{"more users than the listener has", one(`maxUsers: 1001`), `maxUsers in allowedUsers.rules must not be above maxUsers (1000 unless set)`},
		{
			"more users than are set", `spec: {maxUsers: 5, allowedUsers: {rules: [{name: a, namespaces: {from: All}, maxUsers: 6}]}}`,
			`maxUsers in allowedUsers.rules must not be above maxUsers (1000 unless set)`,
		},
		{"more connections than there are", one(`maxConnections: 501`), `maxConnections in allowedUsers.rules must not be above limits.maxConnections (500 unless set)`},
		{
			"more connections than are set", `spec: {limits: {maxConnections: 20}, allowedUsers: {rules: [{name: a, namespaces: {from: All}, maxConnections: 21}]}}`,
			`maxConnections in allowedUsers.rules must not be above limits.maxConnections (500 unless set)`,
		},
		{
			"a method that the listener does not offer", `spec: {authentication: {allowedMethods: [PublicKey]}, allowedUsers: {rules: [{name: a, namespaces: {from: All}, methods: [Password]}]}}`,
			`methods in allowedUsers.rules must be among authentication.allowedMethods`,
		},
		{"codes", one(`methods: [TOTP]`), `methods must not contain TOTP: a code comes after another method, and is always allowed`},
		{"certificates without keys", one(`methods: [Password], certificates: Accepted`), `certificates Accepted requires PublicKey among methods`},
	})
}

func TestListenerUpdate(t *testing.T) {
	const (
		class = `storageClassName must not be changed: make a new volume with a different name and move the files`
		modes = `accessModes must not be changed: make a new volume with a different name and move the files`
		other = `{name: other, emptyDir: {}}`
		kind  = `the kind of a volume must not change, because its files would not move: make a new volume with a different name`

		lbClass = `loadBalancerClass must not be changed while type is LoadBalancer, because Services do not allow it: set type to ClusterIP in between, or make a new listener`
	)
	balancer := func(fields string) string { return `spec: {service: {type: LoadBalancer, ` + fields + `}}` }
	home := func(template string) string {
		return `spec: {volumes: [{name: home, claimTemplate: ` + template + `}]}`
	}
	testUpdates(t, validListener, []update{
		{"storageClassName is immutable", home(`{storage: 1Gi, storageClassName: a}`), home(`{storage: 1Gi, storageClassName: b}`), class},
		{"storageClassName cannot be added", home(`{storage: 1Gi}`), home(`{storage: 1Gi, storageClassName: b}`), class},
		{"storageClassName cannot be removed", home(`{storage: 1Gi, storageClassName: a}`), home(`{storage: 1Gi}`), class},
		{"accessModes is immutable", home(`{storage: 1Gi, accessModes: [ReadWriteMany]}`), home(`{storage: 1Gi, accessModes: [ReadWriteOnce]}`), modes},
		{"accessModes cannot be added", home(`{storage: 1Gi}`), home(`{storage: 1Gi, accessModes: [ReadWriteMany]}`), modes},
		{
			"a volume is known by its name, not its place",
			`spec: {volumes: [{name: home, claimTemplate: {storage: 1Gi, storageClassName: a}}, ` + other + `]}`,
			`spec: {volumes: [` + other + `, {name: home, claimTemplate: {storage: 1Gi, storageClassName: b}}]}`, class,
		},
		{name: "another volume may have another class", to: `
spec: {volumes: [{name: home, claimTemplate: {storage: 10Gi}}, {name: fast, claimTemplate: {storage: 1Gi, storageClassName: b}}]}`},
		{"storage does not shrink", home(`{storage: 2Gi}`), home(`{storage: 2047Mi}`), `must not be lowered, because a claim cannot shrink: make a new volume with a different name and move the files`},
		{name: "the same storage in another unit", from: home(`{storage: 2Gi}`), to: home(`{storage: 2048Mi}`)},
		{"a claimTemplate stays one", home(`{storage: 1Gi}`), `spec: {volumes: [{name: home, persistentVolumeClaim: {claimName: a}}]}`, kind},
		{"an emptyDir stays one", `spec: {volumes: [{name: home, emptyDir: {}}]}`, home(`{storage: 1Gi}`), kind},
		{"a claim stays one", `spec: {volumes: [{name: home, persistentVolumeClaim: {claimName: a}}]}`, `spec: {volumes: [{name: home, emptyDir: {}}]}`, kind},
		{
			name: "another claim, for example one that was restored", from: `spec: {volumes: [{name: home, persistentVolumeClaim: {claimName: a}}]}`,
			to: `spec: {volumes: [{name: home, persistentVolumeClaim: {claimName: b}}], homeDirectory: {movedFrom: home}}`,
		},
		{
			name: "a volume may go and another come", from: `spec: {volumes: [{name: home, emptyDir: {}}]}`,
			to: `spec: {volumes: [{name: files, claimTemplate: {storage: 1Gi}}], homeDirectory: {movedFrom: home}}`,
		},
		{"loadBalancerClass is immutable", balancer(`loadBalancerClass: a`), balancer(`loadBalancerClass: b`), lbClass},
		{"loadBalancerClass cannot be added", balancer(`port: 22`), balancer(`loadBalancerClass: b`), lbClass},
		{"loadBalancerClass cannot be removed", balancer(`loadBalancerClass: a`), balancer(`port: 22`), lbClass},
		{name: "loadBalancerClass goes with its type", from: balancer(`loadBalancerClass: a`), to: `spec: {service: {type: ClusterIP}}`},
		{name: "loadBalancerClass comes with its type", from: `spec: {service: {type: NodePort}}`, to: balancer(`loadBalancerClass: a`)},
		{name: "all else of a load balancer may change", from: balancer(`loadBalancerClass: a`), to: balancer(`loadBalancerClass: a, port: 2222`)},
		{name: "storage may grow", from: home(`{storage: 1Gi}`), to: home(`{storage: 2Gi}`)},
		{name: "replicas and maxUsers may change", to: `spec: {replicas: 0, maxUsers: 5000}`},
		{"raising replicas on a ReadWriteOnce claim", ``, `spec: {replicas: 2}`, `replicas must be 0 or 1 while a volume with a claimTemplate is not ReadWriteMany`},
	})
}

func TestListenerDefaults(t *testing.T) {
	o := created(t, validListener, `spec: {service: {annotations: {a: b}}, allowedUsers: {rules: [{name: own, namespaces: {from: Same}}]}, authentication: {maxAuthTries: 3}}`)
	wantFields(t, o, `
spec:
  replicas: 1
  maxUsers: 1000
  cryptoPolicy: Modern2026
  volumeClaimRetention: Retain
  service: {type: ClusterIP, port: 22}
  allowedUsers: {rules: [{name: own, namespaces: {from: Same}}], usernames: OthersPrefixed}
  authentication: {allowedMethods: [PublicKey, Password]}
`)
	wantPending(t, o, "Accepted", "ResolvedRefs", "Programmed", "Ready")
}
