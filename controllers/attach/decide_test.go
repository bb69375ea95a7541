package attach

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// now is the time of all decisions here; users are a few seconds older.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// listener returns a listener in namespace "platform" with the volumes home and archive.
func listener(changes ...func(*v1alpha1.SFTPListener)) *v1alpha1.SFTPListener {
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "partners"},
		Spec:       v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{{Name: "home"}, {Name: "archive"}}},
	}
	for _, change := range changes {
		change(l)
	}
	return l
}

// admitting admits namespaces by one rule, and allows users to choose their login names.
func admitting(from v1alpha1.NamespacesFrom) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers = v1alpha1.AllowedUsers{
			Usernames: v1alpha1.UsernamesAny,
			Rules:     []v1alpha1.AllowedUsersRule{{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: from}}},
		}
	}
}

// user returns a user with a key, one second old.
func user(namespace, name string, changes ...func(*v1alpha1.SFTPUser)) *v1alpha1.SFTPUser {
	u := &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(now.Add(-time.Second))},
		Spec:       v1alpha1.SFTPUserSpec{Authentication: v1alpha1.UserAuthentication{AuthorizedKeys: []string{"k"}}},
	}
	for _, change := range changes {
		change(u)
	}
	return u
}

func aged(d time.Duration) func(*v1alpha1.SFTPUser) {
	return func(u *v1alpha1.SFTPUser) { u.CreationTimestamp = metav1.NewTime(now.Add(-d)) }
}

func named(login string) func(*v1alpha1.SFTPUser) {
	return func(u *v1alpha1.SFTPUser) { u.Spec.Username = login }
}

func suspended(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended }

func deleted(u *v1alpha1.SFTPUser) { u.DeletionTimestamp = new(metav1.NewTime(now)) }

func expiring(at time.Time) func(*v1alpha1.SFTPUser) {
	return func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = new(metav1.NewTime(at)) }
}

// outcomes returns decisions in short form: "platform/acme: Accepted".
func outcomes(decisions []Decision) []string {
	var out []string
	for _, d := range decisions {
		out = append(out, fmt.Sprintf("%s/%s: %s", d.User.Namespace, d.User.Name, d.Reason))
	}
	return out
}

func wantOutcomes(t *testing.T, in Input, want ...string) []Decision {
	t.Helper()
	got := Decide(in, nil).Decisions
	if !reflect.DeepEqual(outcomes(got), want) {
		t.Errorf("got  %q\nwant %q", outcomes(got), want)
	}
	return got
}

func TestOldestUserHasTheName(t *testing.T) {
	l := listener(admitting(v1alpha1.NamespacesAll))
	minute, hour := aged(time.Minute), aged(time.Hour)
	tests := []struct {
		name  string
		users []*v1alpha1.SFTPUser
		want  []string
	}{
		{
			"the older one",
			[]*v1alpha1.SFTPUser{user("a", "acme", minute), user("b", "acme", hour)},
			[]string{"a/acme: UsernameConflict", "b/acme: Accepted"},
		},
		{
			"of the same age, by namespace",
			[]*v1alpha1.SFTPUser{user("b", "acme"), user("a", "acme")},
			[]string{"a/acme: Accepted", "b/acme: UsernameConflict"},
		},
		{
			"and then by name",
			[]*v1alpha1.SFTPUser{user("a", "y", named("acme")), user("a", "x", named("acme"))},
			[]string{"a/x: Accepted", "a/y: UsernameConflict"},
		},
		{
			"suspending does not hand it over",
			[]*v1alpha1.SFTPUser{user("a", "acme", minute), user("b", "acme", hour, suspended)},
			[]string{"a/acme: UsernameConflict", "b/acme: Suspended"},
		},
		{
			"nor does expiry",
			[]*v1alpha1.SFTPUser{user("a", "acme", minute), user("b", "acme", hour, expiring(now))},
			[]string{"a/acme: UsernameConflict", "b/acme: Expired"},
		},
		{
			"nor does a directory that is not allowed",
			[]*v1alpha1.SFTPUser{user("a", "acme", minute), user("b", "acme", hour, func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory.Volume = "x" })},
			[]string{"a/acme: UsernameConflict", "b/acme: VolumeNotFound"},
		},
		{
			"deleting does",
			[]*v1alpha1.SFTPUser{user("a", "acme", minute), user("b", "acme", hour, deleted)},
			[]string{"a/acme: Accepted"},
		},
		{
			"names differ by case",
			[]*v1alpha1.SFTPUser{user("a", "acme"), user("b", "x", named("ACME"))},
			[]string{"a/acme: Accepted", "b/x: Accepted"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantOutcomes(t, Input{Listener: l, Users: tt.users, Now: now}, tt.want...)
		})
	}
}

// A namespace that is not admitted cannot take names from those that are.
func TestUserThatIsNotAdmittedHoldsNoName(t *testing.T) {
	wantOutcomes(t, Input{
		Listener: listener(),
		Users:    []*v1alpha1.SFTPUser{user("other", "acme", aged(time.Hour)), user("platform", "acme")},
		Now:      now,
	}, "other/acme: NotAllowedByListener", "platform/acme: Accepted")
}

func TestNamespacePrefixedNamesCannotConflict(t *testing.T) {
	l := listener(admitting(v1alpha1.NamespacesAll), func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers.Usernames = v1alpha1.UsernamesNamespacePrefixed
	})
	got := wantOutcomes(t, Input{Listener: l, Users: []*v1alpha1.SFTPUser{user("a", "acme"), user("b", "x", named("acme"))}, Now: now},
		"a/acme: Accepted", "b/x: Accepted")
	if got[0].Username != "a.acme" || got[1].Username != "b.acme" {
		t.Errorf("login names %q and %q, want a.acme and b.acme", got[0].Username, got[1].Username)
	}
}

func TestListenerFull(t *testing.T) {
	l := listener(func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(2)) })
	got := wantOutcomes(t, Input{Listener: l, Now: now, Users: []*v1alpha1.SFTPUser{
		user("platform", "a", aged(time.Second)),
		user("platform", "b", aged(time.Minute), suspended),
		user("platform", "c", aged(time.Hour)),
		user("platform", "d", aged(2*time.Hour)),
	}}, "platform/a: ListenerFull", "platform/b: Suspended", "platform/c: Accepted", "platform/d: Accepted")
	wantMessage(t, got[0], `The listener has maxUsers: 2 logins already; ask its owner to raise it`)
}

func TestNextExpiry(t *testing.T) {
	in := func(d time.Duration) func(*v1alpha1.SFTPUser) { return expiring(now.Add(d)) }
	tests := []struct {
		name  string
		users []*v1alpha1.SFTPUser
		want  time.Time
	}{
		{"no one expires", []*v1alpha1.SFTPUser{user("platform", "a")}, time.Time{}},
		{"the next one counts", []*v1alpha1.SFTPUser{user("platform", "a", in(time.Hour)), user("platform", "b", in(time.Minute)), user("platform", "c")}, now.Add(time.Minute)},
		{"whoever expired does not", []*v1alpha1.SFTPUser{user("platform", "a", in(-time.Hour)), user("platform", "b", in(time.Hour))}, now.Add(time.Hour)},
		{"whoever cannot log in does not", []*v1alpha1.SFTPUser{user("other", "a", in(time.Minute)), user("platform", "b", suspended, in(time.Minute))}, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Decide(Input{Listener: listener(), Users: tt.users, Now: now}, nil).Next; !got.Equal(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// For any set of users: no two share a login name, at most maxUsers are accepted, and the order in which the API server lists
// them does not matter.
func TestDecisionsHoldForAnyUsers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	for round := range 300 {
		l := listener(admitting(v1alpha1.NamespacesFrom(pick("Same", "All"))), func(l *v1alpha1.SFTPListener) {
			l.Spec.MaxUsers = new(int32(1 + random.IntN(8)))
			l.Spec.AllowedUsers.Usernames = v1alpha1.UsernamePolicy(pick("Any", "OthersPrefixed", "NamespacePrefixed"))
		})
		var users []*v1alpha1.SFTPUser
		for i := range random.IntN(20) {
			u := user(pick("platform", "a", "b", "a.b"), fmt.Sprint("u", i),
				named(pick("x", "y", "b.x", "z", "-", "")), aged(time.Duration(random.IntN(3))*time.Minute))
			u.Spec.State = v1alpha1.UserState(pick("Active", "Active", "Suspended"))
			users = append(users, u)
		}
		first := Decide(Input{Listener: l, Users: users, Now: now}, nil)
		want := first.Decisions
		seen := map[string]bool{}
		accepted := 0
		for _, d := range want {
			if !d.Accepted() {
				continue
			}
			accepted++
			if seen[d.Username] {
				t.Fatalf("round %d: two users have the login name %q: %q", round, d.Username, outcomes(want))
			}
			seen[d.Username] = true
		}
		if accepted > MaxUsers(l) || len(want) != len(users) {
			t.Fatalf("round %d: %d of %d decisions accept, maxUsers is %d", round, accepted, len(want), MaxUsers(l))
		}
		shuffled := slices.Clone(users)
		random.Shuffle(len(users), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := Decide(Input{Listener: l, Users: shuffled, Now: now}, nil); !reflect.DeepEqual(got, first) {
			t.Fatalf("round %d: another order of users decides otherwise:\n%q\n%q", round, outcomes(got.Decisions), outcomes(want))
		}
	}
}
