// Package applytest provides an in-memory API server for tests of code that applies objects: it stores what is
// applied, assigns versions and UIDs, and fails on demand. It does not merge: applying an object replaces it.
package applytest

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Secrets is a client of an API server with only Secrets. The zero value is empty and ready to use. Unimplemented methods
// panic.
type Secrets struct {
	client.Client
	// Fail and Watch are called one at a time.
	//
	// Fail, if not nil, is called before each call with get, list, apply or delete, and the name. It returns the call's
	// error; it may also panic.
	Fail func(verb, name string) error
	// Watch is called for each Secret that is stored, possibly before the call that stored it returns, like a real
	// watch.
	Watch func(*corev1.Secret)

	hooks sync.Mutex
	mu    sync.Mutex
	// objects are by namespace and name, version is the last one assigned, and calls are the calls except reads; mu protects
	// them.
	objects map[types.NamespacedName]*corev1.Secret
	version int
	calls   []string
}

// Scheme implements client.Client.
func (s *Secrets) Scheme() *runtime.Scheme { return scheme }

var scheme = func() *runtime.Scheme {
	out := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(out); err != nil {
			panic(err)
		}
	}
	return out
}()

func (s *Secrets) fails(verb, name string) error {
	if s.Fail == nil {
		return nil
	}
	s.hooks.Lock()
	defer s.hooks.Unlock()
	return s.Fail(verb, name)
}

func (s *Secrets) watched(secret *corev1.Secret) {
	if s.Watch != nil {
		s.hooks.Lock()
		defer s.hooks.Unlock()
		s.Watch(secret)
	}
}

func notFound(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

// Get implements client.Client.
func (s *Secrets) Get(_ context.Context, name types.NamespacedName, o client.Object, _ ...client.GetOption) error {
	if err := s.fails("get", name.Name); err != nil {
		return err
	}
	secret := s.Secret(name.Namespace, name.Name)
	if secret == nil {
		return notFound(name.Name)
	}
	switch o := o.(type) {
	case *metav1.PartialObjectMetadata:
		if o.Kind != "Secret" {
			return fmt.Errorf("metadata of kind %q was requested", o.Kind)
		}
		o.ObjectMeta = secret.ObjectMeta
	case *corev1.Secret:
		*o = *secret
	default:
		return fmt.Errorf("there is no %T", o)
	}
	return nil
}

// List implements client.Client.
func (s *Secrets) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := s.fails("list", ""); err != nil {
		return err
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	out, ok := list.(*metav1.PartialObjectMetadataList)
	if !ok || out.Kind != "SecretList" {
		return fmt.Errorf("there is no %T of kind %q", list, list.GetObjectKind().GroupVersionKind().Kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, secret := range s.objects {
		if name.Namespace == o.Namespace && (o.LabelSelector == nil || o.LabelSelector.Matches(labels.Set(secret.Labels))) {
			out.Items = append(out.Items, metav1.PartialObjectMetadata{ObjectMeta: *secret.ObjectMeta.DeepCopy()})
		}
	}
	return nil
}

// Apply implements client.Client.
func (s *Secrets) Apply(_ context.Context, o runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	u, ok := o.(interface {
		client.Object
		UnstructuredContent() map[string]any
	})
	if !ok {
		return fmt.Errorf("cannot apply %T", o)
	}
	if err := s.fails("apply", u.GetName()); err != nil {
		return err
	}
	secret := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.UnstructuredContent(), secret); err != nil {
		return err
	}
	s.put(secret, "apply")
	s.watched(secret)
	u.SetUID(secret.UID)
	u.SetResourceVersion(secret.ResourceVersion)
	return nil
}

// Put stores a Secret, like another client would.
func (s *Secrets) Put(secret *corev1.Secret) { s.put(secret.DeepCopy(), "") }

func (s *Secrets) put(secret *corev1.Secret, verb string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := client.ObjectKeyFromObject(secret)
	if verb != "" {
		s.calls = append(s.calls, verb+" "+secret.Name)
	}
	secret.TypeMeta = metav1.TypeMeta{}
	old := s.objects[name]
	if old != nil {
		secret.UID, secret.ResourceVersion = old.UID, old.ResourceVersion
		if equality.Semantic.DeepEqual(old, secret) {
			return
		}
	}
	s.version++
	if secret.ResourceVersion = strconv.Itoa(s.version); secret.UID == "" {
		secret.UID = types.UID(fmt.Sprintf("secret-%d", s.version))
	}
	if s.objects == nil {
		s.objects = map[types.NamespacedName]*corev1.Secret{}
	}
	s.objects[name] = secret
}

// Delete implements client.Client.
func (s *Secrets) Delete(_ context.Context, o client.Object, opts ...client.DeleteOption) error {
	if err := s.fails("delete", o.GetName()); err != nil {
		return err
	}
	var d client.DeleteOptions
	d.ApplyOptions(opts)
	s.mu.Lock()
	defer s.mu.Unlock()
	name := client.ObjectKeyFromObject(o)
	old := s.objects[name]
	if old == nil {
		return notFound(name.Name)
	}
	if p := d.Preconditions; p != nil && p.UID != nil && *p.UID != old.UID {
		return apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, name.Name, fmt.Errorf("another UID"))
	}
	s.calls = append(s.calls, "delete "+name.Name)
	delete(s.objects, name)
	return nil
}

// Secret returns a copy of a Secret, nil if there is none. Its data must not be changed.
func (s *Secrets) Secret(namespace, name string) *corev1.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.objects[types.NamespacedName{Namespace: namespace, Name: name}]
	if old == nil {
		return nil
	}
	out := *old
	out.ObjectMeta = *old.ObjectMeta.DeepCopy()
	return &out
}

// Calls returns the calls since it was last called, except reads, as "apply name" and "delete name".
func (s *Secrets) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.calls
	s.calls = nil
	return out
}
