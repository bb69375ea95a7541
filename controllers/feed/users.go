package feed

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// Users are the SFTPUsers by the listener that they name. The zero value is empty and ready to use.
type Users struct {
	mu sync.RWMutex
	// byListener has the informer's objects, which must not be changed; mu protects both maps.
	byListener map[types.NamespacedName]map[types.NamespacedName]*v1alpha1.SFTPUser
	// inNamespace counts, by the users' namespace, how many of them name each listener.
	inNamespace map[string]map[types.NamespacedName]int
}

// Observe takes a change of an SFTPUser and returns its listener if the change matters to it: not those of the status.
func (u *Users) Observe(before, after client.Object) []types.NamespacedName {
	was, _ := before.(*v1alpha1.SFTPUser)
	is, _ := after.(*v1alpha1.SFTPUser)
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []types.NamespacedName
	if was != nil && (is == nil || user.ListenerOf(was) != user.ListenerOf(is)) {
		u.remove(was)
		out = append(out, user.ListenerOf(was))
	}
	if is != nil {
		u.put(is)
		if was == nil || was.UID != is.UID || was.Generation != is.Generation || was.DeletionTimestamp.IsZero() != is.DeletionTimestamp.IsZero() {
			out = append(out, user.ListenerOf(is))
		}
	}
	return out
}

// put needs mu.
func (u *Users) put(o *v1alpha1.SFTPUser) {
	listener := user.ListenerOf(o)
	if u.byListener == nil {
		u.byListener = map[types.NamespacedName]map[types.NamespacedName]*v1alpha1.SFTPUser{}
		u.inNamespace = map[string]map[types.NamespacedName]int{}
	}
	if u.byListener[listener] == nil {
		u.byListener[listener] = map[types.NamespacedName]*v1alpha1.SFTPUser{}
	}
	if _, known := u.byListener[listener][nameOf(o)]; !known {
		if u.inNamespace[o.Namespace] == nil {
			u.inNamespace[o.Namespace] = map[types.NamespacedName]int{}
		}
		u.inNamespace[o.Namespace][listener]++
	}
	u.byListener[listener][nameOf(o)] = o
}

// remove needs mu.
func (u *Users) remove(o *v1alpha1.SFTPUser) {
	listener := user.ListenerOf(o)
	if _, known := u.byListener[listener][nameOf(o)]; !known {
		return
	}
	if delete(u.byListener[listener], nameOf(o)); len(u.byListener[listener]) == 0 {
		delete(u.byListener, listener)
	}
	if u.inNamespace[o.Namespace][listener]--; u.inNamespace[o.Namespace][listener] == 0 {
		delete(u.inNamespace[o.Namespace], listener)
	}
	if len(u.inNamespace[o.Namespace]) == 0 {
		delete(u.inNamespace, o.Namespace)
	}
}

// Of returns the users that name a listener, in no order.
func (u *Users) Of(listener types.NamespacedName) []*v1alpha1.SFTPUser {
	u.mu.RLock()
	defer u.mu.RUnlock()
	out := make([]*v1alpha1.SFTPUser, 0, len(u.byListener[listener]))
	for _, o := range u.byListener[listener] {
		out = append(out, o)
	}
	return out
}

// ListenersOf returns the listeners that users of a namespace name, in no order.
func (u *Users) ListenersOf(namespace string) []types.NamespacedName {
	u.mu.RLock()
	defer u.mu.RUnlock()
	out := make([]types.NamespacedName, 0, len(u.inNamespace[namespace]))
	for listener := range u.inNamespace[namespace] {
		out = append(out, listener)
	}
	return out
}

// Get returns a user of a listener, nil if there is none.
func (u *Users) Get(listener, name types.NamespacedName) *v1alpha1.SFTPUser {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.byListener[listener][name]
}
