package poll

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/fair"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch

// Setup registers the Poller with a manager, as a separate controller.
func (p *Poller) Setup(mgr ctrl.Manager, options controller.Options) error {
	to := handler.EnqueueRequestsFromMapFunc(listenerOf)
	return ctrl.NewControllerManagedBy(mgr).
		Named("poll").
		Watches(&corev1.Pod{}, to, builder.WithPredicates(Changes())).
		// A pod counts as the listener's only once its ReplicaSet is in the cache as well.
		WatchesMetadata(&appsv1.ReplicaSet{}, to, builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(event.UpdateEvent) bool { return false },
			DeleteFunc: func(event.DeleteEvent) bool { return false },
		})).
		WatchesRawSource(p.queue(&p.own)).
		WithOptions(options).
		Complete(fair.Wrap(p, max(1, options.MaxConcurrentReconciles)))
}

// Changed returns a source for the listeners' controller: listeners whose Result has
// changed, or whose pods have reported the use of keys.
func (p *Poller) Changed() source.Source { return p.queue(&p.wake) }

// queue returns a source that keeps its controller's queue, and adds all listeners to it.
func (p *Poller) queue(into *queue) source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		*into = q
		for name := range p.listeners {
			q.Add(reconcile.Request{NamespacedName: name})
		}
		return nil
	})
}

// listenerOf returns the listener that a label names. Whether the object is the listener's
// depends on its owners.
func listenerOf(_ context.Context, o client.Object) []reconcile.Request {
	name := o.GetLabels()[v1alpha1.LabelListener]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
}

// Changes only passes changes to pods that matter for their answers, not the operator's own
// annotations.
func Changes() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*corev1.Pod)
		after, ok2 := e.ObjectNew.(*corev1.Pod)
		return ok1 && ok2 && (ack.Ready(before) != ack.Ready(after) || before.Status.PodIP != after.Status.PodIP ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero())
	}}
}
