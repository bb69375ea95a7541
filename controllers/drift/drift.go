// Package drift compares objects of a listener with what the operator applied. Server-side
// apply restores the fields that it sets; anything added to them stays, and an endpoint with
// a foreign container or network would run under the operator's name. It is pure.
package drift

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// maxPaths bounds how many paths are listed for an object. Whoever changed it chose the
	// names of containers and variables.
	maxPaths = 8
	// maxPath bounds a path in bytes.
	maxPath = 160
)

// restartAnnotations are those that tools put on a pod template to replace the pods: kubectl
// rollout restart, Rancher and Reloader. They do not change what runs. Any other annotation of
// the template is drift: injectors act on pods' annotations.
var restartAnnotations = []string{
	"kubectl.kubernetes.io/restartedAt",
	"cattle.io/timestamp",
	"reloader.stakater.com/last-reloaded-from",
}

// Of returns the paths of fields in a live object's spec that differ from what the operator
// wants, sorted, prefixed with the kind. Defaults of the API server and its controllers do
// not count. Admission webhooks add containers, volumes and the like to pods; they should not
// change a Deployment.
func Of(live, want client.Object) []string {
	var l, w any
	switch want := want.(type) {
	case *appsv1.Deployment:
		is, ok := live.(*appsv1.Deployment)
		if !ok {
			return nil
		}
		l, w = spec(is.Spec), spec(deploymentSpec(want.Spec, is.Spec))
		removeRestarts(l, w)
	case *corev1.Service:
		is, ok := live.(*corev1.Service)
		if !ok {
			return nil
		}
		l, w = spec(is.Spec), spec(serviceSpec(want.Spec, is.Spec))
	case *networkingv1.NetworkPolicy:
		is, ok := live.(*networkingv1.NetworkPolicy)
		if !ok {
			return nil
		}
		l, w = spec(is.Spec), spec(want.Spec)
	case *policyv1.PodDisruptionBudget:
		is, ok := live.(*policyv1.PodDisruptionBudget)
		if !ok {
			return nil
		}
		l, w = spec(is.Spec), spec(want.Spec)
	default:
		return nil
	}
	var found []string
	compare(kindOf(want)+" spec", l, w, &found)
	return bound(found)
}

func kindOf(o client.Object) string {
	return reflect.TypeOf(o).Elem().Name()
}

// spec returns a struct's JSON form.
func spec(of any) any {
	p := reflect.New(reflect.TypeOf(of))
	p.Elem().Set(reflect.ValueOf(of))
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(p.Interface())
	if err != nil {
		panic(err) // only a programming error: these types are Kubernetes' own
	}
	return content
}

// compare records the paths at which two values differ.
func compare(path string, live, want any, found *[]string) {
	if empty(live) && empty(want) {
		return
	}
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok && live != nil {
			break
		}
		for k := range l {
			if _, both := w[k]; !both {
				compare(join(path, k), l[k], nil, found)
			}
		}
		for k := range w {
			compare(join(path, k), l[k], w[k], found)
		}
		return
	case []any:
		l, ok := live.([]any)
		if ok && compareLists(path, l, w, found) {
			return
		}
	default:
		if reflect.DeepEqual(live, want) {
			return
		}
	}
	*found = append(*found, path)
}

// compareLists compares lists whose entries have keys, and lists of equal length. Otherwise
// it returns false.
func compareLists(path string, live, want []any, found *[]string) bool {
	for _, key := range []string{"name", "mountPath"} {
		l, ok1 := byKey(live, key)
		w, ok2 := byKey(want, key)
		if !ok1 || !ok2 {
			continue
		}
		for name := range l {
			if _, both := w[name]; !both {
				*found = append(*found, fmt.Sprintf("%s[%s=%q]", path, key, name))
			}
		}
		for name := range w {
			compare(fmt.Sprintf("%s[%s=%q]", path, key, name), l[name], w[name], found)
		}
		return true
	}
	if len(live) != len(want) {
		return false
	}
	for i := range want {
		compare(fmt.Sprintf("%s[%d]", path, i), live[i], want[i], found)
	}
	return true
}

// byKey returns the entries of a list by the value of a field, and whether they are unique.
func byKey(list []any, key string) (map[string]any, bool) {
	out := make(map[string]any, len(list))
	for _, entry := range list {
		m, ok := entry.(map[string]any)
		if !ok {
			return nil, false
		}
		name, ok := m[key].(string)
		if _, twice := out[name]; !ok || twice {
			return nil, false
		}
		out[name] = entry
	}
	return out, true
}

// empty reports whether a value means the same as its absence.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	case bool:
		return !v
	}
	return false
}

// join appends the name of a field, or the key of a label, to a path.
func join(path, key string) string {
	if strings.ContainsAny(key, "./") {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	return path + "." + key
}

func bound(paths []string) []string {
	slices.Sort(paths)
	more := len(paths) - maxPaths
	if more > 0 {
		paths = append(paths[:maxPaths:maxPaths], fmt.Sprintf("%d more", more))
	}
	for i, p := range paths {
		if len(p) > maxPath {
			cut := p[:maxPath]
			for !utf8.ValidString(cut) {
				cut = cut[:len(cut)-1]
			}
			paths[i] = cut + "..."
		}
	}
	return paths
}

// removeRestarts removes the annotations that tools leave to restart pods.
func removeRestarts(live, want any) {
	annotations := func(of any) map[string]any {
		for _, field := range []string{"template", "metadata", "annotations"} {
			m, ok := of.(map[string]any)
			if !ok {
				return nil
			}
			of = m[field]
		}
		m, _ := of.(map[string]any)
		return m
	}
	l, w := annotations(live), annotations(want)
	for _, name := range restartAnnotations {
		if _, wanted := w[name]; !wanted {
			delete(l, name)
		}
	}
}
