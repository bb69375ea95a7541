package workload

import (
	"reflect"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

type deployment = appsv1.Deployment

func mustParse(s string) resource.Quantity { return resource.MustParse(s) }

func sameStrings(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// bind plays the volume controller: the claim becomes bound and gets a size.
func (e *endpoint) bind(size string) {
	e.Helper()
	c := e.claim()
	c.Status.Phase = corev1.ClaimBound
	c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: mustParse(size)}
	if err := admin.Status().Update(e.Context(), c); err != nil {
		e.Fatal(err)
	}
}

// bound makes a claim able to grow: it has a volume.
func (e *endpoint) bound() {
	e.Helper()
	pv := &corev1.PersistentVolume{}
	pv.GenerateName = "workload-"
	pv.Spec = corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: mustParse("1Gi")}, StorageClassName: "growing",
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "example.com", VolumeHandle: "v"}},
	}
	if err := admin.Create(e.Context(), pv); err != nil {
		e.Fatal(err)
	}
	change(e, e.claim(), func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = pv.Name })
	e.bind("1Gi")
}

// A claim that was enlarged by hand or by an autoscaler stays as it is, is reported, and delays nothing.
func TestEnlargedClaim(t *testing.T) {
	e := newEndpoint(t)
	e.applied()
	e.bound()
	change(e, e.claim(), func(c *corev1.PersistentVolumeClaim) {
		c.Spec.Resources.Requests[corev1.ResourceStorage] = mustParse("5Gi")
	})
	for _, c := range []struct {
		capacity, spec, class string
		smaller               []SmallerClaim
		request               string
	}{
		{"1Gi", "1Gi", "a", []SmallerClaim{{"home", "partners-home", "1Gi", "5Gi"}}, "5Gi"}, // it is being enlarged
		{"5Gi", "1Gi", "b", []SmallerClaim{{"home", "partners-home", "1Gi", "5Gi"}}, "5Gi"},
		{"6Gi", "2Gi", "c", []SmallerClaim{{"home", "partners-home", "2Gi", "6Gi"}}, "6Gi"}, // the driver gave more
		{"6Gi", "6Gi", "d", nil, "6Gi"},
		{"6Gi", "7Gi", "e", nil, "7Gi"},
	} {
		e.bind(c.capacity)
		e.edit(func(s *v1alpha1.SFTPListenerSpec) {
			s.Volumes[0].ClaimTemplate.Storage = mustParse(c.spec)
			s.Infrastructure.Pod.PriorityClassName = c.class
		})
		r := e.applied()
		if !reflect.DeepEqual(r.SmallerClaims, c.smaller) {
			t.Errorf("capacity %s, spec %s: smaller %+v, want %+v", c.capacity, c.spec, r.SmallerClaims, c.smaller)
		}
		request := e.claim().Spec.Resources.Requests[corev1.ResourceStorage]
		if request.String() != c.request {
			t.Errorf("capacity %s, spec %s: the claim asks for %s, want %s", c.capacity, c.spec, request.String(), c.request)
		}
		if got := e.deployment().Spec.Template.Spec.PriorityClassName; got != c.class {
			t.Errorf("the Deployment did not get the change: %q", got)
		}
	}
}

// Running pods are not replaced by ones that cannot start, and their number can still be lowered.
func TestPodsThatCouldNotStart(t *testing.T) {
	e := newEndpoint(t)
	e.applied()
	missing := v1alpha1.ListenerVolume{Name: "more", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "missing"}}
	e.edit(func(s *v1alpha1.SFTPListenerSpec) {
		s.Volumes, s.Replicas = append(s.Volumes, missing), new(int32(3))
		s.Service.Port = new(int32(2022))
	})
	r := e.applied()
	before := e.deployment()
	if p := r.Rollout.Pending; r.Rollout.State != Held || r.Rollout.Why == "" || p == nil || p.Reason != v1alpha1.ReasonRolloutBlocked ||
		!slices.Equal(p.Changes, []string{"volumes"}) || !p.Since.Equal(e.now) || len(r.Drift) != 0 {
		t.Errorf("rollout %+v, pending %+v, drift %q", r.Rollout, p, r.Drift)
	}
	if *before.Spec.Replicas != 2 || len(before.Spec.Template.Spec.Volumes) != 2 {
		t.Errorf("%d replicas with %d volumes", *before.Spec.Replicas, len(before.Spec.Template.Spec.Volumes))
	}
	if r.Service.Spec.Ports[0].Port != 2022 {
		t.Error("the Service also waits")
	}
	e.edit(func(s *v1alpha1.SFTPListenerSpec) { s.Replicas = new(int32(1)) })
	e.applied()
	if got := *e.deployment().Spec.Replicas; got != 1 {
		t.Errorf("%d replicas, want one", got)
	}
	claim := e.claim()
	claim.ObjectMeta = *claim.ObjectMeta.DeepCopy()
	made := &corev1.PersistentVolumeClaim{}
	made.Namespace, made.Name, made.Spec = claim.Namespace, "missing", claim.Spec
	if err := admin.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	for range 2 { // until the pods exist, the message says what they wait for
		if r := e.applied(); r.Rollout.State != Rolling || !slices.Equal(r.Rollout.Changes, []string{"volumes"}) {
			t.Errorf("rollout %+v", r.Rollout)
		}
	}
	if got := len(e.deployment().Spec.Template.Spec.Volumes); got != 3 {
		t.Errorf("%d volumes, want 3", got)
	}
}

// Rollouts wait for their slot or for their owner. Pending changes are reported, while the number of replicas follows the spec.
func TestRolloutsWait(t *testing.T) {
	first, second := newEndpoint(t), newEndpoint(t)
	for _, e := range []*endpoint{first, second} {
		e.applied()
		d := e.deployment()
		before := d.DeepCopy()
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2, ReadyReplicas: 2,
			Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"}},
		}
		if err := admin.Status().Patch(t.Context(), d, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
		if r := e.applied(); r.Rollout.State != Complete || *r.Replicas() != 2 {
			t.Fatalf("rollout %+v, %d replicas", r.Rollout, *r.Replicas())
		}
		e.image = "sftpd:v2"
	}
	second.workload.Admission = first.workload.Admission // of one process
	if r := first.applied(); r.Rollout.State != Rolling || !slices.Equal(r.Rollout.Changes, []string{"image"}) || r.Rollout.RestartsOnlyPod {
		t.Errorf("rollout %+v", r.Rollout)
	}
	second.edit(func(s *v1alpha1.SFTPListenerSpec) { s.Replicas = new(int32(5)) })
	r := second.applied()
	if p := r.Rollout.Pending; r.Rollout.State != Held || p == nil || p.Reason != v1alpha1.ReasonRolloutQueued || !slices.Equal(p.Changes, []string{"image"}) ||
		r.Rollout.Busy != 1 || r.Retry != queueRetry || len(r.Drift) != 0 {
		t.Errorf("rollout %+v, pending %+v, retry %s, drift %q", r.Rollout, p, r.Retry, r.Drift)
	}
	if d := second.deployment(); *d.Spec.Replicas != 5 || d.Spec.Template.Spec.Containers[0].Image != image {
		t.Errorf("%d replicas of %s", *d.Spec.Replicas, d.Spec.Template.Spec.Containers[0].Image)
	}
	// Additions by hand are shown while the change is pending.
	change(second, second.deployment(), func(d *deployment) { d.Spec.Template.Spec.HostPID = true })
	if r := second.applied(); !slices.Equal(r.Drift, []string{"Deployment spec.template.spec.hostPID"}) {
		t.Errorf("drift %q", r.Drift)
	}
	// An owner's change does not wait, unless the owner asks for it.
	second.edit(func(s *v1alpha1.SFTPListenerSpec) {
		s.Infrastructure.Rollout, s.Infrastructure.Pod.PriorityClassName = v1alpha1.RolloutPaused, "high"
	})
	if p := second.applied().Rollout.Pending; p == nil || p.Reason != v1alpha1.ReasonRolloutPaused || len(p.Changes) != 2 {
		t.Errorf("pending %+v", p)
	}
	second.edit(func(s *v1alpha1.SFTPListenerSpec) { s.Infrastructure.Rollout = v1alpha1.RolloutAutomatic })
	for range 2 {
		if r := second.applied(); r.Rollout.State != Rolling || r.Rollout.Pending != nil || len(r.Rollout.Changes) != 2 {
			t.Errorf("rollout %+v", r.Rollout)
		}
	}
	second.edit(func(s *v1alpha1.SFTPListenerSpec) { s.Infrastructure.Rollout = v1alpha1.RolloutPaused })
	if r := second.applied(); r.Rollout.State != Rolling || r.Rollout.Pending != nil || len(r.Rollout.Changes) != 2 {
		t.Errorf("rollout %+v", r.Rollout)
	}
}
