package listener

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
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
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// Indexes from what a listener depends on to where it is named. Values of the first three
// are "<namespace>/<name>".
const (
	userSecretIndex    = "user.secrets"
	listenerClaimIndex = "listener.claims"
	listenerListIndex  = "listener.lists"
	userNamespaceIndex = "user.namespace"
)

// Setup registers the reconciler and its Poller with a manager. The reconcilers of users and
// keys must be set up first: they make indexes that this one uses.
func (r *Reconciler) Setup(ctx context.Context, mgr ctrl.Manager, options, polling controller.Options) error {
	if err := r.index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	changed := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	to := handler.EnqueueRequestsFromMapFunc
	if err := r.Poller.Setup(mgr, polling); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("listener").
		For(&v1alpha1.SFTPListener{}, changed).
		Owns(&appsv1.Deployment{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, rolloutChanged()))).
		Watches(&appsv1.Deployment{}, to(r.nextInQueue), builder.WithPredicates(rolloutEnded())).
		Owns(&corev1.Service{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&networkingv1.NetworkPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&policyv1.PodDisruptionBudget{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.SFTPUser{}, to(listenerOfUser), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.SFTPKey{}, to(r.listenersOfKey), builder.WithPredicates(keyChanged())).
		Watches(&corev1.PersistentVolumeClaim{}, to(r.listenersOfClaim), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Pod{}, to(listenerOfObject), builder.WithPredicates(poll.Changes())).
		WatchesMetadata(&corev1.Secret{}, to(r.listenersOfSecret), builder.WithPredicates(r.secretChanged())).
		WatchesMetadata(&corev1.Namespace{}, to(r.listenersOfNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(r.Poller.Changed()).
		WithOptions(options).
		Complete(r)
}

func (r *Reconciler) index(ctx context.Context, ix client.FieldIndexer) error {
	users := func(field string, values func(*v1alpha1.SFTPUser) []string) error {
		return ix.IndexField(ctx, &v1alpha1.SFTPUser{}, field, func(o client.Object) []string {
			u, ok := o.(*v1alpha1.SFTPUser)
			if !ok {
				return nil
			}
			return values(u)
		})
	}
	if err := users(userSecretIndex, func(u *v1alpha1.SFTPUser) []string { return qualified(u.Namespace, referencedSecrets(u)) }); err != nil {
		return err
	}
	if err := users(userNamespaceIndex, func(u *v1alpha1.SFTPUser) []string { return []string{u.Namespace} }); err != nil {
		return err
	}
	lists := func(o client.Object) []string {
		l, ok := o.(*v1alpha1.SFTPListener)
		if !ok {
			return nil
		}
		return qualified(l.Namespace, listedSecrets(l))
	}
	if err := ix.IndexField(ctx, &v1alpha1.SFTPListener{}, listenerListIndex, lists); err != nil {
		return err
	}
	return ix.IndexField(ctx, &v1alpha1.SFTPListener{}, listenerClaimIndex, func(o client.Object) []string {
		l, ok := o.(*v1alpha1.SFTPListener)
		if !ok {
			return nil
		}
		var claims []string
		for _, v := range l.Spec.Volumes {
			switch {
			case v.PersistentVolumeClaim != nil:
				claims = append(claims, v.PersistentVolumeClaim.ClaimName)
			case v.ClaimTemplate != nil:
				claims = append(claims, render.ClaimName(l, v.Name))
			}
		}
		return qualified(l.Namespace, claims)
	})
}

func qualified(namespace string, names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, namespace+"/"+n)
	}
	return out
}

func listenerOfUser(_ context.Context, o client.Object) []reconcile.Request {
	u, ok := o.(*v1alpha1.SFTPUser)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: user.ListenerOf(u)}}
}

// listenerOfObject maps what the operator made to the listener that its label names.
func listenerOfObject(_ context.Context, o client.Object) []reconcile.Request {
	name := o.GetLabels()[v1alpha1.LabelListener]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
}

func (r *Reconciler) listenersOfSecret(ctx context.Context, o client.Object) []reconcile.Request {
	out := listenerOfObject(ctx, o)
	var keys v1alpha1.SFTPKeyList
	if err := r.Client.List(ctx, &keys, client.InNamespace(o.GetNamespace()), client.MatchingFields{key.SecretIndex: o.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the keys of a Secret", "secret", client.ObjectKeyFromObject(o))
	}
	for i := range keys.Items {
		if keys.Items[i].Spec.Usage == v1alpha1.KeyUsageHost { // users follow the status of a client key
			out = append(out, r.listenersOfHostKey(ctx, o.GetNamespace(), keys.Items[i].Name)...)
		}
	}
	out = append(out, r.listenersNaming(ctx, listenerListIndex, o)...)
	return append(out, r.listenersOfUsers(ctx, userSecretIndex, o)...)
}

func (r *Reconciler) listenersOfKey(ctx context.Context, o client.Object) []reconcile.Request {
	if k, ok := o.(*v1alpha1.SFTPKey); ok && k.Spec.Usage == v1alpha1.KeyUsageClient {
		// An assigned key is of consequence to whoever else has the same key.
		return r.listenersWhere(ctx, userNamespaceIndex, o.GetNamespace())
	}
	return r.listenersOfHostKey(ctx, o.GetNamespace(), o.GetName())
}

// listenersOfHostKey are those that want or have a key of an SFTPKey.
func (r *Reconciler) listenersOfHostKey(ctx context.Context, namespace, name string) []reconcile.Request {
	var list v1alpha1.SFTPListenerList
	if err := r.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list listeners", "namespace", namespace)
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		l := &list.Items[i]
		uses := len(l.Spec.HostKeyRefs) == 0 && name == render.DefaultHostKeyName(l)
		for _, ref := range l.Spec.HostKeyRefs {
			uses = uses || ref.Name == name
		}
		for j := range l.Status.HostKeys {
			uses = uses || l.Status.HostKeys[j].Name == name
		}
		if uses {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(l)})
		}
	}
	return out
}

// listenersOfUsers are the listeners of the users whose index holds the object.
func (r *Reconciler) listenersOfUsers(ctx context.Context, index string, o client.Object) []reconcile.Request {
	return r.listenersWhere(ctx, index, o.GetNamespace()+"/"+o.GetName())
}

func (r *Reconciler) listenersWhere(ctx context.Context, index, value string) []reconcile.Request {
	var users v1alpha1.SFTPUserList
	if err := r.Client.List(ctx, &users, client.MatchingFields{index: value}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list users", "index", index, "value", value)
		return nil
	}
	out := make([]reconcile.Request, 0, len(users.Items))
	for i := range users.Items {
		out = append(out, reconcile.Request{NamespacedName: user.ListenerOf(&users.Items[i])})
	}
	return out
}

func (r *Reconciler) listenersOfNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return r.listenersWhere(ctx, userNamespaceIndex, o.GetName())
}

func (r *Reconciler) listenersOfClaim(ctx context.Context, o client.Object) []reconcile.Request {
	return r.listenersNaming(ctx, listenerClaimIndex, o)
}

// listenersNaming are the listeners whose index holds the object.
func (r *Reconciler) listenersNaming(ctx context.Context, index string, o client.Object) []reconcile.Request {
	var list v1alpha1.SFTPListenerList
	if err := r.Client.List(ctx, &list, client.MatchingFields{index: o.GetNamespace() + "/" + o.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list listeners", "index", index, "object", client.ObjectKeyFromObject(o))
		return nil
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}

// keyChanged passes on what matters for logins and host keys, not when a key was last used.
func keyChanged() predicate.Predicate {
	ready := func(k *v1alpha1.SFTPKey) (status metav1.ConditionStatus, reason string) {
		if c := meta.FindStatusCondition(k.Status.Conditions, v1alpha1.ConditionReady); c != nil {
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

// secretChanged passes on all but the operator's own writes, which are of no consequence: with
// them each change would be looked at twice.
func (r *Reconciler) secretChanged() predicate.Predicate {
	news := func(o client.Object) bool { return !r.Applier.Wrote("Secret", o) }
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return news(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return news(e.ObjectNew) },
	}
}
