package outcome

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// ofAcme returns the state of pods that have loaded the record of one user.
func ofAcme() delivery.Loaded { return loaded(map[types.UID]string{"a/acme": "r"}) }

// The exact text of the condition Ready.
func TestSentencesOfReady(t *testing.T) {
	damaged := []credentials.Problem{{Reason: "InvalidPublicKey", Message: "Line 1 is damaged"}}
	paused := func(in *Input) { in.Listener.Spec.Infrastructure.Rollout = v1alpha1.RolloutPaused }
	reject := func(in *Input) { in.Rejected = map[string]bool{"a/acme": true} }
	none := func(u *compile.User) { u.Credentials, u.Digest = credentials.Credentials{}, "" }
	for _, tc := range []struct {
		user    func(*compile.User)
		changes []func(*Input)
		want    string
	}{
		{func(u *compile.User) { none(u); u.Credentials.Problems = damaged }, nil, "False InvalidPublicKey: Line 1 is damaged"},
		{func(u *compile.User) { u.Credentials.Problems = damaged }, nil, "False InvalidPublicKey: Line 1 is damaged. The other credentials work"},
		{func(u *compile.User) { none(u); u.Credentials.Failures = []string{"503"} }, nil, "False SecretUnreadable: 503. Keys that were read before stay in effect; the operator retries"},
		{func(u *compile.User) { u.Credentials.Failures = []string{"503", "504"} }, nil, "True Ready: The user can log in"},
		{none, nil, "False ConfigPending: The listener's pods have not loaded this user yet: 1 of 2 ready pods have loaded the configuration"},
		{func(*compile.User) {}, []func(*Input){reject}, "False UserRejected: A pod of the listener cannot use this user's record; see its log. Usually its image is older than the operator"},
		{func(*compile.User) {}, []func(*Input){reject, paused}, "False UserRejected: A pod of the listener cannot use this user's record; see its log. Usually its image is older than the operator; the listener's rollouts are paused"},
		{func(*compile.User) {}, []func(*Input){paused}, "True Ready: The user can log in"},
		{func(u *compile.User) { u.Credentials.Inventory[0].ExpirationTime = new(metav1.NewTime(noon)) }, nil, "False NoValidKey: Too few keys of the user are valid now (see the condition KeysValid); give the user a new one"},
	} {
		u := compiled("a", "acme", "r", "k")
		tc.user(u)
		in := input(ofAcme(), u)
		for _, change := range tc.changes {
			change(&in)
		}
		c := meta.FindStatusCondition(Users(in, &Memo{}).Changed[0].Conditions, "Ready")
		if got := fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// A key that expires soon still lets its user in.
func TestExpiringKeyIsValid(t *testing.T) {
	c := credentials.Credentials{Keys: []config.Key{{}}}.WithMethods(factor.Set{{factor.PublicKey}}, false)
	if lacksValidKeys(c, []v1alpha1.UserKeyStatus{{State: v1alpha1.KeyExpiring}}) {
		t.Error("it does not")
	}
}

// The informer's status is newer than the compiled one, unless it belongs to another user with the same name.
func TestNewerStatus(t *testing.T) {
	u := compiled("a", "acme", "r", "k")
	latest := u.User.DeepCopy()
	latest.ResourceVersion, latest.Status.Keys[0].LastUsedDate, latest.Status.ProvedHostKeys = "2", "2026-11-24", []string{"h"}
	for uid, want := range map[types.UID]string{u.User.UID: "2026-11-24", "another": ""} {
		latest := latest.DeepCopy()
		latest.UID = uid
		in := input(ofAcme(), u)
		in.HostKeys = []v1alpha1.HostKeyStatus{{Fingerprint: "h"}}
		in.Latest = func(types.NamespacedName) *v1alpha1.SFTPUser { return latest }
		if o := Users(in, &Memo{}).Changed[0]; o.Keys[0].LastUsedDate != want || (len(o.ProvedHostKeys) > 0) != (want != "") {
			t.Errorf("of %s: %+v", uid, o)
		}
	}
}

// A user that is out keeps what is known of its keys in its status, counts for nothing, and is not waited for.
func TestSuspendedUser(t *testing.T) {
	u := refused("a", "acme", v1alpha1.ReasonSuspended)
	u.User.Status.Keys = []v1alpha1.UserKeyStatus{{Fingerprint: "k", AddedDate: "2026-11-01", LastUsedDate: "2026-11-20"}}
	u.User.Status.ProvedHostKeys = []string{"h"}
	u.Credentials.Pending = []credentials.Ref{{Secret: "s"}}
	in := input(loaded(map[types.UID]string{}), u)
	in.HostKeys = []v1alpha1.HostKeyStatus{{Fingerprint: "h"}}
	res := Users(in, &Memo{})
	if len(res.Changed) != 1 || res.Attached != 0 || res.Proved["h"] != 0 || res.Held != 0 || !res.Next.IsZero() {
		t.Fatalf("%+v", res)
	}
	if o := res.Changed[0]; len(o.Keys) != 1 || o.Keys[0].LastUsedDate != "2026-11-20" {
		t.Errorf("keys %+v", o.Keys)
	}
}

// While pods load, only the outcomes of affected users are withheld: a user that is new to this operator but that all pods have
// is not affected.
func TestLoadedWhileSettling(t *testing.T) {
	in := input(ofAcme(), compiled("a", "acme", "r", "k"), compiled("a", "other", "r", "l"))
	in.Settling = true
	if res := Users(in, &Memo{}); len(res.Changed) != 1 || res.Changed[0].User.Name != "acme" || res.Held != 1 {
		t.Errorf("%+v", res)
	}
}

// Whatever concerns all users is compared completely: each host key, a single address, and combinations of fields that look
// alike.
func TestWhatConcernsAll(t *testing.T) {
	var memo Memo
	u := compiled("a", "acme", "r", "k")
	u.User.Status.ProvedHostKeys = []string{"h1", "h3"}
	in := input(ofAcme(), u)
	step := func(change func(*Input)) int {
		in.Listener = in.Listener.DeepCopy()
		change(&in)
		return len(Users(in, &memo).Changed)
	}
	proved := func(fingerprints ...string) func(*Input) {
		return func(in *Input) {
			in.HostKeys = nil
			for _, f := range fingerprints {
				in.HostKeys = append(in.HostKeys, v1alpha1.HostKeyStatus{Fingerprint: f})
			}
		}
	}
	step(proved("h1", "h2"))
	if n := step(proved("h1", "h3")); n != 1 || !slices.Equal(memo.users[nameOf(u.User)].outcome.ProvedHostKeys, []string{"h1", "h3"}) {
		t.Errorf("another second host key: %d outcomes", n)
	}
	if n := step(func(in *Input) {
		in.Listener.Status.Addresses = []v1alpha1.ListenerAddress{{Value: "192.0.2.1", Port: 22}}
	}); n != 1 || memo.users[nameOf(u.User)].outcome.Address != "192.0.2.1:22" {
		t.Errorf("an address: %d outcomes", n)
	}
	step(func(in *Input) { in.Rejected, in.RolledOut = map[string]bool{"a/acme": true}, "Paused" })
	if n := step(func(in *Input) { in.RolledOut, in.Listener.Spec.Infrastructure.Rollout = "", v1alpha1.RolloutPaused }); n != 1 {
		t.Errorf("paused: %d outcomes", n)
	}
}

// Keys are counted completely: each key of a user, including recreated users, but not those that an SFTPKey assigns to another
// user.
func TestCountsOfKeys(t *testing.T) {
	var memo Memo
	pods := loaded(map[types.UID]string{"a/1": "r", "a/2": "r"})
	one, two := compiled("a", "1", "r", "x", "k", "m"), compiled("a", "2", "r", "y", "k", "m")
	for _, u := range []*compile.User{one, two} {
		u.User.Status.ProvedHostKeys = []string{"h1", "h2"}
	}
	reason := func(u *compile.User) string {
		return meta.FindStatusCondition(memo.users[nameOf(u.User)].outcome.Conditions, "KeysValid").Reason
	}
	look := func(users ...*compile.User) (shared int, keys int, res Result) {
		in := input(pods, users...)
		in.HostKeys = []v1alpha1.HostKeyStatus{{Fingerprint: "h1"}, {Fingerprint: "h2"}}
		res = Users(in, &memo)
		byState, shared := memo.Keys()
		for _, n := range byState {
			keys += n
		}
		return shared, keys, res
	}
	if shared, keys, res := look(one, two); shared != 2 || keys != 6 || !maps.Equal(res.Proved, map[string]int32{"h1": 2, "h2": 2}) || reason(one) != "KeyShared" {
		t.Errorf("%d shared of %d, proved %v, %s", shared, keys, res.Proved, reason(one))
	}
	again := compiled("a", "2", "r", "z")
	again.User.UID = "made again"
	if shared, keys, res := look(one, again); shared != 0 || keys != 4 || !maps.Equal(res.Proved, map[string]int32{"h1": 1, "h2": 1}) || reason(one) != "KeysValid" {
		t.Errorf("made again: %d shared of %d, proved %v, %s", shared, keys, res.Proved, reason(one))
	}
	if n := len(memo.holders["a"]); n != 4 || len(memo.total) != 4 {
		t.Errorf("%d holders and %d keys are remembered, want 4", n, len(memo.total))
	}
	elsewhere := compiled("a", "2", "r", "x")
	elsewhere.Credentials.Inventory[0].State = v1alpha1.KeyAssignedElsewhere
	if look(one, elsewhere); reason(one) != "KeysValid" {
		t.Errorf("one of two has the key without effect: %s", reason(one))
	}
	if shared, keys, res := look(); shared != 0 || keys != 0 || len(memo.users) != 0 || len(memo.holders) != 0 || len(memo.total) != 0 || len(res.Gone) != 2 {
		t.Errorf("no one is left: %d shared of %d, %+v", shared, keys, memo)
	}
}
