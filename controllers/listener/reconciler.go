// Package listener reconciles SFTPListeners: host keys, volumes, the objects around the pods, and the status. Who may log in is
// delivered by package access, in a queue of its own, so that nothing here can delay it.
package listener

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/feed"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/keyuse"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/relay/watch"
	"github.com/sftp-operator/sftp-operator/controllers/spans"
	"github.com/sftp-operator/sftp-operator/controllers/staleness"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

// Reconciler reconciles SFTPListeners.
type Reconciler struct {
	// Client reads from the caches, and Live bypasses them.
	Client   client.Client
	Live     client.Reader
	Applier  *apply.Applier
	HostKeys *hostkeys.Resolver
	Workload *workload.Workload
	// Users are the informers' users.
	Users *feed.Users
	// Store has the other controllers' results. Access wakes the access controller.
	Store    *exchange.Store
	Access   *wake.Waker
	Poller   *poll.Poller
	Outcomes *user.OutcomeStore
	Events   events.EventRecorder
	// Relays asks the relays of listeners for the state of their events; nil to ask none.
	Relays *watch.Watcher
	// Image is the daemon's, and OperatorNamespace is where the operator runs: its pods may reach the status port.
	Image, OperatorNamespace string
	// Platform has the platform team's policy for all listeners; nil for none.
	Platform *platform.Source
	// Metrics shows listeners.
	Metrics *Metrics
	// Now is the clock.
	Now func() time.Time
	// Tracer creates spans of reconciles and their steps; nil for none.
	Tracer trace.Tracer

	written staleness.WriteTracker

	mu sync.Mutex
	// memories has the memory of each listener. mu protects the map; a memory is only used by the one reconcile of its
	// listener that runs at a time.
	memories map[types.NamespacedName]*memory
}

// memory is what is kept of a listener between reconciles. It only saves work.
type memory struct {
	uid      types.UID
	hostKeys *hostkeys.Cache
	// record is the Secret with the record as it was read or written last, nil for none.
	record *corev1.Secret
	// receiptKey is the Secret with the key that signs receipts, likewise.
	receiptKey *corev1.Secret
	uses       keyuse.Tracker
	// eventSecrets are the Secrets of sinks as last read.
	eventSecrets map[string]readSecret
	// usedHostKeys are the host keys that uses may have.
	usedHostKeys []string
	history      delivery.History
	users        outcome.Memo
	// found is the last result for the users, and waiting is the time since which it has been deferred because pods are loading.
	found   *outcome.Result
	waiting time.Time
	// away is the time since which no pod has been ready, zero while one is.
	away time.Time
	// restart is the last announced change to the only pod.
	restart string
	// counted is when sessions were last counted for the status.
	counted time.Time
	// observed is the digest of the last version whose delivery time was measured.
	observed string
}

// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftplisteners,verbs=get;list;watch
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftplisteners/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftplisteners/finalizers,verbs=update
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpkeys,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpkeys/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	ctx, span := spans.Reconcile(ctx, r.Tracer, "reconcile listener", req.NamespacedName)
	defer func() { spans.Finish(span, err) }()
	l, err := r.read(ctx, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if l.UID == "" || !l.DeletionTimestamp.IsZero() {
		r.forget(req.NamespacedName) // garbage collection removes what the listener owns
		return ctrl.Result{}, nil
	}
	if l.Annotations[v1alpha1.AnnotationPaused] == "true" {
		return ctrl.Result{}, r.pause(ctx, l)
	}
	if ending, err := r.namespaceEnds(ctx, l.Namespace); ending || err != nil {
		if err == nil {
			err = r.Workload.Stop(ctx, l)
		}
		return ctrl.Result{}, err
	}
	access := r.Store.Of(req.NamespacedName, l.UID).Access.Load()
	if access == nil {
		return ctrl.Result{}, nil // the access controller comes first, and wakes this one
	}
	now := r.Now()
	decision := r.Platform.Policy().Decide(l, now)
	f := &findings{
		listener: decision.Listener, written: l, platform: decision,
		access: access, memory: r.memory(req.NamespacedName, l.UID, access), now: now, maxRollouts: r.Workload.Admission.Limit,
	}
	f.next.At(decision.Next)
	r.run(ctx, f)
	describe(span, f)
	if f.workload.NamespaceEnding || apply.NamespaceEnding(f.err()) {
		return ctrl.Result{}, nil // the listener is being deleted, and nothing can be created until then
	}
	if err := r.report(ctx, f); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: f.next.Wait(f.now)}, f.err()
}

// read reads a listener. A cache that is older than the last written status would undo it.
func (r *Reconciler) read(ctx context.Context, name types.NamespacedName) (*v1alpha1.SFTPListener, error) {
	l := &v1alpha1.SFTPListener{}
	err := client.IgnoreNotFound(r.Client.Get(ctx, name, l))
	if err == nil && r.written.IsStale(l) {
		l = &v1alpha1.SFTPListener{}
		err = client.IgnoreNotFound(r.Live.Get(ctx, name, l))
	}
	if err != nil {
		return nil, fmt.Errorf("read listener: %w", err)
	}
	return l, nil
}

func (r *Reconciler) memory(name types.NamespacedName, uid types.UID, access *exchange.Access) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memories == nil {
		r.memories = map[types.NamespacedName]*memory{}
	}
	m := r.memories[name]
	if m == nil || m.uid != uid {
		m = &memory{uid: uid, hostKeys: hostkeys.NewCache(access.Recalled)}
		r.memories[name] = m
	}
	return m
}

// forget drops everything known about a deleted listener.
func (r *Reconciler) forget(name types.NamespacedName) {
	r.mu.Lock()
	delete(r.memories, name)
	r.mu.Unlock()
	r.Store.Forget(name)
	r.Poller.Forget(name)
	r.Applier.Forget(name)
	r.written.Forget(name)
	r.Outcomes.Forget(name)
	if r.Relays != nil {
		r.Relays.Set(name, nil)
	}
	r.Metrics.forget(name)
}
