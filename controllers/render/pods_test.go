package render

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// All scheduling fields of spec.infrastructure.pod reach the pods, with every list element.
func TestSchedulingReachesPods(t *testing.T) {
	l := readListener(t, "minimal")
	pod := &l.Spec.Infrastructure.Pod
	pod.Tolerations = []v1alpha1.Toleration{
		{Key: "files", Operator: "Equal", Value: new("yes"), Effect: "NoExecute", TolerationSeconds: new(int64(60))},
		{Key: "slow", Operator: "Exists"},
	}
	pod.ImagePullSecrets = []v1alpha1.LocalSecretReference{{Name: "a"}, {Name: "b"}}
	pod.TopologySpreadConstraints = []v1alpha1.TopologySpreadConstraint{
		{
			MaxSkew: 2, TopologyKey: "zone", WhenUnsatisfiable: "DoNotSchedule", MinDomains: new(int32(3)),
			NodeAffinityPolicy: "Ignore", NodeTaintsPolicy: "Honor", MatchLabelKeys: []string{"pod-template-hash"},
		},
		{MaxSkew: 1, TopologyKey: "rack", WhenUnsatisfiable: "ScheduleAnyway"},
	}
	pod.Resources = &v1alpha1.PodResources{Limits: &v1alpha1.ResourceAmounts{
		CPU: new(resource.MustParse("2")), EphemeralStorage: new(resource.MustParse("1Gi")),
	}}
	selector := &metav1.LabelSelector{MatchLabels: Selector(l)}
	got := Deployment(l, "v1", false).Spec.Template.Spec
	for name, pair := range map[string][2]any{
		"tolerations": {got.Tolerations, []corev1.Toleration{
			{Key: "files", Operator: "Equal", Value: "yes", Effect: "NoExecute", TolerationSeconds: new(int64(60))},
			{Key: "slow", Operator: "Exists"},
		}},
		"pull secrets": {got.ImagePullSecrets, []corev1.LocalObjectReference{{Name: "a"}, {Name: "b"}}},
		"spread": {got.TopologySpreadConstraints, []corev1.TopologySpreadConstraint{
			{
				MaxSkew: 2, TopologyKey: "zone", WhenUnsatisfiable: "DoNotSchedule", MinDomains: new(int32(3)), LabelSelector: selector,
				NodeAffinityPolicy: new(corev1.NodeInclusionPolicyIgnore), NodeTaintsPolicy: new(corev1.NodeInclusionPolicyHonor),
				MatchLabelKeys: []string{"pod-template-hash"},
			},
			{MaxSkew: 1, TopologyKey: "rack", WhenUnsatisfiable: "ScheduleAnyway", LabelSelector: selector},
		}},
		"resources": {got.Containers[0].Resources, corev1.ResourceRequirements{Limits: corev1.ResourceList{
			"cpu": resource.MustParse("2"), "ephemeral-storage": resource.MustParse("1Gi"),
		}}},
	} {
		// Semantic equality treats a missing and an empty list as equal, and two notations of a quantity.
		if !equality.Semantic.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s\n%+v\nwant\n%+v", name, pair[0], pair[1])
		}
	}
}

// Labels and annotations under the operator's own prefix control the operator: an owner of a listener cannot set them.
func TestOwnersCannotSetTheOperatorsKeys(t *testing.T) {
	for _, kind := range []v1alpha1.ServiceType{v1alpha1.ServiceClusterIP, v1alpha1.ServiceLoadBalancer} {
		l := readListener(t, "minimal")
		given := map[string]string{"sftp-operator.io/forged": "x", "sftp-operator.io/paused": "true", "example.com/team": "files"}
		l.Spec.Infrastructure.Labels, l.Spec.Infrastructure.Annotations, l.Spec.Service.Annotations = given, given, given
		l.Spec.Service.Type = kind
		d := Deployment(l, "v1", false)
		objects := map[string]client.Object{
			"deployment": d, "service": Service(l), "budget": PodDisruptionBudget(l), "policy": NetworkPolicy(l, "sftp-system"),
			"pod": &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta},
		}
		for name, o := range objects {
			for _, keys := range []map[string]string{o.GetLabels(), o.GetAnnotations()} {
				if keys["example.com/team"] != "files" {
					t.Errorf("%s: the owner's own keys are not on it: %v", name, keys)
				}
				for key := range keys {
					if strings.HasPrefix(key, "sftp-operator.io/") && key != v1alpha1.LabelListener {
						t.Errorf("%s carries %s", name, key)
					}
				}
			}
		}
		if len(given) != 3 {
			t.Errorf("the spec was changed: %v", given)
		}
	}
}

// Service annotations work without spec.infrastructure.
func TestServiceOfItsOwn(t *testing.T) {
	l := readListener(t, "minimal")
	l.Spec.Infrastructure.Annotations = nil
	l.Spec.Service = v1alpha1.ListenerService{Type: v1alpha1.ServiceNodePort, Annotations: map[string]string{"a": "b"}, LoadBalancerSourceRanges: []string{"192.0.2.0/24"}, LoadBalancerClass: "c"}
	got := Service(l)
	if !reflect.DeepEqual(got.Annotations, map[string]string{"a": "b"}) {
		t.Errorf("annotations %v", got.Annotations)
	}
	// Clients' addresses are preserved unless the owner asks otherwise; load-balancer fields are set on load balancers only.
	if got.Spec.ExternalTrafficPolicy != "Local" || got.Spec.Ports[0].NodePort != 0 || got.Spec.LoadBalancerClass != nil || got.Spec.LoadBalancerSourceRanges != nil {
		t.Errorf("%+v", got.Spec)
	}
	l.Spec.Service.Type, l.Spec.Service.LoadBalancerClass = v1alpha1.ServiceLoadBalancer, ""
	if got := Service(l).Spec; got.LoadBalancerClass != nil || len(got.LoadBalancerSourceRanges) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestNodePortsAreGivenLater(t *testing.T) {
	l := readListener(t, "minimal")
	l.Spec.Hostnames, l.Spec.Service.Type = []string{"sftp.example.com"}, v1alpha1.ServiceNodePort
	without := Service(l)
	without.Spec.Ports = nil
	for name, svc := range map[string]*corev1.Service{"no ports": without, "no node port": Service(l)} {
		if got := Addresses(l, svc); got[0].Port != 22 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The status holds 32 addresses.
func TestMostAddresses(t *testing.T) {
	l := readListener(t, "minimal")
	for i := range 40 {
		l.Spec.Hostnames = append(l.Spec.Hostnames, fmt.Sprintf("h%d.example.com", i))
	}
	got := Addresses(l, Service(l))
	if len(got) != 32 || got[31].Value != "h31.example.com" {
		t.Errorf("%d addresses, %v", len(got), got)
	}
}

func TestClaimOfSeveralModes(t *testing.T) {
	l := readListener(t, "minimal")
	v := v1alpha1.ListenerVolume{Name: "data", ClaimTemplate: &v1alpha1.ClaimTemplate{AccessModes: []v1alpha1.AccessMode{"ReadWriteOnce", "ReadWriteMany"}}}
	if got := Claim(l, v).Spec.AccessModes; !reflect.DeepEqual(got, []corev1.PersistentVolumeAccessMode{"ReadWriteOnce", "ReadWriteMany"}) {
		t.Errorf("%v", got)
	}
}

// A volume of an unknown kind, which the API does not accept, becomes an empty directory.
func TestVolumeOfNoKind(t *testing.T) {
	l := readListener(t, "minimal")
	l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "data"}}
	got := Deployment(l, "v1", false).Spec.Template.Spec.Volumes[1]
	if got.EmptyDir == nil || got.EmptyDir.SizeLimit != nil || got.PersistentVolumeClaim != nil {
		t.Errorf("%+v", got)
	}
}

func TestUnmounted(t *testing.T) {
	l := readListener(t, "minimal")
	l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	pod := func(volumes ...string) *corev1.PodSpec {
		out := &corev1.PodSpec{}
		for _, v := range volumes {
			out.Volumes = append(out.Volumes, corev1.Volume{Name: v})
		}
		return out
	}
	for _, tc := range []struct {
		pod  *corev1.PodSpec
		want []string
	}{
		{&Deployment(l, "v1", false).Spec.Template.Spec, nil},
		{pod("data-c", "data-b", "data-a", "config", "theirs"), nil},
		{pod("config", "data-b"), []string{"a", "c"}},
		{pod("config", "a", "b"), []string{"a", "b", "c"}}, // added by hand
		{pod("data-b"), nil}, // not a pod of the Deployment
		{pod(), nil},
	} {
		if got := Unmounted(l, tc.pod); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%v: %v, want %v", tc.pod.Volumes, got, tc.want)
		}
	}
}
