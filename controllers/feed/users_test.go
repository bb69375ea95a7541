package feed

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

func byName(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// model is the expected content of a table of users, computed from all users.
type model map[types.NamespacedName]*v1alpha1.SFTPUser

func (m model) of(listener types.NamespacedName) map[types.NamespacedName]*v1alpha1.SFTPUser {
	out := map[types.NamespacedName]*v1alpha1.SFTPUser{}
	for name, u := range m {
		if user.ListenerOf(u) == listener {
			out[name] = u
		}
	}
	return out
}

// matters returns the properties of a listener's users that matter to it.
func (m model) matters(listener types.NamespacedName) string {
	var out []string
	for name, u := range m.of(listener) {
		out = append(out, fmt.Sprint(name, u.UID, u.Generation, u.DeletionTimestamp.IsZero(), u.Labels))
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

func (m model) listenersOf(namespace string) []types.NamespacedName {
	found := map[types.NamespacedName]bool{}
	for name, u := range m {
		if name.Namespace == namespace {
			found[user.ListenerOf(u)] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), byName)
}

var namespaces = []string{"a", "b", "c"}

// listeners that users can name.
func listeners() (out []types.NamespacedName) {
	for _, namespace := range namespaces {
		out = append(out, types.NamespacedName{Namespace: namespace, Name: "x"}, types.NamespacedName{Namespace: namespace, Name: "y"})
	}
	return out
}

// event is a random change to a user, as an informer reports it.
func event(random *rand.Rand, m model, n int) (before, after *v1alpha1.SFTPUser) {
	name := types.NamespacedName{Namespace: namespaces[random.IntN(3)], Name: fmt.Sprint("u", random.IntN(4))}
	before = m[name]
	refer := func(u *v1alpha1.SFTPUser) {
		u.Spec.ListenerRef = v1alpha1.ListenerReference{Name: []string{"x", "y"}[random.IntN(2)], Namespace: []string{"", "a", "b"}[random.IntN(3)]}
	}
	if before == nil {
		after = &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, UID: types.UID(strconv.Itoa(n)), Generation: 1}}
		refer(after)
		return nil, after
	}
	after = before.DeepCopy()
	switch random.IntN(7) {
	case 0:
		return before, nil
	case 6:
		after.Labels = map[string]string{"partner": strconv.Itoa(random.IntN(2))}
	case 1:
		after.DeletionTimestamp = new(metav1.Now())
	case 2: // deleted and recreated between two observations
		after.UID, after.Generation, after.DeletionTimestamp = types.UID(strconv.Itoa(n)), 1, nil
		refer(after)
	case 3:
		after.Status.Username = strconv.Itoa(n)
	default:
		after.Generation++
		refer(after)
	}
	return before, after
}

// The table of users matches the informer, and wakes exactly the listeners that a change affects.
func TestUsers(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		m, table := model{}, Users{}
		for n := range 200 {
			old := maps.Clone(m)
			before, after := event(random, m, n)
			var was, is client.Object // a nil pointer in an interface is not nil
			if before != nil {
				was = before
				delete(m, nameOf(before))
			}
			if after != nil {
				is = after
				m[nameOf(after)] = after
			}
			woken := table.Observe(was, is)
			for _, l := range listeners() {
				if matters := old.matters(l) != m.matters(l); matters != slices.Contains(woken, l) {
					t.Fatalf("seed %d, step %d: %v is woken: %v, want %v", seed, n, l, !matters, matters)
				}
				compareUsers(t, &table, m, l)
			}
			for _, namespace := range namespaces {
				got := table.ListenersOf(namespace)
				slices.SortFunc(got, byName)
				if want := m.listenersOf(namespace); !slices.Equal(got, want) {
					t.Fatalf("seed %d, step %d: users of %s name %v, want %v", seed, n, namespace, got, want)
				}
			}
		}
		for _, u := range m {
			table.Observe(u, nil)
		}
		if len(table.byListener)+len(table.inNamespace) > 0 {
			t.Errorf("seed %d: something is left: %v, %v", seed, table.byListener, table.inNamespace)
		}
	}
}

func compareUsers(t *testing.T, table *Users, m model, listener types.NamespacedName) {
	t.Helper()
	got, want := map[types.NamespacedName]*v1alpha1.SFTPUser{}, m.of(listener)
	for _, u := range table.Of(listener) {
		got[nameOf(u)] = u
	}
	if !maps.Equal(got, want) {
		t.Fatalf("%v has %v, want %v", listener, got, want)
	}
	inOrder := func(a, b *v1alpha1.SFTPUser) int { return byName(nameOf(a), nameOf(b)) }
	if !slices.IsSortedFunc(table.Of(listener), inOrder) {
		t.Fatalf("%v has %v, which are not sorted", listener, table.Of(listener))
	}
	latest, unsorted := table.Latest(listener), table.Latest(listener)
	for _, name := range slices.SortedFunc(maps.Keys(m), byName) {
		if u := latest(name); u != want[name] {
			t.Fatalf("%v of %v is %v in order, want %v", name, listener, u, want[name])
		}
	}
	for name := range m {
		if u := table.Get(listener, name); u != want[name] {
			t.Fatalf("%v of %v is %v, want %v", name, listener, u, want[name])
		}
		for range 2 {
			if u := unsorted(name); u != want[name] {
				t.Fatalf("%v of %v is %v in no order, want %v", name, listener, u, want[name])
			}
		}
	}
}

// Of returns a copy: a change to the table does not affect a reconcile in progress.
func TestUsersAreCopied(t *testing.T) {
	var table Users
	l := types.NamespacedName{Namespace: "team", Name: "partners"}
	a, b := someone("a", "partners"), someone("b", "partners")
	table.Observe(nil, a)
	table.Observe(nil, b)
	of, latest := table.Of(l), table.Latest(l)
	table.Observe(b, b.DeepCopy())
	table.Observe(a, nil)
	if !slices.Equal(of, []*v1alpha1.SFTPUser{a, b}) || latest(nameOf(a)) != a || latest(nameOf(b)) != b {
		t.Errorf("%v", of)
	}
}

// Deleting a user that was never in the table does no harm.
func TestUnknownUserIsDeleted(t *testing.T) {
	var table Users
	l := types.NamespacedName{Namespace: "team", Name: "partners"}
	table.Observe(nil, someone("a", "partners"))
	if woken := table.Observe(someone("b", "partners"), nil); !slices.Equal(woken, []types.NamespacedName{l}) {
		t.Errorf("woken %v", woken)
	}
	if n := len(table.Of(l)); n != 1 || !slices.Equal(table.ListenersOf("team"), []types.NamespacedName{l}) {
		t.Errorf("%d users, listeners %v", n, table.ListenersOf("team"))
	}
}
