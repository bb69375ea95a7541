package entry

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/credentials"
)

// Two valid keys.
const (
	oneKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	otherKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"
)

// hashTime is how long a hash takes in the tests.
const hashTime = 20 * time.Millisecond

var partners = types.NamespacedName{Namespace: "sftp", Name: "partners"}

// world has Secrets and a Reader for them. The functions inject faults.
type world struct {
	t *testing.T
	*Reader
	stop func()

	mu      sync.Mutex
	version int
	// live is the state of the API server, and cached that of the cache.
	live   map[types.NamespacedName]*corev1.Secret
	cached map[types.NamespacedName]*corev1.Secret
	// before is called before a read is answered.
	before func(ctx context.Context, name types.NamespacedName) error
	reads  map[types.NamespacedName]int
	woken  map[types.NamespacedName]int
	// hashes are the passwords that were hashed, in order.
	hashes []string
}

type cacheOf struct{ *world }

type serverOf struct{ *world }

func (cacheOf) List(context.Context, client.ObjectList, ...client.ListOption) error {
	panic("lists are not needed")
}

func (serverOf) List(context.Context, client.ObjectList, ...client.ListOption) error {
	panic("lists are not needed")
}

func notFound(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

func (c cacheOf) Get(_ context.Context, name types.NamespacedName, o client.Object, _ ...client.GetOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.cached[name]
	if s == nil {
		return notFound(name.Name)
	}
	o.(*metav1.PartialObjectMetadata).ObjectMeta = *s.ObjectMeta.DeepCopy()
	return nil
}

func (c serverOf) Get(ctx context.Context, name types.NamespacedName, o client.Object, _ ...client.GetOption) error {
	c.mu.Lock()
	c.reads[name]++
	before := c.before
	c.mu.Unlock()
	if before != nil {
		if err := before(ctx, name); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.live[name]
	if s == nil {
		return notFound(name.Name)
	}
	s.DeepCopyInto(o.(*corev1.Secret))
	return nil
}

// run runs a test in a bubble with its own clock; it fails if a goroutine is left.
func run(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		test(t, w)
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, live: map[types.NamespacedName]*corev1.Secret{}, cached: map[types.NamespacedName]*corev1.Secret{},
		reads: map[types.NamespacedName]int{}, woken: map[types.NamespacedName]int{},
	}
	w.start()
	return w
}

// start starts an operator's Reader.
func (w *world) start() {
	w.Reader = New(Options{Metadata: cacheOf{w}, Live: serverOf{w}, Wake: func(l types.NamespacedName) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.woken[l]++
	}})
	w.hash = func(data []byte) (string, error) {
		time.Sleep(hashTime)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hashes = append(w.hashes, string(data))
		return fmt.Sprintf("hash %d", len(w.hashes)), nil
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error)
	r := w.Reader
	go func() { ended <- r.Start(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

// put creates or changes a Secret.
func (w *world) put(namespace, name, entry, data string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
	key := types.NamespacedName{Namespace: namespace, Name: name}
	uid := types.UID(fmt.Sprintf("uid-%s-%s", namespace, name))
	if old := w.live[key]; old != nil {
		uid = old.UID
	}
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid, ResourceVersion: strconv.Itoa(w.version)},
		Data:       map[string][]byte{entry: []byte(data)},
	}
	w.live[key], w.cached[key] = s, s
}

func (w *world) remove(namespace, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := types.NamespacedName{Namespace: namespace, Name: name}
	delete(w.live, key)
	delete(w.cached, key)
}

// fault injects a fault into reads; nil removes it.
func (w *world) fault(f func(ctx context.Context, name types.NamespacedName) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = f
}

func (w *world) readsOf(namespace, name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reads[types.NamespacedName{Namespace: namespace, Name: name}]
}

func (w *world) hashed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.hashes)
}

func (w *world) wakes(l types.NamespacedName) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.woken[l]
}

func (w *world) get(ref credentials.Ref) credentials.Entry { return w.of(partners, ref) }

func (w *world) of(listener types.NamespacedName, ref credentials.Ref) credentials.Entry {
	e, _ := w.Get(listener, ref)
	return e
}

// settled waits a while, and returns what is known then.
func (w *world) settled(ref credentials.Ref, d time.Duration) credentials.Entry {
	w.get(ref)
	time.Sleep(d)
	synctest.Wait()
	return w.get(ref)
}

func passwordRef(namespace, name string) credentials.Ref {
	return credentials.Ref{Namespace: namespace, Secret: name, Entry: "password", Kind: credentials.KindPassword}
}

func keysRef(namespace, name string) credentials.Ref {
	return credentials.Ref{Namespace: namespace, Secret: name, Entry: "authorized_keys", Kind: credentials.KindKeys}
}
