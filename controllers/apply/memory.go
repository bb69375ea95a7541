package apply

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// cacheLag is how long a cache may show an object as it was before the operator's own write.
// Usually it is milliseconds. If the object is still older after that, it is not lag: etcd
// was restored from a backup.
const cacheLag = 30 * time.Second

// memory has what was applied for one listener, by kind, namespace and name.
type memory struct {
	uid     types.UID
	objects map[string]memo
}

// memo is what was last applied, and the resulting object. If neither has changed since,
// there is nothing to do.
type memo struct {
	sum     string
	uid     types.UID
	version string
	// wrote is when it was written, zero once a cache has shown this version.
	wrote time.Time
	// checked is when it was last read for ApplyUnwatched.
	checked time.Time
}

// Forget forgets what was applied for a listener that is gone.
func (a *Applier) Forget(listener types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.memories, listener)
}

// Wrote reports whether an object is as this Applier left it.
func (a *Applier) Wrote(kind string, o client.Object) bool {
	m, ok := a.memoOf(kind, o)
	return ok && m.uid == o.GetUID() && m.version == o.GetResourceVersion()
}

// Knows reports whether an object is as this Applier left it, or as it was before that, so that its event can be ignored.
func (a *Applier) Knows(kind string, o client.Object) bool {
	m, ok := a.memoOf(kind, o)
	return ok && m.uid == o.GetUID() && (m.version == o.GetResourceVersion() || older(o.GetResourceVersion(), m.version))
}

// memoOf returns what was last applied for an object of a listener.
func (a *Applier) memoOf(kind string, o client.Object) (memo, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.memories[types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetLabels()[v1alpha1.LabelListener]}]
	if of == nil {
		return memo{}, false
	}
	m, ok := of.objects[idOf(kind, o)]
	return m, ok
}

// matches reports whether an object is the remembered one.
func (a *Applier) matches(owner client.Object, id string, m memo, live client.Object) bool {
	if live.GetUID() == m.uid && live.GetResourceVersion() == m.version {
		m.wrote = time.Time{}
		a.remember(owner, id, m)
		return true
	}
	return older(live.GetResourceVersion(), m.version) && a.now().Sub(m.wrote).Abs() < cacheLag
}

// older reports whether a version of an object precedes another one.
func older(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}

func (a *Applier) recall(owner client.Object, id string) (memo, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.memories[client.ObjectKeyFromObject(owner)]
	if of == nil || of.uid != owner.GetUID() {
		return memo{}, false
	}
	m, ok := of.objects[id]
	return m, ok
}

func (a *Applier) remember(owner client.Object, id string, m memo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.memories == nil {
		a.memories = map[types.NamespacedName]*memory{}
	}
	name := client.ObjectKeyFromObject(owner)
	of := a.memories[name]
	if of == nil || of.uid != owner.GetUID() {
		of = &memory{uid: owner.GetUID(), objects: map[string]memo{}}
		a.memories[name] = of
	}
	if m.checked.IsZero() {
		m.checked = of.objects[id].checked
	}
	of.objects[id] = m
}

// checked records when an object was last read.
func (a *Applier) checked(owner client.Object, id string, at time.Time) {
	m, ok := a.recall(owner, id)
	if !ok {
		return
	}
	m.checked = at
	a.remember(owner, id, m)
}

func (a *Applier) forget(owner client.Object, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if of := a.memories[client.ObjectKeyFromObject(owner)]; of != nil {
		delete(of.objects, id)
	}
}

func (a *Applier) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}
