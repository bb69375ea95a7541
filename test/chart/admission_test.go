package chart

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/relay"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

// admission is an API server with the policies that the chart renders.
type admission struct {
	t     *testing.T
	admin client.Client
	// tenant may write SFTPUsers and SFTPKeys, owner listeners as well, operator is the operator, and cleaner deletes namespaces.
	tenant, owner, operator, cleaner client.Client
}

// admissionBounds are the platform's bounds in these tests.
const admissionBounds = `{"serviceTypes":["ClusterIP"],"storageClasses":["fast"],"priorityClasses":[],"cryptoPolicies":["Modern2026","Legacy2026"],` +
	`"ipFamilyPolicies":["SingleStack"],"schedulers":[],"imagePullPolicies":["Always"],"fsGroupPolicies":["Platform"],"supplementalGroups":[5000,6000],` +
	`"annotations":["external-dns.alpha.kubernetes.io/*","example.com/team"],"labels":["team"],` +
	`"tolerations":[{"key":"files","operator":"Exists","effect":"NoSchedule"},{"key":"zone","value":"a"}],` +
	`"maxRequests":{"cpu":2},"maxLimits":{"memory":"4Gi","ephemeral-storage":"1Gi"},` +
	`"retentionModes":["Report"],"retentionMinSeconds":86400,"legacyUntil":"2027-06-30T00:00:00Z",` +
	`"tracingHosts":["collector.observability.svc","10.20.0.7","2001:db8::1","*.traces.example.com"],` +
	`"events":{"hosts":["events.example.com","*.partners.example.com"]}}`

func newAdmission(t *testing.T) *admission {
	t.Helper()
	rendered := render(t, "--set", "crds.enabled=false", "--show-only", "templates/admission-policies.yaml", "--values", "testdata/everything.values.yaml",
		"--set-json", `scopedNamespaces=[]`, "--set-json", "listeners.bounds="+admissionBounds)
	env, err := apiserver.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	a := &admission{t: t, admin: clientOf(t, env.Config)}
	for _, o := range parse(t, rendered) {
		a.must(a.admin.Create(t.Context(), &unstructured.Unstructured{Object: o}))
	}
	a.must(a.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}}))
	for name, of := range map[string]struct {
		into      *client.Client
		resources []string
		verbs     []string
	}{
		"tenant":   {&a.tenant, []string{"sftpusers", "sftpkeys"}, []string{"*"}},
		"owner":    {&a.owner, []string{"sftplisteners", "sftpkeys"}, []string{"*"}},
		"operator": {&a.operator, []string{"sftplisteners/status", "sftpkeys", "sftpkeys/status"}, []string{"*"}},
		// Like the controller manager with one account for all controllers.
		"system:kube-controller-manager": {&a.cleaner, []string{"*"}, []string{"delete", "get"}},
	} {
		c := rest.CopyConfig(env.Config)
		c.Impersonate = rest.ImpersonationConfig{UserName: name}
		*of.into = clientOf(t, c)
		role := strings.ReplaceAll(name, ":", "-")
		a.must(a.admin.Create(t.Context(), &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "test-" + role},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"sftp-operator.io"}, Resources: of.resources, Verbs: of.verbs}},
		}))
		a.must(a.admin.Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "test-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "test-" + role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
		}))
	}
	return a
}

func clientOf(t *testing.T, c *rest.Config) client.Client {
	t.Helper()
	out, err := client.New(c, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (a *admission) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// manifest returns an object of the namespace.
func (a *admission) manifest(kind, name, rest string) *unstructured.Unstructured {
	a.t.Helper()
	o := &unstructured.Unstructured{}
	text := "apiVersion: sftp-operator.io/v1alpha1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: team-a}\n" + rest
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		a.t.Fatal(err)
	}
	return o
}

// refused checks that a request is refused by a policy, with these words. Policies take effect a moment after they are created.
func (a *admission) refused(what string, try func(context.Context) error, words string) {
	a.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(a.t.Context()); err != nil && strings.Contains(err.Error(), words) {
			a.t.Logf("ADMISSION %s: %v", what, err)
			return
		}
	}
	a.t.Fatalf("%s: %v, want a refusal with %q", what, err, words)
}

// admissionCases are parts of specs, or whole ones, and the words with which they are refused; "" for those that are allowed.
var admissionCases = map[string]string{
	", service: {type: NodePort}":                                   "spec.service.type must not be NodePort: the platform allows ClusterIP (bounds.serviceTypes)",
	", service: {type: ClusterIP}":                                  "",
	", infrastructure: {pod: {priorityClassName: urgent}}":          "spec.infrastructure.pod.priorityClassName must not be urgent: the platform allows none (bounds.priorityClasses)",
	", cryptoPolicy: Strict2026":                                    "spec.cryptoPolicy must not be Strict2026: the platform allows Modern2026, Legacy2026 (bounds.cryptoPolicies)",
	", cryptoPolicy: Modern2026":                                    "",
	", volumeClaimRetention: Delete, service: {type: LoadBalancer}": "must not be LoadBalancer",
	"": "",
	"spec: {volumes: [{name: data, claimTemplate: {storage: 1Gi, storageClassName: slow}}]}":                                            "must be one that the platform allows: fast (bounds.storageClasses)",
	"spec: {volumes: [{name: data, claimTemplate: {storage: 1Gi, storageClassName: fast}}]}":                                            "",
	", service: {ipFamilyPolicy: PreferDualStack}":                                                                                      "(bounds.ipFamilyPolicies)",
	", service: {ipFamilyPolicy: SingleStack}":                                                                                          "",
	", infrastructure: {pod: {schedulerName: mine}}":                                                                                    "(bounds.schedulers)",
	", infrastructure: {pod: {imagePullPolicy: Never}}":                                                                                 "(bounds.imagePullPolicies)",
	", infrastructure: {pod: {imagePullPolicy: Always}}":                                                                                "",
	", infrastructure: {pod: {fsGroupPolicy: Fixed}}":                                                                                   "(bounds.fsGroupPolicies)",
	", infrastructure: {pod: {supplementalGroups: [5000, 7000]}}":                                                                       "among those that the platform allows: 5000, 6000 (bounds.supplementalGroups)",
	", infrastructure: {pod: {supplementalGroups: [6000]}}":                                                                             "",
	", service: {annotations: {example.org/a: b}}":                                                                                      "spec.service.annotations must have only keys",
	", infrastructure: {annotations: {example.com/team-b: b}}":                                                                          "spec.infrastructure.annotations must have only keys",
	", service: {annotations: {example.com/team: b, external-dns.alpha.kubernetes.io/ttl: '60'}}":                                       "",
	", infrastructure: {labels: {sidecar.istio.io/inject: 'true'}}":                                                                     "spec.infrastructure.labels must have only keys that the platform allows: team (bounds.labels)",
	", infrastructure: {labels: {team: a}}":                                                                                             "",
	", infrastructure: {pod: {tolerations: [{operator: Exists}]}}":                                                                      "(bounds.tolerations)",
	", infrastructure: {pod: {tolerations: [{key: files, operator: Exists}]}}":                                                          "(bounds.tolerations)",
	", infrastructure: {pod: {tolerations: [{key: zone, operator: Exists, effect: NoExecute}]}}":                                        "(bounds.tolerations)",
	", infrastructure: {pod: {tolerations: [{key: zone, value: b}]}}":                                                                   "(bounds.tolerations)",
	", infrastructure: {pod: {tolerations: [{key: files, value: x, effect: NoSchedule}]}}":                                              "",
	", infrastructure: {pod: {tolerations: [{key: zone, value: a, effect: NoExecute}]}}":                                                "",
	", infrastructure: {pod: {resources: {limits: {memory: 5Gi, ephemeral-storage: 1Gi}}}}":                                             "must not have limits.memory above 4Gi (bounds.maxLimits)",
	", infrastructure: {pod: {resources: {limits: {memory: 1Gi, ephemeral-storage: 2Gi}}}}":                                             "must not have limits.ephemeral-storage above 1Gi (bounds.maxLimits)",
	", infrastructure: {pod: {resources: {requests: {cpu: 2500m}, limits: {memory: 1Gi, ephemeral-storage: 1Gi}}}}":                     "must not have requests.cpu above 2 (bounds.maxRequests)",
	", infrastructure: {pod: {resources: {requests: {cpu: 2}, limits: {memory: 4Gi, ephemeral-storage: 1Gi}}}}":                         "",
	", retention: {rules: [{name: old, deleteAfterSeconds: 90000, mode: Enforce}]}":                                                     "(bounds.retentionModes)",
	", retention: {rules: [{name: old, deleteAfterSeconds: 7200}]}":                                                                     "must be 86400 or more (bounds.retentionMinSeconds)",
	", retention: {rules: [{name: old, deleteAfterSeconds: 86400}]}":                                                                    "",
	", cryptoPolicy: Legacy2026, allowedCIDRs: [192.0.2.0/24], cryptoPolicyExpirationTime: 2027-07-01T00:00:00Z":                        "must not be later than 2027-06-30T00:00:00Z (bounds.legacyUntil)",
	", cryptoPolicy: Legacy2026, allowedCIDRs: [192.0.2.0/24], cryptoPolicyExpirationTime: 2027-06-30T00:00:00Z":                        "",
	", tracing: {endpoint: 'http://collector.team-b.svc:4318'}":                                                                         "must have a host that the platform allows: collector.observability.svc, 10.20.0.7, 2001:db8::1, *.traces.example.com (bounds.tracingHosts)",
	", tracing: {endpoint: 'http://10.20.0.70:4318'}":                                                                                   "(bounds.tracingHosts)",
	", tracing: {endpoint: 'http://Collector.observability.svc:4318'}":                                                                  "",
	", tracing: {endpoint: 'https://a.traces.example.com'}":                                                                             "",
	", tracing: {endpoint: 'http://[2001:db8::1]:4318'}":                                                                                "",
	", events: {sinks: [{name: a, url: 'https://evil.example.com/x'}]}":                                                                 "(bounds.events.hosts)",
	", events: {sinks: [{name: a, url: 'https://partners.example.com/x'}]}":                                                             "(bounds.events.hosts)",
	", events: {sinks: [{name: a, url: 'http://receiver.team-b.svc/x'}]}":                                                               "(bounds.events.hosts)",
	", events: {sinks: [{name: a, url: 'https://events.example.com:8443/x'}, {name: b, url: 'https://x.partners.example.com'}]}":        "",
	", events: {sinks: [{name: a, url: 'http://receiver.team-a.svc.cluster.local:8080/'}, {name: b, serviceRef: {name: c, port: 80}}]}": "",
}

// violated reports whether the operator finds that a listener breaks the platform's policy.
func violated(t *testing.T, p *platform.Policy, o *unstructured.Unstructured) bool {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	l := &v1alpha1.SFTPListener{}
	if err := json.Unmarshal(data, l); err != nil {
		t.Fatal(err)
	}
	if len(p.Decide(l, time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)).Violations) > 0 {
		return true
	}
	if l.Spec.Events == nil {
		return false
	}
	return slices.ContainsFunc(relay.Compose(relay.Input{Listener: l, Platform: p}).Problems, func(problem conditions.Problem) bool {
		return problem.Reason == v1alpha1.ReasonPlatformPolicy
	})
}

// TestAdmissionPolicies runs the policies as the chart renders them on a real API server.
func TestAdmissionPolicies(t *testing.T) {
	a := newAdmission(t)
	spec := func(more string) string {
		return "spec: {volumes: [{name: data, claimTemplate: {storage: 1Gi}}]" + more + "}"
	}
	dryRun := func(c client.Client, o *unstructured.Unstructured) func(context.Context) error {
		return func(ctx context.Context) error { return c.Create(ctx, o.DeepCopy(), client.DryRunAll) }
	}
	old := a.manifest("SFTPListener", "old", spec(", service: {type: NodePort}"))
	a.admin = client.WithFieldValidation(a.admin, metav1.FieldValidationStrict)

	t.Run("bounds", func(t *testing.T) {
		bounds, err := platform.Parse([]byte(`{"defaults":{"resources":{"limits":{"memory":"1Gi","ephemeral-storage":"1Gi"}}},"bounds":` + admissionBounds + `}`))
		if err != nil {
			t.Fatal(err)
		}
		for more, words := range admissionCases {
			text := more
			if !strings.HasPrefix(more, "spec:") {
				text = spec(more)
			}
			o := a.manifest("SFTPListener", "l", text)
			if found := violated(t, bounds, o); found != (words != "") {
				t.Errorf("%s: the operator finds a violation: %t", more, found)
			}
			if words == "" {
				a.must(dryRun(a.admin, o)(t.Context()))
			} else {
				a.refused(more, dryRun(a.admin, o), words)
			}
		}
	})
	t.Run("existing objects", func(t *testing.T) {
		binding := &unstructured.Unstructured{Object: object{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": object{"name": "sftp-bounds"},
		}}
		a.must(a.admin.Get(t.Context(), client.ObjectKeyFromObject(binding), binding))
		again := binding.DeepCopy()
		a.must(a.admin.Delete(t.Context(), binding))
		for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			err := a.admin.Create(t.Context(), old)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		again.SetResourceVersion("")
		again.SetUID("")
		a.must(a.admin.Create(t.Context(), again))
		a.refused("another one like it", dryRun(a.admin, a.manifest("SFTPListener", "l", spec(", service: {type: NodePort}"))), "bounds.serviceTypes")
		change := func(patch string) error {
			return a.admin.Patch(t.Context(), old.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch)))
		}
		a.must(change(`{"spec":{"maxUsers":7}}`)) // what the bound does not allow is unchanged
		a.refused("a different change to it", func(context.Context) error { return change(`{"spec":{"service":{"type":"LoadBalancer"}}}`) }, "must not be LoadBalancer")
		a.must(change(`{"spec":{"service":{"type":"ClusterIP"}}}`))
	})
	t.Run("deletion", func(t *testing.T) {
		a.must(a.admin.Get(t.Context(), client.ObjectKeyFromObject(old), old))
		a.must(unstructured.SetNestedField(old.Object, int64(3), "status", "attachedUsers"))
		a.must(a.admin.Status().Update(t.Context(), old))
		remove := func(c client.Client, options ...client.DeleteOption) func(context.Context) error {
			return func(ctx context.Context) error { return c.Delete(ctx, old.DeepCopy(), options...) }
		}
		a.refused("a listener with users", remove(a.owner), `SFTPListener old has 3 users: to delete it anyway, first set its annotation sftp-operator.io/allow-deletion to "true"`)
		a.refused("all listeners of a namespace", func(ctx context.Context) error {
			return a.owner.DeleteAllOf(ctx, a.manifest("SFTPListener", "", ""), client.InNamespace("team-a"))
		}, "SFTPListener old has 3 users")
		a.must(remove(a.cleaner, client.DryRunAll)(t.Context())) // its namespace ends
		a.must(a.admin.Patch(t.Context(), old.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"sftp-operator.io/allow-deletion":"true"}}}`))))
		a.must(remove(a.owner)(t.Context()))
	})
	t.Run("host keys", func(t *testing.T) {
		host, mine := a.manifest("SFTPKey", "l-ed25519", "spec: {usage: Host}"), a.manifest("SFTPKey", "mine", "spec: {usage: Client, userRef: {name: acme}}")
		a.must(dryRun(a.tenant, mine)(t.Context()))
		a.refused("a tenant's host key", dryRun(a.tenant, host), "may be written only by those who may update SFTPListeners in the namespace")
		a.must(dryRun(a.owner, host)(t.Context()))
		a.must(a.operator.Create(t.Context(), host))
		rotate := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"rotation":{"overlapSeconds":0}}}`))
		err := a.tenant.Patch(t.Context(), host.DeepCopy(), rotate)
		if !apierrors.IsForbidden(err) {
			t.Errorf("a tenant rotates a host key: %v", err)
		}
		if err := a.tenant.Delete(t.Context(), host.DeepCopy()); !apierrors.IsForbidden(err) {
			t.Errorf("a tenant deletes a host key: %v", err)
		}
		a.must(a.owner.Patch(t.Context(), host.DeepCopy(), rotate))
		a.must(a.cleaner.Delete(t.Context(), host.DeepCopy(), client.DryRunAll))
		a.must(a.operator.Delete(t.Context(), host))
	})
}

// TestNoAdmissionPolicies: by default there are none.
func TestNoAdmissionPolicies(t *testing.T) {
	if out := render(t, "--set", "crds.enabled=false"); strings.Contains(out, "ValidatingAdmissionPolicy") {
		t.Error("there are policies by default")
	}
}
