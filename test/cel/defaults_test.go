package cel

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// wantFields checks that an object has at least the given fields.
func wantFields(t *testing.T, o *unstructured.Unstructured, want string) {
	t.Helper()
	merged := merge(o.Object, parse(t, want))
	if !reflect.DeepEqual(normal(t, merged), normal(t, o.Object)) {
		got, err := yaml.Marshal(o.Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("got spec\n%s\nwant in it\n%s", got, want)
	}
}

// normal converts all numbers to one type.
func normal(t *testing.T, o map[string]any) map[string]any {
	t.Helper()
	data, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

// wantPending checks that a new object's conditions say that it has not been reconciled yet.
func wantPending(t *testing.T, o *unstructured.Unstructured, types ...string) {
	t.Helper()
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range conditions {
		m, ok := c.(map[string]any)
		if !ok {
			t.Fatalf("condition %v", c)
		}
		got = append(got, fmt.Sprint(m["type"]))
		if m["status"] != "Unknown" || m["reason"] != "Pending" || m["message"] != "Waiting for the operator" {
			t.Errorf("condition %v, want Unknown/Pending: Waiting for the operator", m)
		}
	}
	if !reflect.DeepEqual(got, types) {
		t.Errorf("conditions %v, want %v", got, types)
	}
}

// numbered returns n items of a list, each with its number.
func numbered(n int, format string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(items, ", ")
}
