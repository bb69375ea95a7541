package outcome

import (
	"maps"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
)

// Users who lose their login because of a change to the listener's spec are counted, once. Their own changes, changes without a
// new spec of the listener, and temporary failures do not count.
func TestLockedOut(t *testing.T) {
	pods := loaded(map[types.UID]string{"a/1": "r", "a/2": "r", "a/3": "r"})
	step := func(memo *Memo, generation int64, users ...*compile.User) Result {
		in := input(pods, users...)
		in.Generation = generation
		return Users(in, memo)
	}
	well := func() []*compile.User {
		return []*compile.User{compiled("a", "1", "r"), compiled("a", "2", "r"), compiled("a", "3", "r")}
	}
	changed := refused("a", "3", v1alpha1.ReasonListenerFull)
	changed.User.Generation = 7
	full, weak := refused("a", "1", v1alpha1.ReasonListenerFull), refused("a", "2", v1alpha1.ReasonMethodsTooWeak)
	for name, tc := range map[string]struct {
		generation int64
		users      []*compile.User
		want       map[string]int
	}{
		"a change to the listener": {2, []*compile.User{full, weak, well()[2]}, map[string]int{"ListenerFull": 1, "MethodsTooWeak": 1}},
		"and its removal is slow":  {3, []*compile.User{full, weak, well()[2]}, map[string]int{"ListenerFull": 1, "MethodsTooWeak": 1}},
		"the same generation":      {1, []*compile.User{full, weak, well()[2]}, nil},
		"their own change":         {2, []*compile.User{well()[0], well()[1], changed}, nil},
		"suspended":                {2, []*compile.User{well()[0], well()[1], refused("a", "3", v1alpha1.ReasonSuspended)}, nil},
	} {
		var memo Memo
		pods = loaded(map[types.UID]string{"a/1": "r", "a/2": "r", "a/3": "r"})
		step(&memo, 1, well()...)
		has := map[types.UID]string{}
		if tc.generation == 3 {
			has = map[types.UID]string{"a/1": "r", "a/2": "r"}
		}
		for _, u := range tc.users {
			if u.Digest != "" {
				has[u.User.UID] = u.Digest // a refused user is removed at once
			}
		}
		pods = loaded(has)
		if got := step(&memo, tc.generation, tc.users...); !maps.Equal(got.LockedOut, tc.want) && len(got.LockedOut)+len(tc.want) > 0 {
			t.Errorf("%s: %v, want %v", name, got.LockedOut, tc.want)
		}
		if got := step(&memo, tc.generation, tc.users...); len(got.LockedOut) > 0 {
			t.Errorf("%s, looked at again: %v", name, got.LockedOut)
		}
	}
}

// The end of a login is reported ahead of time, and evaluated again at that time. known_hosts lines are for users who may log
// in.
func TestEndOfALoginAndKnownHosts(t *testing.T) {
	const day = 24 * time.Hour
	end := noon.Add(40 * day)
	u := compiled("a", "acme", "r", "k")
	u.User.Spec.ExpirationTime = new(metav1.NewTime(end))
	in := input(ofAcme(), u)
	in.Listener.Status.Addresses = []v1alpha1.ListenerAddress{{Value: "sftp.example.com", Port: 22}, {Value: "192.0.2.1", Port: 22}}
	in.HostKeys = []v1alpha1.HostKeyStatus{{Fingerprint: "h", PublicKey: "ssh-ed25519 AAAA"}}
	var memo Memo
	res := Users(in, &memo)
	accepted := meta.FindStatusCondition(res.Changed[0].Conditions, "Accepted")
	if accepted.Reason != "Accepted" || !res.Next.Equal(noon.Add(10*day)) {
		t.Errorf("%s, next at %s", accepted.Reason, res.Next)
	}
	if got := strings.Join(res.Changed[0].KnownHosts, "; "); got != "sftp.example.com ssh-ed25519 AAAA" {
		t.Errorf("known hosts %q", got)
	}
	in.Now = noon.Add(10 * day)
	res = Users(in, &memo)
	accepted = meta.FindStatusCondition(res.Changed[0].Conditions, "Accepted")
	want := "The login ends at " + end.UTC().Format(time.RFC3339) + "; set a later spec.expirationTime if it is still needed then"
	if accepted.Reason != "LoginExpiring" || accepted.Status != "True" || accepted.Message != want {
		t.Errorf("%+v", accepted)
	}
	in.Users = []*compile.User{refused("a", "acme", v1alpha1.ReasonSuspended)}
	if got := Users(in, &memo).Changed[0].KnownHosts; got != nil {
		t.Errorf("known hosts of a login that is suspended: %q", got)
	}
}
