package listener

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/fair"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

// listenerClaimIndex indexes SFTPListeners by "<namespace>/<name>" of their volumes' claims.
const listenerClaimIndex = "listener.claims"

// Setup registers the reconciler with a manager; delivered wakes it when the access controller has a new result. The
// reconciler of keys must be set up first: it creates an index that this one uses.
func (r *Reconciler) Setup(ctx context.Context, mgr ctrl.Manager, options controller.Options, delivered *wake.Waker) error {
	if err := r.index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	changed := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	to := handler.EnqueueRequestsFromMapFunc
	return ctrl.NewControllerManagedBy(mgr).
		Named("listener").
		For(&v1alpha1.SFTPListener{}, changed).
		Owns(&appsv1.Deployment{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, workload.RolloutChanged()))).
		Watches(&appsv1.Deployment{}, to(r.nextInQueue), builder.WithPredicates(workload.RolloutEnded())).
		Owns(&corev1.Service{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&networkingv1.NetworkPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&policyv1.PodDisruptionBudget{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.SFTPKey{}, to(r.listenersOfHostKey), builder.WithPredicates(hostKeyChanged())).
		Watches(&corev1.PersistentVolumeClaim{}, to(r.listenersOfClaim), builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, workload.CapacityChanged()))).
		WatchesMetadata(&corev1.Secret{}, to(r.listenersOfSecret)).
		WatchesMetadata(&corev1.Namespace{}, to(r.listenersOfNamespace), builder.WithPredicates(namespaceEnded())).
		WatchesRawSource(delivered.Source()).
		WatchesRawSource(r.Poller.Changed()).
		WithOptions(options).
		Complete(fair.Wrap(r, max(1, options.MaxConcurrentReconciles)))
}

func (r *Reconciler) index(ctx context.Context, ix client.FieldIndexer) error {
	return ix.IndexField(ctx, &v1alpha1.SFTPListener{}, listenerClaimIndex, func(o client.Object) []string {
		l, ok := o.(*v1alpha1.SFTPListener)
		if !ok {
			return nil
		}
		var claims []string
		for _, v := range l.Spec.Volumes {
			switch {
			case v.PersistentVolumeClaim != nil:
				claims = append(claims, l.Namespace+"/"+v.PersistentVolumeClaim.ClaimName)
			case v.ClaimTemplate != nil:
				claims = append(claims, l.Namespace+"/"+attach.ClaimName(l, v.Name))
			}
		}
		return claims
	})
}

// nextInQueue returns the listeners whose rollouts may begin when another one is over.
func (r *Reconciler) nextInQueue(ctx context.Context, _ client.Object) []reconcile.Request {
	names, err := r.Workload.Admission.Next(ctx, r.Image, r.Now())
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot determine whose rollout is next")
	}
	return requests(names)
}

// listenersOfSecret returns the listeners that a Secret with a host key, a record, a receipt key or a sink's credential affects.
func (r *Reconciler) listenersOfSecret(ctx context.Context, o client.Object) []reconcile.Request {
	for _, label := range []string{v1alpha1.LabelRecord, v1alpha1.LabelReceiptKey} {
		if name := o.GetLabels()[label]; name != "" {
			return requests([]types.NamespacedName{{Namespace: o.GetNamespace(), Name: name}})
		}
	}
	out := r.listenersOfEventSecret(ctx, o.GetNamespace(), o.GetName())
	var keys v1alpha1.SFTPKeyList
	if err := r.Client.List(ctx, &keys, client.InNamespace(o.GetNamespace()), client.MatchingFields{key.SecretIndex: o.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the keys of a Secret", "secret", client.ObjectKeyFromObject(o))
		return out
	}
	for i := range keys.Items {
		if keys.Items[i].Spec.Usage == v1alpha1.KeyUsageHost {
			out = append(out, r.listenersOfHostKey(ctx, &keys.Items[i])...)
		}
	}
	return out
}

// listenersOfHostKey returns the listeners that want or have a key of an SFTPKey.
func (r *Reconciler) listenersOfHostKey(ctx context.Context, o client.Object) []reconcile.Request {
	var list v1alpha1.SFTPListenerList
	if err := r.Client.List(ctx, &list, client.InNamespace(o.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list listeners", "namespace", o.GetNamespace())
		return nil
	}
	var out []types.NamespacedName
	for i := range list.Items {
		l := &list.Items[i]
		uses := len(l.Spec.HostKeyRefs) == 0 && (o.GetName() == render.DefaultHostKeyName(l) || o.GetName() == render.DefaultRSAHostKeyName(l))
		for _, ref := range l.Spec.HostKeyRefs {
			uses = uses || ref.Name == o.GetName()
		}
		for j := range l.Status.HostKeys {
			uses = uses || l.Status.HostKeys[j].Name == o.GetName()
		}
		if uses {
			out = append(out, client.ObjectKeyFromObject(l))
		}
	}
	return requests(out)
}

func (r *Reconciler) listenersOfClaim(ctx context.Context, o client.Object) []reconcile.Request {
	var list v1alpha1.SFTPListenerList
	field := client.MatchingFields{listenerClaimIndex: client.ObjectKeyFromObject(o).String()}
	if err := r.Client.List(ctx, &list, field, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list listeners", "claim", client.ObjectKeyFromObject(o))
		return nil
	}
	var out []types.NamespacedName
	for i := range list.Items {
		out = append(out, client.ObjectKeyFromObject(&list.Items[i]))
	}
	return requests(out)
}

// namespaceEnded passes events of a namespace being deleted.
func namespaceEnded() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return !e.Object.GetDeletionTimestamp().IsZero() },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetDeletionTimestamp().IsZero() && !e.ObjectNew.GetDeletionTimestamp().IsZero()
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

func (r *Reconciler) listenersOfNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	var list v1alpha1.SFTPListenerList
	if err := r.Client.List(ctx, &list, client.InNamespace(o.GetName()), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list listeners", "namespace", o.GetName())
		return nil
	}
	var out []types.NamespacedName
	for i := range list.Items {
		out = append(out, client.ObjectKeyFromObject(&list.Items[i]))
	}
	return requests(out)
}

// namespaceEnds reports whether a namespace is being deleted.
func (r *Reconciler) namespaceEnds(ctx context.Context, name string) (bool, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.Client.Get(ctx, types.NamespacedName{Name: name}, ns)
	return err == nil && !ns.DeletionTimestamp.IsZero(), client.IgnoreNotFound(err)
}

func requests(names []types.NamespacedName) []reconcile.Request {
	out := make([]reconcile.Request, 0, len(names))
	for _, name := range names {
		out = append(out, reconcile.Request{NamespacedName: name})
	}
	return out
}

// hostKeyChanged passes changes that matter for host keys, not when a key was last used. Users follow client keys in the
// feed of the access controller.
func hostKeyChanged() predicate.Predicate {
	ready := func(k *v1alpha1.SFTPKey) (status metav1.ConditionStatus, reason string) {
		if c := conditions.Summary(k.Status.Conditions); c != nil {
			return c.Status, c.Reason
		}
		return "", ""
	}
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.SFTPKey)
		after, ok2 := e.ObjectNew.(*v1alpha1.SFTPKey)
		if !ok1 || !ok2 {
			return false
		}
		was, wasReason := ready(before)
		is, isReason := ready(after)
		return was != is || wasReason != isReason || before.Generation != after.Generation || before.Status.PublicKey != after.Status.PublicKey ||
			!equality.Semantic.DeepEqual(before.Status.Retiring, after.Status.Retiring) ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero()
	}}
}
