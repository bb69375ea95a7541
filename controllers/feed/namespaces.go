package feed

import (
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Namespaces has the labels of namespaces. The zero value is empty and ready to use.
type Namespaces struct {
	// Concerned returns the listeners that may depend on a namespace's labels.
	Concerned func(namespace string) []types.NamespacedName

	mu sync.RWMutex
	// labels by namespace; mu protects the map. The labels themselves are the informer's.
	labels map[string]map[string]string
}

// Observe applies a change to a Namespace and returns the listeners that it may matter to.
func (n *Namespaces) Observe(before, after client.Object) []types.NamespacedName {
	if before != nil && after != nil && maps.Equal(before.GetLabels(), after.GetLabels()) {
		return nil
	}
	o := after
	if o == nil {
		o = before
	}
	n.mu.Lock()
	if n.labels == nil {
		n.labels = map[string]map[string]string{}
	}
	if after != nil {
		n.labels[o.GetName()] = after.GetLabels()
	} else {
		delete(n.labels, o.GetName())
	}
	n.mu.Unlock()
	return n.Concerned(o.GetName())
}

// Labels returns the labels of a namespace, nil if it does not exist. They must not be changed.
func (n *Namespaces) Labels(namespace string) map[string]string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.labels[namespace]
}
