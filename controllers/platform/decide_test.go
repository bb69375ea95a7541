package platform

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

var now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

var equal = equality.Semantic.DeepEqual

func listener(t *testing.T, spec string) *v1alpha1.SFTPListener {
	t.Helper()
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &l.Spec); err != nil {
		t.Fatal(err)
	}
	return l
}

const volumes = "\nvolumes: [{name: home, claimTemplate: {storage: 1Gi}}]\n"

func TestNoPolicy(t *testing.T) {
	l := listener(t, volumes)
	if d := (*Policy)(nil).Decide(l, now); d.Listener != l || d.Refusal() != "" || len(d.Defaults) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestDefaults(t *testing.T) {
	p := parsed(t, everything)
	open := listener(t, "service: {type: LoadBalancer}"+volumes)
	before := open.DeepCopy()
	d := p.Decide(open, now)
	if !equal(open, before) {
		t.Error("the listener itself was changed")
	}
	if d.Refusal() != "" {
		t.Errorf("refused: %s", d.Refusal())
	}
	var got []string
	for _, f := range d.Defaults {
		got = append(got, f.Field+"="+f.Value)
	}
	want := []string{
		`spec.infrastructure.labels={"cost-center":"files"}`,
		"spec.volumes[home].claimTemplate.storageClassName=fast",
		"spec.service.loadBalancerClass=example.com/internal",
		"spec.service.ipFamilyPolicy=PreferDualStack",
		"spec.infrastructure.pod.imagePullPolicy=IfNotPresent",
		"spec.infrastructure.pod.fsGroupPolicy=Platform",
		"spec.infrastructure.pod.priorityClassName=files",
		"spec.infrastructure.pod.runtimeClassName=sandbox",
		"spec.infrastructure.pod.imagePullSecrets=registry, mirror",
		`spec.infrastructure.pod.nodeSelector={"pool":"files"}`,
		`spec.infrastructure.pod.tolerations=[{"effect":"NoSchedule","key":"files","operator":"Exists"}]`,
		`spec.infrastructure.pod.resources={"limits":{"memory":"512Mi"},"requests":{"cpu":"50m","memory":"64Mi"}}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("defaults\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// Applied again, they change nothing: the listener has them.
	if again := p.Decide(d.Listener, now); len(again.Defaults) != 0 || !equal(again.Listener.Spec, d.Listener.Spec) {
		t.Errorf("again: %+v", again.Defaults)
	}
	if s := d.Listener.Spec; s.Volumes[0].ClaimTemplate.StorageClassName != "fast" || s.Infrastructure.Pod.ImagePullSecrets[1].Name != "mirror" {
		t.Errorf("applied %+v", s)
	}
}

// A listener's own values stay.
func TestOwnersChoiceStays(t *testing.T) {
	own := listener(t, `
service: {type: NodePort, ipFamilyPolicy: RequireDualStack}
volumes: [{name: home, claimTemplate: {storage: 1Gi, storageClassName: slow}}, {name: tmp, emptyDir: {}}]
infrastructure:
  labels: {cost-center: other}
  pod:
    imagePullSecrets: [{name: own}]
    imagePullPolicy: Never
    fsGroupPolicy: Fixed
    priorityClassName: own
    runtimeClassName: own
    nodeSelector: {own: a}
    tolerations: [{operator: Exists}]
    resources: {requests: {cpu: 1}}
`)
	if d := parsed(t, everything).Decide(own, now); len(d.Defaults) != 0 || !equal(d.Listener.Spec, own.Spec) {
		t.Errorf("defaults %+v", d.Defaults)
	}
	both := listener(t, "service: {ipFamilies: [IPv4, IPv6]}"+volumes)
	p := parsed(t, "defaults: {ipFamilyPolicy: SingleStack}")
	if d := p.Decide(both, now); len(d.Defaults) != 0 {
		t.Errorf("two families and %+v", d.Defaults)
	}
}

func TestLongDefaultsAreCut(t *testing.T) {
	p := parsed(t, "defaults: {nodeSelector: {"+strings.Repeat("a", 300)+": b}}")
	d := p.Decide(listener(t, volumes), now)
	if v := d.Defaults[0].Value; len(v) != maxValue || !strings.HasSuffix(v, "...") {
		t.Errorf("%d bytes: %s", len(v), v)
	}
}

func TestBounds(t *testing.T) {
	for name, c := range map[string]struct{ spec, want string }{
		"a type of Services":   {"service: {type: NodePort}", "spec.service.type must not be NodePort: the platform allows ClusterIP, LoadBalancer (bounds.serviceTypes)"},
		"a class of balancers": {"service: {type: LoadBalancer, loadBalancerClass: a/b}", "spec.service.loadBalancerClass must not be a/b: the platform allows example.com/internal (bounds.loadBalancerClasses)"},
		"families":             {"service: {ipFamilyPolicy: RequireDualStack}", "spec.service.ipFamilyPolicy must not be RequireDualStack: the platform allows SingleStack, PreferDualStack (bounds.ipFamilyPolicies)"},
		"an annotation of the Service": {
			"service: {annotations: {external-dns.alpha.kubernetes.io/hostname: a, example.com/contacts: a}}",
			`spec.service.annotations must not have "example.com/contacts": the platform allows external-dns.alpha.kubernetes.io/*, example.com/contact (bounds.annotations)`,
		},
		"an annotation of pods": {"infrastructure: {annotations: {sidecar: inject}}", `spec.infrastructure.annotations must not have "sidecar"`},
		"a label of pods":       {"infrastructure: {labels: {example.com/team: a, sidecar.istio.io/inject: 'true'}}", `spec.infrastructure.labels must not have "sidecar.istio.io/inject": the platform allows example.com/* (bounds.labels)`},
		"a crypto policy":       {"cryptoPolicy: Fips2026", "spec.cryptoPolicy must not be Fips2026: the platform allows Modern2026, Strict2026, Legacy2026 (bounds.cryptoPolicies)"},
		"a priority class":      {"infrastructure: {pod: {priorityClassName: high}}", "must not be high: the platform allows files (bounds.priorityClasses)"},
		"a runtime class":       {"infrastructure: {pod: {runtimeClassName: fast}}", "(bounds.runtimeClasses)"},
		"a scheduler":           {"infrastructure: {pod: {schedulerName: own}}", "spec.infrastructure.pod.schedulerName must not be own: the platform allows none (bounds.schedulers)"},
		"a pull policy":         {"infrastructure: {pod: {imagePullPolicy: Never}}", "(bounds.imagePullPolicies)"},
		"an owner of volumes":   {"infrastructure: {pod: {fsGroupPolicy: Fixed}}", "spec.infrastructure.pod.fsGroupPolicy must not be Fixed: the platform allows Platform (bounds.fsGroupPolicies)"},
		"a group":               {"infrastructure: {pod: {supplementalGroups: [2000, 10]}}", "spec.infrastructure.pod.supplementalGroups must not be 10: the platform allows 2000 (bounds.supplementalGroups)"},
		"all taints":            {"infrastructure: {pod: {tolerations: [{operator: Exists}]}}", `spec.infrastructure.pod.tolerations must not have {"operator":"Exists"}, which the platform does not allow (bounds.tolerations)`},
		"another effect":        {"infrastructure: {pod: {tolerations: [{key: files, operator: Exists, effect: NoExecute}]}}", `(bounds.tolerations)`},
		"each effect":           {"infrastructure: {pod: {tolerations: [{key: files, operator: Exists}]}}", `(bounds.tolerations)`},
		"another value":         {"infrastructure: {pod: {tolerations: [{key: pool, operator: Equal, value: other}]}}", `(bounds.tolerations)`},
		"each value":            {"infrastructure: {pod: {tolerations: [{key: pool, operator: Exists}]}}", `(bounds.tolerations)`},
		"too much memory":       {"infrastructure: {pod: {resources: {limits: {memory: 3Gi}}}}", "must not have limits.memory 3Gi: the platform allows at most 2Gi (bounds.maxLimits); "},
		"no limit":              {"infrastructure: {pod: {resources: {requests: {memory: 1Mi}}}}", "spec.infrastructure.pod.resources must have limits.memory, of at most 2Gi (bounds.maxLimits)"},
		"too much at once":      {"infrastructure: {pod: {resources: {requests: {cpu: 2}, limits: {memory: 1Gi}}}}", "must not have requests.cpu 2: the platform allows at most 1 (bounds.maxRequests)"},
		"a storage class":       {"volumes: [{name: a, claimTemplate: {storage: 1Gi, storageClassName: free}}]", "spec.volumes[a].claimTemplate.storageClassName must not be free: the platform allows fast, slow (bounds.storageClasses)"},
		"Legacy2026 too long":   {`{cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-03-02T00:00:00Z"}`, "must not be 2027-03-02T00:00:00Z: the platform allows Legacy2026 until 2027-01-31T00:00:00Z (bounds.legacyUntil); spec.cryptoPolicyExpirationTime must not be 2027-03-02T00:00:00Z: the platform allows Legacy2026 for at most 90 days ahead (bounds.legacyMaxDays)"},
	} {
		t.Run(name, func(t *testing.T) {
			d := parsed(t, everything).Decide(listener(t, c.spec), now)
			if got := d.Refusal(); !strings.Contains(got, c.want) || !strings.HasPrefix(got, "The platform does not allow the spec, so pods, Service and claims stay as they are: spec.") {
				t.Errorf("%q\nwant %q", got, c.want)
			}
		})
	}
	for name, spec := range map[string]string{
		"a toleration of a taint that is allowed": "infrastructure: {pod: {tolerations: [{key: files, value: a, effect: NoSchedule}, {key: pool, operator: Equal, value: files, effect: NoExecute}]}}",
		"Legacy2026 for a while":                  `{cryptoPolicy: Legacy2026, cryptoPolicyExpirationTime: "2027-01-31T00:00:00Z"}`,
		"a class that is not for this Service":    "service: {type: ClusterIP}",
		"as much as is allowed":                   "infrastructure: {pod: {resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 2Gi}}}}",
	} {
		if got := parsed(t, everything).Decide(listener(t, spec), now).Refusal(); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// An empty list allows nothing; '*' and a toleration that matches every taint allow everything.
func TestListsAtTheirEnds(t *testing.T) {
	l := listener(t, "{cryptoPolicy: Modern2026, infrastructure: {annotations: {a: b}, pod: {tolerations: [{key: a, operator: Exists}]}}}")
	if got := parsed(t, "bounds: {annotations: [], tolerations: [], cryptoPolicies: []}").Decide(l, now); len(got.Violations) != 3 {
		t.Errorf("%+v", got.Violations)
	}
	if got := parsed(t, "bounds: {annotations: ['*'], tolerations: [{operator: Exists}]}").Decide(l, now); len(got.Violations) != 0 {
		t.Errorf("%+v", got.Violations)
	}
	defaults := parsed(t, "{defaults: {labels: {cost-center: files}}, bounds: {labels: []}}")
	if got := defaults.Decide(listener(t, "infrastructure: {labels: {cost-center: other}}"), now); len(got.Violations) != 0 {
		t.Errorf("a label of the defaults: %+v", got.Violations)
	}
	if got := defaults.Decide(listener(t, "infrastructure: {labels: {team: a}}"), now); len(got.Violations) != 1 {
		t.Errorf("another label: %+v", got.Violations)
	}
	many := parsed(t, "bounds: {supplementalGroups: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}").Decide(listener(t, "infrastructure: {pod: {supplementalGroups: [11]}}"), now)
	if got := many.Refusal(); !strings.Contains(got, "allows 1, 2, 3, 4, 5, 6, 7, 8 and 2 more") {
		t.Error(got)
	}
}

// A crypto policy that is refused is not offered, and one that is offered stays although a new bound forbids it.
func TestCryptoPolicyIsKept(t *testing.T) {
	soon, late := metav1.NewTime(now.AddDate(0, 0, 30)), metav1.NewTime(now.AddDate(0, 0, 120))
	legacy := func(end metav1.Time) *v1alpha1.SFTPListener {
		l := listener(t, "cryptoPolicy: Legacy2026")
		l.Spec.CryptoPolicyExpirationTime = &end
		return l
	}
	offered := legacy(soon)
	offered.Status.CryptoPolicy, offered.Status.CryptoPolicyExpirationTime = v1alpha1.CryptoLegacy2026, &soon
	extended := legacy(late)
	extended.Status = offered.Status
	modern := legacy(soon)
	modern.Status.CryptoPolicy = v1alpha1.CryptoModern2026
	for name, c := range map[string]struct {
		policy   string
		listener *v1alpha1.SFTPListener
		want     v1alpha1.CryptoPolicy
		end      *metav1.Time
		refused  bool
		next     time.Time
	}{
		"allowed":                {"bounds: {legacyMaxDays: 90}", legacy(soon), v1alpha1.CryptoLegacy2026, &soon, false, time.Time{}},
		"new, and forbidden":     {"bounds: {cryptoPolicies: [Modern2026]}", legacy(soon), v1alpha1.CryptoModern2026, nil, true, time.Time{}},
		"changed, and forbidden": {"bounds: {cryptoPolicies: [Modern2026]}", modern, v1alpha1.CryptoModern2026, nil, true, time.Time{}},
		"offered, and forbidden": {"bounds: {cryptoPolicies: [Modern2026]}", offered, v1alpha1.CryptoLegacy2026, &soon, true, time.Time{}},
		"extended too far":       {"bounds: {legacyMaxDays: 90}", extended, v1alpha1.CryptoLegacy2026, &soon, true, now.AddDate(0, 0, 30)},
		"new, and too long":      {"bounds: {legacyMaxDays: 90}", legacy(late), v1alpha1.CryptoModern2026, nil, true, now.AddDate(0, 0, 30)},
	} {
		t.Run(name, func(t *testing.T) {
			d := parsed(t, c.policy).Decide(c.listener, now)
			if s := d.Listener.Spec; s.CryptoPolicy != c.want || !equal(s.CryptoPolicyExpirationTime, c.end) {
				t.Errorf("%s until %v, want %s until %v", s.CryptoPolicy, s.CryptoPolicyExpirationTime, c.want, c.end)
			}
			if (d.Refusal() != "") != c.refused || !d.Next.Equal(c.next) {
				t.Errorf("refusal %q, next %v, want %v", d.Refusal(), d.Next, c.next)
			}
			// Others than the operator get the same from the status.
			l := c.listener.DeepCopy()
			l.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionAccepted, Reason: v1alpha1.ReasonAccepted}}
			if c.refused {
				l.Status.Conditions[0].Reason = v1alpha1.ReasonPlatformPolicy
			}
			if s := AsServed(l).Spec; s.CryptoPolicy != c.want || !equal(s.CryptoPolicyExpirationTime, c.end) {
				t.Errorf("as served: %s until %v", s.CryptoPolicy, s.CryptoPolicyExpirationTime)
			}
		})
	}
}
