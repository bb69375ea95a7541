package user

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/fresh"
)

// ListenerIndex indexes SFTPUsers by "<namespace>/<name>" of their listener.
const ListenerIndex = "user.listener"

// Reconciler writes the status of SFTPUsers.
type Reconciler struct {
	Client client.Client
	// Live reads past any cache.
	Live   client.Reader
	Board  *Board
	Events events.EventRecorder

	written fresh.Written
}

// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpusers,verbs=get;list;watch
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpusers/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// ListenerOf is the listener that a user names.
func ListenerOf(u *v1alpha1.SFTPUser) types.NamespacedName {
	ns := u.Spec.ListenerRef.Namespace
	if ns == "" {
		ns = u.Namespace
	}
	return types.NamespacedName{Namespace: ns, Name: u.Spec.ListenerRef.Name}
}

// Setup registers the reconciler with a manager.
func (r *Reconciler) Setup(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.SFTPUser{}, ListenerIndex, func(o client.Object) []string {
		u, ok := o.(*v1alpha1.SFTPUser)
		if !ok {
			return nil
		}
		return []string{ListenerOf(u).String()}
	})
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("user").
		For(&v1alpha1.SFTPUser{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		// A listener's deletion, or creation, changes the status of users that name it.
		Watches(&v1alpha1.SFTPListener{}, handler.EnqueueRequestsFromMapFunc(r.usersOfListener),
			builder.WithPredicates(predicate.Funcs{
				UpdateFunc: func(event.UpdateEvent) bool { return false },
			})).
		WatchesRawSource(r.Board.Source()).
		WithOptions(options).
		Complete(r)
}

func (r *Reconciler) usersOfListener(ctx context.Context, o client.Object) []reconcile.Request {
	var users v1alpha1.SFTPUserList
	if err := r.Client.List(ctx, &users, client.MatchingFields{ListenerIndex: client.ObjectKeyFromObject(o).String()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the users of a listener", "listener", client.ObjectKeyFromObject(o))
		return nil
	}
	out := make([]reconcile.Request, 0, len(users.Items))
	for i := range users.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&users.Items[i])})
	}
	return out
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	u := &v1alpha1.SFTPUser{}
	err := r.Client.Get(ctx, req.NamespacedName, u)
	if err == nil && r.written.Outdates(u) {
		err = r.Live.Get(ctx, req.NamespacedName, u)
	}
	if apierrors.IsNotFound(err) {
		r.written.Forget(req.NamespacedName)
	}
	if err != nil || !u.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	listener := ListenerOf(u)
	exists, err := r.exists(ctx, listener)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !exists {
		return ctrl.Result{}, r.write(ctx, u, withoutListener(u, listener))
	}
	o, ok := r.Board.Get(listener, req.NamespacedName)
	if !ok || o.UID != u.UID || o.Generation != u.Generation {
		return ctrl.Result{}, nil // the listener's reconciler has not come to it yet and will say
	}
	return ctrl.Result{}, r.write(ctx, u, o)
}

// exists asks the API server itself before it says no: a cache that lags behind must not
// tell a user that the listener is gone.
func (r *Reconciler) exists(ctx context.Context, name types.NamespacedName) (bool, error) {
	l := &v1alpha1.SFTPListener{}
	err := r.Client.Get(ctx, name, l)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, name, l)
	}
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

func withoutListener(u *v1alpha1.SFTPUser, listener types.NamespacedName) Outcome {
	message := fmt.Sprintf("SFTPListener %q does not exist in namespace %q; create it, or delete this SFTPUser and name another listener", listener.Name, listener.Namespace)
	return Outcome{
		UID:        u.UID,
		Generation: u.Generation,
		Keys:       u.Status.Keys,

		ProvedHostKeys: u.Status.ProvedHostKeys,

		Conditions: []metav1.Condition{
			conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonListenerNotFound, message),
			conditions.Unknown(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonPending, "Not evaluated until the user is accepted"),
			conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonNotAccepted, message),
			conditions.Unknown(v1alpha1.ConditionKeysValid, v1alpha1.ReasonPending, "Not evaluated until the user is accepted"),
		},
	}
}

func (r *Reconciler) write(ctx context.Context, u *v1alpha1.SFTPUser, o Outcome) error {
	before := u.DeepCopy()
	conditions.Set(&u.Status.Conditions, u.Generation, o.Conditions...)
	s := &u.Status
	s.Username, s.Address, s.Keys, s.ObservedGeneration = o.Username, o.Address, withDates(o.Keys, s.Keys), o.Generation
	s.ProvedHostKeys = o.ProvedHostKeys
	if equality.Semantic.DeepEqual(before.Status, u.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, u, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.written.Note(u)
	r.announce(u, before)
	return nil
}

// withDates are keys with the dates of a status: the day of the last use never goes back, and
// that on which a key was added stays, whatever the one who found the keys out knew.
func withDates(keys, status []v1alpha1.UserKeyStatus) []v1alpha1.UserKeyStatus {
	known := make(map[string]*v1alpha1.UserKeyStatus, len(status))
	for i := range status {
		known[status[i].Fingerprint] = &status[i]
	}
	out := slices.Clone(keys)
	for i := range out {
		k, ok := known[out[i].Fingerprint]
		if !ok {
			continue
		}
		out[i].LastUsedDate = max(out[i].LastUsedDate, k.LastUsedDate) // as texts they compare like days
		if k.AddedDate != "" {
			out[i].AddedDate = min(out[i].AddedDate, k.AddedDate)
		}
	}
	return out
}

// announce writes an event when a user became ready or ceased to be, or when the reason
// why it is not changed; and when a key of it should be looked at.
func (r *Reconciler) announce(u, before *v1alpha1.SFTPUser) {
	find := meta.FindStatusCondition
	was, is := find(before.Status.Conditions, v1alpha1.ConditionKeysValid), find(u.Status.Conditions, v1alpha1.ConditionKeysValid)
	look := is != nil && is.Status != metav1.ConditionUnknown && is.Reason != v1alpha1.ReasonKeysValid
	if look && (was == nil || was.Reason != is.Reason || was.Message != is.Message) {
		r.Events.Eventf(u, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", is.Message)
	}
	was, is = find(before.Status.Conditions, v1alpha1.ConditionReady), find(u.Status.Conditions, v1alpha1.ConditionReady)
	if is == nil || is.Reason == v1alpha1.ReasonPending || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
		return
	}
	kind := corev1.EventTypeWarning
	if is.Status == metav1.ConditionTrue || is.Reason == v1alpha1.ReasonConfigPending {
		kind = corev1.EventTypeNormal
	}
	r.Events.Eventf(u, nil, kind, is.Reason, "Reconcile", "%s", is.Message)
}
