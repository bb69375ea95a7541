package exchange

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

var partners = types.NamespacedName{Namespace: "ns", Name: "partners"}

// A recreated listener has no state from its predecessor of the same name.
func TestStore(t *testing.T) {
	var s Store
	first := s.Of(partners, "1")
	first.Access.Store(&Access{Unreadable: []string{"x"}})
	if s.Of(partners, "1") != first || s.Of(types.NamespacedName{Name: "other"}, "1") == first {
		t.Error("the cells of a listener are not its own")
	}
	second := s.Of(partners, "2")
	if second == first || second.Access.Load() != nil || second.UID != "2" {
		t.Errorf("a new listener begins with %+v", second)
	}
	s.Forget(partners)
	if s.Of(partners, "2") == second {
		t.Error("a listener that is gone is remembered")
	}
}
