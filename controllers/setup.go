package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/deadline"
	"github.com/sftp-operator/sftp-operator/controllers/entry"
	"github.com/sftp-operator/sftp-operator/controllers/feed"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/listener"
	"github.com/sftp-operator/sftp-operator/controllers/listener/access"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/relay/watch"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

// Workers of the controllers. They never wait for pods, only for the API server.
const (
	keyWorkers      = 8
	userWorkers     = 8
	accessWorkers   = 16
	listenerWorkers = 16
	pollWorkers     = 32
)

// Setup registers all reconcilers with a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.StatusClient == nil {
		o.StatusClient = ack.NewHTTPStatusClient()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Registry == nil {
		o.Registry = metrics.Registry
	}
	s := setup{
		Options: o, mgr: mgr, client: mgr.GetClient(), live: deadline.NewReader(mgr.GetAPIReader(), deadline.PerCall),
		metrics: prometheus.NewRegistry(), outcomes: user.NewOutcomeStore(), store: &exchange.Store{}, users: &feed.Users{},
	}
	s.applier = &apply.Applier{Client: s.client, Live: s.live, Now: o.Now}
	s.poller = &poll.Poller{Client: s.client, StatusClient: o.StatusClient, Now: o.Now}
	for _, part := range []struct {
		name  string
		setup func(context.Context) error
	}{
		{"key", s.keys}, {"user", s.usersStatus}, {"poll", s.poll}, {"access", s.access}, {"listener", s.listeners}, {"policy", s.policy},
	} {
		if err := part.setup(ctx); err != nil {
			return fmt.Errorf("set up the %s controller: %w", part.name, err)
		}
	}
	return s.register()
}

// setup is what the controllers share.
type setup struct {
	Options
	mgr      ctrl.Manager
	client   client.Client
	live     client.Reader
	metrics  *prometheus.Registry
	outcomes *user.OutcomeStore
	store    *exchange.Store
	users    *feed.Users
	applier  *apply.Applier
	poller   *poll.Poller
	// toAccess and toListener wake these controllers.
	toAccess, toListener wake.Waker
}

func (s *setup) keys(ctx context.Context) error {
	r := &key.Reconciler{Client: s.client, Live: s.live, Events: s.mgr.GetEventRecorder("sftp-operator"), Now: s.Now}
	return r.Setup(ctx, s.mgr, options(keyWorkers, maxRetry))
}

func (s *setup) usersStatus(ctx context.Context) error {
	r := &user.Reconciler{
		Client: s.client, Live: s.live, Outcomes: s.outcomes, Events: s.mgr.GetEventRecorder("sftp-operator"), Now: s.Now,
		SuggestInterval: s.SuggestInterval,
	}
	return r.Setup(ctx, s.mgr, options(userWorkers, maxRetry))
}

func (s *setup) poll(context.Context) error {
	return s.poller.Setup(s.mgr, options(pollWorkers, maxRetry))
}

func (s *setup) access(ctx context.Context) error {
	entries := entry.New(entry.Options{
		Metadata: s.client, Live: s.live, Registerer: s.metrics,
		Wake: func(listener types.NamespacedName) { s.toAccess.Wake(listener) },
	})
	if err := s.mgr.Add(entries); err != nil {
		return err
	}
	r := &access.Reconciler{
		Client: s.client, Live: s.live, Users: s.users, Keys: &feed.Keys{}, Namespaces: &feed.Namespaces{}, Entries: entries,
		Writer: &delivery.Writer{Client: s.client, Applier: s.applier, Now: s.Now},
		Store:  s.store, Delivered: &s.toListener, Now: s.Now,
		Announcer: &access.Announcer{Client: s.client, Poller: s.poller}, Platform: s.Platform,
		Tracer: s.tracer(),
	}
	return r.Setup(ctx, s.mgr, options(accessWorkers, maxAccessRetry), &s.toAccess)
}

func (s *setup) listeners(ctx context.Context) error {
	shown, err := listener.NewMetrics(s.metrics)
	if err != nil {
		return err
	}
	r := &listener.Reconciler{
		Client: s.client, Live: s.live, Applier: s.applier, Users: s.users, Store: s.store, Access: &s.toAccess,
		HostKeys: &hostkeys.Resolver{Client: s.client, Live: s.live, Applier: s.applier},
		Workload: &workload.Workload{
			Client: s.client, Applier: s.applier, Now: s.Now,
			Admission: &workload.Admission{Reader: s.client, Limit: s.MaxConcurrentRollouts},
		},
		Poller: s.poller, Outcomes: s.outcomes, Events: s.mgr.GetEventRecorder("sftp-operator"), Metrics: shown,
		Relays: &watch.Watcher{StatusClient: watch.NewHTTPStatusClient(), Wake: s.toListener.Wake},
		Image:  s.DaemonImage, OperatorNamespace: s.OperatorNamespace, Platform: s.Platform, Now: s.Now,
	}
	r.Tracer = s.tracer()
	if s.Relays != nil {
		r.Relays.StatusClient = s.Relays
	}
	if err := s.mgr.Add(r.Relays); err != nil {
		return err
	}
	return r.Setup(ctx, s.mgr, options(listenerWorkers, maxRetry), &s.toListener)
}

// tracer creates spans for listeners' reconciles; nil for none.
func (s *setup) tracer() trace.Tracer {
	if s.Traces == nil {
		return nil
	}
	return s.Traces.Tracer("github.com/sftp-operator/sftp-operator/controllers/listener", trace.WithInstrumentationVersion(s.Version))
}

// register registers this operator's metrics, replacing those of an earlier one in the same process.
func (s *setup) register() error {
	version := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sftp_operator_build_info", Help: "1, with the operator's version.",
	}, []string{"version"})
	version.WithLabelValues(s.Version).Set(1)
	if err := s.metrics.Register(version); err != nil {
		return err
	}
	err := s.Registry.Register(s.metrics)
	if before, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		s.Registry.Unregister(before.ExistingCollector)
		err = s.Registry.Register(s.metrics)
	}
	return err
}

// Limits of the time between retries. The library's initial backoff of 5 ms is too short for failed calls, and its longest one
// is minutes. The access controller's maximum is how long a revocation would wait after an outage of the API server.
const (
	minRetry       = 200 * time.Millisecond
	maxRetry       = 30 * time.Second
	maxAccessRetry = 2 * time.Second
)

// options returns the options of a controller. Failures are retried after minRetry, doubling up to a bound.
func options(workers int, bound time.Duration) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minRetry, bound),
	}
}
