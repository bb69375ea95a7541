package delivery

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxNews bounds the Secrets that are kept of a listener: anybody who may make Secrets can give them its label.
const maxNews = 64

// news keeps the Secrets of listeners that are seen while these are being written. The zero value is empty.
type news struct {
	mu sync.Mutex
	// writing are the listeners whose Secrets are being written, and as what Secrets of theirs were seen last since, by name.
	writing map[types.NamespacedName]map[string]client.Object
}

func (n *news) begin(listener types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.writing == nil {
		n.writing = map[types.NamespacedName]map[string]client.Object{}
	}
	n.writing[listener] = map[string]client.Object{}
}

// put keeps a Secret, if those of its listener are being written, and reports whether it did.
func (n *news) put(listener types.NamespacedName, o client.Object) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := n.writing[listener]
	if _, known := seen[o.GetName()]; seen == nil || !known && len(seen) == maxNews {
		return false
	}
	seen[o.GetName()] = o
	return true
}

// end returns what was seen.
func (n *news) end(listener types.NamespacedName) map[string]client.Object {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := n.writing[listener]
	delete(n.writing, listener)
	return seen
}
