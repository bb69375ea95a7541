// Package listener makes SFTPListeners so: it joins a listener with its users, renders
// the configuration and the objects, applies them, and waits until the pods have loaded
// what is theirs. The unit of work is the listener; events of everything that it depends
// on lead to it.
package listener

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/fresh"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// Reconciler makes SFTPListeners so.
type Reconciler struct {
	Client client.Client
	// Live reads past any cache; the operator caches no Secret.
	Live    client.Reader
	Applier *apply.Applier
	// Poller asks pods.
	Poller *poll.Poller
	Board  *user.Board
	Events events.EventRecorder
	// Image is the daemon's image.
	Image string
	// OperatorNamespace is where the operator runs; its pods may reach the health port.
	OperatorNamespace string
	// MaxConcurrentRollouts is how many listeners an upgrade of the operator rolls out at a
	// time; 0 sets no limit.
	MaxConcurrentRollouts int
	// Now is the clock.
	Now func() time.Time
	// Tracer makes spans of reconciles and of their phases; none when nil.
	Tracer trace.Tracer

	pace    pacer
	written fresh.Written
	rings   key.Rings

	mu sync.Mutex
	// memories of the listeners seen. mu protects the map; a memory itself is only used
	// by the one reconcile of its listener that runs at a time.
	memories map[types.NamespacedName]*memory
}

// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftplisteners,verbs=get;list;watch
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftplisteners/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftplisteners/finalizers,verbs=update
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpkeys,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpkeys/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;create;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch

// errStop ends a reconcile early: a condition says why, and a watch or a timer will
// start the next one.
var errStop = errors.New("stop")

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	ctx, span := r.start(ctx, "reconcile listener",
		attribute.String("k8s.namespace.name", req.Namespace), attribute.String("sftp.listener", req.Name))
	defer func() { finish(span, err) }()
	l := &v1alpha1.SFTPListener{}
	err = client.IgnoreNotFound(r.Client.Get(ctx, req.NamespacedName, l))
	if err == nil && r.written.Outdates(l) {
		l = &v1alpha1.SFTPListener{}
		err = client.IgnoreNotFound(r.Live.Get(ctx, req.NamespacedName, l))
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if l.UID == "" || !l.DeletionTimestamp.IsZero() {
		// Owner references take everything away but what is to be kept.
		r.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	s := newScope(r, l.DeepCopy())
	defer func() { s.describeTo(span) }()
	if l.Annotations[v1alpha1.AnnotationPaused] == "true" {
		s.pause()
		r.Poller.SetTarget(s.name(), poll.Target{UID: l.UID, Paused: true}) // what it has heard stays
		return ctrl.Result{}, s.writeStatus(ctx)
	}
	var failed error
	whole := true
	for _, p := range s.phases() {
		if err := s.traced(ctx, p); err != nil {
			if whole = false; !errors.Is(err, errStop) {
				failed = err
			}
			break
		}
	}
	if apply.NamespaceEnding(failed) || apply.NamespaceEnding(s.applyFailed) {
		return ctrl.Result{}, nil // the listener is about to be deleted, and nothing can be done until then
	}
	s.learnKeyUse()
	s.publishOutcomes()
	err = errors.Join(failed, s.applyFailed, s.traced(ctx, phase{"write status", s.writeStatus}))
	if err := errors.Join(err, s.keepAsking(ctx, whole && err == nil)); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: s.requeueAfter()}, nil
}

// phase is a part of a reconcile, under the name of its span.
type phase struct {
	name string
	run  func(context.Context) error
}

// phases in their order. The configuration is delivered before the workload is looked
// at: whatever is wrong with pods or volumes, a revoked key must be revoked.
func (s *scope) phases() []phase {
	return []phase{
		{"recall", s.recall},
		{"gather users", s.gatherUsers},
		{"resolve credentials", s.resolveCredentials},
		{"resolve host keys", s.resolveHostKeys},
		{"apply configuration", s.applyConfiguration},
		{"tell pods", s.tellPods},
		{"resolve volumes", s.resolveVolumes},
		{"apply objects", s.applyObjects},
		{"read addresses", s.readAddresses},
		{"publish known hosts", s.publishKnownHosts},
		{"await acknowledgement", s.awaitAcknowledgement},
	}
}

func (r *Reconciler) memory(name types.NamespacedName, uid types.UID) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memories == nil {
		r.memories = map[types.NamespacedName]*memory{}
	}
	m := r.memories[name]
	if m == nil || m.uid != uid {
		m = newMemory(uid)
		r.memories[name] = m
	}
	return m
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.mu.Lock()
	delete(r.memories, name)
	r.mu.Unlock()
	r.Poller.Forget(name)
	r.written.Forget(name)
	r.Board.Publish(name, nil)
	keyCounts.set(name, nil)
	forgetHostKeys(name)
	listenerStates.forget(name)
}
