package attach

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// The user who held a name before a restore gets it back, in whatever order users and the record arrive, and anyone who holds it
// in the meantime.
func TestHoldersGoFirst(t *testing.T) {
	holders := map[string]types.NamespacedName{"acme": {Namespace: "platform", Name: "b"}}
	named := func(name string) *v1alpha1.SFTPUser {
		return user("platform", name, func(u *v1alpha1.SFTPUser) { u.Spec.Username, u.UID = "acme", types.UID(name) })
	}
	a, b, c := named("a"), named("b"), named("c")
	memo := &Memo{}
	var seats map[types.UID]Seat
	for i, step := range []struct {
		users   []*v1alpha1.SFTPUser
		holders map[string]types.NamespacedName
		want    string
	}{
		{[]*v1alpha1.SFTPUser{a}, nil, "a"},
		{[]*v1alpha1.SFTPUser{a, b}, nil, "a"},
		{[]*v1alpha1.SFTPUser{a, b}, holders, "b"},
		{[]*v1alpha1.SFTPUser{a, b, c}, holders, "b"},
		{[]*v1alpha1.SFTPUser{a, c}, holders, "a"},
		{[]*v1alpha1.SFTPUser{a, b, c}, holders, "b"},
		{[]*v1alpha1.SFTPUser{a, b, c}, nil, "b"}, // the restore is over, and it holds the name
	} {
		in := Input{Listener: listener(), Users: step.users, Holders: step.holders, Seats: seats, Now: now}
		out := Decide(in, memo)
		fresh := Decide(in, nil)
		var accepted []string
		for j, d := range out.Decisions {
			if d.Reason != fresh.Decisions[j].Reason {
				t.Errorf("step %d: %s is %s, without a memo %s", i, d.User.Name, d.Reason, fresh.Decisions[j].Reason)
			}
			if d.Accepted() {
				accepted = append(accepted, d.User.Name)
			}
		}
		if got := strings.Join(accepted, ""); got != step.want {
			t.Errorf("step %d: %q has the name, want %q", i, got, step.want)
		}
		seats = out.Seats
	}
}
