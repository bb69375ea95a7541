package attach

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A user that cannot have a login does not keep its name from a user that can.
func TestHandOver(t *testing.T) {
	minute, hour, day := aged(time.Minute), aged(time.Hour), aged(24*time.Hour)
	in := func(namespace, name string, changes ...func(*v1alpha1.SFTPUser)) *v1alpha1.SFTPUser {
		return user(namespace, name, append(changes, identified)...)
	}
	first, squats := in("a", "first", day), in("a", "squats", hour, named("acme"))
	for name, c := range map[string]struct {
		users   []*v1alpha1.SFTPUser
		seats   map[types.UID]Seat
		holders map[string]types.NamespacedName
		max     int32
		want    []string
	}{
		"who asks later": {
			users: []*v1alpha1.SFTPUser{first, squats, in("b", "acme")},
			want:  []string{"a/first: Accepted", "a/squats: UsernameConflict", "b/acme: Accepted"},
		},
		"although it is held": {
			users: []*v1alpha1.SFTPUser{first, squats, in("b", "acme")},
			seats: map[types.UID]Seat{"a.first": {"first", true}, "a.squats": {"acme", false}},
			want:  []string{"a/first: Accepted", "a/squats: UsernameConflict", "b/acme: Accepted"},
		},
		"not back, when there is a place again": {
			users: []*v1alpha1.SFTPUser{squats, in("b", "acme")},
			seats: map[types.UID]Seat{"b.acme": {"acme", true}},
			want:  []string{"a/squats: UsernameConflict", "b/acme: Accepted"},
		},
		"no one else asks": {
			users: []*v1alpha1.SFTPUser{first, squats},
			want:  []string{"a/first: Accepted", "a/squats: NamespaceFull"},
		},
		"who asks has no place either": {
			users: []*v1alpha1.SFTPUser{first, squats, in("b", "acme"), in("b", "other", hour)},
			want:  []string{"a/first: Accepted", "a/squats: NamespaceFull", "b/acme: UsernameConflict", "b/other: Accepted"},
		},
		"the listener is full": {
			users: []*v1alpha1.SFTPUser{first, squats, in("b", "acme"), in("c", "other", hour)}, max: 2,
			want: []string{"a/first: Accepted", "a/squats: NamespaceFull", "b/acme: UsernameConflict", "c/other: Accepted"},
		},
		"who asks is suspended": {
			users: []*v1alpha1.SFTPUser{first, squats, in("b", "acme", suspended)},
			want:  []string{"a/first: Accepted", "a/squats: NamespaceFull", "b/acme: UsernameConflict"},
		},
		"who asks is suspended, another is not": {
			users: []*v1alpha1.SFTPUser{first, squats, in("b", "acme", suspended, minute), in("c", "acme")},
			want:  []string{"a/first: Accepted", "a/squats: UsernameConflict", "b/acme: UsernameConflict", "c/acme: Accepted"},
		},
		"the oldest of several": {
			users: []*v1alpha1.SFTPUser{first, squats, in("b", "acme"), in("c", "acme", minute)},
			want:  []string{"a/first: Accepted", "a/squats: UsernameConflict", "b/acme: UsernameConflict", "c/acme: Accepted"},
		},
		"two names, and one place for both": {
			users: []*v1alpha1.SFTPUser{first, squats, in("a", "too", hour), in("b", "acme"), in("b", "too", minute)},
			want:  []string{"a/first: Accepted", "a/squats: NamespaceFull", "a/too: UsernameConflict", "b/acme: UsernameConflict", "b/too: Accepted"},
		},
		"one that a restored record names": {
			users:   []*v1alpha1.SFTPUser{first, squats, in("b", "acme")},
			holders: map[string]types.NamespacedName{"acme": {Namespace: "a", Name: "squats"}},
			want:    []string{"a/first: Accepted", "a/squats: NamespaceFull", "b/acme: UsernameConflict"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := ruled(v1alpha1.AllowedUsersRule{MaxUsers: new(int32(1))})
			l.Spec.AllowedUsers.Usernames = v1alpha1.UsernamesAny
			if c.max > 0 {
				l.Spec.MaxUsers = &c.max
			}
			input := Input{Listener: l, Now: now, Users: c.users, Seats: c.seats, Holders: c.holders}
			wantOutcomes(t, input, c.want...)
			memo := &Memo{}
			for range 3 { // and it stays so
				input.Seats = Decide(input, memo).Seats
				wantOutcomes(t, input, c.want...)
			}
		})
	}
}

// yielded reports whether a user without its name lost it rightly: to a user with a login, while its own namespace has none left.
func yielded(in Input, got Result, loser Decision) bool {
	most := limitOf(in, loser.User.Namespace)
	taken := false
	for _, d := range got.Decisions {
		if d.Accepted() && d.User.Namespace == loser.User.Namespace {
			most--
		}
		taken = taken || d.Accepted() && d.Username == loser.Username
	}
	return taken && most <= 0
}

// squatter returns a user that keeps its name from one that could have a login, "" if there is none.
func squatter(in Input, got Result) string {
	logins, of := 0, map[string]int{}
	holders := map[string]Decision{}
	for _, d := range got.Decisions {
		if d.Accepted() {
			logins++
			of[d.User.Namespace]++
		}
		if got.Seats[d.User.UID].Username != "" {
			holders[d.Username] = d
		}
	}
	for _, d := range got.Decisions {
		h := holders[d.Username]
		limited := h.Reason == v1alpha1.ReasonNamespaceFull || h.Reason == v1alpha1.ReasonListenerFull
		if d.Reason != v1alpha1.ReasonUsernameConflict || !limited ||
			logins >= MaxUsers(in.Listener) || of[d.User.Namespace] >= limitOf(in, d.User.Namespace) {
			continue
		}
		only := in // whether the user would be accepted if there were no other
		only.Users, only.Seats = []*v1alpha1.SFTPUser{d.User}, nil
		if Decide(only, nil).Decisions[0].Accepted() {
			return fmt.Sprintf("%s (%s) keeps %q from %s", h.User.UID, h.Reason, d.Username, d.User.UID)
		}
	}
	return ""
}

// limitOf is how many logins a namespace may have.
func limitOf(in Input, namespace string) int {
	r := newRules(in.Listener)
	rule := r.of(namespace, in.NamespaceLabels)
	if rule == noRule {
		return 0
	}
	return r.maxUsers(rule, namespace)
}
