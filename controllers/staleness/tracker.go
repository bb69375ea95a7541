// Package staleness keeps reconcilers from acting on objects that they have since overwritten.
package staleness

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// WriteTracker remembers the version of each object after the reconciler's last write, to detect that a cache lags
// behind. Compared with a stale cached object, a status that returns to its old value looks unchanged: it would not
// be written, and the wrong one would stay. The zero value is ready to use.
type WriteTracker struct {
	mu sync.Mutex
	// versions has the version of each object; mu protects it.
	versions map[types.NamespacedName]string
}

// Note records an object from the API server's answer.
func (w *WriteTracker) Note(o client.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]string{}
	}
	w.versions[client.ObjectKeyFromObject(o)] = o.GetResourceVersion()
}

// IsStale reports whether a cached object is older than the last write: then it must be read again, past the cache.
func (w *WriteTracker) IsStale(o client.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	version, ok := w.versions[client.ObjectKeyFromObject(o)]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), version)
	return err != nil || order < 0
}

// Forget drops a deleted object.
func (w *WriteTracker) Forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, name)
}
