// Package fair shares the workers of a controller between namespaces.
package fair

import (
	"context"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// share is the part of all workers that one namespace may keep busy: one of so many.
const share = 4

// tick is about as long as a reconcile of a listener takes that has nothing to do.
const tick = 10 * time.Millisecond

// maxDelay bounds Delay: what waits for longer would not notice that there is room again.
const maxDelay = 2 * time.Second

// Limiter counts the workers that each namespace keeps busy. It is safe for concurrent use.
type Limiter struct {
	most int

	mu   sync.Mutex
	busy map[string]*load // mu protects it and what is in it
}

// load of a namespace.
type load struct {
	workers int
	// refused is how many were refused that have not got a worker since, as far as is known:
	// one that was given up is counted until no worker is busy.
	refused int
}

// New returns a Limiter for a number of workers, which are those of one controller.
func New(workers int) *Limiter {
	return &Limiter{most: max(1, workers/share), busy: map[string]*load{}}
}

// Acquire reports whether a namespace may keep one more worker busy. If so, Release must follow.
func (l *Limiter) Acquire(namespace string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.busy[namespace]
	if n == nil {
		n = &load{}
		l.busy[namespace] = n
	}
	if n.workers >= l.most {
		n.refused++
		return false
	}
	n.workers++
	n.refused = max(n.refused-1, 0)
	return true
}

// Release ends what a successful Acquire began.
func (l *Limiter) Release(namespace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.busy[namespace]
	if n == nil {
		return
	}
	if n.workers--; n.workers <= 0 {
		delete(l.busy, namespace)
	}
}

// Delay returns when one that was refused is to try again. It grows with the number of those
// that were refused, so that a thousand listeners of one namespace do not all come back each
// time to find it as busy as before.
func (l *Limiter) Delay(namespace string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.busy[namespace]
	if n == nil {
		return tick
	}
	return min(tick+time.Duration(n.refused/l.most)*tick, maxDelay)
}

// Reconciler passes requests on to another one as long as their namespace has a place, and
// has the others come back.
type Reconciler struct {
	reconcile.Reconciler
	limiter *Limiter
}

// Wrap returns a reconciler of which one namespace cannot keep more than a quarter of the
// workers busy, but always one.
func Wrap(r reconcile.Reconciler, workers int) *Reconciler {
	return &Reconciler{Reconciler: r, limiter: New(workers)}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if !r.limiter.Acquire(req.Namespace) {
		return ctrl.Result{RequeueAfter: r.limiter.Delay(req.Namespace)}, nil
	}
	defer r.limiter.Release(req.Namespace)
	return r.Reconciler.Reconcile(ctx, req)
}
