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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// intent is the wanted state of an object.
type intent struct {
	client.Object
	kind schema.GroupVersionKind
	// sum is its checksum, which is applied as an annotation.
	sum string
	// head is what is applied, without the entries of a Secret: the shards of a large listener are megabytes, and a
	// change usually concerns only one.
	head *unstructured.Unstructured
}

func newIntent(obj client.Object, scheme *runtime.Scheme) (intent, error) {
	kind, err := apiutil.GVKForObject(obj, scheme)
	if err != nil {
		return intent{}, err
	}
	o := obj
	secret, isSecret := obj.(*corev1.Secret)
	if isSecret {
		bare := *secret
		bare.Data = nil
		o = &bare
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return intent{}, err
	}
	// Drop what only the API server writes.
	unstructured.RemoveNestedField(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	in := intent{Object: obj, kind: kind, head: &unstructured.Unstructured{Object: content}}
	in.head.SetGroupVersionKind(kind)
	h := sha256.New()
	err = json.NewEncoder(h).Encode(content) // sorts the keys of maps
	if isSecret {
		sumEntries(h, secret.Data)
	}
	in.sum = hex.EncodeToString(h.Sum(nil)[:16])
	annotations := in.head.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationApplied] = in.sum
	in.head.SetAnnotations(annotations)
	return in, err
}

// sumEntries hashes the entries of a Secret unencoded, in order of their names.
func sumEntries(h hash.Hash, data map[string][]byte) {
	for _, name := range slices.Sorted(maps.Keys(data)) {
		fmt.Fprintf(h, "%q %d ", name, len(data[name]))
		_, _ = h.Write(data[name]) // a hash.Hash never fails
	}
}

func (in intent) id() string { return idOf(in.kind.Kind, in) }

func idOf(kind string, o client.Object) string {
	return kind + "/" + o.GetNamespace() + "/" + o.GetName()
}

// whole returns what is applied: the object with its checksum, and with the entries of a Secret.
func (in intent) whole() *unstructured.Unstructured {
	if secret, ok := in.Object.(*corev1.Secret); ok && secret.Data != nil {
		// The converter would encode each entry as JSON and decode it again, which takes most of the time for a large
		// shard.
		data := make(map[string]any, len(secret.Data))
		for name, value := range secret.Data {
			data[name] = base64.StdEncoding.EncodeToString(value)
		}
		in.head.Object["data"] = data
	}
	return in.head
}

// empty returns an object to be read into.
func (in intent) empty() client.Object {
	if in.kind.Kind == "Secret" {
		// Secrets are cached without their contents.
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(in.kind)
		return m
	}
	o, _ := reflect.TypeAssert[client.Object](reflect.New(reflect.TypeOf(in.Object).Elem()))
	return o
}

// resource returns the kind's name in errors of the API server.
func (in intent) resource() schema.GroupResource {
	return schema.GroupResource{Group: in.kind.Group, Resource: in.kind.Kind}
}

// contains reports whether an object has all fields of another one with the same values.
// Additional fields belong to others, or are defaults. Lists must have equal lengths.
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
