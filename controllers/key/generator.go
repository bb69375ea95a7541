package key

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/turns"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

// generator generates RSA pairs, which take seconds of CPU time each. It generates one at a time, outside reconciles, and takes
// namespaces in turn. So a thousand keys of one tenant block neither others' keys nor the processor.
type generator struct {
	generate func(v1alpha1.KeyAlgorithm, string) (Material, error)
	waker    wake.Waker
	queue    *turns.Queue[order]

	mu sync.Mutex // guards orders
	// orders has the order of each SFTPKey.
	orders map[types.NamespacedName]*work
}

// order is an order for one pair.
type order struct {
	key types.NamespacedName
	uid types.UID
	// secret is the name of its Secret: each revision has its own.
	secret    string
	algorithm v1alpha1.KeyAlgorithm
}

// work is an order and its result.
type work struct {
	order
	done     bool
	material Material
	err      error
}

func newGenerator() *generator {
	return &generator{generate: Generate, queue: turns.New[order](1), orders: map[types.NamespacedName]*work{}}
}

// slow reports whether the generator generates pairs of an algorithm.
func slow(algorithm v1alpha1.KeyAlgorithm) bool {
	return algorithm == v1alpha1.KeyRSA3072 || algorithm == v1alpha1.KeyRSA4096
}

// take returns a generated pair until it is forgotten; an error is returned once. If there is none, it is ordered, and the
// SFTPKey is reconciled when it is done.
func (m *generator) take(o order) (material Material, done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.orders[o.key]
	switch {
	case w == nil || w.order != o:
		m.orders[o.key] = &work{order: o}
		m.queue.Push(o.key.Namespace, o)
		return Material{}, false, nil
	case !w.done:
		return Material{}, false, nil
	}
	if w.err != nil {
		delete(m.orders, o.key)
	}
	return w.material, true, w.err
}

// forget drops the order of an SFTPKey that has its pair or was deleted.
func (m *generator) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.orders, key)
}

// wanted reports whether an order is still wanted.
func (m *generator) wanted(o order) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.orders[o.key]
	return w != nil && w.order == o && !w.done
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (m *generator) NeedLeaderElection() bool { return true }

// Start generates pairs until the context ends. It implements manager.Runnable.
func (m *generator) Start(ctx context.Context) error {
	stop := context.AfterFunc(ctx, m.queue.Close)
	defer stop()
	for namespace, o, ok := m.queue.Pop(); ok; namespace, o, ok = m.queue.Pop() {
		if m.wanted(o) {
			m.make(ctx, o)
		}
		m.queue.Done(namespace)
	}
	return nil
}

// make generates a pair, and triggers a reconcile of the SFTPKey.
func (m *generator) make(ctx context.Context, o order) {
	w := &work{order: o, done: true}
	func() {
		defer func() {
			if p := recover(); p != nil {
				ctrl.LoggerFrom(ctx).Error(errPanic, "Panic", "key", o.key, "value", fmt.Sprint(p), "stack", string(debug.Stack()))
				w.err = errPanic
			}
		}()
		w.material, w.err = m.generate(o.algorithm, o.key.String())
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	if current := m.orders[o.key]; current != nil && current.order == o {
		m.orders[o.key] = w
		m.waker.Wake(o.key)
	}
}
