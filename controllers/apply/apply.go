// Package apply writes the operator's objects with server-side apply, and never one
// that belongs to another owner.
package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// FieldOwner is the operator's name in managedFields.
const FieldOwner = "sftp-operator"

// Applier applies listeners' objects.
type Applier struct {
	// Client writes, and reads from the caches.
	Client client.Client
	// Live reads past the caches.
	Live client.Reader
	// Now is the clock; nil for time.Now.
	Now func() time.Time

	mu sync.Mutex
	// memories has what was applied for each listener; mu protects it.
	memories map[types.NamespacedName]*memory
}

// Handle applies the objects of one listener.
type Handle struct {
	applier *Applier
	owner   client.Object
}

// For returns a handle for the objects of a listener.
func (a *Applier) For(listener client.Object) Handle {
	return Handle{applier: a, owner: listener}
}

// Applied is an object after it was applied.
type Applied struct {
	// Wrote reports whether it was written.
	Wrote bool
	// Live is the current object: the API server's answer, or the cached object if there was
	// nothing to write. Nil for a Secret. It must not be changed.
	Live client.Object
}

// Apply applies an object that the listener owns: it is deleted with the listener.
func (h Handle) Apply(ctx context.Context, obj client.Object) (Applied, error) {
	if err := controllerutil.SetControllerReference(h.owner, obj, h.applier.Client.Scheme()); err != nil {
		return Applied{}, err
	}
	return h.apply(ctx, obj)
}

// ApplyKept applies an object that outlives the listener. An owner reference from an earlier
// Apply is removed.
func (h Handle) ApplyKept(ctx context.Context, obj client.Object) (Applied, error) {
	done, err := h.apply(ctx, obj)
	if err != nil || done.Live == nil {
		return done, err
	}
	// Applying without the reference removes what this field owner had set. One from elsewhere,
	// for example a restored backup, must be removed as well: with it the garbage collector
	// would delete the object.
	kept := disowned(done.Live.GetOwnerReferences(), h.owner.GetUID())
	if len(kept) == len(done.Live.GetOwnerReferences()) {
		return done, nil
	}
	before, _ := done.Live.DeepCopyObject().(client.Object)
	after, _ := done.Live.DeepCopyObject().(client.Object)
	after.SetOwnerReferences(kept)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := h.applier.Client.Patch(ctx, after, patch, client.FieldOwner(FieldOwner)); err != nil {
		return done, fmt.Errorf("remove the owner of %s: %w", after.GetName(), err)
	}
	return Applied{Wrote: true, Live: after}, nil
}

func disowned(refs []metav1.OwnerReference, uid types.UID) []metav1.OwnerReference {
	var out []metav1.OwnerReference
	for _, r := range refs {
		if r.UID != uid {
			out = append(out, r)
		}
	}
	return out
}

// ApplyUnwatched is Apply for an object that no cache holds: while the same object is wanted,
// it is read again only after some time, which is returned.
func (h Handle) ApplyUnwatched(ctx context.Context, obj client.Object, every time.Duration) (next time.Time, err error) {
	a := h.applier
	if err := controllerutil.SetControllerReference(h.owner, obj, a.Client.Scheme()); err != nil {
		return time.Time{}, err
	}
	in, err := newIntent(obj, a.Client.Scheme())
	if err != nil {
		return time.Time{}, err
	}
	now := a.now()
	if m, ok := a.recall(h.owner, in.id()); ok && m.sum == in.sum && now.Sub(m.checked).Abs() < every {
		return m.checked.Add(every), nil
	}
	if _, err := h.apply(ctx, obj); err != nil {
		return time.Time{}, err
	}
	a.checked(h.owner, in.id(), now)
	return now.Add(every), nil
}

func (h Handle) apply(ctx context.Context, obj client.Object) (Applied, error) {
	a := h.applier
	in, err := newIntent(obj, a.Client.Scheme())
	if err != nil {
		return Applied{}, err
	}
	live, err := a.live(ctx, in)
	if err != nil {
		return Applied{}, err
	}
	if live != nil {
		if err := h.admit(ctx, in, live); err != nil {
			return Applied{}, err
		}
		done, err := h.isDone(ctx, in, live)
		if done || err != nil {
			return Applied{Live: in.shown(live)}, err
		}
	}
	u := in.whole()
	if err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(FieldOwner), client.ForceOwnership); err != nil {
		return Applied{}, in.explain(fmt.Errorf("apply %s: %w", in.id(), err))
	}
	a.remember(h.owner, in.id(), memo{sum: in.sum, uid: u.GetUID(), version: u.GetResourceVersion(), wrote: a.now()})
	now, err := in.typed(u)
	return Applied{Wrote: true, Live: now}, err
}

// isDone reports whether an object is already as wanted: from memory if possible, otherwise
// from its annotation and the object itself.
func (h Handle) isDone(ctx context.Context, in intent, live client.Object) (bool, error) {
	a := h.applier
	_, isMetadata := live.(*metav1.PartialObjectMetadata)
	if m, ok := a.recall(h.owner, in.id()); ok {
		if m.sum != in.sum {
			return false, nil
		}
		if a.matches(h.owner, in.id(), m, live) {
			return true, nil
		}
		if isMetadata {
			return false, nil // one write instead of a read and often a write
		}
	}
	if live.GetAnnotations()[v1alpha1.AnnotationApplied] != in.sum {
		return false, nil
	}
	if isMetadata {
		full := &corev1.Secret{}
		if err := a.Live.Get(ctx, client.ObjectKeyFromObject(live), full); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		live = full
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return false, err
	}
	u := in.whole()
	content["apiVersion"], content["kind"] = u.GetAPIVersion(), u.GetKind() // objects from a cache have none
	// This also detects an additional owner, which would affect garbage collection.
	if !contains(content, u.Object) {
		return false, nil
	}
	a.remember(h.owner, in.id(), memo{sum: in.sum, uid: live.GetUID(), version: live.GetResourceVersion()})
	return true, nil
}

// Delete deletes an object if it exists and is the listener's. It relies on the caches; an object that was just created is
// handled when its event arrives.
func (h Handle) Delete(ctx context.Context, obj client.Object) error {
	a := h.applier
	in, err := newIntent(obj, a.Client.Scheme())
	if err != nil {
		return err
	}
	live := in.empty()
	if err := a.Client.Get(ctx, client.ObjectKeyFromObject(in), live); err != nil {
		return client.IgnoreNotFound(err)
	}
	var conflict *ConflictError
	if err := h.admit(ctx, in, live); errors.As(err, &conflict) {
		return nil
	} else if err != nil {
		return err
	}
	a.forget(h.owner, in.id())
	return client.IgnoreNotFound(a.Client.Delete(ctx, obj, client.Preconditions{UID: new(live.GetUID())}))
}

// live returns the current object, or nil. A cache miss is confirmed with a live read: the
// caches only hold the operator's own objects, and a foreign one must not be overwritten.
func (a *Applier) live(ctx context.Context, in intent) (client.Object, error) {
	o, name := in.empty(), client.ObjectKeyFromObject(in)
	err := a.Client.Get(ctx, name, o)
	if apierrors.IsNotFound(err) {
		err = a.Live.Get(ctx, name, o)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", in.kind.Kind, name, err)
	}
	return o, nil
}

// shown returns the part of a live object that callers may see.
func (in intent) shown(live client.Object) client.Object {
	if in.kind.Kind == "Secret" {
		return nil
	}
	return live
}

// typed returns the API server's answer in the type of the applied object, nil for a Secret.
func (in intent) typed(u *unstructured.Unstructured) (client.Object, error) {
	if in.kind.Kind == "Secret" {
		return nil, nil
	}
	o := in.empty()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, o); err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", in.id(), err)
	}
	return o, nil
}
