// Package wake lets one controller wake another.
package wake

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Waker wakes a controller. Wakes before the controller runs are dropped, because it starts with all objects.
type Waker struct {
	mu sync.Mutex
	// queue is the controller's, nil until it runs; mu guards it.
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Wake queues an object now.
func (w *Waker) Wake(name types.NamespacedName) { w.WakeAfter(name, 0) }

// WakeAfter queues an object after a time.
func (w *Waker) WakeAfter(name types.NamespacedName, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.queue == nil:
	case d <= 0:
		w.queue.Add(reconcile.Request{NamespacedName: name})
	default:
		w.queue.AddAfter(reconcile.Request{NamespacedName: name}, d)
	}
}

// WakeLater queues an object after a time, behind all that are queued otherwise.
func (w *Waker) WakeLater(name types.NamespacedName, d time.Duration) {
	w.mu.Lock()
	q, ok := w.queue.(priorityqueue.PriorityQueue[reconcile.Request])
	w.mu.Unlock()
	if !ok { // controllers can be told to have no priorities
		w.WakeAfter(name, d)
		return
	}
	q.AddWithOpts(priorityqueue.AddOpts{After: d, Priority: new(handler.LowPriority)}, reconcile.Request{NamespacedName: name})
}

// Source returns the source of the controller that the Waker wakes.
func (w *Waker) Source() source.Source {
	return source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queue = q
		return nil
	})
}
