package fair

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestShare(t *testing.T) {
	for workers, most := range map[int]int{1: 1, 3: 1, 4: 1, 7: 1, 8: 2, 32: 8} {
		l := New(workers)
		got := 0
		for l.Acquire("a") {
			got++
		}
		if got != most || !l.Acquire("b") {
			t.Errorf("of %d workers a namespace got %d, want %d", workers, got, most)
		}
		l.Release("a")
		if !l.Acquire("a") || l.Acquire("a") {
			t.Errorf("%d workers: one was released, but not exactly one can be had", workers)
		}
	}
}

// Idle namespaces are not kept.
func TestForgetsNamespaces(t *testing.T) {
	l := New(4)
	for i := range 100 {
		ns := strconv.Itoa(i)
		l.Acquire(ns)
		l.Acquire(ns) // refused
		l.Release(ns)
		l.Release(ns) // one call too many changes nothing
	}
	if len(l.busy) != 0 {
		t.Errorf("%d namespaces are kept", len(l.busy))
	}
}

func TestDelay(t *testing.T) {
	l := New(8) // two of them
	if d := l.Delay("a"); d != tick {
		t.Errorf("without a load %s", d)
	}
	l.Acquire("a")
	l.Acquire("a")
	for range 10 {
		l.Acquire("a")
	}
	if d := l.Delay("a"); d != 6*tick {
		t.Errorf("with ten before it for two places %s, want %s", d, 6*tick)
	}
	l.Release("a")
	l.Acquire("a")
	l.Release("a")
	l.Acquire("a")
	if d := l.Delay("a"); d != 5*tick {
		t.Errorf("after two of them %s, want %s", d, 5*tick)
	}
	for range 10000 {
		l.Acquire("a")
	}
	if d := l.Delay("a"); d != maxDelay {
		t.Errorf("with ten thousand %s, want %s", d, maxDelay)
	}
}

type function func(ctx context.Context, req ctrl.Request) (ctrl.Result, error)

func (f function) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return f(ctx, req)
}

var _ reconcile.Reconciler = function(nil)

// While one namespace uses its full share, others are served; each place is returned, even after errors and panics.
func TestReconciler(t *testing.T) {
	const workers = 8
	var running atomic.Int32
	var mu sync.Mutex
	var most int32
	release := make(chan struct{})
	r := Wrap(function(func(_ context.Context, req ctrl.Request) (ctrl.Result, error) {
		if req.Namespace != "hostile" {
			return ctrl.Result{RequeueAfter: time.Hour}, nil
		}
		mu.Lock()
		most = max(most, running.Add(1))
		mu.Unlock()
		defer running.Add(-1)
		<-release
		return ctrl.Result{}, errors.New("broken")
	}), workers)
	ask := func(ns string) (ctrl.Result, error) {
		return r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: ns, Name: "l"}})
	}
	var wg sync.WaitGroup
	var refused, failed atomic.Int32
	for range workers {
		wg.Go(func() {
			if result, err := ask("hostile"); err != nil {
				failed.Add(1)
			} else if result.RequeueAfter > 0 {
				refused.Add(1)
			}
		})
	}
	for end := time.Now().Add(time.Minute); refused.Load() < workers-2 || running.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d are refused, %d run", refused.Load(), workers, running.Load())
		}
	}
	if result, err := ask("other"); err != nil || result.RequeueAfter != time.Hour {
		t.Errorf("another namespace: %v, %v", result, err)
	}
	close(release)
	wg.Wait()
	if most != 2 || failed.Load() != 2 || len(r.limiter.busy) != 0 {
		t.Errorf("%d at a time, %d served, %v busy", most, failed.Load(), r.limiter.busy)
	}

	r.Reconciler = function(func(context.Context, ctrl.Request) (ctrl.Result, error) { panic("broken") })
	func() {
		defer func() { _ = recover() }()
		_, _ = ask("hostile")
	}()
	if len(r.limiter.busy) != 0 {
		t.Errorf("%v busy after a panic", r.limiter.busy)
	}
}
