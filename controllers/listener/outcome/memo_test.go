package outcome

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/keyuse"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// world is everything that outcomes depend on, and changes at random.
type world struct {
	*rand.Rand
	users   []*compile.User
	latest  map[types.NamespacedName]*v1alpha1.SFTPUser
	shards  []map[types.UID]string
	history delivery.History
	uses    keyuse.Tracker
	in      Input
	version int
}

var hostKeys = []string{"SHA256:host1", "SHA256:host2"}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 2)), latest: map[types.NamespacedName]*v1alpha1.SFTPUser{}, shards: make([]map[types.UID]string, 2)}
	w.in = input(delivery.Loaded{})
	w.in.Uses = &w.uses
	w.in.Listener.Spec.KeyPolicy.UnusedAfterDays = new(int32(50))
	w.in.Latest = func(name types.NamespacedName) *v1alpha1.SFTPUser { return w.latest[name] }
	return w
}

// step changes some of it. Values that were passed out are replaced, never modified.
func (w *world) step() Input {
	before := w.users
	w.users = change(w.Rand, w.users)
	for _, u := range w.users {
		if !slices.Contains(before, u) {
			delete(w.latest, nameOf(u.User)) // its status has other keys
		}
	}
	in := &w.in
	in.Users, in.Used, in.Now = w.users, nil, in.Now.Add(time.Duration(w.IntN(40))*24*time.Hour)
	for _, u := range w.users {
		if w.IntN(3) == 0 {
			w.load(u)
		}
		if w.IntN(4) == 0 {
			w.see(u)
		}
	}
	w.load(nil)
	w.version++
	if w.IntN(2) == 0 {
		v := &delivery.Version{Digest: strconv.Itoa(w.version), Shards: slices.Clone(w.shards)}
		w.history.Note(v)
		if w.IntN(2) == 0 {
			w.history.Acknowledge(v)
		}
	}
	var pods []string
	for range w.IntN(3) {
		pods = append(pods, strconv.Itoa(w.version-w.IntN(3)))
	}
	in.Loaded = w.history.Loaded(pods, w.IntN(5) > 0)
	w.circumstances()
	w.use()
	return *in
}

// load makes a record loaded, in one of two shards, or removes those of deleted users.
func (w *world) load(u *compile.User) {
	for i := range w.shards {
		shard := maps.Clone(w.shards[i])
		if shard == nil {
			shard = map[types.UID]string{}
		}
		if u != nil && len(u.User.UID)%2 == i {
			shard[u.User.UID] = u.Digest
			if u.Digest == "" {
				delete(shard, u.User.UID)
			}
		}
		maps.DeleteFunc(shard, func(uid types.UID, _ string) bool {
			return !slices.ContainsFunc(w.users, func(u *compile.User) bool { return u.User.UID == uid })
		})
		if !maps.Equal(shard, w.shards[i]) {
			w.shards[i] = shard
		}
	}
}

// see has an informer show a user with another status.
func (w *world) see(u *compile.User) {
	o := u.User.DeepCopy()
	w.version++
	o.ResourceVersion = strconv.Itoa(w.version)
	for i := range o.Status.Keys {
		o.Status.Keys[i].LastUsedDate = w.in.Now.AddDate(0, 0, -w.IntN(60)).Format(v1alpha1.DateFormat)
	}
	if w.IntN(2) == 0 {
		o.Status.ProvedHostKeys = hostKeys[:1]
	}
	if w.IntN(8) == 0 {
		o.UID = "another one"
	}
	w.latest[nameOf(u.User)] = o
}

// circumstances changes what concerns all users, or some users that pods have trouble with.
func (w *world) circumstances() {
	in := &w.in
	l := in.Listener.DeepCopy()
	in.Listener = l
	switch w.IntN(10) {
	case 0:
		l.Status.Addresses = nil
	case 1:
		l.Status.Addresses = []v1alpha1.ListenerAddress{{Value: fmt.Sprint("192.0.2.", w.IntN(3)), Port: 22}, {Value: "192.0.2.9", Port: 2222}}
	case 2:
		l.Spec.KeyPolicy.UnusedAfterDays = new(int32(w.IntN(50)))
	case 3:
		l.Spec.KeyPolicy.ExpiringWithinDays = new(int32(w.IntN(90)))
	case 4:
		l.Spec.Infrastructure.Rollout = v1alpha1.RolloutPaused
	case 5:
		l.Spec.Infrastructure.Rollout = ""
	case 6:
		in.HostKeys = nil
		for _, k := range hostKeys[w.IntN(2):] {
			in.HostKeys = append(in.HostKeys, v1alpha1.HostKeyStatus{Fingerprint: k})
		}
	case 7:
		in.RolledOut = fmt.Sprint("because of ", w.IntN(3))
	case 8:
		in.Rejected = map[string]bool{}
		for _, u := range w.users {
			in.Rejected[string(u.User.UID)] = w.IntN(4) == 0
		}
	case 9:
		lacks := strconv.Itoa(w.IntN(8))
		in.Unmounted = func(u *v1alpha1.SFTPUser) string {
			if u.Name == lacks {
				return "data"
			}
			return ""
		}
	}
	in.Pending = fmt.Sprint("pods wait for ", w.IntN(3))
}

// use makes a key used, or a host key proved.
func (w *world) use() {
	if len(w.users) == 0 || w.IntN(3) > 0 {
		return
	}
	uid := string(w.users[w.IntN(len(w.users))].User.UID)
	day := w.in.Now.AddDate(0, 0, -w.IntN(5)).Format(v1alpha1.DateFormat)
	w.in.Used = w.uses.Note(
		[]config.KeyUse{{UID: uid, Fingerprint: "k1", Day: day}}, []config.HostKeyProof{{UID: uid, Fingerprint: hostKeys[w.IntN(2)]}},
		keyuse.Known{Now: w.in.Now, HostKeys: hostKeys, Keys: func(types.UID) ([]string, bool) { return []string{"k1"}, true }})
}

// The memo only saves work: outcomes and counts are those of an empty memo, whatever happens in between.
func TestMemo(t *testing.T) {
	for seed := range uint64(400) {
		w := newWorld(seed)
		var memo Memo
		last := map[types.NamespacedName]user.Outcome{}
		for range 15 {
			in := w.step()
			res := Users(in, &memo)
			for _, o := range res.Changed {
				if reflect.DeepEqual(last[o.User], o) {
					t.Fatalf("seed %d: %s has not changed", seed, o.User)
				}
				last[o.User] = o
			}
			for _, name := range res.Gone {
				delete(last, name)
			}
			var empty Memo
			fresh := Users(in, &empty)
			if len(fresh.Changed) != len(last) {
				t.Fatalf("seed %d: %d users, want %d", seed, len(last), len(fresh.Changed))
			}
			for _, o := range fresh.Changed {
				if !reflect.DeepEqual(last[o.User], o) {
					t.Fatalf("seed %d:\n%s\nwant\n%s", seed, full(last[o.User]), full(o))
				}
			}
			summary := func(r Result, m *Memo) string {
				byState, shared := m.Keys()
				states, proved := maps.Clone(byState), maps.Clone(r.Proved)
				maps.DeleteFunc(states, func(_ v1alpha1.KeyState, n int) bool { return n == 0 })
				maps.DeleteFunc(proved, func(_ string, n int32) bool { return n == 0 })
				return fmt.Sprint(r.Ready, r.NotReady, r.Attached, r.Held, r.Next, proved, states, shared)
			}
			if got, want := summary(res, &memo), summary(fresh, &empty); got != want {
				t.Fatalf("seed %d: %s, want %s", seed, got, want)
			}
			if len(memo.users) != len(in.Users) || len(memo.holders) > 2 || len(memo.total) > 5 {
				t.Fatalf("seed %d: %d users of %d are remembered, %d namespaces, %d keys", seed, len(memo.users), len(in.Users), len(memo.holders), len(memo.total))
			}
		}
	}
}

// full returns all of an outcome as text.
func full(o user.Outcome) string {
	var out strings.Builder
	fmt.Fprintln(&out, o.User, o.UID, o.Address, o.ProvedHostKeys)
	for _, c := range o.Conditions {
		fmt.Fprintln(&out, c.Type, c.Status, c.Reason, c.Message)
	}
	for _, k := range o.Keys {
		fmt.Fprintln(&out, k.Fingerprint, k.State, k.AddedDate, k.LastUsedDate, k.ExpirationTime)
	}
	return out.String()
}

// An outcome includes what is known about the user, for its status.
func TestOutcome(t *testing.T) {
	var memo Memo
	u := compiled("a", "acme", "r", "k")
	u.User.Generation, u.Username = 7, "acme-login"
	u.User.Status.ProvedHostKeys = []string{"h2"}
	in := input(loaded(map[types.UID]string{"a/acme": "r"}), u)
	in.Listener.Status.Addresses = []v1alpha1.ListenerAddress{{Value: "2001:db8::1", Port: 2022}, {Value: "192.0.2.1", Port: 22}}
	in.HostKeys = []v1alpha1.HostKeyStatus{{Fingerprint: "h1"}, {Fingerprint: "h2"}}
	o := Users(in, &memo).Changed[0]
	if o.User.Name != "acme" || o.UID != "a/acme" || o.Generation != 7 || o.Username != "acme-login" || o.Address != "[2001:db8::1]:2022" ||
		!slices.Equal(o.ProvedHostKeys, []string{"h2"}) || len(o.Keys) != 1 || o.Keys[0].Fingerprint != "k" || o.Keys[0].AddedDate != "2026-11-01" {
		t.Errorf("%+v", o)
	}
	if n := Users(in, &Memo{}).Proved; !maps.Equal(n, map[string]int32{"h2": 1}) {
		t.Errorf("proved %v", n)
	}
	u.Overflow = true
	if res := Users(in, &Memo{}); len(res.Proved) != 0 || res.Attached != 0 {
		t.Errorf("a user without a login: %+v", res)
	}
}

// The keys that a user had before its last change may have been used a minute ago. They come from the previously compiled user,
// not from the last evaluation.
func TestFormer(t *testing.T) {
	var memo Memo
	l := loaded(map[types.UID]string{"a/acme": "r"})
	former := func() (out []string) {
		for _, k := range memo.Former(types.NamespacedName{Namespace: "a", Name: "acme"}) {
			out = append(out, k.Fingerprint)
		}
		return out
	}
	if former() != nil {
		t.Error("an unknown user had keys")
	}
	before, after := compiled("a", "acme", "r", "k1"), compiled("a", "acme", "s", "k2")
	Users(input(l, before), &memo)
	Users(input(l, after), &memo)
	if got := former(); !slices.Equal(got, []string{"k1"}) {
		t.Errorf("keys before: %v", got)
	}
	Users(input(l, after), &memo)
	if got := former(); !slices.Equal(got, []string{"k1"}) {
		t.Errorf("keys before, looked at once more: %v", got)
	}
	again := compiled("a", "acme", "s", "k3")
	again.User.UID = "made again"
	Users(input(l, again), &memo)
	if got := former(); got != nil {
		t.Errorf("a user that was made again had %v", got)
	}
}

// The next evaluation is at the earliest time at which any user's key changes its state.
func TestNext(t *testing.T) {
	with := func(name string, days ...int) *compile.User {
		u := compiled("a", name, "r", "k1"+name, "k2"+name)
		for i, d := range days {
			u.Credentials.Inventory[i].NotBefore = new(metav1.NewTime(noon.AddDate(0, 0, d)))
		}
		return u
	}
	for _, tc := range []struct {
		users []*compile.User
		want  int
	}{
		{[]*compile.User{with("1"), with("2")}, 0},
		{[]*compile.User{with("1"), with("2", 5, 3), with("3")}, 3},
		{[]*compile.User{with("1", 4), with("2", 5), with("3", 2), with("4", 6)}, 2},
	} {
		want := time.Time{}
		if tc.want > 0 {
			want = noon.AddDate(0, 0, tc.want)
		}
		if got := Users(input(delivery.Loaded{}, tc.users...), &Memo{}).Next; !got.Equal(want) {
			t.Errorf("next %v, want %v", got, want)
		}
	}
}
