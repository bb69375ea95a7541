package wake

import (
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var partners = types.NamespacedName{Namespace: "ns", Name: "partners"}

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
		t.Errorf("%d requests for one object", n)
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

// A request that can wait is handled after all others, including those queued later, unless it has a reason of its own to go
// first.
func TestWakeLater(t *testing.T) {
	var w Waker
	w.WakeLater(partners, 0) // nothing runs yet
	queue := priorityqueue.New[reconcile.Request]("test")
	defer queue.ShutDown()
	if err := w.Source().Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		w.WakeLater(types.NamespacedName{Namespace: "ns", Name: strconv.Itoa(i)}, 0)
	}
	w.Wake(partners)
	w.Wake(types.NamespacedName{Namespace: "ns", Name: "500"})
	for _, want := range []string{"partners", "500", "0", "1"} {
		got, _ := queue.Get()
		if queue.Done(got); got.Name != want {
			t.Errorf("%s was next, want %s", got.Name, want)
		}
	}
}
