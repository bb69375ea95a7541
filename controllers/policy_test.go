package controllers

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// A namespace with many listeners does not make the others wait for all of its own.
func TestInTurns(t *testing.T) {
	var names []types.NamespacedName
	for _, n := range []string{"a/3", "b/1", "a/1", "c/1", "a/2", "c/2"} {
		names = append(names, types.NamespacedName{Namespace: n[:1], Name: n[2:]})
	}
	var got []string
	for _, n := range inTurns(names) {
		got = append(got, n.String())
	}
	if want := []string{"a/1", "b/1", "c/1", "a/2", "c/2", "a/3"}; !slices.Equal(got, want) {
		t.Error(fmt.Sprint(got), want)
	}
}
