// Package fresh keeps reconcilers from acting on what they themselves have overwritten.
package fresh

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Written remembers the version of each object after the reconciler's last write, to tell when a cache lags behind.
// Compared with what the cache held before that write, a status that goes back to its old value looks unchanged: it
// would not be written, and the wrong one would stay. The zero value is ready to use.
type Written struct {
	mu sync.Mutex
	// versions by object; mu protects it.
	versions map[types.NamespacedName]string
}

// Note remembers an object as the API server answered it.
func (w *Written) Note(o client.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]string{}
	}
	w.versions[client.ObjectKeyFromObject(o)] = o.GetResourceVersion()
}

// Outdates says whether an object, as a cache holds it, is older than the last write: then it must be read again, past
// the cache.
func (w *Written) Outdates(o client.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	version, ok := w.versions[client.ObjectKeyFromObject(o)]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), version)
	return err != nil || order < 0
}

// Forget drops an object that is gone.
func (w *Written) Forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, name)
}
