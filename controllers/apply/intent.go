package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// intent is an object as it is wanted.
type intent struct {
	client.Object
	kind schema.GroupVersionKind
	// sum is the checksum of it, which is in an annotation of what is applied.
	sum string
}

func newIntent(obj client.Object, scheme *runtime.Scheme) (intent, error) {
	in := intent{Object: obj}
	var err error
	if in.kind, err = apiutil.GVKForObject(obj, scheme); err != nil {
		return in, err
	}
	h := sha256.New()
	if s, ok := obj.(*corev1.Secret); ok {
		err = sumSecret(h, s)
	} else {
		var u *unstructured.Unstructured
		if u, err = in.plain(); err == nil {
			err = json.NewEncoder(h).Encode(u.Object) // sorts the keys of maps
		}
	}
	in.sum = hex.EncodeToString(h.Sum(nil)[:16])
	return in, err
}

// sumSecret takes the contents as they are: the shards of a large listener are megabytes, of
// which a change concerns one.
func sumSecret(h hash.Hash, s *corev1.Secret) error {
	head := *s
	head.Data = nil
	if err := json.NewEncoder(h).Encode(head); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Data)) {
		fmt.Fprintf(h, "%q %d ", name, len(s.Data[name]))
		_, _ = h.Write(s.Data[name]) // a hash.Hash never fails
	}
	return nil
}

func (in intent) id() string { return idOf(in.kind.Kind, in) }

func idOf(kind string, o client.Object) string {
	return kind + "/" + o.GetNamespace() + "/" + o.GetName()
}

// plain is the object without what only the API server writes.
func (in intent) plain() (*unstructured.Unstructured, error) {
	o := in.Object
	secret, _ := o.(*corev1.Secret)
	if secret != nil {
		head := *secret
		head.Data = nil
		o = &head
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	if secret != nil && secret.Data != nil {
		// The converter would encode each entry as JSON and decode it again: most of the time that a large shard takes.
		data := make(map[string]any, len(secret.Data))
		for name, value := range secret.Data {
			data[name] = base64.StdEncoding.EncodeToString(value)
		}
		content["data"] = data
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(in.kind)
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "creationTimestamp")
	return u, nil
}

// marked is what is applied: the object with its checksum.
func (in intent) marked() (*unstructured.Unstructured, error) {
	u, err := in.plain()
	if err != nil {
		return nil, err
	}
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationApplied] = in.sum
	u.SetAnnotations(annotations)
	return u, nil
}

// resource returns what an error of the API server would call the kind.
func (in intent) resource() schema.GroupResource {
	return schema.GroupResource{Group: in.kind.Group, Resource: in.kind.Kind}
}

// refill empties an object and fills it with other content.
func refill(o client.Object, content map[string]any) error {
	v := reflect.ValueOf(o).Elem()
	v.Set(reflect.Zero(v.Type()))
	return runtime.DefaultUnstructuredConverter.FromUnstructured(content, o)
}

// contains reports whether an object has all fields of another one with the same values. What it
// has in addition are others' fields and defaults. The entries of a list must be as many.
func contains(has, wanted any) bool {
	switch w := wanted.(type) {
	case map[string]any:
		h, ok := has.(map[string]any)
		if !ok {
			return len(w) == 0 && has == nil
		}
		for k, v := range w {
			if !contains(h[k], v) {
				return false
			}
		}
		return true
	case []any:
		h, ok := has.([]any)
		if !ok || len(h) != len(w) {
			return len(w) == 0 && has == nil
		}
		for i := range w {
			if !contains(h[i], w[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(has, wanted)
	}
}
