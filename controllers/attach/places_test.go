package attach

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func TestPlaces(t *testing.T) {
	var users []types.NamespacedName
	for i := range 300 {
		users = append(users, types.NamespacedName{Namespace: fmt.Sprint("ns", i%7), Name: fmt.Sprint("u", i)})
	}
	p := PlacesOf(users)
	slices.Reverse(users)
	if again := PlacesOf(append(users, users[:50]...)); !slices.Equal(p, again) || p.Len() != 300 || p.Check(300) != nil {
		t.Errorf("%d users, and %d in another order", p.Len(), again.Len())
	}
	for _, u := range users {
		if other := (types.NamespacedName{Namespace: u.Name, Name: u.Namespace}); !p.Has(u) || p.Has(other) {
			t.Errorf("%s is in the set: %t, %s: %t", u, p.Has(u), other, p.Has(other))
		}
	}
	if p.Check(299) == nil || p[:len(p)-1].Check(300) == nil || Places(nil).Has(users[0]) || PlacesOf(nil) != nil {
		t.Error("impossible sets are accepted")
	}
}

// Whoever had a login before a restore has it after it, in whatever order the users and the record arrive, and keeps it when the
// restore is over.
func TestPlacesGoFirst(t *testing.T) {
	full := listener(admitting(v1alpha1.NamespacesAll), func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(4)) })
	namespaceFull := listener(admitting(v1alpha1.NamespacesAll), func(l *v1alpha1.SFTPListener) {
		l.Spec.MaxUsers = new(int32(7))
		l.Spec.AllowedUsers.Rules[0].MaxUsers = new(int32(2))
	})
	for name, c := range map[string]struct {
		listener *v1alpha1.SFTPListener
		want     []string
	}{
		"a full listener":  {full, []string{"a/u1", "b/u2", "a/u3", "b/u4"}},
		"full namespaces":  {namespaceFull, []string{"a/u1", "b/u2", "a/u3", "b/u4"}},
		"fewer than there": {full, []string{"a/u3", "b/u4"}},
	} {
		t.Run(name, func(t *testing.T) {
			var in []types.NamespacedName
			for _, w := range c.want {
				in = append(in, types.NamespacedName{Namespace: w[:1], Name: w[2:]})
			}
			places := PlacesOf(in)
			for seed := range uint64(50) {
				r := rand.New(rand.NewPCG(seed, 13))
				memo := &Memo{}
				var seats map[types.UID]Seat
				var users []*v1alpha1.SFTPUser
				var known Places
				comes := r.IntN(9) // when the record does
				for step, n := range r.Perm(8) {
					if step == comes {
						known = places
					}
					// All are equally old, or the later ones are younger.
					users = append(users, user([]string{"b", "a"}[n%2], fmt.Sprint("u", n), identified, aged(-time.Duration(int(seed)%2*step)*time.Second)))
					seats = Decide(Input{Listener: c.listener, Users: slices.Clone(users), Places: known, Seats: seats, Now: now}, memo).Seats
				}
				for _, known := range []Places{places, nil} {
					out := Decide(Input{Listener: c.listener, Users: users, Places: known, Seats: seats, Now: now}, memo)
					var got []string
					for _, d := range out.Decisions {
						if d.Accepted() {
							got = append(got, d.User.Namespace+"/"+d.User.Name)
						}
					}
					for _, w := range c.want {
						if !slices.Contains(got, w) {
							t.Fatalf("seed %d: %q have logins, and not %s", seed, got, w)
						}
					}
					if len(got) != 4 {
						t.Fatalf("seed %d: %q have logins", seed, got)
					}
					seats = out.Seats
				}
			}
		})
	}
}
