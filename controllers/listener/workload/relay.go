package workload

import (
	"context"
	"net"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// Relay is the relay that a listener should have.
type Relay struct {
	// Known is set if it is known whether there should be one, and Wanted if there should.
	Known, Wanted bool
	// Config is its configuration, Key that of its status, and Sinks are those of the configuration.
	Config []byte
	Key    string
	Sinks  []delivery.Sink
}

// applyRelay applies the objects of the relay, or deletes them. The policy comes before the pod.
func (r *run) applyRelay(ctx context.Context) {
	l, in := r.in.Listener, r.in.Relay
	if !in.Known {
		return
	}
	if !in.Wanted {
		r.deleteRelay(ctx)
		return
	}
	name := render.RelayName(l)
	apply := func(kind string, want client.Object) bool {
		return r.step(ctx, kind, want.GetName(), func(ctx context.Context) error {
			done, err := r.handle.Apply(ctx, want)
			if err != nil {
				return err
			}
			if done.Live != nil {
				r.compare(done.Live, want)
			}
			if svc, ok := done.Live.(*corev1.Service); ok && svc.Name == name {
				r.out.RelayAddress = relayAddress(svc)
			}
			return nil
		})
	}
	apply("ServiceAccount", render.RelayAccount(l))
	contained := apply("NetworkPolicy", render.RelayPolicy(l, r.in.OperatorNamespace, in.Sinks))
	apply("Service", render.PodsService(l))
	apply("Service", render.RelayService(l))
	configured := r.step(ctx, "Secret", name, func(ctx context.Context) error {
		_, err := r.handle.Apply(ctx, render.RelaySecret(l, in.Config))
		return err
	})
	if contained && configured {
		apply("Deployment", render.RelayDeployment(l, r.in.Image, in.Config, in.Key))
	}
}

// relayAddress returns where the relay answers, "" if that is not known.
func relayAddress(svc *corev1.Service) string {
	if ip := svc.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
		return net.JoinHostPort(ip, render.RelayPort())
	}
	return ""
}

// deleteRelay deletes what there is of a relay, the pod first.
func (r *run) deleteRelay(ctx context.Context) {
	l := r.in.Listener
	meta := render.RelayAccount(l).ObjectMeta
	for _, o := range []struct {
		kind string
		client.Object
	}{
		{"Deployment", &appsv1.Deployment{TypeMeta: render.RelayDeployment(l, "", nil, "").TypeMeta, ObjectMeta: meta}},
		{"Secret", render.RelaySecret(l, nil)},
		{"Service", render.RelayService(l)},
		{"Service", render.PodsService(l)},
		{"NetworkPolicy", &networkingv1.NetworkPolicy{TypeMeta: render.RelayPolicy(l, "", nil).TypeMeta, ObjectMeta: meta}},
		{"ServiceAccount", render.RelayAccount(l)},
	} {
		r.step(ctx, o.kind, o.GetName(), func(ctx context.Context) error { return r.handle.Delete(ctx, o.Object) })
	}
}
