package workload

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/deadline"
)

// Defaults that the API server adds are not drift, and nothing is written twice, not even by another process.
func TestEverythingIsApplied(t *testing.T) {
	for name, edit := range map[string]func(*v1alpha1.SFTPListener){
		"cluster IP": func(*v1alpha1.SFTPListener) {},
		"node port":  func(l *v1alpha1.SFTPListener) { l.Spec.Service.Type = "NodePort" },
		"load balancer": func(l *v1alpha1.SFTPListener) {
			l.Spec.Service = v1alpha1.ListenerService{
				Type: "LoadBalancer", LoadBalancerClass: "example.com/fast", LoadBalancerSourceRanges: []string{"198.51.100.0/24"},
				Annotations: map[string]string{"example.com/a": "b"},
			}
		},
		"full": func(l *v1alpha1.SFTPListener) {
			l.Spec.MaxUsers = new(int32(3000))
			l.Spec.Volumes = append(l.Spec.Volumes, v1alpha1.ListenerVolume{Name: "left", ClaimTemplate: l.Spec.Volumes[0].ClaimTemplate})
			in := &l.Spec.Infrastructure
			in.Labels, in.Annotations = map[string]string{"team": "files"}, map[string]string{"example.com/contact": "files"}
			in.Pod.Resources = &v1alpha1.PodResources{
				Limits: &v1alpha1.ResourceAmounts{Memory: new(mustParse("1024Mi")), CPU: new(mustParse("0.5"))},
			}
			in.Pod.NodeSelector = map[string]string{"kubernetes.io/os": "linux"}
			in.Pod.Tolerations = []v1alpha1.Toleration{{Key: "files", Operator: "Exists", Effect: "NoSchedule"}}
			in.Pod.TopologySpreadConstraints = []v1alpha1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "topology.kubernetes.io/zone", WhenUnsatisfiable: "DoNotSchedule"}}
			in.Pod.ImagePullSecrets = []v1alpha1.LocalSecretReference{{Name: "registry"}}
		},
		"placement and network": func(l *v1alpha1.SFTPListener) {
			l.Spec.Service = v1alpha1.ListenerService{
				Type: "LoadBalancer", LoadBalancerNodePorts: v1alpha1.NodePortsOmit, IPFamilyPolicy: v1alpha1.IPPreferDualStack, AppProtocol: "tcp",
				SessionAffinity: v1alpha1.SessionAffinityClientIP, SessionAffinityTimeoutSeconds: new(int32(60)), TrafficDistribution: "PreferClose",
			}
			pod := &l.Spec.Infrastructure.Pod
			pod.ImagePullPolicy, pod.RuntimeClassName, pod.SchedulerName = "Always", "sandbox", "other"
			pod.FSGroupPolicy, pod.SupplementalGroups = v1alpha1.FSGroupPlatform, []int64{2000}
			pod.Affinity = &v1alpha1.PodAffinity{
				NodeAffinity: &v1alpha1.NodeAffinity{Required: &v1alpha1.NodeSelector{NodeSelectorTerms: []v1alpha1.NodeSelectorTerm{
					{MatchExpressions: []v1alpha1.NodeSelectorRequirement{{Key: "disk", Operator: "In", Values: []string{"ssd"}}}},
				}}},
				PodAntiAffinity: &v1alpha1.PodAffinityTerms{Required: []v1alpha1.PodAffinityTerm{{TopologyKey: "kubernetes.io/hostname"}}},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t, edit)
			r := e.applied()
			if r.Rollout.State != Starting || r.Service == nil || r.Deployment == nil || len(r.Drift) != 0 {
				t.Errorf("rollout %+v, service %v, deployment %v, drift %q", r.Rollout, r.Service != nil, r.Deployment != nil, r.Drift)
			}
			if len(r.KnownHosts) == 0 || !strings.HasSuffix(r.KnownHosts[0], "ssh-ed25519 AAAA") || len(r.Addresses) == 0 || r.Retry != knownHostsInterval {
				t.Errorf("known_hosts %q, addresses %v, retry %s", r.KnownHosts, r.Addresses, r.Retry)
			}
			versions := e.versions()
			for _, n := range objectNames {
				if versions[n] == "" {
					t.Errorf("%s was not made", n)
				}
			}
			for range 2 {
				r = e.applied()
				e.through(operator)
			}
			if len(r.Drift) != 0 || r.Rollout.State != Starting || len(r.Rollout.Changes) != 0 {
				t.Errorf("drift %q, rollout %+v", r.Drift, r.Rollout)
			}
			if again := e.versions(); !reflect.DeepEqual(again, versions) {
				t.Errorf("written again: %v, before %v", again, versions)
			}
			e.edit(func(s *v1alpha1.SFTPListenerSpec) { s.Replicas = new(int32(1)) })
			e.applied()
			if e.versions()["PodDisruptionBudget partners-sftp"] != "" {
				t.Error("one pod has a budget, which keeps its node from being drained")
			}
		})
	}
}

// versions returns the resource versions of the existing objects.
func (e *endpoint) versions() map[string]string {
	e.Helper()
	out := map[string]string{}
	for _, n := range objectNames {
		kind, name, _ := strings.Cut(n, " ")
		o, err := e.find(kind, name)
		if client.IgnoreNotFound(err) != nil {
			e.Fatal(err)
		}
		out[n] = o.GetResourceVersion()
	}
	return out
}

// faults are the possible outcomes of a call.
var faults = map[string]func(context.Context) error{
	"error": func(context.Context) error { return errors.New("etcd is away") },
	"refusal": func(context.Context) error {
		return apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("denied"))
	},
	"hang":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	"panic": func(context.Context) error { panic("a defect") },
}

// needs reports whether an object requires another one: pods require their claim, and known_hosts lines an address.
func needs(object, kind string) bool {
	return strings.HasPrefix(object, "Deployment ") && kind == "PersistentVolumeClaim" || strings.HasPrefix(object, "ConfigMap ") && kind == "Service"
}

// Whatever happens to one object, all others are applied, except that the pods wait for their claim.
func TestOneObjectHoldsUpNothingElse(t *testing.T) {
	for _, broken := range objectNames {
		kind, _, _ := strings.Cut(broken, " ")
		for fault, fail := range faults {
			t.Run(kind+" "+fault, func(t *testing.T) {
				t.Parallel()
				e := newEndpoint(t)
				on := true
				e.through(deadline.NewClient(interceptor.NewClient(operator, interceptor.Funcs{
					Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
						if u, ok := o.(client.Object); ok && on && u.GetObjectKind().GroupVersionKind().Kind == kind {
							return fail(ctx)
						}
						return c.Apply(ctx, o, opts...)
					},
				}), time.Second))
				r := e.apply()
				if len(r.Refusals) != 1 || !strings.HasPrefix(r.Refusals[0].Object, kind+" ") || r.Refusals[0].Temporary == (fault == "refusal") {
					t.Errorf("refusals %+v", r.Refusals)
				}
				if (r.Err != nil) == (fault == "refusal") || fault == "refusal" && r.Retry != 30*time.Second {
					t.Errorf("error %v, retry %s", r.Err, r.Retry)
				}
				for n, version := range e.versions() {
					lacks := n == broken || needs(n, kind)
					if lacks != (version == "") {
						t.Errorf("%s exists: %v", n, version != "")
					}
				}
				on = false
				e.applied()
				for n, version := range e.versions() {
					if version == "" {
						t.Errorf("%s was not made later", n)
					}
				}
			})
		}
	}
}

// For a running endpoint, a claim whose change is refused delays nothing, because the claim exists.
func TestRefusedChangeOfAClaimHoldsUpNothing(t *testing.T) {
	e := newEndpoint(t)
	e.applied()
	e.edit(func(s *v1alpha1.SFTPListenerSpec) {
		s.Volumes[0].ClaimTemplate.Storage = mustParse("2Gi") // the claim is not bound, so that it cannot grow
		s.Infrastructure.Pod.PriorityClassName = "high"
	})
	r := e.apply()
	if len(r.Refusals) != 1 || r.Refusals[0].Object != `PersistentVolumeClaim "partners-home"` || r.Refusals[0].Temporary {
		t.Errorf("refusals %+v", r.Refusals)
	}
	if got := e.deployment().Spec.Template.Spec.PriorityClassName; got != "high" {
		t.Errorf("the Deployment did not get the change: %q", got)
	}
}

// A foreign object that already exists blocks only the object with its name.
func TestForeignObjects(t *testing.T) {
	for _, foreign := range objectNames {
		kind, name, _ := strings.Cut(foreign, " ")
		t.Run(kind, func(t *testing.T) {
			e := newEndpoint(t)
			seed := newEndpoint(t)
			seed.applied()
			o, err := seed.find(kind, name)
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := o.(*corev1.Service); ok {
				s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
			}
			o.SetNamespace(e.listener.Namespace)
			o.SetResourceVersion("")
			o.SetUID("")
			o.SetOwnerReferences(nil)
			o.SetManagedFields(nil)
			o.SetLabels(nil)
			if kind != "PersistentVolumeClaim" {
				o.SetLabels(map[string]string{v1alpha1.LabelListener: "partners"}) // it takes more than that
			}
			if err := admin.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			r := e.apply()
			want := fmt.Sprintf("%s %q in namespace %q exists and was not created by the operator for this listener; rename or delete it, ", kind, name, e.listener.Namespace)
			if len(r.Refusals) != 1 || r.Refusals[0].Reason != v1alpha1.ReasonResourceConflict || !strings.HasPrefix(r.Refusals[0].Message, want) || r.Err != nil {
				t.Errorf("refusals %+v, error %v", r.Refusals, r.Err)
			}
			versions := e.versions()
			if versions[foreign] != o.GetResourceVersion() {
				t.Error("the foreign object was written")
			}
			for n, version := range versions {
				if lacks := needs(n, kind); lacks != (version == "") {
					t.Errorf("%s exists: %v", n, version != "")
				}
			}
			if kind == "Service" && r.Service != nil {
				t.Error("the foreign Service counts as the listener's")
			}
		})
	}
}

// Additions by hand stay, as usual with server-side apply, and are reported. The operator's own fields are restored.
func TestDriftIsShown(t *testing.T) {
	e := newEndpoint(t)
	e.applied()
	change(e, e.deployment(), func(d *deployment) {
		s := &d.Spec.Template.Spec
		s.HostNetwork = true
		s.Containers = append(s.Containers, corev1.Container{Name: "evil", Image: "evil"})
		s.Containers[0].Image = "evil"
		d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "2026-11-28T12:00:00Z"}
	})
	change(e, get(e, &corev1.Service{}, "partners-sftp"), func(s *corev1.Service) {
		s.Spec.ExternalIPs = []string{"198.51.100.7"}
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "more", Port: 80})
	})
	for range 2 {
		r := e.applied()
		want := []string{
			"Service spec.externalIPs",
			`Deployment spec.template.spec.containers[name="evil"]`,
			"Deployment spec.template.spec.hostNetwork",
			"Service spec.externalTrafficPolicy", // the API server sets it with externalIPs
		}
		if !sameStrings(r.Drift, want) {
			t.Errorf("drift\n\t%q\nwant\n\t%q", r.Drift, want)
		}
	}
	for _, c := range e.deployment().Spec.Template.Spec.Containers {
		if c.Name == "sftpd" && c.Image != image {
			t.Errorf("the image is still %s", c.Image)
		}
	}
	if ports := get(e, &corev1.Service{}, "partners-sftp").Spec.Ports; len(ports) != 1 {
		t.Errorf("ports %v", ports)
	}
}

// Changing the claim's retention takes effect in both directions, with only the permissions of the generated role, and other
// changes are applied along with it.
func TestVolumeClaimRetention(t *testing.T) {
	owned := func(c *corev1.PersistentVolumeClaim) bool { return len(c.OwnerReferences) > 0 }
	for _, first := range []v1alpha1.RetentionPolicy{v1alpha1.Retain, v1alpha1.Delete} {
		t.Run(string(first), func(t *testing.T) {
			e := newEndpoint(t, func(l *v1alpha1.SFTPListener) { l.Spec.VolumeClaimRetention = first })
			for i, retention := range []v1alpha1.RetentionPolicy{first, v1alpha1.Delete, v1alpha1.Retain, v1alpha1.Delete, v1alpha1.Retain} {
				class := fmt.Sprint("class-", i)
				e.edit(func(s *v1alpha1.SFTPListenerSpec) {
					s.VolumeClaimRetention, s.Infrastructure.Pod.PriorityClassName = retention, class
				})
				e.applied()
				if c := e.claim(); owned(c) != (retention == v1alpha1.Delete) {
					t.Errorf("%s: owners %v", retention, c.OwnerReferences)
				}
				if got := e.deployment().Spec.Template.Spec.PriorityClassName; got != class {
					t.Errorf("%s: the Deployment has the priority class %q", retention, got)
				}
			}
		})
	}
}

// A recreated listener adopts the objects of a former one that was deleted without them.
func TestOrphansAreTakenUp(t *testing.T) {
	e := newEndpoint(t)
	e.applied()
	old := e.listener.DeepCopy()
	if err := admin.Delete(t.Context(), e.listener); err != nil {
		t.Fatal(err)
	}
	for _, n := range objectNames { // the garbage collector's work
		kind, name, _ := strings.Cut(n, " ")
		o, err := e.find(kind, name)
		if err != nil {
			t.Fatal(err)
		}
		o.SetOwnerReferences(nil)
		if err := admin.Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	e.listener = &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: old.Namespace, Name: old.Name}, Spec: old.Spec}
	if err := admin.Create(t.Context(), e.listener); err != nil {
		t.Fatal(err)
	}
	e.through(operator)
	r := e.applied()
	if len(r.Drift) != 0 {
		t.Errorf("drift %q", r.Drift)
	}
	for _, n := range objectNames {
		kind, name, _ := strings.Cut(n, " ")
		o, err := e.find(kind, name)
		if err != nil || kind != "PersistentVolumeClaim" && !metav1.IsControlledBy(o, e.listener) {
			t.Errorf("%s: owners %v, error %v", n, o.GetOwnerReferences(), err)
		}
	}
}
