package workload

import (
	"context"
	"fmt"
	"maps"
	"net"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// Relay is the relay that a listener should have.
type Relay struct {
	// Known is set if it is known whether there should be one, and Wanted if there should.
	Known, Wanted bool
	// Config is its configuration, Key is the key for its status, and Sinks are the sinks in the configuration.
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

// restrictRelay keeps an existing relay from sending to destinations that are not allowed, even while the platform refuses the
// spec: the objects that the platform's bounds cover stay as they are, but a listener that breaks one bound must not be exempt from
// the bounds on destinations. The relay's pods are replaced with the template that they have, because they read their configuration
// once.
func (r *run) restrictRelay(ctx context.Context) {
	l, in := r.in.Listener, r.in.Relay
	switch {
	case !in.Known:
		return
	case !in.Wanted:
		r.deleteRelay(ctx)
		return
	}
	r.step(ctx, "Deployment", render.RelayName(l), func(ctx context.Context) error {
		want := render.RelayDeployment(l, r.in.Image, in.Config, in.Key)
		live := &appsv1.Deployment{}
		if err := r.Client.Get(ctx, client.ObjectKeyFromObject(want), live); err != nil {
			return client.IgnoreNotFound(err)
		}
		if err := r.handle.Check(ctx, live); err != nil {
			return err
		}
		for _, o := range []client.Object{render.RelayPolicy(l, r.in.OperatorNamespace, in.Sinks), render.RelaySecret(l, in.Config)} {
			if _, err := r.handle.Apply(ctx, o); err != nil {
				return err
			}
		}
		after := live.DeepCopy()
		if after.Spec.Template.Annotations == nil {
			after.Spec.Template.Annotations = map[string]string{}
		}
		maps.Copy(after.Spec.Template.Annotations, want.Spec.Template.Annotations)
		if maps.Equal(after.Spec.Template.Annotations, live.Spec.Template.Annotations) {
			return nil
		}
		if err := r.Client.Patch(ctx, after, client.MergeFrom(live), client.FieldOwner(apply.FieldOwner)); err != nil {
			return fmt.Errorf("replace its pods: %w", err)
		}
		return nil
	})
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
