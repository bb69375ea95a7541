package drift

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

func listener() *v1alpha1.SFTPListener {
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "partners"}}
	l.Spec.Replicas = new(int32(2))
	l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "files"}}}
	l.Spec.Service.Type = "LoadBalancer"
	l.Spec.Infrastructure.Annotations = map[string]string{"example.com/contact": "files"}
	l.Spec.Infrastructure.Pod.Resources = &v1alpha1.PodResources{Limits: &v1alpha1.ResourceAmounts{Memory: new(resource.MustParse("1Gi"))}}
	return l
}

// deployment returns a live one: what is wanted plus what the API server fills in.
func deployment() *appsv1.Deployment {
	d := render.Deployment(listener(), "sftpd:v1", false)
	d.Spec = deploymentSpec(d.Spec, d.Spec)
	return d
}

func service() *corev1.Service {
	s := render.Service(listener())
	s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.0.0.1", []string{"10.0.0.1"}
	s.Spec.IPFamilies, s.Spec.IPFamilyPolicy = []corev1.IPFamily{corev1.IPv4Protocol}, new(corev1.IPFamilyPolicySingleStack)
	s.Spec.HealthCheckNodePort, s.Spec.Ports[0].NodePort = 31000, 32000
	s.Spec.InternalTrafficPolicy, s.Spec.SessionAffinity = new(corev1.ServiceInternalTrafficPolicyCluster), corev1.ServiceAffinityNone
	s.Spec.AllocateLoadBalancerNodePorts, s.Spec.LoadBalancerClass = new(true), new("service.k8s.aws/nlb")
	return s
}

func TestDeployment(t *testing.T) {
	pod := func(edit func(*corev1.PodSpec)) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) { edit(&d.Spec.Template.Spec) }
	}
	daemon := func(edit func(*corev1.Container)) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) { edit(&d.Spec.Template.Spec.Containers[0]) }
	}
	const sftpd = `Deployment spec.template.spec.containers[name="sftpd"]`
	for name, c := range map[string]struct {
		edit func(*appsv1.Deployment)
		want []string
	}{
		"as applied": {edit: func(*appsv1.Deployment) {}},
		"status and metadata": {edit: func(d *appsv1.Deployment) {
			d.Status.Replicas, d.Generation = 3, 7
			d.Annotations = map[string]string{"deployment.kubernetes.io/revision": "3"}
		}},
		"kubectl rollout restart": {edit: func(d *appsv1.Deployment) {
			d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "2026-11-28T12:00:00Z"
		}},
		"pulls always": {edit: daemon(func(c *corev1.Container) { c.ImagePullPolicy = corev1.PullAlways })},
		"pulls never":  {edit: daemon(func(c *corev1.Container) { c.ImagePullPolicy = corev1.PullNever }), want: []string{sftpd + ".imagePullPolicy"}},
		"a container":  {edit: pod(func(s *corev1.PodSpec) { s.Containers = append(s.Containers, corev1.Container{Name: "evil"}) }), want: []string{`Deployment spec.template.spec.containers[name="evil"]`}},
		"a container in front": {
			edit: pod(func(s *corev1.PodSpec) { s.Containers = slices.Insert(s.Containers, 0, corev1.Container{Name: "evil"}) }),
			want: []string{`Deployment spec.template.spec.containers[name="evil"]`},
		},
		"an init container": {edit: pod(func(s *corev1.PodSpec) { s.InitContainers = []corev1.Container{{Name: "i"}} }), want: []string{"Deployment spec.template.spec.initContainers"}},
		"networks of the node": {
			edit: pod(func(s *corev1.PodSpec) { s.HostNetwork, s.HostPID = true, true }),
			want: []string{"Deployment spec.template.spec.hostNetwork", "Deployment spec.template.spec.hostPID"},
		},
		"another account": {
			edit: pod(func(s *corev1.PodSpec) { s.ServiceAccountName, s.DeprecatedServiceAccount = "admin", "admin" }),
			want: []string{"Deployment spec.template.spec.serviceAccount", "Deployment spec.template.spec.serviceAccountName"},
		},
		"a token":    {edit: pod(func(s *corev1.PodSpec) { s.AutomountServiceAccountToken = new(true) }), want: []string{"Deployment spec.template.spec.automountServiceAccountToken"}},
		"a variable": {edit: daemon(func(c *corev1.Container) { c.Env = append(c.Env, corev1.EnvVar{Name: "X", Value: "y"}) }), want: []string{sftpd + `.env[name="X"]`}},
		"a variable twice": {
			edit: daemon(func(c *corev1.Container) { c.Env = append(c.Env, corev1.EnvVar{Name: "GOMEMLIMIT", Value: "1"}) }), want: []string{sftpd + ".env"},
		},
		"variables from elsewhere": {
			edit: daemon(func(c *corev1.Container) { c.EnvFrom = []corev1.EnvFromSource{{Prefix: "a"}} }), want: []string{sftpd + ".envFrom"},
		},
		"privileges": {
			edit: daemon(func(c *corev1.Container) {
				c.SecurityContext.Privileged, c.SecurityContext.RunAsUser = new(true), new(int64(0))
				c.SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_ADMIN"}
			}),
			want: []string{sftpd + ".securityContext.capabilities.add", sftpd + ".securityContext.privileged", sftpd + ".securityContext.runAsUser"},
		},
		"a user of number 0": {edit: pod(func(s *corev1.PodSpec) { s.SecurityContext.RunAsUser = new(int64(0)) }), want: []string{"Deployment spec.template.spec.securityContext.runAsUser"}},
		"a volume": {edit: pod(func(s *corev1.PodSpec) {
			s.Volumes = append(s.Volumes, corev1.Volume{Name: "root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}})
		}), want: []string{`Deployment spec.template.spec.volumes[name="root"]`}},
		"a mount": {
			edit: daemon(func(c *corev1.Container) {
				c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "config", MountPath: "/x"})
			}),
			want: []string{sftpd + `.volumeMounts[mountPath="/x"]`},
		},
		"the same volume twice": {
			edit: daemon(func(c *corev1.Container) {
				c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "data-home", MountPath: "/etc"})
			}),
			want: []string{sftpd + `.volumeMounts[mountPath="/etc"]`},
		},
		"another source of the configuration": {
			edit: pod(func(s *corev1.PodSpec) {
				s.Volumes[0].Projected.Sources = append(s.Volumes[0].Projected.Sources, corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{}})
			}),
			want: []string{`Deployment spec.template.spec.volumes[name="config"].projected.sources`},
		},
		"an injector's annotation": {
			edit: func(d *appsv1.Deployment) { d.Spec.Template.Annotations["sidecar.istio.io/inject"] = "true" },
			want: []string{`Deployment spec.template.metadata.annotations["sidecar.istio.io/inject"]`},
		},
		"a label": {
			edit: func(d *appsv1.Deployment) { d.Spec.Template.Labels["azure.workload.identity/use"] = "true" },
			want: []string{`Deployment spec.template.metadata.labels["azure.workload.identity/use"]`},
		},
		"a lifecycle hook": {
			edit: daemon(func(c *corev1.Container) { c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}} }), want: []string{sftpd + ".lifecycle"},
		},
		"a host port": {edit: daemon(func(c *corev1.Container) { c.Ports[0].HostPort = 2222 }), want: []string{sftpd + `.ports[name="sftp"].hostPort`}},
		"a probe":     {edit: daemon(func(c *corev1.Container) { c.LivenessProbe.InitialDelaySeconds = 3600 }), want: []string{sftpd + ".livenessProbe.initialDelaySeconds"}},
		"paused, and slow": {
			edit: func(d *appsv1.Deployment) { d.Spec.Paused, d.Spec.MinReadySeconds = true, 60 },
			want: []string{"Deployment spec.minReadySeconds", "Deployment spec.paused"},
		},
		"something missing": {
			edit: pod(func(s *corev1.PodSpec) { s.SecurityContext.SeccompProfile = nil }), want: []string{"Deployment spec.template.spec.securityContext.seccompProfile.type"},
		},
		"a volume's kind": {
			edit: pod(func(s *corev1.PodSpec) { s.Volumes[1].PersistentVolumeClaim.ClaimName = "others" }),
			want: []string{`Deployment spec.template.spec.volumes[name="data-home"].persistentVolumeClaim.claimName`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			live := deployment()
			c.edit(live)
			before := live.DeepCopy()
			if got := Of(live, render.Deployment(listener(), "sftpd:v1", false)); !slices.Equal(got, c.want) {
				t.Errorf("drift\n\t%q\nwant\n\t%q", got, c.want)
			}
			if !equality.Semantic.DeepEqual(live, before) {
				t.Error("the live object was changed")
			}
		})
	}
}

func TestService(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*corev1.ServiceSpec)
		want []string
	}{
		"as assigned":   {edit: func(*corev1.ServiceSpec) {}},
		"external IPs":  {edit: func(s *corev1.ServiceSpec) { s.ExternalIPs = []string{"198.51.100.7"} }, want: []string{"Service spec.externalIPs"}},
		"another IP":    {edit: func(s *corev1.ServiceSpec) { s.LoadBalancerIP = "198.51.100.7" }, want: []string{"Service spec.loadBalancerIP"}},
		"unready pods":  {edit: func(s *corev1.ServiceSpec) { s.PublishNotReadyAddresses = true }, want: []string{"Service spec.publishNotReadyAddresses"}},
		"affinity":      {edit: func(s *corev1.ServiceSpec) { s.SessionAffinity = corev1.ServiceAffinityClientIP }, want: []string{"Service spec.sessionAffinity"}},
		"other pods":    {edit: func(s *corev1.ServiceSpec) { s.Selector["app"] = "evil" }, want: []string{"Service spec.selector.app"}},
		"another port":  {edit: func(s *corev1.ServiceSpec) { s.Ports = append(s.Ports, corev1.ServicePort{Name: "x", Port: 80}) }, want: []string{`Service spec.ports[name="x"]`}},
		"source ranges": {edit: func(s *corev1.ServiceSpec) { s.LoadBalancerSourceRanges = []string{"0.0.0.0/0"} }, want: []string{"Service spec.loadBalancerSourceRanges"}},
		"its type": {
			edit: func(s *corev1.ServiceSpec) { s.Type, s.ExternalName = corev1.ServiceTypeExternalName, "evil.example" },
			want: []string{"Service spec.externalName", "Service spec.type"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			live := service()
			c.edit(&live.Spec)
			if got := Of(live, render.Service(listener())); !slices.Equal(got, c.want) {
				t.Errorf("drift\n\t%q\nwant\n\t%q", got, c.want)
			}
		})
	}
	l := listener()
	l.Spec.Service.Type = "ClusterIP"
	live := render.Service(l)
	live.Spec.SessionAffinity, live.Spec.InternalTrafficPolicy = corev1.ServiceAffinityNone, new(corev1.ServiceInternalTrafficPolicyCluster)
	live.Spec.Ports[0].NodePort = 30000
	if got := Of(live, render.Service(l)); !slices.Equal(got, []string{`Service spec.ports[name="sftp"].nodePort`}) {
		t.Errorf("a node port of a ClusterIP Service: %q", got)
	}
}

func TestOthers(t *testing.T) {
	l := listener()
	policy, budget := render.NetworkPolicy(l, "sftp-system"), render.PodDisruptionBudget(l)
	policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
	budget.Spec.MinAvailable = new(intstr.FromInt32(1))
	for _, c := range []struct {
		live, want client.Object
		drift      string
	}{
		{render.NetworkPolicy(l, "sftp-system"), render.NetworkPolicy(l, "sftp-system"), "[]"},
		{policy, render.NetworkPolicy(l, "sftp-system"), "[NetworkPolicy spec.egress]"},
		{render.PodDisruptionBudget(l), render.PodDisruptionBudget(l), "[]"},
		{budget, render.PodDisruptionBudget(l), "[PodDisruptionBudget spec.minAvailable]"},
		{&policyv1.PodDisruptionBudget{}, render.ServiceAccount(l), "[]"},
		{budget, policy, "[]"}, // different kinds: nothing to compare
	} {
		if got := fmt.Sprint(Of(c.live, c.want)); got != c.drift {
			t.Errorf("drift %s, want %s", got, c.drift)
		}
	}
}

// Whoever changes an object can choose names in it, and their number.
func TestPathsAreBounded(t *testing.T) {
	live := deployment()
	c := &live.Spec.Template.Spec.Containers[0]
	for i := range 5000 {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("%04d%s", i, strings.Repeat("ä", 1000))})
	}
	got := Of(live, render.Deployment(listener(), "sftpd:v1", false))
	if len(got) != maxPaths+1 || got[maxPaths] != "4992 more" {
		t.Errorf("%d paths, the last %q", len(got), got[len(got)-1])
	}
	for _, p := range got {
		if len(p) > maxPath+3 || strings.ContainsRune(p, '\uFFFD') {
			t.Errorf("%d bytes: %q", len(p), p)
		}
	}
}
