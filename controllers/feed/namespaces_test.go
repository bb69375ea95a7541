package feed

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The labels are those of the namespaces, and a change to anything else triggers nothing.
func TestNamespaces(t *testing.T) {
	table := Namespaces{Concerned: func(namespace string) []types.NamespacedName {
		return []types.NamespacedName{{Namespace: "of", Name: namespace}}
	}}
	namespace := func(name string, labels map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	random := rand.New(rand.NewPCG(1, 3))
	m := map[string]*corev1.Namespace{}
	for n := range 500 {
		name := namespaces[random.IntN(3)]
		before, after := m[name], namespace(name, map[string]string{"tier": strconv.Itoa(random.IntN(2))})
		if before != nil && random.IntN(4) == 0 {
			after = nil
		}
		var was, is client.Object
		if before != nil {
			was = before
		}
		if delete(m, name); after != nil {
			is, m[name] = after, after
		}
		matters := before == nil || after == nil || !maps.Equal(before.Labels, after.Labels)
		if woken := table.Observe(was, is); matters != slices.Equal(woken, []types.NamespacedName{{Namespace: "of", Name: name}}) || matters != (len(woken) > 0) {
			t.Fatalf("step %d: woken %v, want %v", n, woken, matters)
		}
		for _, name := range namespaces {
			labels := table.Labels(name)
			if ns := m[name]; ns == nil && labels != nil || ns != nil && !maps.Equal(labels, ns.Labels) {
				t.Fatalf("step %d: labels of %s are %v", n, name, labels)
			}
		}
	}
}
