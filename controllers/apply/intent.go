package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// intent is the object as it is wanted, without what only the API server writes, and the
// checksum of that, which is in an annotation of it.
func intent(obj client.Object, scheme *runtime.Scheme) (*unstructured.Unstructured, string, error) {
	gvk, err := apiutil.GVKForObject(obj, scheme)
	if err != nil {
		return nil, "", err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, "", err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "creationTimestamp")
	data, err := json.Marshal(u.Object) // sorts the keys of maps
	if err != nil {
		return nil, "", err
	}
	digest := sha256.Sum256(data)
	sum := hex.EncodeToString(digest[:16])
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationApplied] = sum
	u.SetAnnotations(annotations)
	return u, sum, nil
}

func idOf(u *unstructured.Unstructured) string {
	return u.GetKind() + "/" + u.GetNamespace() + "/" + u.GetName()
}

// contains says whether an object has all fields of another one with the same values. What it
// has besides are others' fields and defaults. The entries of a list must be as many.
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
