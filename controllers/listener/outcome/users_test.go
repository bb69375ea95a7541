package outcome

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/keyuse"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

var noon = on(11, 25, 12)

// compiled returns a user that is accepted and can log in with a key, with its record.
func compiled(namespace, name, record string, fingerprints ...string) *compile.User {
	u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name), Generation: 1, ResourceVersion: "1"}}
	c := credentials.Credentials{Methods: factor.Set{{factor.PublicKey}}}
	for _, fp := range fingerprints {
		c.Keys = append(c.Keys, config.Key{PublicKey: fp})
		c.Inventory = append(c.Inventory, v1alpha1.UserKeyStatus{Fingerprint: fp, Source: "inline"})
		u.Status.Keys = append(u.Status.Keys, v1alpha1.UserKeyStatus{Fingerprint: fp, AddedDate: "2026-11-01"})
	}
	return &compile.User{
		Decision:    attach.Decision{User: u, Username: name, Reason: v1alpha1.ReasonAccepted, Message: "The listener accepts this user"},
		Credentials: c, Digest: record,
	}
}

// refused returns a user that has no record.
func refused(namespace, name, reason string) *compile.User {
	u := compiled(namespace, name, "")
	u.Reason, u.Message, u.Credentials = reason, reason+" it is", credentials.Credentials{}
	return u
}

// loaded returns the state of pods that have all loaded these records.
func loaded(records map[types.UID]string) delivery.Loaded {
	var h delivery.History
	v := &delivery.Version{Digest: "d", Shards: []map[types.UID]string{records}}
	h.Note(v)
	h.Acknowledge(v)
	return h.Loaded([]string{"d"}, true)
}

func input(l delivery.Loaded, users ...*compile.User) Input {
	return Input{
		Listener: &v1alpha1.SFTPListener{}, Users: users, Uses: &keyuse.Tracker{}, Loaded: l, Now: noon,
		Latest:    func(types.NamespacedName) *v1alpha1.SFTPUser { return nil },
		Unmounted: func(*v1alpha1.SFTPUser) string { return "" },
		Pending:   "1 of 2 ready pods have loaded the configuration", RolledOut: "The pods are being replaced",
	}
}

// text returns conditions as short lines.
func text(o user.Outcome) string {
	var out []string
	for _, c := range o.Conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(out, " ")
}

func TestConditions(t *testing.T) {
	const fine = "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Ready=True/Ready KeysValid=True/KeysValid"
	with := func(change func(*compile.User)) *compile.User {
		u := compiled("a", "acme", "r", "k")
		change(u)
		return u
	}
	for name, tc := range map[string]struct {
		user    *compile.User
		change  func(*Input)
		records map[types.UID]string
		want    string
		message string // of Ready
	}{
		"all is well": {user: with(func(*compile.User) {}), want: fine, message: "The user can log in"},
		"not loaded": {
			user: with(func(u *compile.User) { u.Digest = "new" }), message: "have not loaded this user yet: 1 of 2 ready pods",
			want: "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Ready=False/ConfigPending KeysValid=True/KeysValid",
		},
		"suspended, and gone from the pods": {
			user: refused("a", "acme", "Suspended"), records: map[types.UID]string{}, message: "Suspended it is",
			want: "Accepted=False/Suspended ResolvedRefs=Unknown/Pending Ready=False/Suspended KeysValid=Unknown/Pending",
		},
		"suspended, and not gone yet": {
			user: refused("a", "acme", "Suspended"), message: "Suspended it is. The login is being removed: not every pod has acknowledged that yet",
			want: "Accepted=False/Suspended ResolvedRefs=Unknown/Pending Ready=False/Removing KeysValid=Unknown/Pending",
		},
		"no place in a shard": {
			user: with(func(u *compile.User) { u.Overflow, u.Digest = true, "" }), records: map[types.UID]string{}, message: "raise maxUsers",
			want: "Accepted=False/ListenerFull ResolvedRefs=Unknown/Pending Ready=False/ListenerFull KeysValid=Unknown/Pending",
		},
		"a damaged key next to a good one": {
			user: with(func(u *compile.User) {
				u.Credentials.Problems = []credentials.Problem{{Reason: "InvalidPublicKey", Message: "Line 2 is damaged"}}
			}),
			want:    "Accepted=True/Accepted ResolvedRefs=False/InvalidPublicKey Ready=False/InvalidPublicKey KeysValid=True/KeysValid",
			message: "Line 2 is damaged. The other credentials work",
		},
		"a damaged key only": {
			user: with(func(u *compile.User) {
				u.Digest, u.Credentials = "", credentials.Credentials{Problems: []credentials.Problem{{Reason: "InvalidPublicKey", Message: "Line 1 is damaged"}}}
			}),
			records: map[types.UID]string{},
			want:    "Accepted=True/Accepted ResolvedRefs=False/InvalidPublicKey Ready=False/InvalidPublicKey KeysValid=True/KeysValid",
			message: "Line 1 is damaged",
		},
		"a Secret that cannot be read, and what it had before": {
			user:    with(func(u *compile.User) { u.Credentials.Failures = []string{`Secret "s" cannot be read: 503`} }),
			want:    "Accepted=True/Accepted ResolvedRefs=Unknown/SecretUnreadable Ready=True/Ready KeysValid=True/KeysValid",
			message: "The user can log in",
		},
		"a Secret that could never be read": {
			user: with(func(u *compile.User) {
				u.Credentials.Pending, u.Credentials.Failures = []credentials.Ref{{Secret: "s"}}, []string{`Secret "s" cannot be read: 503`}
			}),
			want:    "Accepted=True/Accepted ResolvedRefs=Unknown/SecretUnreadable Ready=False/SecretUnreadable KeysValid=True/KeysValid",
			message: `Secret "s" cannot be read: 503`,
		},
		"a pod rejects it": {
			user: with(func(*compile.User) {}), change: func(in *Input) { in.Rejected = map[string]bool{"a/acme": true} },
			want:    "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Ready=False/UserRejected KeysValid=True/KeysValid",
			message: "Usually its image is older than the operator",
		},
		"the daemon would refuse it": {
			user:    with(func(u *compile.User) { u.Digest, u.Err = "", fmt.Errorf("no such thing") }),
			records: map[types.UID]string{},
			want:    "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Ready=False/UserRejected KeysValid=True/KeysValid",
			message: "The user cannot be configured: no such thing",
		},
		"no pod is ready": {
			user: with(func(*compile.User) {}), change: func(in *Input) { in.Away = conditions.Problem{Reason: "PodsUnavailable", Message: "None is"} },
			want:    "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Ready=False/PodsUnavailable KeysValid=True/KeysValid",
			message: "None is",
		},
		"no pod is ready to load it": {
			user: with(func(u *compile.User) { u.Digest = "new" }), change: func(in *Input) { in.Away = conditions.Problem{Reason: "ScaledToZero", Message: "None is"} },
			want:    "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Ready=False/ScaledToZero KeysValid=True/KeysValid",
			message: "None is",
		},
		"a pod lacks its volume": {
			user: with(func(*compile.User) {}), change: func(in *Input) { in.Unmounted = func(*v1alpha1.SFTPUser) string { return "data" } },
			want:    "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Ready=False/VolumeNotMounted KeysValid=True/KeysValid",
			message: `older than its volume "data" and does not have it: The pods are being replaced`,
		},
		"its only key has expired": {
			user: with(func(u *compile.User) { u.Credentials.Inventory[0].ExpirationTime = new(metav1.NewTime(noon)) }),
			want: "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Ready=False/NoValidKey KeysValid=False/KeyExpired",
		},
	} {
		if tc.records == nil {
			tc.records = map[types.UID]string{"a/acme": "r"}
		}
		in := input(loaded(tc.records), tc.user)
		if tc.change != nil {
			tc.change(&in)
		}
		res := Users(in, &Memo{})
		if len(res.Changed) != 1 {
			t.Errorf("%s: %d outcomes", name, len(res.Changed))
			continue
		}
		got := res.Changed[0]
		if text(got) != tc.want {
			t.Errorf("%s:\n\t%s, want\n\t%s", name, text(got), tc.want)
		}
		if m := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, tc.message) {
			t.Errorf("%s: %q, want %q in it", name, m, tc.message)
		}
	}
}

// While pods load what was written, the outcomes of affected users are withheld. Other users are not affected.
func TestSettling(t *testing.T) {
	var memo Memo
	l := loaded(map[types.UID]string{"a/same": "r", "a/changes": "r", "a/goes": "r"})
	same, changes, goes := compiled("a", "same", "r"), compiled("a", "changes", "r"), compiled("a", "goes", "r")
	if res := Users(input(l, same, changes, goes), &memo); len(res.Changed) != 3 || res.Ready != 3 || res.Attached != 3 {
		t.Fatalf("at first: %+v", res)
	}
	in := input(l, same, compiled("a", "changes", "new"), refused("a", "goes", "Suspended"), compiled("a", "comes", "r"))
	in.Settling = true
	if res := Users(in, &memo); len(res.Changed) != 0 || res.Held != 3 || res.Ready != 3 {
		t.Errorf("meanwhile: %d changed, %d held, %d ready", len(res.Changed), res.Held, res.Ready)
	}
	in.Settling = false
	if res := Users(in, &memo); len(res.Changed) != 3 || res.Ready != 1 || res.NotReady != 3 {
		t.Errorf("when it takes long: %d changed, %d ready, %d not", len(res.Changed), res.Ready, res.NotReady)
	}
	in.Loaded = loaded(map[types.UID]string{"a/same": "r", "a/changes": "new", "a/comes": "r"})
	res := Users(in, &memo)
	var names []string
	for _, o := range res.Changed {
		names = append(names, o.User.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"changes", "comes", "goes"}) || res.Ready != 3 || res.Held != 0 {
		t.Errorf("in the end: %v changed, %d ready", names, res.Ready)
	}
	in.Users = in.Users[:1]
	if res := Users(in, &memo); len(res.Gone) != 3 || len(res.Changed) != 0 || res.Ready != 1 {
		t.Errorf("users that are gone: %+v", res)
	}
}

// A newly started operator changes no existing status before it knows what the pods have, but reports on users that have no
// status.
func TestUnknown(t *testing.T) {
	status := func(u *compile.User, generation int64) *compile.User {
		u.User.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: "True", ObservedGeneration: generation}}
		return u
	}
	users := []*compile.User{
		status(compiled("a", "same", "r"), 1), status(compiled("a", "changed", "r"), 0), compiled("a", "new", "r"),
		status(refused("a", "suspended", "Suspended"), 0),
	}
	var h delivery.History
	in, memo := input(h.Loaded(nil, false), users...), Memo{}
	in.Unknown = true
	res := Users(in, &memo)
	for _, o := range res.Changed {
		ready := meta.FindStatusCondition(o.Conditions, v1alpha1.ConditionReady)
		if o.User.Name == "same" || ready.Status != metav1.ConditionFalse {
			t.Errorf("%s: %s", o.User.Name, text(o))
		}
		if o.User.Name == "suspended" && !strings.Contains(ready.Message, "not every pod has acknowledged") {
			t.Errorf("before the pods were asked: %s", ready.Message)
		}
	}
	if len(res.Changed) != 3 || res.Held != 1 {
		t.Errorf("%d changed, %d held", len(res.Changed), res.Held)
	}
	in.Unknown = false
	if res := Users(in, &memo); len(res.Changed) != 1 || res.Changed[0].User.Name != "same" {
		t.Errorf("once it is known: %+v", res.Changed)
	}
}

// While a Secret is being read, the status stays as it is: neither ready without the password, nor not ready for a few
// milliseconds.
func TestSecretIsBeingRead(t *testing.T) {
	var memo Memo
	u := compiled("a", "acme", "r", "k")
	u.Credentials.Pending = []credentials.Ref{{Secret: "s"}}
	if res := Users(input(loaded(map[types.UID]string{"a/acme": "r"}), u), &memo); len(res.Changed) != 0 || res.Held != 1 || res.Ready != 0 {
		t.Errorf("%d outcomes, %d held, %d ready", len(res.Changed), res.Held, res.Ready)
	}
}

// The status of users in one namespace that share a key says so as long as there are several. Users of other namespaces are
// not mentioned.
func TestSharedKeys(t *testing.T) {
	var memo Memo
	l := loaded(map[types.UID]string{"a/1": "r", "a/2": "r", "b/3": "r"})
	one, two, three := compiled("a", "1", "r", "k"), compiled("a", "2", "r", "k"), compiled("b", "3", "r", "k")
	reasons := func(users ...*compile.User) string {
		Users(input(l, users...), &memo)
		var out []string
		for _, u := range users {
			k := memo.users[nameOf(u.User)]
			out = append(out, meta.FindStatusCondition(k.outcome.Conditions, v1alpha1.ConditionKeysValid).Reason)
		}
		return strings.Join(out, " ")
	}
	for _, tc := range []struct {
		users  []*compile.User
		want   string
		shared int
	}{
		{[]*compile.User{one, three}, "KeysValid KeysValid", 1},                //nolint:dupword // one per user
		{[]*compile.User{one, two, three}, "KeyShared KeyShared KeysValid", 1}, //nolint:dupword // one per user
		{[]*compile.User{two, three}, "KeysValid KeysValid", 1},                //nolint:dupword // one per user
		{[]*compile.User{three}, "KeysValid", 0},
	} {
		if got := reasons(tc.users...); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
		if byState, shared := memo.Keys(); shared != tc.shared || byState[v1alpha1.KeyActive] != len(tc.users) {
			t.Errorf("%d keys, %d shared, want %d, %d", byState[v1alpha1.KeyActive], shared, len(tc.users), tc.shared)
		}
	}
}

// change returns users, some of which were changed.
func change(r *rand.Rand, users []*compile.User) []*compile.User {
	var out []*compile.User
	for i := range 6 {
		name, namespace := strconv.Itoa(i), fmt.Sprint("n", i%2)
		var u *compile.User
		if j := slices.IndexFunc(users, func(u *compile.User) bool { return u.User.Name == name }); j >= 0 {
			u = users[j]
		}
		switch r.IntN(7) {
		case 0:
			u = refused(namespace, name, v1alpha1.ReasonSuspended)
		case 1:
			u = compiled(namespace, name, fmt.Sprint("r", r.IntN(3)), fmt.Sprint("k", r.IntN(3)))
		case 2:
			u = compiled(namespace, name, fmt.Sprint("r", r.IntN(3)), "k1", "k2")
			u.Credentials.Inventory[0].ExpirationTime = new(metav1.NewTime(noon.Add(time.Duration(r.IntN(200)) * 24 * time.Hour)))
		case 3:
			continue
		}
		if u != nil {
			out = append(out, u)
		}
	}
	return out
}
