package key

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/deadline"
	"github.com/sftp-operator/sftp-operator/controllers/fair"
	"github.com/sftp-operator/sftp-operator/controllers/staleness"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// SecretIndex indexes SFTPKeys by the names of their Secrets.
const SecretIndex = "key.secretName"

// Reconciler reconciles SFTPKeys.
type Reconciler struct {
	Client client.Client
	// Live reads Secrets past any cache.
	Live   client.Reader
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time

	written   staleness.WriteTracker
	generator *generator
}

// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpkeys,verbs=get;list;watch
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpkeys/status,verbs=get;patch;update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch

// Setup registers the reconciler with a manager.
func (r *Reconciler) Setup(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	if err := index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	r.generator = newGenerator()
	if err := mgr.Add(r.generator); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("key").
		For(&v1alpha1.SFTPKey{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		// SFTPKeys show what users' statuses say about them.
		Watches(&v1alpha1.SFTPUser{}, handler.EnqueueRequestsFromMapFunc(r.keysOfUser), builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(e event.UpdateEvent) bool { return keysDiffer(e.ObjectOld, e.ObjectNew) },
		})).
		// An SFTPKey may be the duplicate of another one.
		Watches(&v1alpha1.SFTPKey{}, handler.EnqueueRequestsFromMapFunc(r.duplicatesOf), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		// A pair of a former host-key revision is kept until no listener uses it.
		Watches(&v1alpha1.SFTPListener{}, handler.EnqueueRequestsFromMapFunc(hostKeysOfListener), builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(event.CreateEvent) bool { return false },
			UpdateFunc: func(e event.UpdateEvent) bool { return hostKeysDiffer(e.ObjectOld, e.ObjectNew) },
		})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.keysOfSecret)).
		WatchesRawSource(r.generator.waker.Source()).
		WithOptions(options).
		Complete(fair.Wrap(r, max(1, options.MaxConcurrentReconciles)))
}

func (r *Reconciler) keysOfSecret(ctx context.Context, o client.Object) []reconcile.Request {
	if o.GetLabels()[v1alpha1.LabelRecord] != "" {
		names, err := r.hostKeysOf(ctx, o.GetNamespace())
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Cannot list the keys of a record", "secret", client.ObjectKeyFromObject(o))
		}
		var out []reconcile.Request
		for _, name := range names {
			out = append(out, reconcile.Request{NamespacedName: name})
		}
		return out
	}
	var keys v1alpha1.SFTPKeyList
	if err := r.Client.List(ctx, &keys, client.InNamespace(o.GetNamespace()), client.MatchingFields{SecretIndex: o.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the keys of a Secret", "secret", client.ObjectKeyFromObject(o))
		return nil
	}
	out := make([]reconcile.Request, 0, len(keys.Items))
	for i := range keys.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&keys.Items[i])})
	}
	return out
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	var k *v1alpha1.SFTPKey
	defer func() {
		if p := recover(); p != nil {
			// The value and the stack must not be in an event: they may quote anything.
			ctrl.LoggerFrom(ctx).Error(errPanic, "Panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
		r.warn(k, err)
	}()
	if k, err = r.read(ctx, req.NamespacedName); k == nil || err != nil {
		if err == nil {
			r.generator.forget(req.NamespacedName)
		}
		return ctrl.Result{}, err
	}
	return r.reconcile(ctx, k)
}

var errPanic = errors.New("internal error of the operator; its log has the details")

// warn writes an event for an error that is retried. It is not a condition: earlier findings about the key still hold, and
// its users rely on them.
func (r *Reconciler) warn(k *v1alpha1.SFTPKey, err error) {
	var status apierrors.APIStatus
	var late *deadline.Error
	switch {
	case k == nil || err == nil || apierrors.IsConflict(err):
	case errors.Is(err, errPanic):
		r.Events.Eventf(k, nil, corev1.EventTypeWarning, v1alpha1.ReasonInternalError, "Reconcile", "%s", errPanic)
	case errors.As(err, &status):
		r.Events.Eventf(k, nil, corev1.EventTypeWarning, v1alpha1.ReasonApplyFailed, "Reconcile",
			"The API server refused or failed: %.512s. The operator retries", status.Status().Message)
	case errors.As(err, &late):
		r.Events.Eventf(k, nil, corev1.EventTypeWarning, v1alpha1.ReasonApplyFailed, "Reconcile", "%s. The operator retries", late)
	}
}

func (r *Reconciler) reconcile(ctx context.Context, k *v1alpha1.SFTPKey) (ctrl.Result, error) {
	before := k.DeepCopy()
	blocked, err := r.rotate(ctx, k, before)
	making := errors.Is(err, errBeingMade)
	if err != nil && !making {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if err := r.dropRetired(ctx, k); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.adoptRetainedRevision(ctx, k); err != nil {
		return ctrl.Result{}, err
	}
	v, err := r.material(ctx, k, before)
	if apply.NamespaceEnding(err) {
		return ctrl.Result{}, nil // the SFTPKey is being deleted
	}
	making = making || errors.Is(err, errBeingMade)
	if err != nil && !making {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	refused := v.Condition.Reason == v1alpha1.ReasonApplyFailed
	if err := r.ownRetiring(ctx, k); err != nil {
		return ctrl.Result{}, err
	}
	if blocked != nil && conditionTrue(v.Condition) {
		v.Condition = *blocked
	}
	h, err := r.holdingsOfClient(ctx, k, v)
	if err != nil {
		return ctrl.Result{}, err
	}
	var renewal time.Time
	if isHost(k) && conditionTrue(v.Condition) {
		v.Condition, k.Status.Certificate, renewal = certificateCondition(v.Material, v.Condition, r.Now())
	}
	if err := r.writeStatus(ctx, before, k, v, h); err != nil {
		return ctrl.Result{}, err
	}
	if making {
		return ctrl.Result{}, nil // the generator wakes it
	}
	renewal = sooner(renewal, conditions.Deadline(k.Status.Conditions, 0))
	return ctrl.Result{RequeueAfter: r.requeueAfter(k, blocked != nil || refused, renewal)}, nil
}

// holdingsOfClient returns who has a client's usable key, nil for any other key.
func (r *Reconciler) holdingsOfClient(ctx context.Context, k *v1alpha1.SFTPKey, v Verdict) (*Holdings, error) {
	if k.Spec.Usage != v1alpha1.KeyUsageClient || !conditionTrue(v.Condition) {
		return nil, nil
	}
	return r.holdings(ctx, k, v.Material.Fingerprint())
}

// sooner returns the earlier of two times, either of which may be zero, for none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// read reads an SFTPKey, nil if there is none or it is being deleted.
func (r *Reconciler) read(ctx context.Context, name types.NamespacedName) (*v1alpha1.SFTPKey, error) {
	k := &v1alpha1.SFTPKey{}
	err := r.Client.Get(ctx, name, k)
	if err == nil && r.written.IsStale(k) {
		err = r.Live.Get(ctx, name, k)
	}
	if apierrors.IsNotFound(err) {
		r.written.Forget(name)
	}
	if err != nil || !k.DeletionTimestamp.IsZero() {
		return nil, client.IgnoreNotFound(err)
	}
	return k, nil
}

// material returns the key, or generates it if it never existed. It updates before with what it rereads.
func (r *Reconciler) material(ctx context.Context, k, before *v1alpha1.SFTPKey) (Verdict, error) {
	name := types.NamespacedName{Namespace: k.Namespace, Name: SecretName(k)}
	var secret *corev1.Secret
	if name.Name != "" {
		var err error
		if secret, err = r.secret(ctx, name); err != nil {
			return Verdict{}, err
		}
	}
	v, err := r.restored(ctx, k, secret, Decide(k, secret))
	if err != nil {
		return v, err
	}
	if v.Generate {
		var err error
		if v, secret, err = r.first(ctx, k, before); err != nil {
			return v, err
		}
	}
	if secret != nil && conditionTrue(v.Condition) {
		if rotates(k) && k.Status.RevisionTime == nil {
			k.Status.RevisionTime = madeAt(secret, r.Now())
		}
		if err := r.setOwner(ctx, k, secret); err != nil {
			return Verdict{}, err
		}
	}
	return v, nil
}

// first generates a pair if there really never was one: the cache may lag behind our own status, and a generated key must not
// be replaced because its Secret was deleted.
func (r *Reconciler) first(ctx context.Context, k, before *v1alpha1.SFTPKey) (Verdict, *corev1.Secret, error) {
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(k), k); err != nil {
		return Verdict{}, nil, err
	}
	k.DeepCopyInto(before)
	v := Decide(k, nil)
	if !v.Generate {
		return v, nil, nil
	}
	secret, err := r.generate(ctx, k, SecretName(k))
	if message, refused := apply.Refusal(err); refused && !apply.NamespaceEnding(err) {
		return Verdict{Condition: conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonApplyFailed, message)}, nil, nil
	}
	if errors.Is(err, errBeingMade) {
		v.Condition = conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonPending,
			fmt.Sprintf("A pair of %s is being generated, which takes seconds, and longer if others are queued", k.Spec.Algorithm))
	}
	if err != nil {
		return v, nil, err
	}
	return Decide(k, secret), secret, nil
}

// blockedRetry is the time between checks of a Secret that blocks a rotation, or that the API
// server refused.
const blockedRetry = apply.RetryRefused

// requeueAfter returns when to reconcile a key without being woken, 0 for never. renewal is when its host certificate has to be
// evaluated again, or its renewal becomes overdue, zero for never.
func (r *Reconciler) requeueAfter(k *v1alpha1.SFTPKey, blocked bool, renewal time.Time) (after time.Duration) {
	now := r.Now()
	if !blocked && due(k, now) > 0 { // of an adopted pair that is too old
		return 10 * time.Millisecond
	}
	at := sooner(next(k, now), renewal)
	if !at.IsZero() {
		after = max(at.Sub(now), 10*time.Millisecond)
	}
	if blocked && (after == 0 || after > blockedRetry) {
		return blockedRetry
	}
	return after
}

func conditionTrue(c metav1.Condition) bool { return c.Status == metav1.ConditionTrue }

func (r *Reconciler) secret(ctx context.Context, name types.NamespacedName) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	err := r.Live.Get(ctx, name, s)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return s, nil
}

// errBeingMade means that there is no pair yet. The generator triggers a reconcile when there is.
var errBeingMade = errors.New("the key pair is being generated")

// generate generates a pair and stores it. Create, unlike apply, fails if the Secret exists; then the next reconcile checks
// the existing one.
func (r *Reconciler) generate(ctx context.Context, k *v1alpha1.SFTPKey, name string) (*corev1.Secret, error) {
	m, err := r.pair(k, name)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	s := NewSecret(k, name, m, r.Now())
	err = r.Client.Create(ctx, s)
	if err == nil || apierrors.IsAlreadyExists(err) {
		r.generator.forget(client.ObjectKeyFromObject(k))
	}
	if err != nil {
		return nil, fmt.Errorf("store the new key: %w", err)
	}
	r.Events.Eventf(k, s, corev1.EventTypeNormal, "KeyGenerated", "Generate",
		"Generated %s %s into Secret %q", m.Public.Type(), m.Fingerprint(), s.Name)
	return s, nil
}

// pair generates a pair at once, or orders it from the generator.
func (r *Reconciler) pair(k *v1alpha1.SFTPKey, secret string) (Material, error) {
	name := client.ObjectKeyFromObject(k)
	if !slow(k.Spec.Algorithm) {
		return Generate(k.Spec.Algorithm, name.String())
	}
	m, done, err := r.generator.take(order{key: name, uid: k.UID, secret: secret, algorithm: k.Spec.Algorithm})
	if err == nil && !done {
		err = errBeingMade
	}
	return m, err
}

// setOwner lets a generated Secret be deleted with the SFTPKey or outlive it.
func (r *Reconciler) setOwner(ctx context.Context, k *v1alpha1.SFTPKey, s *corev1.Secret) error {
	if k.Spec.Source == v1alpha1.KeyExisting {
		return nil
	}
	before := s.DeepCopy()
	owned := metav1.IsControlledBy(s, k)
	switch want := k.Spec.DeletionPolicy == v1alpha1.Delete; {
	case want && !owned:
		if err := controllerutil.SetControllerReference(k, s, r.Client.Scheme()); err != nil {
			return err
		}
	case !want && owned:
		if err := controllerutil.RemoveControllerReference(k, s, r.Client.Scheme()); err != nil {
			return err
		}
	default:
		return nil
	}
	return r.Client.Patch(ctx, s, client.MergeFrom(before))
}

// writeStatus writes the status. The holdings are those of a client key whose material is
// usable, otherwise nil.
func (r *Reconciler) writeStatus(ctx context.Context, before, k *v1alpha1.SFTPKey, v Verdict, h *Holdings) error {
	ready, assigned := v.Condition, (*metav1.Condition)(nil)
	if h != nil {
		ready, assigned = h.Judge(k, ready)
	} else if k.Spec.UserRef != nil {
		assigned = new(conditions.Unknown(v1alpha1.ConditionAssigned, v1alpha1.ReasonPending, "Not evaluated until the key is usable"))
	}
	conditions.Set(&k.Status.Conditions, k.Generation, ready)
	setAssigned(k, assigned)
	conditions.Conclude(&k.Status.Conditions, conditions.Conclusion{Generation: k.Generation, Now: r.Now()})
	k.Status.ObservedGeneration = k.Generation
	if conditionTrue(v.Condition) {
		k.Status.Algorithm = v.Material.Public.Type()
		k.Status.Bits = publickey.Size(v.Material.Public)
		k.Status.Fingerprint = v.Material.Fingerprint()
		k.Status.PublicKey = v.Material.Line()
		k.Status.SecretName = SecretName(k)
		if rotates(k) {
			k.Status.Revision = Revision(k)
			k.Status.NextRotationTime = nextRotation(k)
		}
	}
	if h != nil {
		users := h.using()
		k.Status.Users, k.Status.UserCount = users[:min(len(users), maxUsers)], new(int32(len(users)))
		k.Status.LastUsedDate = h.lastUsed()
		if before.Status.Fingerprint == k.Status.Fingerprint {
			// It outlives the users that it was seen with.
			k.Status.LastUsedDate = max(k.Status.LastUsedDate, before.Status.LastUsedDate)
		}
	}
	if equality.Semantic.DeepEqual(before.Status, k.Status) {
		return nil
	}
	is := conditions.Summary(k.Status.Conditions)
	if kind := conditions.EventType(conditions.Summary(before.Status.Conditions), is); kind != "" && is.Reason != v1alpha1.ReasonReady {
		r.Events.Eventf(k, nil, kind, is.Reason, "Reconcile", "%s", is.Message)
	}
	if err := r.Client.Status().Patch(ctx, k, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.written.Note(k)
	return nil
}
