package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// readyTimeout is how long /readyz waits for the caches; the kubelet waits for a second.
const readyTimeout = 500 * time.Millisecond

// synced is the part of a cache that a check needs.
type synced interface {
	WaitForCacheSync(ctx context.Context) bool
}

// cachesAreFilled returns a check for /readyz: an operator that may not read something, or gets no answer from the API server,
// is not ready. One that waits for the lease is ready, because its caches are filled; otherwise a rolling update, which starts
// the new pod before it ends the old one, would never complete.
func cachesAreFilled(c synced) healthz.Checker {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}
