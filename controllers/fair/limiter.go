// Package fair shares the workers of a controller between namespaces.
package fair

import (
	"context"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// share limits one namespace to a fraction of all workers: one in share.
const share = 4

// tick is about as long as the reconcile of an unchanged listener takes.
const tick = 10 * time.Millisecond

// maxDelay bounds Delay: a longer wait would not notice that there is room again.
const maxDelay = 2 * time.Second

// Limiter counts the workers that each namespace keeps busy. It is safe for concurrent use.
type Limiter struct {
	most int

	mu   sync.Mutex
	busy map[string]*load // mu protects it and its contents
}

// load is the load of a namespace.
type load struct {
	workers int
	// refused is how many refused requests have not had a worker since, as far as known:
	// abandoned ones are counted until no worker is busy.
	refused int
}

// New returns a Limiter for the number of workers of one controller.
func New(workers int) *Limiter {
	return &Limiter{most: max(1, workers/share), busy: map[string]*load{}}
}

// Acquire reports whether a namespace may keep one more worker busy. If so, call Release afterwards.
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

// Delay returns when a refused request should retry. It grows with the number of refused
// ones, so that a thousand listeners of one namespace do not all retry each time while it is
// still busy.
func (l *Limiter) Delay(namespace string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.busy[namespace]
	if n == nil {
		return tick
	}
	return min(tick+time.Duration(n.refused/l.most)*tick, maxDelay)
}

// Reconciler forwards requests while their namespace has a free worker, and requeues the
// others.
type Reconciler struct {
	reconcile.Reconciler
	limiter *Limiter
}

// Wrap returns a reconciler in which one namespace can keep at most a quarter of the
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
