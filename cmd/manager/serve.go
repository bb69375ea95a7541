package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sftp-operator/sftp-operator/controllers"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
)

// leaseName is the Lease by which operators agree on who acts.
const leaseName = "sftp-operator.sftp-operator.io"

// settings are the operator's flags.
type settings struct {
	daemonImage       string
	operatorNamespace string
	namespaces        string
	metricsAddress    string
	metricsCerts      string
	healthAddress     string
	leaderElect       bool
	logLevel          slog.Level
	maxRollouts       int
	platformPolicy    string
}

func parseFlags(args []string) (settings, error) {
	var s settings
	fs := flag.NewFlagSet("manager", flag.ContinueOnError)
	fs.StringVar(&s.daemonImage, "daemon-image", "", "image that listeners' pods run; the operator's own when empty")
	fs.StringVar(&s.operatorNamespace, "operator-namespace", os.Getenv("POD_NAMESPACE"), "namespace that the operator runs in; required")
	fs.StringVar(&s.namespaces, "namespaces", "", "comma-separated namespaces to watch; empty means all")
	fs.StringVar(&s.metricsAddress, "metrics-bind-address", ":8443", "address of the HTTPS metrics endpoint, which requires a token; 0 disables it")
	fs.StringVar(&s.metricsCerts, "metrics-cert-dir", "", "directory with tls.crt and tls.key for the metrics, read again when they change; a self-signed certificate when empty")
	fs.StringVar(&s.healthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	fs.BoolVar(&s.leaderElect, "leader-elect", false, "let only one of several operators act at a time")
	fs.IntVar(&s.maxRollouts, "max-concurrent-rollouts", 5, "how many listeners an upgrade of the operator rolls out at a time; 0 means all")
	fs.StringVar(&s.platformPolicy, "platform-policy", "", "file with defaults and bounds for all listeners, read again when it changes; none when empty")
	fs.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	switch {
	case fs.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case s.maxRollouts < 0:
		return s, fmt.Errorf("--max-concurrent-rollouts must not be negative, but is %d", s.maxRollouts)
	case s.operatorNamespace == "":
		return s, errors.New("--operator-namespace must be set to the namespace that the operator runs in")
	}
	return s, nil
}

// serve runs the operator until it is told to stop.
func serve(args []string) error {
	s, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := limitMemory(); err != nil {
		return err
	}
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: s.logLevel})))
	log := ctrl.Log.WithName("setup")
	ctx := ctrl.SetupSignalHandler()

	policy, err := platform.FromFile(s.platformPolicy)
	if err != nil {
		return fmt.Errorf("--platform-policy: %w", err)
	}
	cacheOptions, err := controllers.CacheOptions(watched(s.namespaces))
	if err != nil {
		return err
	}
	traces, endTraces, err := startTraces(ctx)
	if err != nil {
		return fmt.Errorf("send traces: %w", err)
	}
	defer endTraces()
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	if traces != nil {
		config.Wrap(traceCalls(traces))
	}
	if err := awaitAPI(ctx, config, s.healthAddress); err != nil {
		return fmt.Errorf("wait for the API server: %w", err)
	}
	var lock resourcelock.Interface
	if pod := os.Getenv("POD_NAME"); s.leaderElect && pod != "" {
		if lock, err = podLock(config, s.operatorNamespace, pod); err != nil {
			return err
		}
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:    controllers.NewScheme(),
		Cache:     cacheOptions,
		NewClient: controllers.NewClient,
		Metrics: metricsserver.Options{
			BindAddress:    s.metricsAddress,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
			TLSOpts:        []func(*tls.Config){withoutHTTP2},
			CertDir:        s.metricsCerts,
		},
		HealthProbeBindAddress:        s.healthAddress,
		LeaderElection:                s.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       s.operatorNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(10 * time.Second),

		LeaderElectionResourceLockInterface: lock,
	})
	if err != nil {
		return fmt.Errorf("start the manager: %w", err)
	}
	if s.daemonImage == "" {
		if s.daemonImage, err = ownImage(ctx, mgr.GetAPIReader(), s.operatorNamespace, os.Getenv("POD_NAME")); err != nil {
			return fmt.Errorf("determine the operator's own image (or set --daemon-image): %w", err)
		}
	}
	if err := controllers.Setup(ctx, mgr, controllers.Options{
		DaemonImage: s.daemonImage, OperatorNamespace: s.operatorNamespace, Version: version, MaxConcurrentRollouts: s.maxRollouts,
		Platform: policy, Traces: traces,
	}); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("caches", cachesAreFilled(mgr.GetCache())); err != nil {
		return err
	}
	log.Info("Starting", "version", version, "daemonImage", s.daemonImage, "namespaces", s.namespaces, "leaderElect", s.leaderElect)
	return mgr.Start(ctx)
}

// watched returns the namespaces in a comma-separated list, none if all are watched.
func watched(list string) (namespaces []string) {
	for ns := range strings.SplitSeq(list, ",") {
		if ns = strings.TrimSpace(ns); ns != "" {
			namespaces = append(namespaces, ns)
		}
	}
	return namespaces
}

// ownImage returns the image of the operator's own pod: it also contains the daemon, in the
// same version.
func ownImage(ctx context.Context, c client.Reader, namespace, pod string) (string, error) {
	if pod == "" {
		return "", errors.New("POD_NAME is not set")
	}
	p := &corev1.Pod{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: pod}, p); err != nil {
		return "", err
	}
	for _, c := range p.Spec.Containers {
		if c.Name == "manager" {
			return c.Image, nil
		}
	}
	return "", fmt.Errorf("pod %s has no container named manager", pod)
}

// withoutHTTP2 keeps the metrics endpoint off HTTP/2 and its stream resets.
func withoutHTTP2(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }
