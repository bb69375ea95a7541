// Package feed keeps tables of what listeners depend on, from the informers. A reconcile that reads a table calls no API,
// copies no object and cannot fail on one: nothing delays the removal of a deleted SFTPUser.
package feed

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Source feeds a table from an informer, and then wakes the listeners that the change concerns. The order matters: the
// reconcile that an event causes must see the change.
type Source struct {
	Cache  cache.Cache
	Object client.Object
	// Observe applies a change to a table and returns the listeners to reconcile. before is nil for a new object, after
	// for a deleted one. It must not change the objects, which are the informer's own.
	Observe func(before, after client.Object) []types.NamespacedName

	registration toolscache.ResourceEventHandlerRegistration
}

// syncInterval is the time between checks of whether a table is complete.
const syncInterval = 10 * time.Millisecond

// Start implements source.Source.
func (s *Source) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	informer, err := s.Cache.GetInformer(ctx, s.Object, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch %T: %w", s.Object, err)
	}
	notify := func(before, after client.Object) {
		for _, name := range s.Observe(before, after) {
			queue.Add(reconcile.Request{NamespacedName: name})
		}
	}
	s.registration, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) {
			if after, ok := o.(client.Object); ok {
				notify(nil, after)
			}
		},
		UpdateFunc: func(old, o any) {
			before, ok1 := old.(client.Object)
			after, ok2 := o.(client.Object)
			if ok1 && ok2 {
				notify(before, after)
			}
		},
		DeleteFunc: func(o any) {
			if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = gone.Obj // the watch broke, and the next list lacks it
			}
			if before, ok := o.(client.Object); ok {
				notify(before, nil)
			}
		},
	})
	return err
}

// WaitForSync implements source.SyncingSource. A table that is still being filled would make users look deleted.
func (s *Source) WaitForSync(ctx context.Context) error {
	tick := time.NewTicker(syncInterval)
	defer tick.Stop()
	for s.registration == nil || !s.registration.HasSynced() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %T: %w", s.Object, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

func nameOf(o client.Object) types.NamespacedName { return client.ObjectKeyFromObject(o) }
