package user

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	"github.com/sftp-operator/sftp-operator/controllers/due"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/staleness"
)

// ListenerIndex indexes SFTPUsers by "<namespace>/<name>" of their listener.
const ListenerIndex = "user.listener"

// Reconciler writes the status of SFTPUsers.
type Reconciler struct {
	Client client.Client
	// Live reads past any cache.
	Live     client.Reader
	Outcomes *OutcomeStore
	Events   events.EventRecorder
	// Now is the clock.
	Now func() time.Time
	// SuggestInterval is how often a refused user learns which listeners admit it; 0 for every ten minutes or so.
	SuggestInterval time.Duration

	written     staleness.WriteTracker
	suggestions suggestions
}

// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpusers,verbs=get;list;watch
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpusers/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// ListenerOf returns the listener that a user names.
func ListenerOf(u *v1alpha1.SFTPUser) types.NamespacedName {
	ns := u.Spec.ListenerRef.Namespace
	if ns == "" {
		ns = u.Namespace
	}
	return types.NamespacedName{Namespace: ns, Name: u.Spec.ListenerRef.Name}
}

// listenerName returns the name by which the status of a user refers to its listener.
func listenerName(u *v1alpha1.SFTPUser) string {
	l := ListenerOf(u)
	if l.Namespace == u.Namespace {
		return l.Name
	}
	return l.String()
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
		// Deleting or creating a listener changes the status of users that name it.
		Watches(&v1alpha1.SFTPListener{}, handler.EnqueueRequestsFromMapFunc(r.usersOfListener),
			builder.WithPredicates(predicate.Funcs{
				UpdateFunc: func(event.UpdateEvent) bool { return false },
			})).
		WatchesRawSource(r.Outcomes.Source()).
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
	if err == nil && r.written.IsStale(u) {
		err = r.Live.Get(ctx, req.NamespacedName, u)
	}
	if apierrors.IsNotFound(err) {
		r.written.Forget(req.NamespacedName)
	}
	if err != nil || !u.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	listener := ListenerOf(u)
	l, err := r.listener(ctx, listener)
	if err != nil {
		return ctrl.Result{}, err
	}
	if l == nil {
		return r.write(ctx, u, withoutListener(u, listener), 0)
	}
	o, ok := r.Outcomes.Get(listener, req.NamespacedName)
	if !ok || o.UID != u.UID || o.Generation != u.Generation {
		return ctrl.Result{}, nil // the listener's reconciler has not published an outcome yet
	}
	return r.write(ctx, u, o, time.Duration(render.DrainTimeoutSeconds(l))*time.Second)
}

// listener reads a listener, nil if it does not exist. It confirms a cache miss with a live read: a lagging cache must not make a
// user look as if its listener were gone.
func (r *Reconciler) listener(ctx context.Context, name types.NamespacedName) (*v1alpha1.SFTPListener, error) {
	l := &v1alpha1.SFTPListener{}
	err := r.Client.Get(ctx, name, l)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, name, l)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return l, err
}

func withoutListener(u *v1alpha1.SFTPUser, listener types.NamespacedName) Outcome {
	message := fmt.Sprintf("SFTPListener %q does not exist in namespace %q; create it, or delete this SFTPUser and name another listener", listener.Name, listener.Namespace)
	return Outcome{
		UID:        u.UID,
		Generation: u.Generation,
		Keys:       u.Status.Keys,

		ProvedHostKeys: u.Status.ProvedHostKeys,
		LastRefusal:    u.Status.LastRefusal,

		Conditions: []metav1.Condition{
			conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonListenerNotFound, message),
			conditions.Unknown(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonPending, "Not evaluated until the user is accepted"),
			conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonListenerNotFound, message),
			conditions.Unknown(v1alpha1.ConditionKeysValid, v1alpha1.ReasonPending, "Not evaluated until the user is accepted"),
		},
	}
}

// write writes the status, and returns when the operator must reconcile again, because waiting has a deadline. Slack is what
// the listener adds to it.
func (r *Reconciler) write(ctx context.Context, u *v1alpha1.SFTPUser, o Outcome, slack time.Duration) (ctrl.Result, error) {
	before, now := u.DeepCopy(), r.Now()
	list, suggestAgain := r.suggest(ctx, u, o.Conditions, now)
	conditions.Set(&u.Status.Conditions, u.Generation, list...)
	conditions.Conclude(&u.Status.Conditions, conditions.Conclusion{Generation: u.Generation, Now: now, Slack: slack})
	var next due.Earliest
	next.At(conditions.Deadline(u.Status.Conditions, slack))
	next.In(now, suggestAgain)
	again := ctrl.Result{RequeueAfter: next.Wait(now)}
	s := &u.Status
	s.Username, s.Address, s.Keys, s.ObservedGeneration = o.Username, o.Address, withDates(o.Keys, s.Keys), o.Generation
	s.ProvedHostKeys, s.KnownHosts, s.Listener = o.ProvedHostKeys, o.KnownHosts, listenerName(u)
	s.LastRefusal = o.LastRefusal
	if equality.Semantic.DeepEqual(before.Status, u.Status) {
		return again, nil
	}
	if err := r.Client.Status().Patch(ctx, u, client.MergeFrom(before)); err != nil {
		return again, client.IgnoreNotFound(err)
	}
	r.written.Note(u)
	r.announce(u, before)
	return again, nil
}

// withDates returns keys with the dates of a status: the day of the last use never goes back,
// and the day on which a key was added stays, even if the outcome lacks it.
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
		out[i].LastUsedDate = max(out[i].LastUsedDate, k.LastUsedDate) // ISO dates sort lexically
		if k.AddedDate != "" {
			out[i].AddedDate = min(out[i].AddedDate, k.AddedDate)
		}
	}
	return out
}

// announce writes an event when a user becomes ready or stops being ready, or when the reason changes; and when its end, or one
// of its keys, needs attention.
func (r *Reconciler) announce(u, before *v1alpha1.SFTPUser) {
	find := meta.FindStatusCondition
	was, is := find(before.Status.Conditions, v1alpha1.ConditionKeysValid), find(u.Status.Conditions, v1alpha1.ConditionKeysValid)
	look := is != nil && is.Status != metav1.ConditionUnknown && is.Reason != v1alpha1.ReasonKeysValid
	if look && (was == nil || was.Reason != is.Reason || was.Message != is.Message) {
		r.Events.Eventf(u, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", is.Message)
	}
	was, is = find(before.Status.Conditions, v1alpha1.ConditionAccepted), find(u.Status.Conditions, v1alpha1.ConditionAccepted)
	if is != nil && is.Reason == v1alpha1.ReasonLoginExpiring && (was == nil || was.Reason != is.Reason || was.Message != is.Message) {
		r.Events.Eventf(u, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", is.Message)
	}
	was, is = conditions.Summary(before.Status.Conditions), conditions.Summary(u.Status.Conditions)
	if kind := conditions.EventType(was, is); kind != "" && !ofListener(is) && !(ofListener(was) && is.Reason == v1alpha1.ReasonReady) {
		r.Events.Eventf(u, nil, kind, is.Reason, "Reconcile", "%s", is.Message)
	}
}

// ofListener reports whether a condition only repeats what the listener has an event for: one event for each of its users would
// be thousands.
func ofListener(c *metav1.Condition) bool {
	return c != nil && (c.Reason == v1alpha1.ReasonPodsUnavailable || c.Reason == v1alpha1.ReasonScaledToZero)
}
