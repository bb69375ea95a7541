// Package controllers wires the operator together: one reconciler for each kind, and
// caches that hold no Secret.
package controllers

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/listener"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// Options of the operator.
type Options struct {
	// DaemonImage is the image that listeners' pods run.
	DaemonImage string
	// OperatorNamespace is where the operator itself runs.
	OperatorNamespace string
	// Version of the operator, for its metrics.
	Version string
	// MaxConcurrentRollouts is how many listeners an upgrade of the operator rolls out at a
	// time; 0 sets no limit.
	MaxConcurrentRollouts int
	// Asker asks pods what they have loaded; HTTP when nil.
	Asker ack.Asker
	// Now is the clock; that of the machine when nil.
	Now func() time.Time
	// Traces are of the reconciles of listeners; none when nil.
	Traces trace.TracerProvider
}

// NewScheme returns a scheme with the kinds of Kubernetes and of the operator.
func NewScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		panic(err) // only a programming error can do that
	}
	if err := v1alpha1.AddToScheme(s); err != nil {
		panic(err)
	}
	return s
}

// CacheOptions restricts the caches to what the operator needs. namespaces are those that
// it watches, all if empty. Of pods, Deployments and the like it sees its own alone; of
// Secrets and Namespaces the metadata, since contents are read when they are needed.
func CacheOptions(namespaces []string) (cache.Options, error) {
	req, err := labels.NewRequirement(v1alpha1.LabelListener, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, err
	}
	own := cache.ByObject{Label: labels.NewSelector().Add(*req)}
	o := cache.Options{
		DefaultTransform: slim,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}:                {Transform: slimSecret},
			&corev1.Pod{}:                   own,
			&corev1.Service{}:               own,
			&corev1.ServiceAccount{}:        own,
			&appsv1.Deployment{}:            own,
			&appsv1.ReplicaSet{}:            own,
			&networkingv1.NetworkPolicy{}:   own,
			&policyv1.PodDisruptionBudget{}: own,
		},
	}
	if len(namespaces) > 0 {
		o.DefaultNamespaces = map[string]cache.Config{}
		for _, ns := range namespaces {
			o.DefaultNamespaces[ns] = cache.Config{}
		}
	}
	return o, nil
}

// Setup registers all reconcilers with a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.Asker == nil {
		o.Asker = ack.NewHTTPAsker()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	listener.ShowVersion(o.Version)
	board := user.NewBoard()
	keys := &key.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("sftp-operator"), Now: o.Now}
	if err := keys.Setup(ctx, mgr, options(2)); err != nil {
		return fmt.Errorf("set up the key controller: %w", err)
	}
	users := &user.Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Board: board, Events: mgr.GetEventRecorder("sftp-operator")}
	if err := users.Setup(ctx, mgr, options(8)); err != nil {
		return fmt.Errorf("set up the user controller: %w", err)
	}
	listeners := &listener.Reconciler{
		Client:            mgr.GetClient(),
		Live:              mgr.GetAPIReader(),
		Applier:           &apply.Applier{Client: mgr.GetClient(), Live: mgr.GetAPIReader()},
		Poller:            &poll.Poller{Client: mgr.GetClient(), Asker: o.Asker, Now: o.Now},
		Board:             board,
		Events:            mgr.GetEventRecorder("sftp-operator"),
		Image:             o.DaemonImage,
		OperatorNamespace: o.OperatorNamespace,
		Now:               o.Now,

		MaxConcurrentRollouts: o.MaxConcurrentRollouts,
	}
	if o.Traces != nil {
		listeners.Tracer = o.Traces.Tracer("github.com/sftp-operator/sftp-operator/controllers/listener", trace.WithInstrumentationVersion(o.Version))
	}
	if err := listeners.Setup(ctx, mgr, options(listenerWorkers), options(listenerWorkers)); err != nil {
		return fmt.Errorf("set up the listener controller: %w", err)
	}
	return nil
}

// listenerWorkers is how many listeners are worked on at a time. Mostly they wait for pods, up to
// two seconds for one that does not answer, and others must not wait for these.
const listenerWorkers = 32

// options of a controller. Failures are tried again after 200 ms, doubling up to 30 seconds:
// the library's start of 5 ms is too hot for calls that failed, and its end of minutes is how
// long a revocation would wait that came while the API server was having a bad time.
func options(workers int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](200*time.Millisecond, 30*time.Second),
	}
}
