package feed

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// Users has the SFTPUsers by the listener that they name. The zero value is empty and ready to use.
type Users struct {
	mu sync.RWMutex
	// byListener holds the informer's objects, which must not be changed, sorted by namespace and name; mu protects both maps.
	byListener map[types.NamespacedName][]*v1alpha1.SFTPUser
	// inNamespace counts, by the users' namespace, how many of them name each listener.
	inNamespace map[string]map[types.NamespacedName]int
}

// Observe applies a change to an SFTPUser and returns its listener if the change matters to it; changes to the status
// do not.
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
		if was == nil || was.UID != is.UID || was.Generation != is.Generation || was.DeletionTimestamp.IsZero() != is.DeletionTimestamp.IsZero() ||
			!maps.Equal(was.Labels, is.Labels) { // sinks of events select users by them
			out = append(out, user.ListenerOf(is))
		}
	}
	return out
}

// find returns where a user is among sorted ones, or belongs.
func find(sorted []*v1alpha1.SFTPUser, name types.NamespacedName) (i int, found bool) {
	return slices.BinarySearchFunc(sorted, name, func(u *v1alpha1.SFTPUser, name types.NamespacedName) int {
		return cmp.Or(strings.Compare(u.Namespace, name.Namespace), strings.Compare(u.Name, name.Name))
	})
}

// put requires that mu is held.
func (u *Users) put(o *v1alpha1.SFTPUser) {
	listener := user.ListenerOf(o)
	if u.byListener == nil {
		u.byListener = map[types.NamespacedName][]*v1alpha1.SFTPUser{}
		u.inNamespace = map[string]map[types.NamespacedName]int{}
	}
	of := u.byListener[listener]
	i, known := find(of, nameOf(o))
	if known {
		of[i] = o
		return
	}
	u.byListener[listener] = slices.Insert(of, i, o)
	if u.inNamespace[o.Namespace] == nil {
		u.inNamespace[o.Namespace] = map[types.NamespacedName]int{}
	}
	u.inNamespace[o.Namespace][listener]++
}

// remove requires that mu is held.
func (u *Users) remove(o *v1alpha1.SFTPUser) {
	listener := user.ListenerOf(o)
	of := u.byListener[listener]
	i, known := find(of, nameOf(o))
	if !known {
		return
	}
	if u.byListener[listener] = slices.Delete(of, i, i+1); len(of) == 1 {
		delete(u.byListener, listener)
	}
	if u.inNamespace[o.Namespace][listener]--; u.inNamespace[o.Namespace][listener] == 0 {
		delete(u.inNamespace[o.Namespace], listener)
	}
	if len(u.inNamespace[o.Namespace]) == 0 {
		delete(u.inNamespace, o.Namespace)
	}
}

// Of returns the users that name a listener, sorted by namespace and name.
func (u *Users) Of(listener types.NamespacedName) []*v1alpha1.SFTPUser {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return slices.Clone(u.byListener[listener])
}

// Latest returns a function that returns a user of a listener, nil if there is none, as they are now. It is for looking at all
// users in the order of Of, which costs a fraction of asking for each; any other order also works. Only one goroutine may use
// it.
func (u *Users) Latest(listener types.NamespacedName) func(name types.NamespacedName) *v1alpha1.SFTPUser {
	users, next := u.Of(listener), 0
	return func(name types.NamespacedName) *v1alpha1.SFTPUser {
		if next < len(users) && nameOf(users[next]) == name {
			next++
			return users[next-1]
		}
		i, found := find(users, name)
		if next = i; !found {
			return nil
		}
		next++
		return users[i]
	}
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
	of := u.byListener[listener]
	if i, found := find(of, name); found {
		return of[i]
	}
	return nil
}
