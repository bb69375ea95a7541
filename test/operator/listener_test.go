package operator

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func TestListenerGetsItsObjects(t *testing.T) {
	ns := namespace(t, nil)
	l := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home", ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi")}}}
	})
	create(t, l)
	waitFor(t, l, "Ready", "False", "PodsUnavailable",
		fmt.Sprintf("No pod is ready; kubectl -n %s describe pods -l sftp-operator.io/listener=partners says why", ns))
	waitFor(t, l, "Accepted", "True", "Accepted", "The operator acts on the spec")
	waitFor(t, l, "ResolvedRefs", "True", "ResolvedRefs", "Host keys and claims are usable")
	waitFor(t, l, "Programmed", "False", "ConfigPending", "No pod is ready to load the configuration")

	owned := map[string]client.Object{
		"partners-sftp":          &appsv1.Deployment{},
		"partners-sftp ":         &corev1.Service{},
		"partners-sftp  ":        &corev1.ServiceAccount{},
		"partners-sftp   ":       &networkingv1.NetworkPolicy{},
		"partners-sftp-config":   &corev1.Secret{},
		"partners-sftp-users-00": &corev1.Secret{},
		"partners-sftp-users-01": &corev1.Secret{},
		"partners-ed25519":       &v1alpha1.SFTPKey{},
	}
	for name, o := range owned {
		eventually(t, func() error {
			return api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: strings.TrimSpace(name)}, o)
		})
		if !metav1.IsControlledBy(o, l) || o.GetLabels()[v1alpha1.LabelListener] != "partners" {
			t.Errorf("%T %s: owners %v, labels %v", o, name, o.GetOwnerReferences(), o.GetLabels())
		}
	}
	for name, o := range map[string]client.Object{"partners-ed25519": &corev1.Secret{}, "partners-home": &corev1.PersistentVolumeClaim{}} {
		get(t, o, ns, name)
		if len(o.GetOwnerReferences()) != 0 {
			t.Errorf("%T %s has an owner, but it must outlive the listener", o, name)
		}
	}

	readyPod(t, l, "a")
	waitFor(t, l, "Programmed", "True", "Programmed", "All 1 ready pods have loaded the configuration")
	waitFor(t, l, "Ready", "True", "Ready", "Clients can log in")
	k := &v1alpha1.SFTPKey{}
	get(t, k, ns, "partners-ed25519")
	if len(l.Status.HostKeys) != 1 || l.Status.HostKeys[0].Fingerprint != k.Status.Fingerprint || l.Status.HostKeys[0].Algorithm != "ssh-ed25519" {
		t.Errorf("host keys %v, want that of the SFTPKey, %s", l.Status.HostKeys, k.Status.Fingerprint)
	}
	host := "partners-sftp." + ns + ".svc"
	if len(l.Status.Addresses) != 1 || l.Status.Addresses[0] != (v1alpha1.ListenerAddress{Type: "Hostname", Value: host, Port: 22}) {
		t.Errorf("addresses %v", l.Status.Addresses)
	}
	if len(l.Status.KnownHosts) != 1 || l.Status.KnownHosts[0] != host+" "+k.Status.PublicKey {
		t.Errorf("known hosts %q", l.Status.KnownHosts)
	}
	// Pods that are not ready count too: an autoscaler that sees too few would scale the wrong way.
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-sftp"}}
	get(t, d, ns, d.Name)
	d.Status.Replicas, d.Status.ReadyReplicas = 2, 1
	if err := api.Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		if l.Status.Selector != "sftp-operator.io/listener=partners" || *l.Status.Replicas != 2 || *l.Status.AttachedUsers != 0 {
			return fmt.Errorf("selector %q, replicas %d, users %d", l.Status.Selector, *l.Status.Replicas, *l.Status.AttachedUsers)
		}
		return nil
	})
}

func TestListenerWithoutReplicas(t *testing.T) {
	l := newListener(namespace(t, nil), func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(0)) })
	create(t, l)
	waitFor(t, l, "Inactive", "True", "ScaledToZero", "spec.replicas is 0; raise it to serve clients")
}

func TestClaimThatIsMissing(t *testing.T) {
	ns := namespace(t, nil)
	l := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "files"}}}
	})
	create(t, l)
	message := `PersistentVolumeClaim "files" of volume "home" does not exist in namespace "` + ns + `"; create it or correct spec.volumes`
	waitFor(t, l, "ResolvedRefs", "False", "VolumeClaimNotFound", message)
	waitFor(t, l, "Ready", "False", "VolumeClaimNotFound", message)
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "partners-sftp"}, &appsv1.Deployment{}); !apierrors.IsNotFound(err) {
		t.Errorf("a Deployment without its claim: %v", err)
	}

	create(t, claim(ns, "files", corev1.ReadWriteOnce))
	waitFor(t, l, "ResolvedRefs", "True", "ResolvedRefs", "")
	d := &appsv1.Deployment{}
	eventually(t, func() error { return api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "partners-sftp"}, d) })
	if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("strategy %s: a new pod would wait for a claim that the old one holds", d.Spec.Strategy.Type)
	}
}

func TestClaimThatCannotBeShared(t *testing.T) {
	ns := namespace(t, nil)
	create(t, claim(ns, "files", corev1.ReadWriteOnce))
	l := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Replicas = new(int32(2))
		l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "files"}}}
	})
	create(t, l)
	message := `replicas is 2, but the claim of volume "home" is [ReadWriteOnce], which only one node can mount; set replicas to 1 or use a ReadWriteMany claim`
	waitFor(t, l, "Accepted", "False", "VolumeNotShareable", message)
	waitFor(t, l, "Ready", "False", "VolumeNotShareable", message)
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(1)) })
	waitFor(t, l, "Accepted", "True", "Accepted", "")
}

func TestSharedClaimGetsABudget(t *testing.T) {
	ns := namespace(t, nil)
	create(t, claim(ns, "files", corev1.ReadWriteMany))
	l := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Replicas = new(int32(2))
		l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "files"}}}
	})
	create(t, l)
	budget := client.ObjectKey{Namespace: ns, Name: "partners-sftp"}
	eventually(t, func() error { return api.Get(t.Context(), budget, &policyv1.PodDisruptionBudget{}) })
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(1)) })
	eventually(t, func() error {
		if err := api.Get(t.Context(), budget, &policyv1.PodDisruptionBudget{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the budget blocks the drain of the only pod's node: %w", err)
		}
		return nil
	})
}

func claim(ns, name string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{mode},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		},
	}
}

func TestForeignServiceIsNotTouched(t *testing.T) {
	ns := namespace(t, nil)
	foreign := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-sftp"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	create(t, foreign)
	l := newListener(ns)
	create(t, l)
	waitFor(t, l, "ObjectsApplied", "False", "ResourceConflict", "")
	c := meta.FindStatusCondition(l.Status.Conditions, "ObjectsApplied")
	if want := `Service "partners-sftp" in namespace "` + ns + `" exists and was not created by the operator for this listener; rename or delete it`; !strings.HasPrefix(c.Message, want) {
		t.Errorf("%s, want %s", c.Message, want)
	}
	waitFor(t, l, "Ready", "False", "PodsUnavailable", "")
	after := &corev1.Service{}
	get(t, after, ns, "partners-sftp")
	if after.ResourceVersion != foreign.ResourceVersion {
		t.Error("the foreign Service was written")
	}
}

func TestDriftIsRepaired(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-sftp"}}
	change(t, service, func(s *corev1.Service) {
		s.Spec.Selector[v1alpha1.LabelListener] = "other"
		s.Spec.Ports[0].Port = 2022
	})
	eventually(t, func() error {
		get(t, service, ns, "partners-sftp")
		if got := service.Spec.Selector[v1alpha1.LabelListener]; got != l.Name {
			return fmt.Errorf("the Service selects %q", got)
		}
		if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Port != 22 {
			return fmt.Errorf("the Service has the ports %v", service.Spec.Ports)
		}
		return nil
	})
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-sftp"}}
	get(t, deployment, ns, "partners-sftp")
	before := deployment.UID
	remove(t, deployment)
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(deployment), deployment); err != nil {
			return err
		}
		if deployment.UID == before {
			return fmt.Errorf("the Deployment was not recreated")
		}
		return nil
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-sftp-users-00"}}
	change(t, secret, func(s *corev1.Secret) { s.Data["users-00.jsonl"] = []byte("{}\n") })
	eventually(t, func() error {
		get(t, secret, ns, secret.Name)
		if len(secret.Data["users-00.jsonl"]) != 0 {
			return fmt.Errorf("the shard holds %q", secret.Data["users-00.jsonl"])
		}
		return nil
	})
}

func TestPausedListener(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Annotations = map[string]string{v1alpha1.AnnotationPaused: "true"}
	})
	message := `Nothing is changed, and no access is removed, while the annotation sftp-operator.io/paused is "true"; remove it to continue`
	waitFor(t, l, "Accepted", "False", "Paused", message)
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Service.Port = new(int32(2022)) })
	waitFor(t, l, "Inactive", "True", "Paused", message)
	waitFor(t, l, "Programmed", "True", "Programmed", "")
	service := &corev1.Service{}
	get(t, service, ns, "partners-sftp")
	if service.Spec.Ports[0].Port != 22 {
		t.Error("the Service was changed while the listener was paused")
	}

	change(t, l, func(l *v1alpha1.SFTPListener) { l.Annotations = nil })
	waitFor(t, l, "Ready", "True", "Ready", "")
	get(t, service, ns, "partners-sftp")
	if service.Spec.Ports[0].Port != 2022 {
		t.Error("the Service was not changed after the pause")
	}
}

func TestLoadBalancerAddress(t *testing.T) {
	ns := namespace(t, nil)
	l := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Service.Type = v1alpha1.ServiceLoadBalancer
		l.Spec.Hostnames = []string{"sftp.example.com"}
	})
	create(t, l)
	readyPod(t, l, "a")
	waitFor(t, l, "Programmed", "False", "AddressNotAssigned", "The load balancer has not assigned an address yet")
	service := &corev1.Service{}
	get(t, service, ns, "partners-sftp")
	before := service.DeepCopy()
	service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.7"}}
	if err := api.Status().Patch(t.Context(), service, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, l, "Ready", "True", "Ready", "")
	got := fmt.Sprint(l.Status.Addresses)
	if want := fmt.Sprintf("[{Hostname sftp.example.com 22} {IPAddress 203.0.113.7 22} {Hostname partners-sftp.%s.svc 22}]", ns); got != want {
		t.Errorf("addresses %s, want %s", got, want)
	}
}

// A quota, or an admission policy, refuses what the operator wants to create.
func TestRefusalOfTheAPIServerIsTold(t *testing.T) {
	l := newListener(namespace(t, nil), func(l *v1alpha1.SFTPListener) {
		// The schema cannot know the cluster's range, which is 30000 to 32767 here.
		l.Spec.Service = v1alpha1.ListenerService{Type: v1alpha1.ServiceNodePort, NodePort: new(int32(80))}
	})
	create(t, l)
	waitFor(t, l, "ObjectsApplied", "False", "ApplyFailed", "")
	waitFor(t, l, "Ready", "False", "PodsUnavailable", "")
}

// TestNodePortInTheStatus: anyone without a host name for a listener still learns its node port, whether assigned or requested.
func TestNodePortInTheStatus(t *testing.T) {
	l := newListener(namespace(t, nil), func(l *v1alpha1.SFTPListener) {
		l.Spec.Hostnames = nil
		l.Spec.Service = v1alpha1.ListenerService{Type: v1alpha1.ServiceNodePort}
	})
	create(t, l)
	has := func(check func(svc *corev1.Service) bool) {
		t.Helper()
		eventually(t, func() error {
			svc := &corev1.Service{}
			if err := api.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: "partners-sftp"}, svc); err != nil {
				return err
			}
			if get(t, l, l.Namespace, l.Name); l.Status.NodePort != svc.Spec.Ports[0].NodePort || !check(svc) {
				return fmt.Errorf("status.nodePort is %d, the Service has %d", l.Status.NodePort, svc.Spec.Ports[0].NodePort)
			}
			return nil
		})
	}
	has(func(svc *corev1.Service) bool { return svc.Spec.Ports[0].NodePort >= 30000 })
	for _, a := range l.Status.Addresses {
		if a.Port != 22 {
			t.Errorf("address %v: the name within the cluster has the port of the Service", a)
		}
	}
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Service.Type = v1alpha1.ServiceClusterIP })
	has(func(svc *corev1.Service) bool { return svc.Spec.Ports[0].NodePort == 0 })
}
