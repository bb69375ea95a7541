// Package apply writes the operator's objects with server-side apply, and never one
// that belongs to somebody else.
package apply

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
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
	// If neither differs now, there is nothing to do. mu protects it.
	applied map[string]memo
}

type memo struct {
	sum     [sha256.Size]byte
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
	u, err := intent(obj, a.Client.Scheme())
	if err != nil {
		return false, err
	}
	id := u.GetKind() + "/" + u.GetNamespace() + "/" + u.GetName()
	sum, err := checksum(u)
	if err != nil {
		return false, err
	}
	live, err := a.live(ctx, u)
	if err != nil {
		return false, err
	}
	if live != nil {
		if !mine(live) {
			return false, &ConflictError{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
		}
		if a.remembers(id, memo{sum, live.GetResourceVersion()}) {
			return false, nil
		}
	}
	if err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(FieldOwner), client.ForceOwnership); err != nil {
		return true, fmt.Errorf("apply %s: %w", id, err)
	}
	a.remember(id, memo{sum, u.GetResourceVersion()})
	return true, nil
}

// Delete deletes an object if it exists and is the operator's.
func (a *Applier) Delete(ctx context.Context, obj client.Object, mine func(client.Object) bool) error {
	u, err := intent(obj, a.Client.Scheme())
	if err != nil {
		return err
	}
	live, err := a.live(ctx, u)
	if err != nil || live == nil || !mine(live) {
		return err
	}
	return client.IgnoreNotFound(a.Client.Delete(ctx, obj, client.Preconditions{UID: new(live.GetUID())}))
}

// live returns an object as it is, or nil. Only the cache's no is doubted: it holds the
// operator's own objects alone, and a foreign one must not be overwritten.
func (a *Applier) live(ctx context.Context, u *unstructured.Unstructured) (client.Object, error) {
	var o client.Object
	if u.GetKind() == "Secret" {
		// Secrets are cached without their contents.
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(u.GroupVersionKind())
		o = m
	} else {
		typed, err := a.Client.Scheme().New(u.GroupVersionKind())
		if err != nil {
			return nil, err
		}
		var ok bool
		if o, ok = typed.(client.Object); !ok {
			return nil, fmt.Errorf("%s is not an object", u.GetKind())
		}
	}
	name := client.ObjectKeyFromObject(u)
	err := a.Client.Get(ctx, name, o)
	if apierrors.IsNotFound(err) {
		err = a.Live.Get(ctx, name, o)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", u.GetKind(), name, err)
	}
	return o, nil
}

func (a *Applier) remembers(id string, m memo) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.applied[id] == m
}

func (a *Applier) remember(id string, m memo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.applied == nil {
		a.applied = map[string]memo{}
	}
	a.applied[id] = m
}

// intent is the object as it is wanted: without what only the API server writes.
func intent(obj client.Object, scheme *runtime.Scheme) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, scheme)
	if err != nil {
		return nil, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "creationTimestamp")
	return u, nil
}

func checksum(u *unstructured.Unstructured) ([sha256.Size]byte, error) {
	data, err := json.Marshal(u.Object) // sorts the keys of maps
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(data), nil
}
