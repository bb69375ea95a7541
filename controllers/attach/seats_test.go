package attach

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func identified(u *v1alpha1.SFTPUser) { u.UID = types.UID(u.Namespace + "." + u.Name) }

// Seats that are held take precedence over age, as after a restore from a backup, and seats that were given up are free.
func TestSeats(t *testing.T) {
	acme := func(namespace string, changes ...func(*v1alpha1.SFTPUser)) *v1alpha1.SFTPUser {
		return user(namespace, "acme", append(changes, identified)...)
	}
	hour := aged(time.Hour)
	for name, c := range map[string]struct {
		users []*v1alpha1.SFTPUser
		seats map[types.UID]Seat
		max   int32
		want  []string
		held  map[types.UID]Seat
	}{
		"the holder keeps the name": {
			users: []*v1alpha1.SFTPUser{acme("a", hour), acme("b")},
			seats: map[types.UID]Seat{"b.acme": {"acme", true}},
			want:  []string{"a/acme: UsernameConflict", "b/acme: Accepted"},
			held:  map[types.UID]Seat{"b.acme": {"acme", true}},
		},
		"also while it is suspended": {
			users: []*v1alpha1.SFTPUser{acme("a", hour), acme("b", suspended)},
			seats: map[types.UID]Seat{"b.acme": {"acme", true}},
			want:  []string{"a/acme: UsernameConflict", "b/acme: Suspended"},
			held:  map[types.UID]Seat{"b.acme": {"acme", false}},
		},
		"and after that": {
			users: []*v1alpha1.SFTPUser{acme("a", hour), acme("b")},
			seats: map[types.UID]Seat{"b.acme": {"acme", false}},
			want:  []string{"a/acme: UsernameConflict", "b/acme: Accepted"},
			held:  map[types.UID]Seat{"b.acme": {"acme", true}},
		},
		"a deleted user's name is free": {
			users: []*v1alpha1.SFTPUser{acme("a"), acme("b", hour, deleted)},
			seats: map[types.UID]Seat{"b.acme": {"acme", true}},
			want:  []string{"a/acme: Accepted"},
			held:  map[types.UID]Seat{"a.acme": {"acme", true}},
		},
		"another login name is not held": {
			users: []*v1alpha1.SFTPUser{acme("a", hour), acme("b")},
			seats: map[types.UID]Seat{"b.acme": {"b.acme", true}},
			want:  []string{"a/acme: Accepted", "b/acme: UsernameConflict"},
			held:  map[types.UID]Seat{"a.acme": {"acme", true}},
		},
		"two that say they hold it: the older one": {
			users: []*v1alpha1.SFTPUser{acme("a"), acme("b", hour)},
			seats: map[types.UID]Seat{"a.acme": {"acme", true}, "b.acme": {"acme", true}},
			want:  []string{"a/acme: UsernameConflict", "b/acme: Accepted"},
			held:  map[types.UID]Seat{"b.acme": {"acme", true}},
		},
		"who has a login keeps it": {
			users: []*v1alpha1.SFTPUser{acme("a", hour, named("x")), acme("b", named("y")), acme("c", named("z"))}, max: 2,
			seats: map[types.UID]Seat{"b.acme": {"y", true}, "c.acme": {"z", true}},
			want:  []string{"a/acme: ListenerFull", "b/acme: Accepted", "c/acme: Accepted"},
			held:  map[types.UID]Seat{"a.acme": {"x", false}, "b.acme": {"y", true}, "c.acme": {"z", true}},
		},
		"suspended gives it up": {
			users: []*v1alpha1.SFTPUser{acme("a", named("x")), acme("b", hour, named("y"))}, max: 1,
			seats: map[types.UID]Seat{"a.acme": {"x", true}, "b.acme": {"y", false}},
			want:  []string{"a/acme: Accepted", "b/acme: ListenerFull"},
			held:  map[types.UID]Seat{"a.acme": {"x", true}, "b.acme": {"y", false}},
		},
		"of too many that have one, the oldest": {
			users: []*v1alpha1.SFTPUser{acme("a", named("x")), acme("b", hour, named("y"))}, max: 1,
			seats: map[types.UID]Seat{"a.acme": {"x", true}, "b.acme": {"y", true}},
			want:  []string{"a/acme: ListenerFull", "b/acme: Accepted"},
			held:  map[types.UID]Seat{"a.acme": {"x", false}, "b.acme": {"y", true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := listener(admitting(v1alpha1.NamespacesAll))
			if c.max > 0 {
				l.Spec.MaxUsers = &c.max
			}
			in := Input{Listener: l, Users: c.users, Seats: c.seats, Now: now}
			wantOutcomes(t, in, c.want...)
			got := Decide(in, nil)
			if !reflect.DeepEqual(got.Seats, c.held) {
				t.Errorf("seats %v, want %v", got.Seats, c.held)
			}
			in.Seats = got.Seats
			if again := Decide(in, nil); !reflect.DeepEqual(again, got) {
				t.Errorf("nothing has changed, and the decisions have: %q", outcomes(again.Decisions))
			}
		})
	}
}

// A namespace that is no longer admitted gives up its names.
func TestSeatOfANamespaceThatIsOut(t *testing.T) {
	got := Decide(Input{
		Listener: listener(), Now: now,
		Users: []*v1alpha1.SFTPUser{user("other", "acme", identified), user("platform", "acme", identified)},
		Seats: map[types.UID]Seat{"other.acme": {"acme", true}},
	}, nil)
	if want := []string{"other/acme: NotAllowedByListener", "platform/acme: Accepted"}; !slices.Equal(outcomes(got.Decisions), want) {
		t.Errorf("%q, want %q", outcomes(got.Decisions), want)
	}
}

// history changes users and a listener as the API server would, including generations.
type history struct {
	*rand.Rand
	l     *v1alpha1.SFTPListener
	users []*v1alpha1.SFTPUser
	n     int
}

func (h *history) step() {
	pick := func(values ...string) string { return values[h.IntN(len(values))] }
	change := func(u *v1alpha1.SFTPUser) {
		u.Generation++
		u.Spec.State = v1alpha1.UserState(pick("Active", "Active", "Suspended"))
		u.Spec.HomeDirectory.Volume = pick("", "home", "", "nowhere")
		u.Spec.ExpirationTime = nil
		if h.IntN(5) == 0 {
			expiring(now.Add(time.Duration(h.IntN(100)-50) * time.Minute))(u)
		}
	}
	switch k := h.IntN(10); {
	case k < 4:
		for range 1 + h.IntN(30) {
			h.n++
			u := user(pick("platform", "a", "b"), fmt.Sprint("u", h.n), named(pick("x", "y", "z", "", "-")), identified,
				aged(time.Duration(h.IntN(5))*time.Minute))
			change(u)
			h.users = append(h.users, u)
		}
	case k < 6 && len(h.users) > 0:
		i := h.IntN(len(h.users))
		h.users = slices.Delete(slices.Clone(h.users), i, i+1)
	case k < 9 && len(h.users) > 0:
		i := h.IntN(len(h.users))
		u := h.users[i].DeepCopy()
		if change(u); h.IntN(10) == 0 {
			u.DeletionTimestamp = new(metav1.NewTime(now))
		}
		if h.IntN(5) == 0 {
			u.UID += "n" // it was recreated
		}
		h.users = slices.Clone(h.users)
		h.users[i] = u
	default:
		h.l = h.l.DeepCopy()
		h.l.Generation++
		h.l.Spec.AllowedUsers.Usernames = v1alpha1.UsernamePolicy(pick("Any", "Any", "OthersPrefixed", "NamespacePrefixed"))
		h.l.Spec.AllowedUsers.Rules = []v1alpha1.AllowedUsersRule{
			{Name: "a", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"name": "a"}}}},
			{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFrom(pick("Same", "All"))}},
		}
		for i := range h.l.Spec.AllowedUsers.Rules {
			if r := &h.l.Spec.AllowedUsers.Rules[i]; h.IntN(3) > 0 {
				r.MaxUsers = new(int32(1 + h.IntN(10)))
				r.Access = v1alpha1.Access(pick("ReadWrite", "ReadWrite", "ReadOnly"))
			}
		}
		h.l.Spec.MaxUsers = new(int32(1 + h.IntN(20)))
	}
	if h.IntN(2) == 0 { // as the tables of the informers have them
		slices.SortFunc(h.users, byName)
		return
	}
	h.Shuffle(len(h.users), func(i, j int) { h.users[i], h.users[j] = h.users[j], h.users[i] })
}

// The memo changes no decision, and what is held is not reassigned while its holder exists.
func TestHistories(t *testing.T) {
	for seed := range uint64(60) {
		h := &history{Rand: rand.New(rand.NewPCG(seed, 7)), l: listener(admitting(v1alpha1.NamespacesAll))}
		memo := &Memo{}
		var seats map[types.UID]Seat
		for step := range 40 {
			h.step()
			in := Input{Listener: h.l, Users: h.users, Seats: seats, Now: now.Add(time.Duration(step) * time.Minute)}
			if h.IntN(2) == 0 {
				in.NamespaceLabels = map[string]map[string]string{"a": {"name": "a"}}
			}
			got := Decide(in, memo)
			if want := Decide(in, nil); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, step %d: with a memo\n%q\nwithout\n%q", seed, step, outcomes(got.Decisions), outcomes(want.Decisions))
			}
			logins, pushedOut := 0, map[string]bool{}
			for _, d := range got.Decisions {
				before := seats[d.User.UID]
				if before.Login && d.Reason == v1alpha1.ReasonNamespaceFull {
					pushedOut[d.User.Namespace] = true
				}
				if before.Username == d.Username && d.Reason == v1alpha1.ReasonUsernameConflict && !yielded(in, got, d) {
					t.Fatalf("seed %d, step %d: %s lost its name", seed, step, d.User.Name)
				}
				if before.Login && d.Reason == v1alpha1.ReasonListenerFull {
					logins++
				}
			}
			held := 0
			for _, s := range got.Seats {
				if s.Login {
					held++
				}
			}
			if logins > 0 && held < MaxUsers(h.l) {
				t.Fatalf("seed %d, step %d: %d lost their logins, and %d of %d are held", seed, step, logins, held, MaxUsers(h.l))
			}
			for _, d := range got.Decisions {
				if (logins > 0 || pushedOut[d.User.Namespace]) && d.Accepted() && !seats[d.User.UID].Login {
					t.Fatalf("seed %d, step %d: %s got the login of another", seed, step, d.User.Name)
				}
			}
			in.Seats = got.Seats
			if step%4 == 0 { // of some, as it takes long
				if again := Decide(in, nil); !reflect.DeepEqual(again, got) {
					t.Fatalf("seed %d, step %d: nothing has changed, and\n%q\nhave become\n%q", seed, step, outcomes(got.Decisions), outcomes(again.Decisions))
				}
			}
			if who := squatter(in, got); who != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, who)
			}
			seats = got.Seats
		}
	}
}
