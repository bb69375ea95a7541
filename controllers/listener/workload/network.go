package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

func (r *run) applyNetworkPolicy(ctx context.Context) error {
	want := render.NetworkPolicy(r.in.Listener, r.in.OperatorNamespace)
	done, err := r.handle.Apply(ctx, want)
	if err == nil {
		r.compare(done.Live, want)
	}
	return err
}

// applyBudget applies the PodDisruptionBudget, or deletes it while there is at most one pod: it
// would keep a node from being drained.
func (r *run) applyBudget(ctx context.Context) error {
	want := render.PodDisruptionBudget(r.in.Listener)
	if volumes.Replicas(r.in.Listener) <= 1 {
		return r.handle.Delete(ctx, want)
	}
	done, err := r.handle.Apply(ctx, want)
	if err == nil {
		r.compare(done.Live, want)
	}
	return err
}

// applyService applies the Service. Its ports are a list keyed by the port's number: a
// manually changed one would remain next to ours, so the whole list is restored first.
func (r *run) applyService(ctx context.Context) error {
	want := render.Service(r.in.Listener)
	live := &corev1.Service{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(want), live)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read it: %w", err)
	}
	balanced := live.Spec.Type == corev1.ServiceTypeLoadBalancer && want.Spec.Type == corev1.ServiceTypeLoadBalancer
	if err == nil && balanced && r.in.Written.Spec.Service.LoadBalancerClass == "" {
		want.Spec.LoadBalancerClass = live.Spec.LoadBalancerClass // it cannot change, but the platform's default may
	}
	if err == nil && foreignPort(want, live) {
		if err := r.handle.Check(ctx, live); err != nil {
			return err
		}
		before := live.DeepCopy()
		live.Spec.Ports = want.Spec.Ports
		if err := r.Client.Patch(ctx, live, client.MergeFrom(before), client.FieldOwner(apply.FieldOwner)); err != nil {
			return fmt.Errorf("restore its ports: %w", err)
		}
	}
	done, err := r.handle.Apply(ctx, want)
	if err != nil {
		return err
	}
	if svc, ok := done.Live.(*corev1.Service); ok {
		r.out.Service = svc
		r.compare(svc, want)
	}
	return nil
}

// foreignPort reports whether a Service has an unwanted port.
func foreignPort(want, live *corev1.Service) bool {
	for _, p := range live.Spec.Ports {
		if p.Port != want.Spec.Ports[0].Port || p.Protocol != want.Spec.Ports[0].Protocol {
			return true
		}
	}
	return false
}

// readAddresses reads the addresses that the cluster assigned to the Service. It still has
// them if its last change was refused.
func (r *run) readAddresses(ctx context.Context) error {
	if r.out.Service == nil {
		svc := &corev1.Service{}
		name := client.ObjectKey{Namespace: r.in.Listener.Namespace, Name: render.WorkloadName(r.in.Listener)}
		err := r.Client.Get(ctx, name, svc)
		if apierrors.IsNotFound(err) || err == nil && r.handle.Check(ctx, svc) != nil {
			return nil //nolint:nilerr // the refusal of the Service is already recorded
		}
		if err != nil {
			return fmt.Errorf("read it: %w", err)
		}
		r.out.Service = svc
	}
	r.out.Addresses, r.out.NodePort = render.Addresses(r.in.Listener, r.out.Service), render.NodePort(r.out.Service)
	return nil
}

// publishKnownHosts writes the ConfigMap with the lines for known_hosts, and for verifying receipts.
func (r *run) publishKnownHosts(ctx context.Context) error {
	r.out.KnownHosts = render.KnownHosts(r.out.Addresses, r.in.HostKeys)
	if len(r.out.KnownHosts) == 0 {
		return nil
	}
	next, err := r.handle.ApplyUnwatched(ctx, render.KnownHostsMap(r.in.Listener, r.out.KnownHosts, r.in.AllowedSigners), knownHostsInterval)
	if err == nil {
		r.retryIn(max(next.Sub(r.Now()), 1))
	}
	return err
}
