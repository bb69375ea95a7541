// Package wake has one controller wake another.
package wake

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Waker wakes a controller. What is added before the controller runs is dropped: it begins with all objects.
type Waker struct {
	mu sync.Mutex
	// queue is the controller's, nil until it runs; mu protects it.
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Wake has an object reconciled now.
func (w *Waker) Wake(name types.NamespacedName) { w.WakeAfter(name, 0) }

// WakeAfter has an object reconciled after a time.
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

// Source is the source of the controller that the Waker wakes.
func (w *Waker) Source() source.Source {
	return source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queue = q
		return nil
	})
}
