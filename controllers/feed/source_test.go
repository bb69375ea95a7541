package feed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	cachetesting "k8s.io/client-go/tools/cache/testing"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// informers is a cache with one informer, either real or failing.
type informers struct {
	cache.Cache
	informer toolscache.SharedIndexInformer
	err      error
}

func (c informers) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return c.informer, c.err
}

// queue is a real queue that checks whether the table has the change before the request is added.
type queue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	before func(reconcile.Request)
}

func (q queue) Add(r reconcile.Request) {
	q.before(r)
	q.TypedRateLimitingInterface.Add(r)
}

// fixture is a source that feeds a table of users.
type fixture struct {
	api   *cachetesting.FakeControllerSource
	table Users
	queue queue
	*Source

	mu sync.Mutex
	// delay is how long each change takes to be observed.
	delay time.Duration
	// seen are the events in the order in which the table receives them.
	seen []string
	// woken are the listeners that were woken, each with the number of events that the table had by then.
	woken []string
}

// newFixture starts an informer that begins by listing some users.
func newFixture(t *testing.T, users ...*v1alpha1.SFTPUser) *fixture {
	t.Helper()
	f := &fixture{api: cachetesting.NewFakeControllerSource()}
	for _, u := range users {
		f.api.Add(u)
	}
	informer := toolscache.NewSharedIndexInformer(f.api, &v1alpha1.SFTPUser{}, 0, toolscache.Indexers{})
	f.queue = queue{
		TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
		before: func(r reconcile.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.woken = append(f.woken, fmt.Sprintf("%s after %d", r.Name, len(f.seen)))
		},
	}
	f.Source = &Source{Cache: informers{informer: informer}, Object: &v1alpha1.SFTPUser{}, Observe: f.observe}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); running.Wait(); f.queue.ShutDown() })
	running.Go(func() { informer.RunWithContext(ctx) })
	return f
}

func (f *fixture) observe(before, after client.Object) []types.NamespacedName {
	time.Sleep(f.delay)
	out := f.table.Observe(before, after)
	f.mu.Lock()
	defer f.mu.Unlock()
	event := "update"
	switch {
	case before == nil:
		event = "add " + after.GetName()
	case after == nil:
		event = "delete " + before.GetName()
	}
	f.seen = append(f.seen, event)
	return out
}

// waitFor waits until n events were observed, and returns them and the wake-ups.
func (f *fixture) waitFor(t *testing.T, n int) (seen, woken string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		seen, woken := strings.Join(f.seen, ", "), strings.Join(f.woken, ", ")
		done := len(f.seen) >= n
		f.mu.Unlock()
		if done && f.queue.Len() > 0 {
			return seen, woken
		}
		if time.Now().After(deadline) {
			t.Fatalf("seen %q, want %d events", seen, n)
		}
	}
}

func someone(name, listener string) *v1alpha1.SFTPUser {
	return &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name), Generation: 1},
		Spec:       v1alpha1.SFTPUserSpec{ListenerRef: v1alpha1.ListenerReference{Name: listener}},
	}
}

// A source is synced when the table has everything, not when the informer has: otherwise the table would lack users, and they
// would be removed from the pods.
func TestSyncedWhenTheTableIs(t *testing.T) {
	var users []*v1alpha1.SFTPUser
	for i := range 100 {
		users = append(users, someone(fmt.Sprint("u", i), "partners"))
	}
	f := newFixture(t, users...)
	f.delay = time.Millisecond
	if err := f.Start(t.Context(), f.queue); err != nil {
		t.Fatal(err)
	}
	if err := f.WaitForSync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(f.table.Of(types.NamespacedName{Namespace: "team", Name: "partners"})); n != len(users) {
		t.Errorf("the table has %d users of %d", n, len(users))
	}
}

// A reconcile woken by an event finds the change in the table.
func TestTableBeforeQueue(t *testing.T) {
	f := newFixture(t)
	if err := f.Start(t.Context(), f.queue); err != nil {
		t.Fatal(err)
	}
	if err := f.WaitForSync(t.Context()); err != nil {
		t.Fatal(err)
	}
	u := someone("u", "partners")
	f.api.Add(u)
	f.waitFor(t, 1)
	moved := someone("u", "others")
	moved.Generation = 2
	f.api.Modify(moved)
	f.waitFor(t, 2)
	status := moved.DeepCopy()
	status.Status.Username = "u"
	f.api.Modify(status)
	f.waitFor(t, 3)
	f.api.Delete(status)
	f.waitFor(t, 4)
	// One more, so that the wake-up of the last one is certainly in the queue.
	f.api.Add(someone("v", "last"))
	var seen, woken string
	for !strings.Contains(woken, "last") {
		seen, woken = f.waitFor(t, 5)
	}
	if want := "add u, update, update, delete u, add v"; seen != want { //nolint:dupword // two of them
		t.Errorf("seen %q, want %q", seen, want)
	}
	if want := "partners after 1, partners after 2, others after 2, others after 4, last after 5"; woken != want {
		t.Errorf("woken %q, want %q", woken, want)
	}
}

// A user that was deleted while there was no watch is removed from the table after the next list.
func TestDeletedWithoutAWatch(t *testing.T) {
	stays, gone := someone("stays", "partners"), someone("gone", "partners")
	f := newFixture(t, stays, gone)
	if err := f.Start(t.Context(), f.queue); err != nil {
		t.Fatal(err)
	}
	if err := f.WaitForSync(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.api.DeleteDropWatch(gone)
	f.api.ResetWatch()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		users := f.table.Of(types.NamespacedName{Namespace: "team", Name: "partners"})
		if len(users) == 1 && users[0].Name == "stays" {
			return
		}
		if time.Now().After(deadline) {
			seen, _ := f.waitFor(t, 0)
			t.Fatalf("%d users; seen %q", len(users), seen)
		}
	}
}

func TestSourceFails(t *testing.T) {
	broken := &Source{Cache: informers{err: errors.New("no such kind")}, Object: &v1alpha1.SFTPKey{}}
	if err := broken.Start(t.Context(), nil); err == nil || err.Error() != "watch *v1alpha1.SFTPKey: no such kind" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := broken.WaitForSync(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "wait for *v1alpha1.SFTPKey: ") {
		t.Errorf("%v", err)
	}
	// A source whose informer never lists does not become ready.
	f := &Source{
		Cache:  informers{informer: toolscache.NewSharedIndexInformer(cachetesting.NewFakeControllerSource(), &v1alpha1.SFTPKey{}, 0, nil)},
		Object: &v1alpha1.SFTPKey{}, Observe: func(client.Object, client.Object) []types.NamespacedName { return nil },
	}
	if err := f.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := f.WaitForSync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
