package exchange

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var partners = types.NamespacedName{Namespace: "ns", Name: "partners"}

// A listener that was made again under its name knows nothing of the one before.
func TestStore(t *testing.T) {
	var s Store
	first := s.Of(partners, "1")
	first.Access.Store(&Access{Unreadable: []string{"x"}})
	if s.Of(partners, "1") != first || s.Of(types.NamespacedName{Name: "other"}, "1") == first {
		t.Error("the cells of a listener are not its own")
	}
	second := s.Of(partners, "2")
	if second == first || second.Access.Load() != nil || second.UID != "2" {
		t.Errorf("a new listener begins with %+v", second)
	}
	s.Forget(partners)
	if s.Of(partners, "2") == second {
		t.Error("a listener that is gone is remembered")
	}
}

func TestWaker(t *testing.T) {
	var w Waker
	w.Wake(partners) // nothing runs yet
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	if err := w.Source().Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	if n := queue.Len(); n != 0 {
		t.Errorf("%d requests from before the start", n)
	}
	for range 3 {
		w.Wake(partners)
	}
	if n := queue.Len(); n != 1 {
		t.Errorf("%d requests for one listener", n)
	}
	got, _ := queue.Get()
	if queue.Done(got); got.NamespacedName != partners {
		t.Errorf("woken %v", got)
	}
	begin := time.Now()
	w.WakeAfter(partners, 50*time.Millisecond)
	if got, _ = queue.Get(); got.NamespacedName != partners || time.Since(begin) < 50*time.Millisecond {
		t.Errorf("woken %v after %s", got, time.Since(begin))
	}
}
