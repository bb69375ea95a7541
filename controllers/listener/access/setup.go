package access

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/fair"
	"github.com/sftp-operator/sftp-operator/controllers/feed"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

// Indexes of what refers to a Secret, by "<namespace>/<name>" of the Secret.
const (
	userSecretIndex     = "user.secrets"
	listenerSecretIndex = "listener.secrets"
)

// Setup registers the reconciler with a manager; waker wakes it for new host keys and for results of the background reader.
func (r *Reconciler) Setup(ctx context.Context, mgr ctrl.Manager, options controller.Options, waker *wake.Waker) error {
	if err := r.index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	r.Keys.Concerned, r.Namespaces.Concerned = r.Users.ListenersOf, r.Users.ListenersOf
	source := func(o client.Object, observe func(before, after client.Object) []types.NamespacedName) *feed.Source {
		return &feed.Source{Cache: mgr.GetCache(), Object: o, Observe: observe}
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("access").
		For(&v1alpha1.SFTPListener{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesRawSource(source(&v1alpha1.SFTPUser{}, r.Users.Observe)).
		WatchesRawSource(source(&v1alpha1.SFTPKey{}, r.Keys.Observe)).
		WatchesRawSource(source(namespace, r.Namespaces.Observe)).
		WatchesRawSource(source(secret, r.secretChanged)).
		WatchesRawSource(waker.Source()).
		WithOptions(options).
		Complete(fair.Wrap(r, max(1, options.MaxConcurrentReconciles)))
}

func (r *Reconciler) index(ctx context.Context, ix client.FieldIndexer) error {
	err := ix.IndexField(ctx, &v1alpha1.SFTPUser{}, userSecretIndex, func(o client.Object) []string {
		u, ok := o.(*v1alpha1.SFTPUser)
		if !ok {
			return nil
		}
		auth := &u.Spec.Authentication
		var names []string
		for _, ref := range auth.AuthorizedKeysSecretRefs {
			names = append(names, ref.Name)
		}
		if auth.PasswordSecretRef != nil {
			names = append(names, auth.PasswordSecretRef.Name)
		}
		if auth.TOTPSecretRef != nil {
			names = append(names, auth.TOTPSecretRef.Name)
		}
		return qualified(u.Namespace, names)
	})
	if err != nil {
		return err
	}
	return ix.IndexField(ctx, &v1alpha1.SFTPListener{}, listenerSecretIndex, func(o client.Object) []string {
		l, ok := o.(*v1alpha1.SFTPListener)
		if !ok {
			return nil
		}
		var names []string
		for _, list := range [][]v1alpha1.SecretFileReference{l.Spec.RevokedKeysSecretRefs, l.Spec.Authentication.TrustedUserCAsSecretRefs} {
			for _, ref := range list {
				names = append(names, ref.Name)
			}
		}
		return qualified(l.Namespace, names)
	})
}

func qualified(namespace string, names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, namespace+"/"+n)
	}
	return out
}

// secretChanged returns the listeners affected by a change to a Secret: those that own it, unless the operator wrote it, and
// those that refer to it or have users that do.
func (r *Reconciler) secretChanged(before, after client.Object) []types.NamespacedName {
	o := after
	if o == nil {
		o = before
	}
	if before != nil && after != nil && before.GetResourceVersion() == after.GetResourceVersion() {
		return nil // a resync
	}
	var out []types.NamespacedName
	if name := o.GetLabels()[v1alpha1.LabelListener]; name != "" {
		if listener := (types.NamespacedName{Namespace: o.GetNamespace(), Name: name}); after == nil || r.Writer.News(listener, after) {
			out = append(out, listener)
		}
	}
	secret := client.ObjectKeyFromObject(o).String()
	ctx := context.Background()
	var users v1alpha1.SFTPUserList
	if err := r.Client.List(ctx, &users, client.MatchingFields{userSecretIndex: secret}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.Log.WithName("access").Error(err, "Cannot list the users of a Secret", "secret", secret)
	}
	seen := map[types.NamespacedName]bool{}
	for i := range users.Items {
		if name := user.ListenerOf(&users.Items[i]); !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	var listeners v1alpha1.SFTPListenerList
	if err := r.Client.List(ctx, &listeners, client.MatchingFields{listenerSecretIndex: secret}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.Log.WithName("access").Error(err, "Cannot list the listeners of a Secret", "secret", secret)
	}
	for i := range listeners.Items {
		out = append(out, client.ObjectKeyFromObject(&listeners.Items[i]))
	}
	return out
}
