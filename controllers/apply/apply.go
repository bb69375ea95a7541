// Package apply writes the operator's objects with server-side apply, and never one
// that belongs to somebody else.
package apply

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// FieldOwner is the operator's name in managedFields.
const FieldOwner = "sftp-operator"

// ConflictError says that an object of the wanted name exists and is not the operator's.
type ConflictError struct {
	Kind, Namespace, Name string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s %q in namespace %q exists and was not made by the operator for this object; rename or delete it", e.Kind, e.Name, e.Namespace)
}

// Applier applies objects.
type Applier struct {
	// Client writes, and reads from the caches.
	Client client.Client
	// Live reads past the caches.
	Live client.Reader

	mu sync.Mutex
	// applied remembers what was applied last and the object's version after that.
	// If neither has changed since, there is nothing to do. mu protects it.
	applied map[string]memo
}

type memo struct {
	sum     string
	version string
}

// Apply makes obj so. It is owned by owner, if that is not nil. mine tells whether an
// existing object is the operator's; if not, a *ConflictError is returned. It reports
// whether the API server was asked to write.
func (a *Applier) Apply(ctx context.Context, obj, owner client.Object, mine func(client.Object) bool) (wrote bool, err error) {
	if owner != nil {
		if err := controllerutil.SetControllerReference(owner, obj, a.Client.Scheme()); err != nil {
			return false, err
		}
	}
	in, err := newIntent(obj, a.Client.Scheme())
	if err != nil {
		return false, err
	}
	live, err := a.live(ctx, in)
	if err != nil {
		return false, err
	}
	if live != nil {
		if !mine(live) {
			return false, &ConflictError{Kind: in.kind.Kind, Namespace: in.GetNamespace(), Name: in.GetName()}
		}
		done, err := a.isDone(ctx, in, live)
		if done || err != nil {
			return false, err
		}
	}
	u, err := in.marked()
	if err != nil {
		return false, err
	}
	if err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(FieldOwner), client.ForceOwnership); err != nil {
		return true, fmt.Errorf("apply %s: %w", in.id(), err)
	}
	a.remember(in.id(), memo{in.sum, u.GetResourceVersion()})
	return true, nil
}

// isDone says whether an object is as wanted already. What is remembered answers it; after a
// restart, the annotation does and the object itself.
func (a *Applier) isDone(ctx context.Context, in intent, live client.Object) (bool, error) {
	if m, ok := a.recall(in.id()); ok {
		return m.sum == in.sum && !newer(live.GetResourceVersion(), m.version), nil
	}
	if live.GetAnnotations()[v1alpha1.AnnotationApplied] != in.sum {
		return false, nil
	}
	if _, ok := live.(*metav1.PartialObjectMetadata); ok {
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
	u, err := in.marked()
	if err != nil {
		return false, err
	}
	content["apiVersion"], content["kind"] = u.GetAPIVersion(), u.GetKind() // objects from a cache have none
	if !contains(content, u.Object) {
		return false, nil
	}
	a.remember(in.id(), memo{in.sum, live.GetResourceVersion()})
	return true, nil
}

// Wrote says whether an object is as this Applier left it: its event is no news.
func (a *Applier) Wrote(kind string, o client.Object) bool {
	m, ok := a.recall(idOf(kind, o))
	return ok && m.version == o.GetResourceVersion()
}

// Delete deletes an object if it exists and is the operator's. Of its own objects the caches
// tell; one that was made a moment ago is looked at again when its event comes.
func (a *Applier) Delete(ctx context.Context, obj client.Object, mine func(client.Object) bool) error {
	in, err := newIntent(obj, a.Client.Scheme())
	if err != nil {
		return err
	}
	live, err := a.empty(in)
	if err != nil {
		return err
	}
	err = a.Client.Get(ctx, client.ObjectKeyFromObject(in), live)
	if err != nil || !mine(live) {
		return client.IgnoreNotFound(err)
	}
	a.forget(in.id())
	return client.IgnoreNotFound(a.Client.Delete(ctx, obj, client.Preconditions{UID: new(live.GetUID())}))
}

// live returns an object as it is, or nil. Only the cache's no is doubted: it holds the
// operator's own objects alone, and a foreign one must not be overwritten.
func (a *Applier) live(ctx context.Context, in intent) (client.Object, error) {
	o, err := a.empty(in)
	if err != nil {
		return nil, err
	}
	name := client.ObjectKeyFromObject(in)
	err = a.Client.Get(ctx, name, o)
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

// empty is an object to be read into.
func (a *Applier) empty(in intent) (client.Object, error) {
	if in.kind.Kind == "Secret" {
		// Secrets are cached without their contents.
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(in.kind)
		return m, nil
	}
	typed, err := a.Client.Scheme().New(in.kind)
	if err != nil {
		return nil, err
	}
	o, ok := typed.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", in.kind.Kind)
	}
	return o, nil
}

func (a *Applier) recall(id string) (memo, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := a.applied[id]
	return m, ok
}

func (a *Applier) remember(id string, m memo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.applied == nil {
		a.applied = map[string]memo{}
	}
	a.applied[id] = m
}

func (a *Applier) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.applied, id)
}

// newer says whether a version of an object came after another one. A cache may lag behind
// what was just written.
func newer(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err != nil || order > 0
}
