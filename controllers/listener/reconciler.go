// Package listener reconciles SFTPListeners: host keys, volumes, the objects around the pods, and the status. Who may log in is
// delivered by package access, in a queue of its own, so that nothing here can delay it.
package listener

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/feed"
	"github.com/sftp-operator/sftp-operator/controllers/fresh"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/keyuse"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/spans"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

// Reconciler reconciles SFTPListeners.
type Reconciler struct {
	// Client reads from the caches, and Live past them.
	Client   client.Client
	Live     client.Reader
	Applier  *apply.Applier
	HostKeys *hostkeys.Resolver
	Workload *workload.Workload
	// Users are those of the informers.
	Users *feed.Users
	// Store has what the other controllers found. Access wakes the one that delivers.
	Store  *exchange.Store
	Access *wake.Waker
	Poller *poll.Poller
	Board  *user.Board
	Events events.EventRecorder
	// Image is the daemon's, and OperatorNamespace where the operator runs: its pods may reach the status port.
	Image, OperatorNamespace string
	// Metrics shows listeners.
	Metrics *Metrics
	// Now is the clock.
	Now func() time.Time
	// Tracer makes spans of reconciles and of their steps; none when nil.
	Tracer trace.Tracer

	written fresh.Written

	mu sync.Mutex
	// memories of the listeners seen. mu protects the map; a memory is only used by the one reconcile of its listener that
	// runs at a time.
	memories map[types.NamespacedName]*memory
}

// memory is what is kept of a listener between reconciles. It only saves work.
type memory struct {
	uid      types.UID
	hostKeys *hostkeys.Cache
	uses     keyuse.Tracker
	// usedHostKeys are the host keys that uses may have.
	usedHostKeys []string
	history      delivery.History
	users        outcome.Memo
	// found is what was found of the users last, and waiting since when it has not been looked at because pods are loading.
	found   *outcome.Result
	waiting time.Time
	// restart is the change of the only pod that was announced last.
	restart string
	// counted is when sessions were counted for the status last.
	counted time.Time
	// observed is the digest of the last version whose way to the pods was measured.
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
	access := r.Store.Of(req.NamespacedName, l.UID).Access.Load()
	if access == nil {
		return ctrl.Result{}, nil // the access controller comes first, and wakes this one
	}
	f := &findings{
		listener: l, access: access, memory: r.memory(req.NamespacedName, l.UID, access), now: r.Now(), maxRollouts: r.Workload.Admission.Limit,
	}
	r.run(ctx, f)
	describe(span, f)
	if f.workload.NamespaceEnding || apply.NamespaceEnding(f.err()) {
		return ctrl.Result{}, nil // the listener is about to be deleted, and nothing can be created until then
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
	if err == nil && r.written.Outdates(l) {
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

// forget drops all that is known of a listener that is gone.
func (r *Reconciler) forget(name types.NamespacedName) {
	r.mu.Lock()
	delete(r.memories, name)
	r.mu.Unlock()
	r.Store.Forget(name)
	r.Poller.Forget(name)
	r.Applier.Forget(name)
	r.written.Forget(name)
	r.Board.Forget(name)
	r.Metrics.forget(name)
}
