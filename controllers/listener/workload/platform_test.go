package workload

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
)

// decided applies what a platform makes of the listener: its spec with an edit, or a refusal.
func (e *endpoint) decided(refusal string, edit func(*v1alpha1.SFTPListenerSpec)) Result {
	e.Helper()
	l := e.listener.DeepCopy()
	edit(&l.Spec)
	r := e.workload.Apply(e.Context(), Input{
		Listener: l, Written: e.listener, Refusal: refusal, Image: e.image, OperatorNamespace: "sftp-system",
		Volumes:  volumes.Resolve(e.Context(), e.workload.Client, l),
		HostKeys: []v1alpha1.HostKeyStatus{{PublicKey: "ssh-ed25519 AAAA"}},
	})
	if len(r.Refusals) != 0 || r.Err != nil {
		e.Fatalf("refusals %+v, error %v", r.Refusals, r.Err)
	}
	return r
}

// A setting that the platform does not allow changes nothing that runs, except to reduce the number of pods.
func TestRefusedSpecChangesNothing(t *testing.T) {
	e := newEndpoint(t)
	e.applied()
	before := e.versions()
	e.edit(func(s *v1alpha1.SFTPListenerSpec) {
		s.Service.Type = v1alpha1.ServiceNodePort
		s.Infrastructure.Annotations = map[string]string{"a": "b"}
		s.Infrastructure.Pod.PriorityClassName = "high"
	})
	r := e.decided("not allowed", func(*v1alpha1.SFTPListenerSpec) {})
	if after := e.versions(); !reflect.DeepEqual(after, before) {
		t.Errorf("versions were %v and are %v", before, after)
	}
	p := r.Rollout.Pending
	if r.Rollout.State != Held || p == nil || p.Reason != v1alpha1.ReasonRolloutBlocked || !strings.Contains(strings.Join(p.Changes, " "), "infrastructure.pod.priorityClassName") ||
		!strings.Contains(r.Rollout.Why, "does not allow") {
		t.Errorf("rollout %+v, pending %+v", r.Rollout, p)
	}
	if len(r.Addresses) == 0 || len(r.KnownHosts) == 0 || r.Service == nil || r.Deployment == nil {
		t.Errorf("what is there is not known: %+v", r)
	}
	e.edit(func(s *v1alpha1.SFTPListenerSpec) { s.Replicas = new(int32(1)) })
	e.decided("not allowed", func(*v1alpha1.SFTPListenerSpec) {})
	if n := *e.deployment().Spec.Replicas; n != 1 {
		t.Errorf("%d pods", n)
	}
	e.edit(func(s *v1alpha1.SFTPListenerSpec) { s.Replicas = new(int32(5)) })
	e.decided("not allowed", func(*v1alpha1.SFTPListenerSpec) {})
	if n := *e.deployment().Spec.Replicas; n != 1 {
		t.Errorf("%d pods: a refused listener grows", n)
	}
	// Once it is allowed, everything follows.
	e.applied()
	if d := e.deployment(); d.Spec.Template.Spec.PriorityClassName != "high" || *d.Spec.Replicas != 5 {
		t.Errorf("the spec is allowed, and the pods are %+v", d.Spec.Template.Spec)
	}
}

// A new listener that the platform does not allow gets no objects.
func TestRefusedFromTheStart(t *testing.T) {
	e := newEndpoint(t)
	r := e.decided("not allowed", func(*v1alpha1.SFTPListenerSpec) {})
	for n, version := range e.versions() {
		if version != "" {
			t.Errorf("%s was made", n)
		}
	}
	if r.Rollout.State != Held || r.Rollout.Pending != nil || r.Service != nil || r.Deployment != nil {
		t.Errorf("%+v", r)
	}
}

// Claims and Services keep the classes that they were created with, because the API server does not allow changing either.
func TestDefaultClassesAreForNewObjects(t *testing.T) {
	class := func(name string) func(*v1alpha1.SFTPListenerSpec) {
		return func(s *v1alpha1.SFTPListenerSpec) {
			s.Volumes[0].ClaimTemplate.StorageClassName = name
			s.Service.LoadBalancerClass = "example.com/" + name
		}
	}
	e := newEndpoint(t, func(l *v1alpha1.SFTPListener) {
		l.Spec.Volumes[0].ClaimTemplate.StorageClassName = ""
		l.Spec.Service.Type = v1alpha1.ServiceLoadBalancer
	})
	for _, name := range []string{"growing", "other"} {
		e.decided("", class(name))
		if got := e.claim().Spec.StorageClassName; got == nil || *got != "growing" {
			t.Errorf("class of the claim: %v", got)
		}
		if got := get(e, &corev1.Service{}, "partners-sftp").Spec.LoadBalancerClass; got == nil || *got != "example.com/growing" {
			t.Errorf("class of the load balancer: %v", got)
		}
	}
	e.applied() // no longer a default
}

// A platform default reaches pods the way an upgrade of the operator does, one listener after the other.
func TestDefaultsTakeTheirTurn(t *testing.T) {
	e := newEndpoint(t)
	e.applied()
	e.edit(func(s *v1alpha1.SFTPListenerSpec) { s.Infrastructure.Rollout = v1alpha1.RolloutPaused })
	r := e.decided("", func(s *v1alpha1.SFTPListenerSpec) { s.Infrastructure.Pod.PriorityClassName = "files" })
	if p := r.Rollout.Pending; p == nil || p.Reason != v1alpha1.ReasonRolloutPaused || strings.Join(p.Changes, " ") != "infrastructure.pod.priorityClassName" {
		t.Errorf("pending %+v", p)
	}
}
