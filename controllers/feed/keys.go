package feed

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
)

// Keys has the SFTPKeys of each namespace, as key sets for users to log in with. The zero value is empty and ready to
// use.
type Keys struct {
	// Concerned returns the listeners that depend on the keys of a namespace.
	Concerned func(namespace string) []types.NamespacedName

	parser key.Keyrings
	mu     sync.Mutex
	// byNamespace holds the informer's objects, which must not be changed; mu protects both maps.
	byNamespace map[string]map[string]*v1alpha1.SFTPKey
	// keyrings are the latest keyrings; a namespace without one has changed since.
	keyrings map[string]*key.Keyring
	// previous are the previous keyrings, which are kept if a change does not matter for logins.
	previous map[string]*key.Keyring
}

// Observe applies a change to an SFTPKey and returns the listeners that it may matter to.
func (k *Keys) Observe(before, after client.Object) []types.NamespacedName {
	o := after
	if o == nil {
		o = before
	}
	is, _ := after.(*v1alpha1.SFTPKey)
	k.mu.Lock()
	if k.byNamespace == nil {
		k.byNamespace = map[string]map[string]*v1alpha1.SFTPKey{}
		k.keyrings, k.previous = map[string]*key.Keyring{}, map[string]*key.Keyring{}
	}
	in := k.byNamespace[o.GetNamespace()]
	if in == nil {
		in = map[string]*v1alpha1.SFTPKey{}
		k.byNamespace[o.GetNamespace()] = in
	}
	if is != nil {
		in[o.GetName()] = is
	} else if delete(in, o.GetName()); len(in) == 0 {
		delete(k.byNamespace, o.GetNamespace())
	}
	delete(k.keyrings, o.GetNamespace())
	k.mu.Unlock()
	return k.Concerned(o.GetNamespace())
}

// Keyring returns the keyring of a namespace. It stays the same until a change to the keys matters for logins.
func (k *Keys) Keyring(namespace string) *key.Keyring {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.keyrings[namespace]; ok {
		return r
	}
	in := k.byNamespace[namespace]
	if len(in) == 0 {
		delete(k.previous, namespace)
		k.parser.Keyring(namespace, nil)
		return nil
	}
	keys := make([]v1alpha1.SFTPKey, 0, len(in))
	for _, o := range in {
		keys = append(keys, *o)
	}
	r := k.parser.Keyring(namespace, keys)
	if old := k.previous[namespace]; old.Stamp() == r.Stamp() {
		r = old
	}
	k.keyrings[namespace], k.previous[namespace] = r, r
	return r
}
