package delivery

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxNews bounds the Secrets kept for a listener: anyone who may create Secrets can give them its label.
const maxNews = 64

// news keeps listeners' Secrets that are observed while being written. The zero value is empty.
type news struct {
	mu sync.Mutex
	// writing has the listeners whose Secrets are being written, and how their Secrets were last observed since, by name.
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
