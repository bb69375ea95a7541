package cel

import (
	"fmt"
	"strings"
	"testing"
)

const labelKey = `each key must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team`

func TestLabelKeys(t *testing.T) {
	testFormat(t, []place{
		{"labels", validListener, `spec: {infrastructure: {labels: {%s: b}}}`},
		{"annotations", validListener, `spec: {infrastructure: {annotations: {%s: b}}}`},
		{"annotations of the Service", validListener, `spec: {service: {annotations: {%s: b}}}`},
		{"nodeSelector", validListener, `spec: {infrastructure: {pod: {nodeSelector: {%s: b}}}}`},
		{"selector", validListener, `spec: {allowedUsers: {rules: [{name: a, namespaces: {from: Selector, selector: {matchLabels: {%s: b}}}}]}}`},
	}, []string{"a", "A_b-c.9", "example.com/team", strings.Repeat("a", 63), strings.Repeat("a", 253) + "/a"}, []refusal{
		{"my team", labelKey},
		{"", labelKey},
		{"-a", labelKey},
		{"/a", labelKey},
		{"a/", labelKey},
		{"a/b/c", labelKey},
		{"Example.com/team", labelKey},
		{"a..b/team", labelKey},
		{"a\n", labelKey},
		{strings.Repeat("a", 64), labelKey},
		{strings.Repeat("a", 254) + "/a", labelKey},
	})
	const key = `must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team`
	testFormat(t, []place{
		{"loadBalancerClass", validListener, `spec: {service: {type: LoadBalancer, loadBalancerClass: %s}}`},
		{"key of a toleration", validListener, `spec: {infrastructure: {pod: {tolerations: [{key: %s, operator: Exists}]}}}`},
		{"topologyKey", validListener, `spec: {infrastructure: {pod: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: %s, whenUnsatisfiable: DoNotSchedule}]}}}`},
		{"matchLabelKeys", validListener, `spec: {infrastructure: {pod: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, matchLabelKeys: [%s]}]}}}`},
		{"key of an expression", validListener, `spec: {allowedUsers: {rules: [{name: a, namespaces: {from: Selector, selector: {matchExpressions: [{key: %s, operator: Exists}]}}}]}}`},
	}, []string{"a", "example.com/fast"}, []refusal{
		{"no slash", key},
		{"a/b/c", key},
		{strings.Repeat("a", 64), key},
		{strings.Repeat("a", 254) + "/a", key},
		{"", `should be at least 1 chars long`},
		{strings.Repeat("a", 318), `may not be more than 317`},
	})
}

func TestLabelValues(t *testing.T) {
	const bad = `must be empty or have at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or digit`
	testFormat(t, []place{
		{"labels", validListener, `spec: {infrastructure: {labels: {a: %s}}}`},
		{"nodeSelector", validListener, `spec: {infrastructure: {pod: {nodeSelector: {a: %s}}}}`},
		{"value of a toleration", validListener, `spec: {infrastructure: {pod: {tolerations: [{key: a, value: %s}]}}}`},
		{"selector", validListener, `spec: {allowedUsers: {rules: [{name: a, namespaces: {from: Selector, selector: {matchLabels: {a: %s}}}}]}}`},
		{"values of an expression", validListener, `spec: {allowedUsers: {rules: [{name: a, namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: In, values: [%s]}]}}}]}}`},
	}, []string{"", "a", "A_b-c.9", strings.Repeat("a", 63)}, []refusal{
		{"a b", bad},
		{"-a", bad},
		{"a/b", bad},
		{"ä", bad},
		{"a\n", bad},
		{strings.Repeat("a", 64), `may not be more than 63`},
	})
}

func TestInfrastructure(t *testing.T) {
	const (
		label      = `keys must not begin with sftp-operator.io/, and must not be pod-template-hash or the app.kubernetes.io/ name, instance, component or managed-by: the operator and Kubernetes set these`
		annotation = `keys must not begin with sftp-operator.io/ or deployment.kubernetes.io/, or be kubectl.kubernetes.io/last-applied-configuration: the operator and Kubernetes set these`
		profile    = `keys must not be the former annotations of seccomp and AppArmor profiles: pods keep the runtime's profile`
		total      = `keys and values must not have more than 32768 bytes in total`
	)
	large := func(n int) string { return fmt.Sprintf(`{%s}`, numbered(n, "a%d: "+strings.Repeat("b", 8190))) }
	testCreations(t, validListener, []creation{
		{name: "labels of one's own", patch: `spec: {infrastructure: {labels: {app.kubernetes.io/part-of: files, team: ""}}}`},
		{"the label that selects pods", `spec: {infrastructure: {labels: {sftp-operator.io/listener: other}}}`, label},
		{"the name of the application", `spec: {infrastructure: {labels: {app.kubernetes.io/name: other}}}`, label},
		{"the instance", `spec: {infrastructure: {labels: {app.kubernetes.io/instance: other}}}`, label},
		{"the component", `spec: {infrastructure: {labels: {app.kubernetes.io/component: other}}}`, label},
		{"who manages it", `spec: {infrastructure: {labels: {app.kubernetes.io/managed-by: Helm}}}`, label},
		{"the hash of the template", `spec: {infrastructure: {labels: {pod-template-hash: a}}}`, label},
		{"at most 16 labels", `spec: {infrastructure: {labels: {` + numbered(17, "a%d: b") + `}}}`, `must have at most 16 items`},
		{"no labels", `spec: {infrastructure: {labels: {}}}`, `should have at least 1 properties`},

		{name: "an annotation for load balancers", patch: `spec: {service: {annotations: {service.beta.kubernetes.io/aws-load-balancer-type: nlb}}}`},
		{"an annotation of the operator", `spec: {infrastructure: {annotations: {sftp-operator.io/config-digest: a}}}`, annotation},
		{"an annotation of the operator on the Service", `spec: {service: {annotations: {sftp-operator.io/applied: a}}}`, annotation},
		{"the revision of the Deployment", `spec: {infrastructure: {annotations: {deployment.kubernetes.io/revision: "1"}}}`, annotation},
		{"what kubectl remembers", `spec: {infrastructure: {annotations: {kubectl.kubernetes.io/last-applied-configuration: a}}}`, annotation},
		{"a profile of AppArmor", `spec: {infrastructure: {annotations: {container.apparmor.security.beta.kubernetes.io/sftpd: unconfined}}}`, profile},
		{"a profile of seccomp", `spec: {infrastructure: {annotations: {seccomp.security.alpha.kubernetes.io/pod: unconfined}}}`, profile},
		{name: "large annotations", patch: `spec: {infrastructure: {annotations: ` + large(3) + `}}`},
		{"larger annotations", `spec: {infrastructure: {annotations: ` + large(5) + `}}`, total},
		{"larger annotations of the Service", `spec: {service: {annotations: ` + large(5) + `}}`, total},
		{"bytes count, not characters", `spec: {infrastructure: {annotations: {a: ` + strings.Repeat("𝄞", 8192) + `}}}`, total},
		{"a very large annotation", `spec: {infrastructure: {annotations: {a: ` + strings.Repeat("b", 300<<10) + `}}}`, `may not be more than 8192`},
		{"at most 16 annotations", `spec: {infrastructure: {annotations: {` + numbered(17, "a%d: b") + `}}}`, `must have at most 16 items`},
		{"at most 32 annotations of the Service", `spec: {service: {annotations: {` + numbered(33, "a%d: b") + `}}}`, `must have at most 32 items`},
		{"at most 16 labels of nodes", `spec: {infrastructure: {pod: {nodeSelector: {` + numbered(17, "a%d: b") + `}}}}`, `must have at most 16 items`},
	})
}

func TestPodResources(t *testing.T) {
	const (
		cpu   = `must be more than 0, for example 500m`
		bytes = `must be a whole number of bytes and more than 0`
	)
	pod := func(resources string) string { return `spec: {infrastructure: {pod: {resources: ` + resources + `}}}` }
	testCreations(t, validListener, []creation{
		{name: "requests and limits", patch: pod(`{requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 1Gi}, limits: {cpu: 2, memory: "1e9", ephemeral-storage: 1Gi}}`)},
		{name: "as much as the limit, in another unit", patch: pod(`{requests: {cpu: 1000m, memory: 1Gi}, limits: {cpu: "1", memory: 1024Mi}}`)},
		{name: "different resources", patch: pod(`{requests: {cpu: 4}, limits: {memory: 1Gi}}`)},
		{"more CPU than the limit", pod(`{requests: {cpu: 1001m}, limits: {cpu: 1}}`), `requests.cpu must not be above limits.cpu`},
		{"more memory than the limit", pod(`{requests: {memory: 2Gi}, limits: {memory: 1Gi}}`), `requests.memory must not be above limits.memory`},
		{"more storage than the limit", pod(`{requests: {ephemeral-storage: 2Gi}, limits: {ephemeral-storage: 1Gi}}`), `requests.ephemeral-storage must not be above limits.ephemeral-storage`},
		{"no CPU", pod(`{limits: {cpu: 0}}`), cpu},
		{"negative CPU", pod(`{requests: {cpu: "-1"}}`), cpu},
		{"negative memory", pod(`{requests: {memory: -1Gi}}`), bytes},
		{"an eighth of a byte", pod(`{limits: {memory: 125m}}`), bytes},
		{"more bytes than can be counted", pod(`{limits: {memory: "1e30"}}`), bytes},
		{"a size that is not a quantity", pod(`{limits: {memory: 1GB}}`), `limits.memory in body should match`},
		{"an endless quantity", pod(`{limits: {memory: "` + strings.Repeat("1", 33) + `"}}`), `may not be more than 32`},
		{"claims", pod(`{claims: [{name: gpu}]}`), `unknown field "spec.infrastructure.pod.resources.claims"`},
		{"a GPU", pod(`{limits: {nvidia.com/gpu: 1}}`), `unknown field "spec.infrastructure.pod.resources.limits.nvidia.com/gpu"`},
		{"nothing", pod(`{}`), `should have at least 1 properties`},
		{"limits of nothing", pod(`{limits: {}}`), `should have at least 1 properties`},
	})
}

func TestScheduling(t *testing.T) {
	tolerations := func(list string) string { return `spec: {infrastructure: {pod: {tolerations: [` + list + `]}}}` }
	spread := func(list string) string {
		return `spec: {infrastructure: {pod: {topologySpreadConstraints: [` + list + `]}}}`
	}
	const (
		noKey   = `operator must be Exists without key: it then tolerates any taint`
		seconds = `tolerationSeconds may be set only with effect NoExecute: the other effects do not evict pods`
		zone    = `maxSkew: 1, topologyKey: topology.kubernetes.io/zone`
	)
	testCreations(t, validListener, []creation{
		{name: "tolerations", patch: tolerations(`{key: a, value: b}, {key: a, operator: Equal, value: "", effect: NoSchedule}, {key: a, operator: Exists, effect: PreferNoSchedule}, {operator: Exists, effect: NoExecute, tolerationSeconds: 0}`)},
		{"an operator that does not exist", tolerations(`{key: a, operator: Nonsense}`), `supported values: "Equal", "Exists"`},
		{"an effect that does not exist", tolerations(`{key: a, effect: Never}`), `supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"`},
		{"a value that is not compared", tolerations(`{key: a, operator: Exists, value: b}`), `value must not be set with operator Exists, which tolerates any value`},
		{"no key", tolerations(`{value: b}`), noKey},
		{"nothing", tolerations(`{}`), noKey},
		{"seconds of no effect", tolerations(`{key: a, tolerationSeconds: 5}`), seconds},
		{"seconds of another effect", tolerations(`{key: a, effect: NoSchedule, tolerationSeconds: 5}`), seconds},
		{"negative seconds", tolerations(`{key: a, effect: NoExecute, tolerationSeconds: -1}`), `should be greater than or equal to 0`},
		{"at most 16 tolerations", tolerations(numbered(17, "{key: a%d}")), `must have at most 16 items`},

		{name: "spread over zones and nodes", patch: spread(`{` + zone + `, whenUnsatisfiable: DoNotSchedule, minDomains: 3, nodeAffinityPolicy: Honor, nodeTaintsPolicy: Honor, matchLabelKeys: [pod-template-hash]}, {` + zone + `, whenUnsatisfiable: ScheduleAnyway}`)},
		{"the same spread twice", spread(`{` + zone + `, whenUnsatisfiable: DoNotSchedule}, {` + zone + `, whenUnsatisfiable: DoNotSchedule, minDomains: 2}`), `Duplicate value: {"topologyKey":"topology.kubernetes.io/zone","whenUnsatisfiable":"DoNotSchedule"}`},
		{"no skew", spread(`{maxSkew: 0, topologyKey: a, whenUnsatisfiable: DoNotSchedule}`), `should be greater than or equal to 1`},
		{"no key of a domain", spread(`{maxSkew: 1, whenUnsatisfiable: DoNotSchedule}`), `topologyKey: Required value`},
		{"no action", spread(`{` + zone + `}`), `whenUnsatisfiable: Required value`},
		{"an action that does not exist", spread(`{` + zone + `, whenUnsatisfiable: Evict}`), `supported values: "DoNotSchedule", "ScheduleAnyway"`},
		{"domains that may be missing", spread(`{` + zone + `, whenUnsatisfiable: ScheduleAnyway, minDomains: 2}`), `minDomains may be set only with whenUnsatisfiable DoNotSchedule`},
		{"a policy that does not exist", spread(`{` + zone + `, whenUnsatisfiable: ScheduleAnyway, nodeTaintsPolicy: Prefer}`), `supported values: "Honor", "Ignore"`},
		{"a label that selects already", spread(`{` + zone + `, whenUnsatisfiable: ScheduleAnyway, matchLabelKeys: [sftp-operator.io/listener]}`), `must not be a label that selects the listener's pods already`},
		{"pods of someone else", spread(`{` + zone + `, whenUnsatisfiable: ScheduleAnyway, labelSelector: {}}`), `unknown field "spec.infrastructure.pod.topologySpreadConstraints[0].labelSelector"`},
	})
}

func TestPodPlacement(t *testing.T) {
	const expression = `operator must be In or NotIn with values, Gt or Lt with one whole number, or Exists or DoesNotExist without`
	pod := func(fields string) string { return `spec: {infrastructure: {pod: {` + fields + `}}}` }
	node := func(expression string) string {
		return pod(`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [` + expression + `]}]}}}`)
	}
	away := func(term string) string {
		return pod(`affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [` + term + `]}}`)
	}
	testCreations(t, validListener, []creation{
		{name: "nodes with a label", patch: node(`{key: disk, operator: In, values: [ssd]}, {key: cores, operator: Gt, values: ["7"]}, {key: old, operator: DoesNotExist}`)},
		{"values that are not compared", node(`{key: disk, operator: Exists, values: [ssd]}`), expression},
		{"nothing to compare with", node(`{key: disk, operator: In}`), expression},
		{"not a number", node(`{key: cores, operator: Gt, values: [many]}`), expression},
		{"two numbers", node(`{key: cores, operator: Lt, values: ["1", "2"]}`), expression},
		{"no expression", pod(`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{}]}}}`), `matchExpressions: Required value`},
		{"a field of a node", pod(`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: []}]}}}`), `unknown field`},
		{name: "apart from each other", patch: away(`{topologyKey: kubernetes.io/hostname}`)},
		{name: "apart from others", patch: away(`{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}, matchExpressions: [{key: tier, operator: In, values: [a]}]}}`)},
		{"without a domain", away(`{labelSelector: {matchLabels: {app: db}}}`), `topologyKey: Required value`},
		{"from pods of other namespaces", away(`{topologyKey: a, namespaceSelector: {}}`), `unknown field`},
		{"a selector of nothing", away(`{topologyKey: a, labelSelector: {}}`), `should have at least 1 properties`},
		{"a preference without weight", pod(`affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{podAffinityTerm: {topologyKey: a}}]}}`), `weight: Required value`},
		{"at most 4 terms", away(numbered(5, `{topologyKey: a%d}`)), `must have at most 4 items`},
		{"no affinity", pod(`affinity: {}`), `should have at least 1 properties`},

		{"a runtime class that cannot be", pod(`runtimeClassName: A_B`), `must be the name of an object`},
		{"a scheduler that cannot be", pod(`schedulerName: "a b"`), `must be the name of an object`},
		{"the root group", pod(`supplementalGroups: [0]`), `should be greater than or equal to 1`},
		{"no group at all", pod(`supplementalGroups: []`), `should have at least 1 items`},
		{"a group twice", pod(`supplementalGroups: [7, 7]`), `Duplicate value: 7`},
		{"a policy of groups that does not exist", pod(`fsGroupPolicy: Root`), `supported values: "Fixed", "Platform"`},
		{"a pull policy that does not exist", pod(`imagePullPolicy: Sometimes`), `supported values: "Always", "IfNotPresent", "Never"`},
	})
}

func TestServiceNetwork(t *testing.T) {
	const (
		both    = `ipFamilies may name both families only with ipFamilyPolicy PreferDualStack or RequireDualStack`
		ports   = `loadBalancerNodePorts may be set only with type LoadBalancer, and Omit only without nodePort`
		timeout = `sessionAffinityTimeoutSeconds may be set only with sessionAffinity ClientIP`
	)
	service := func(fields string) string { return `spec: {service: {` + fields + `}}` }
	testCreations(t, validListener, []creation{
		{name: "IPv6 only", patch: service(`ipFamilies: [IPv6], ipFamilyPolicy: SingleStack`)},
		{name: "both families", patch: service(`ipFamilies: [IPv6, IPv4], ipFamilyPolicy: PreferDualStack`)},
		{"both families on a single stack", service(`ipFamilies: [IPv6, IPv4], ipFamilyPolicy: SingleStack`), both},
		{"both families without a policy", service(`ipFamilies: [IPv6, IPv4]`), both},
		{"a family twice", service(`ipFamilies: [IPv4, IPv4], ipFamilyPolicy: PreferDualStack`), `must not name a family twice`},
		{"a family that does not exist", service(`ipFamilies: [IPv5]`), `supported values: "IPv4", "IPv6"`},
		{"no node ports on a cluster address", service(`loadBalancerNodePorts: Omit`), ports},
		{"no node ports, and one", service(`type: LoadBalancer, loadBalancerNodePorts: Omit, nodePort: 30022`), ports},
		{name: "no node ports", patch: service(`type: LoadBalancer, loadBalancerNodePorts: Omit`)},
		{"a timeout of nothing", service(`sessionAffinityTimeoutSeconds: 60`), timeout},
		{"too long", service(`sessionAffinity: ClientIP, sessionAffinityTimeoutSeconds: 86401`), `should be less than or equal to 86400`},
		{"a protocol that cannot be", service(`appProtocol: "a b"`), `must be a name of at most 63`},
		{"a distribution that does not exist", service(`trafficDistribution: Fast`), `supported values: "PreferClose", "PreferSameZone", "PreferSameNode"`},
	})
}
