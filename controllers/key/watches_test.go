package key

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// informers hold the event handlers by kind.
type informers struct {
	informertest.FakeInformers
	// indexing is the result of IndexField.
	indexing error

	mu       sync.Mutex
	handlers map[schema.GroupVersionKind][]toolscache.ResourceEventHandler
	added    int
}

type informer struct {
	*controllertest.FakeInformer
	of   *informers
	kind schema.GroupVersionKind
}

// IndexField implements cache.Cache.
func (i *informers) IndexField(context.Context, client.Object, string, client.IndexerFunc) error {
	return i.indexing
}

// GetInformer implements cache.Cache.
func (i *informers) GetInformer(_ context.Context, o client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	kind, err := apiutil.GVKForObject(o, i.Scheme)
	return &informer{controllertest.NewFakeInformer(controllertest.Synced), i, kind}, err
}

// AddEventHandlerWithOptions implements cache.Informer.
func (i *informer) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, o toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	i.of.mu.Lock()
	defer i.of.mu.Unlock()
	i.of.handlers[i.kind] = append(i.of.handlers[i.kind], h)
	i.of.added++
	return i.FakeInformer.AddEventHandlerWithOptions(h, o)
}

// event reports an object as new, changed or deleted.
func (i *informers) event(t *testing.T, before, after client.Object) {
	t.Helper()
	o := after
	if o == nil {
		o = before
	}
	kind, err := apiutil.GVKForObject(o, i.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, h := range i.handlers[kind] {
		switch {
		case before == nil:
			h.OnAdd(after, false)
		case after == nil:
			h.OnDelete(before)
		default:
			h.OnUpdate(before, after)
		}
	}
}

// manager returns a manager whose cache is these informers.
func (i *informers) manager(t *testing.T, r *rig) ctrl.Manager {
	t.Helper()
	mgr, err := ctrl.NewManager(&rest.Config{Host: "https://192.0.2.1"}, ctrl.Options{
		Scheme: r.all.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		NewCache:       func(*rest.Config, cache.Options) (cache.Cache, error) { return i, nil },
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return r.all.RESTMapper(), nil },
		NewClient:      func(*rest.Config, client.Options) (client.Client, error) { return r.all, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return mgr
}

func watching(r *rig) *informers {
	return &informers{FakeInformers: informertest.FakeInformers{Scheme: r.all.Scheme()}, handlers: map[schema.GroupVersionKind][]toolscache.ResourceEventHandler{}}
}

// An SFTPKey is reconciled for everything that its status shows, and for nothing else.
func TestWatches(t *testing.T) {
	m := pair(t)
	host := named(existing, ofHost, func(k *v1alpha1.SFTPKey) { k.Name, k.Spec.SecretName = "host", "store" })
	r := newRig(t, publicKeyOf("a", "ada", m, 0), publicKeyOf("b", "", m, 1), host)
	all := watching(r)
	woken := make(chan string, 100)
	r.Client = interceptor.NewClient(r.all, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*v1alpha1.SFTPKey); ok {
				woken <- key.Name
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	r.Live = r.all
	mgr := all.manager(t, r)
	if err := r.Setup(t.Context(), mgr, controller.Options{MaxConcurrentReconciles: 1, SkipNameValidation: new(true)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		all.mu.Lock()
		n := all.added
		all.mu.Unlock()
		if n == 5 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d handlers of events", n)
		}
	}
	changed := func(o client.Object) client.Object {
		o = o.DeepCopyObject().(client.Object)
		o.SetResourceVersion("other")
		o.SetGeneration(o.GetGeneration() + 1)
		return o
	}
	user := userWith("ada", v1alpha1.UserKeyStatus{Fingerprint: m.Fingerprint()})
	idle := changed(user)
	used := userWith("ada", v1alpha1.UserKeyStatus{Fingerprint: m.Fingerprint(), LastUsedDate: "2026-11-29"})
	used.ResourceVersion = "other" // an event of the same version may be queued
	labeled := publicKeyOf("a", "ada", m, 0)
	labeled.Labels, labeled.ResourceVersion = map[string]string{"x": "y"}, "other"
	listener := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "l"}}
	holding := listener.DeepCopy()
	holding.ResourceVersion = "other"
	holding.Status.HostKeys = []v1alpha1.HostKeyStatus{{Name: "host", Fingerprint: "f"}}
	holdingLast := holding.DeepCopy()
	holdingLast.Status.HostKeys[0].Name = "last"
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "store"}}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	for _, tc := range []struct {
		what          string
		before, after client.Object
		want          []string
	}{
		{"a key, and its duplicate", nil, publicKeyOf("a", "ada", m, 0), []string{"a", "b"}},
		{"another spec", publicKeyOf("a", "ada", m, 0), changed(publicKeyOf("a", "ada", m, 0)), []string{"a", "b"}},
		{"a label of a key", publicKeyOf("a", "ada", m, 0), labeled, nil},
		{"a host key", nil, host, []string{"host"}},
		{"a user", nil, user, []string{"a", "b"}},
		{"what a user has", user, used, []string{"a", "b"}},
		{"what else a user is", user, idle, nil},
		{"a user less", user, nil, []string{"a", "b"}},
		{"a listener that is there", nil, holding, nil},
		{"host keys of a listener", listener, holding, []string{"host"}},
		{"what else a listener is", holding, changed(holding), nil},
		{"a listener less", holding, nil, []string{"host"}},
		{"a Secret", nil, secret, []string{"host"}},
		{"a changed Secret", secret, changed(secret), []string{"host"}},
		{"a Secret less", secret, nil, []string{"host"}},
	} {
		all.event(t, tc.before, tc.after)
		got := map[string]bool{}
		// Lower-priority events are handled last; by the second one, nothing that was in progress is pending.
		for range 2 {
			all.event(t, listener, holdingLast)
			for name := ""; name != "last"; {
				select {
				case name = <-woken:
					got[name] = true
				case <-time.After(time.Minute):
					t.Fatalf("%s: only %v are looked at", tc.what, got)
				}
			}
		}
		delete(got, "last")
		for _, name := range tc.want {
			if !got[name] {
				t.Errorf("%s: %s is not looked at", tc.what, name)
			}
		}
		if len(got) != len(tc.want) {
			t.Errorf("%s: %v are looked at, want %v", tc.what, got, tc.want)
		}
	}
}

// Without an index nothing is reconciled.
func TestIndexesAreNeeded(t *testing.T) {
	r := newRig(t)
	all := watching(r)
	all.indexing = errors.New("no index")
	if err := r.Setup(t.Context(), all.manager(t, r), controller.Options{SkipNameValidation: new(true)}); !errors.Is(err, all.indexing) {
		t.Errorf("%v", err)
	}
	for _, values := range indexers(t) {
		if got := values(&corev1.Pod{}); len(got) != 0 {
			t.Errorf("a pod is found as %v", got)
		}
	}
}

// kept collects what indexes are of.
type kept []client.IndexerFunc

func (k *kept) IndexField(_ context.Context, _ client.Object, _ string, values client.IndexerFunc) error {
	*k = append(*k, values)
	return nil
}

func indexers(t *testing.T) []client.IndexerFunc {
	t.Helper()
	var out kept
	if err := index(t.Context(), &out); err != nil || len(out) == 0 {
		t.Fatal(err, len(out))
	}
	return slices.Clone(out)
}
