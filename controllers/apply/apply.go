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

// Applier applies the objects of listeners.
type Applier struct {
	// Client writes, and reads from the caches.
	Client client.Client
	// Live reads past the caches.
	Live client.Reader
	// Now is the clock; that of the machine when nil.
	Now func() time.Time

	mu sync.Mutex
	// memories are what was applied for each listener. mu protects them.
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
	// Live is the object as it is: as the API server answered, or as the cache has it if there
	// was nothing to write. Nil for a Secret. It must not be changed.
	Live client.Object
}

// Apply applies an object that the listener owns: it is deleted with it.
func (h Handle) Apply(ctx context.Context, obj client.Object) (Applied, error) {
	if err := controllerutil.SetControllerReference(h.owner, obj, h.applier.Client.Scheme()); err != nil {
		return Applied{}, err
	}
	return h.apply(ctx, obj)
}

// ApplyKept applies an object that outlives the listener. An owner reference that an earlier
// Apply made is removed.
func (h Handle) ApplyKept(ctx context.Context, obj client.Object) (Applied, error) {
	done, err := h.apply(ctx, obj)
	if err != nil || done.Live == nil {
		return done, err
	}
	// Applying without the reference removes what this field owner had set. One that was put
	// there in another way, by a restored backup for example, must go, too: with it the garbage
	// collector would delete what is to be kept.
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

// ApplyUnwatched is Apply for an object that no cache holds: as long as the same is wanted, it
// is read again only after some time. It returns when that is.
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
	if m, ok := a.recall(h.owner, in.id()); ok && m.sum == in.sum && now.Sub(m.looked).Abs() < every {
		return m.looked.Add(every), nil
	}
	if _, err := h.apply(ctx, obj); err != nil {
		return time.Time{}, err
	}
	a.looked(h.owner, in.id(), now)
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

// isDone reports whether an object is as wanted already. What is remembered answers it; else
// the annotation does and the object itself.
func (h Handle) isDone(ctx context.Context, in intent, live client.Object) (bool, error) {
	a := h.applier
	_, isMetadata := live.(*metav1.PartialObjectMetadata)
	if m, ok := a.recall(h.owner, in.id()); ok {
		if m.sum != in.sum {
			return false, nil
		}
		if a.stands(h.owner, in.id(), m, live) {
			return true, nil
		}
		if isMetadata {
			return false, nil // one write, instead of a read and often a write
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
	// An owner too many is seen here, too: it decides about what is deleted when.
	if !contains(content, u.Object) {
		return false, nil
	}
	a.remember(h.owner, in.id(), memo{sum: in.sum, uid: live.GetUID(), version: live.GetResourceVersion()})
	return true, nil
}

// Delete deletes an object if it exists and is the listener's. Of its own objects the caches
// tell; one that was made a moment ago is looked at again when its event comes.
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

// live returns an object as it is, or nil. A cache miss is confirmed with a live read: the
// caches hold the operator's own objects only, and a foreign one must not be overwritten.
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

// shown returns what may be looked at of a live object.
func (in intent) shown(live client.Object) client.Object {
	if in.kind.Kind == "Secret" {
		return nil
	}
	return live
}

// typed returns the API server's answer in the type of what was applied, nil for a Secret.
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
