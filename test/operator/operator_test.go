// Package operator tests the operator on a real API server, with the permissions of its Role, and with simulated pods, because
// there is no kubelet. Each test has its own namespace, and reads like what a tenant does and sees.
package operator

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sftp-operator/sftp-operator/controllers"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

var (
	// api is the client of the tests, with the cluster administrator's permissions.
	api client.WithWatch
	// pods answers the operator's requests to pods.
	pods *dataPlane
	// running is the operator.
	running *process
	// kubeconfig is the administrator's, and assets the folder with kubectl.
	kubeconfig []byte
	assets     string
	// asked counts its requests to the API server.
	asked requests
	// environment of the API server.
	environment *envtest.Environment
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	handler := slog.DiscardHandler
	if os.Getenv("OPERATOR_LOG") != "" { // OPERATOR_LOG=1 shows what the operator logs
		handler = slog.NewTextHandler(os.Stderr, nil)
	}
	ctrl.SetLogger(logr.FromSlogHandler(handler))

	env, err := apiserver.Start()
	if err != nil {
		return fail(err)
	}
	defer env.Stop()
	kubeconfig, assets = env.KubeConfig, env.BinaryAssetsDirectory
	environment = env
	if api, err = client.NewWithWatch(env.Config, client.Options{Scheme: controllers.NewScheme()}); err != nil {
		return fail(err)
	}
	account, err := apiserver.OperatorAccount(context.Background(), env, api)
	if err != nil {
		return fail(err)
	}
	asked.count(account)
	pods = newDataPlane(api)
	if running, err = start(account, defaultOptions()); err != nil {
		return fail(err)
	}
	defer func() { running.stop() }() // the operator of the last restart
	return m.Run()
}

// process is a running operator.
type process struct {
	account *rest.Config
	options controllers.Options
	cancel  context.CancelFunc
	done    chan error
}

func defaultOptions() controllers.Options {
	return controllers.Options{
		DaemonImage: "sftp-operator:test", OperatorNamespace: "sftp-system", MaxConcurrentRollouts: 2, StatusClient: pods, Relays: &relays, Now: clock.now, Version: "test",
	}
}

// start starts an operator that works in the given namespaces, or in all if there are none.
func start(account *rest.Config, o controllers.Options, namespaces ...string) (*process, error) {
	cacheOptions, err := controllers.CacheOptions(namespaces)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(account, ctrl.Options{
		Scheme:     controllers.NewScheme(),
		Cache:      cacheOptions,
		NewClient:  controllers.NewClient,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)}, // a restart happens in the same process here
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := controllers.Setup(ctx, mgr, o); err != nil {
		cancel()
		return nil, err
	}
	p := &process{account: account, options: o, cancel: cancel, done: make(chan error, 1)}
	go func() { p.done <- mgr.Start(ctx) }()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		return nil, fmt.Errorf("caches do not fill: %w", p.stop())
	}
	return p, nil
}

func (p *process) stop() error {
	p.cancel()
	return <-p.done
}

// restartOperator ends the operator, calls a function, and starts it again.
func restartOperator(t *testing.T, meanwhile func()) {
	t.Helper()
	replaceOperator(t, running.options, meanwhile)
}

// upgradeOperator replaces the operator with one of another version until the test ends.
func upgradeOperator(t *testing.T, image string) {
	t.Helper()
	o := running.options
	t.Cleanup(func() { replaceOperator(t, o, func() {}) })
	next := o
	next.DaemonImage = image
	replaceOperator(t, next, func() {})
}

func replaceOperator(t *testing.T, o controllers.Options, meanwhile func()) {
	t.Helper()
	if err := running.stop(); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	next, err := start(running.account, o)
	if err != nil {
		t.Fatal(err)
	}
	running = next
}

// wallClock is the operator's clock. It can be set.
type wallClock struct{ offset atomic.Int64 }

var clock wallClock

// now has no monotonic reading, so times read before and after a jump differ by the jump.
func (c *wallClock) now() time.Time { return time.Now().Round(0).Add(time.Duration(c.offset.Load())) }

// jump moves the clock forward or back until the test ends.
func (c *wallClock) jump(t *testing.T, d time.Duration) {
	t.Helper()
	c.offset.Add(int64(d))
	t.Cleanup(func() { c.offset.Add(int64(-d)) })
}
