package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
)

// renewDeadline is the library's default for renewing the lease.
const renewDeadline = 10 * time.Second

// podLock returns a lock on the lease under a pod's name. A killed process leaves the lease behind, and with a unique name,
// which the library chooses, the next process in the same pod would wait 15 seconds for its expiration, and so would every
// revocation. There are never two processes in a pod at a time.
func podLock(config *rest.Config, namespace, pod string) (resourcelock.Interface, error) {
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, leaseName,
		resourcelock.ResourceLockConfig{Identity: pod}, config, renewDeadline)
	if err != nil {
		return nil, fmt.Errorf("prepare the lease: %w", err)
	}
	return lock, nil
}

const (
	apiPoll    = time.Second
	apiTimeout = 5 * time.Second
)

// awaitAPI waits until the API server answers. Losing the API server means losing the lease, and the process ends; if its
// successors ended at once, the kubelet would restart them with growing pauses, and the operator would miss the server's return
// by up to five minutes. In the meantime the liveness probe succeeds, and the readiness probe fails.
func awaitAPI(ctx context.Context, config *rest.Config, healthAddress string) error {
	c := rest.CopyConfig(config)
	c.Timeout = apiTimeout
	d, err := discovery.NewDiscoveryClientForConfig(c)
	if err != nil {
		return err
	}
	answers := func() error {
		err := d.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err) {
			return nil // the server responds; the manager reports other errors
		}
		return err
	}
	if err := answers(); err == nil {
		return nil
	} else if ctx.Err() == nil {
		ctrl.Log.WithName("setup").Error(err, "Waiting for the API server")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	health := &http.Server{Addr: healthAddress, Handler: mux, ReadHeaderTimeout: apiTimeout}
	if healthAddress != "0" {
		go func() { _ = health.ListenAndServe() }() // without it, the kubelet restarts this process
	}
	defer health.Close()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(apiPoll):
		}
		if answers() == nil {
			return nil
		}
	}
}
