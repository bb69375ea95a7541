package compile

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
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// history is a random sequence of changes to a listener and everything it depends on.
type history struct {
	*rand.Rand
	in Input
	// secrets are what Resolve finds for a user apart from its spec, and versions count their changes.
	secrets  map[types.UID][]int
	versions map[types.UID]uint64
	n        int
}

func newHistory(seed uint64) *history {
	h := &history{Rand: rand.New(rand.NewPCG(seed, 3)), in: input(), secrets: map[types.UID][]int{}, versions: map[types.UID]uint64{}}
	h.in.Listener.Spec.MaxUsers = new(int32(5 + h.IntN(30)))
	h.in.Resolve = func(u *v1alpha1.SFTPUser) credentials.Credentials {
		out := resolve(u)
		for _, k := range h.secrets[u.UID] {
			if k == 0 {
				panic("odd")
			}
			out.Keys = append(out.Keys, config.Key{PublicKey: publicKey(k)})
		}
		return out
	}
	h.in.Stamp = func(u *v1alpha1.SFTPUser) (Stamp, bool) {
		return Stamp{Entries: h.versions[u.UID]}, u.UID[len(u.UID)-1] != '7' // some are unknown
	}
	return h
}

func (h *history) pick(values ...string) string { return values[h.IntN(len(values))] }

func (h *history) step() {
	in := &h.in
	switch k := h.IntN(12); {
	case k < 3:
		for range 1 + h.IntN(4) {
			h.n++
			u := user(fmt.Sprint("u", h.n), h.IntN(9))
			u.Namespace, u.Spec.Username = h.pick("team", "a", "b"), h.pick("", "", "x", "y", "-")
			u.CreationTimestamp = metav1.NewTime(now.Add(-time.Duration(h.IntN(5)) * time.Minute))
			in.Users = append(slices.Clone(in.Users), u)
		}
	case k < 6:
		h.changeUser()
	case k < 7 && len(in.Users) > 0:
		i := h.IntN(len(in.Users))
		in.Users = slices.Delete(slices.Clone(in.Users), i, i+1)
	case k < 9 && len(in.Users) > 0:
		uid := in.Users[h.IntN(len(in.Users))].UID
		h.versions[uid]++
		h.secrets[uid] = numbers(h.IntN(2), h.IntN(4))
	case k < 10:
		in.Now = in.Now.Add(time.Duration(h.IntN(30)) * time.Minute)
	case k < 11:
		h.changeListener()
	default:
		in.Trust.Revoked.Keys = []string{fingerprint(h.IntN(9)), fingerprint(h.IntN(9))}
		in.HostKeys = slices.Clone(in.HostKeys)
		in.HostKeys[0].Private = fmt.Append(nil, h.IntN(3))
		if in.Trust.UserCAs = nil; h.IntN(2) == 0 {
			in.Trust.UserCAs = []string{publicKey(99)}
		}
	}
	in.Users = slices.Clone(in.Users)
	if h.IntN(2) == 0 { // as the tables of the informers have them
		slices.SortFunc(in.Users, byName)
		return
	}
	h.Shuffle(len(in.Users), func(i, j int) { in.Users[i], in.Users[j] = in.Users[j], in.Users[i] })
}

func (h *history) changeUser() {
	if len(h.in.Users) == 0 {
		return
	}
	i := h.IntN(len(h.in.Users))
	u := h.in.Users[i].DeepCopy() // as a relist returns all of them
	h.in.Users = slices.Clone(h.in.Users)
	h.in.Users[i] = u
	switch h.IntN(7) {
	case 0:
		u.Status.Username = "x" // a status change does not change the generation
		return
	case 6: // nor does one of labels
		u.Labels = map[string]string{"partner": h.pick("x", "y")}
		return
	case 1:
		u.DeletionTimestamp = new(metav1.NewTime(now))
		return
	case 2:
		u.UID += "n" // it was recreated under its name
	}
	u.Generation++
	u.Spec.State = v1alpha1.UserState(h.pick("Active", "Active", "Suspended"))
	u.Spec.AllowedCIDRs = []string{h.pick("10.0.0.0/8", "10.0.0.0/8", "nonsense")}
	u.Spec.Authentication.AuthorizedKeys = user("", numbers(1, 1+h.IntN(6))...).Spec.Authentication.AuthorizedKeys
	u.Spec.Authentication.Certificates = v1alpha1.CertificateUse(h.pick("", string(v1alpha1.CertificatesAccepted)))
	if u.Spec.ExpirationTime = nil; h.IntN(4) == 0 {
		u.Spec.ExpirationTime = new(metav1.NewTime(h.in.Now.Add(time.Duration(h.IntN(60)) * time.Minute)))
	}
}

func (h *history) changeListener() {
	l := h.in.Listener.DeepCopy()
	h.in.Listener = l
	if h.IntN(3) == 0 {
		return
	}
	l.Generation++
	l.Spec.MaxUsers = new(int32(3 + h.IntN(3)*700))
	l.Spec.AllowedUsers.Rules = []v1alpha1.AllowedUsersRule{
		{Name: "own", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSame}},
		{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFrom(h.pick("Same", "All", "All"))}},
	}
	if h.IntN(3) == 0 {
		l.Spec.AllowedUsers.Rules[h.IntN(2)].MaxConnections = new(int32(1 + h.IntN(2)))
	}
	l.Spec.AllowedUsers.Usernames = v1alpha1.UsernamePolicy(h.pick("Any", "OthersPrefixed", "NamespacePrefixed"))
	l.Spec.Authentication.TrustedUserCAs = []string{publicKey(99)}
	l.Spec.AllowedCIDRs = []string{h.pick("10.0.0.0/8", "10.0.0.0/8", "nonsense")}
	if l.Spec.Events = nil; h.IntN(2) == 0 {
		l.Spec.Events = &v1alpha1.ListenerEvents{Sinks: []v1alpha1.EventSink{{Name: "jobs", Users: []v1alpha1.EventUserReference{
			{Namespace: h.pick("team", "a"), Selector: &v1alpha1.EventUserSelector{MatchLabels: map[string]string{"partner": h.pick("x", "y")}}},
		}}}}
	}
}

// The memo only saves work: the output is the same with and without it.
func TestMemo(t *testing.T) {
	written := 0
	for seed := range uint64(500) {
		h, memo, lines := newHistory(seed), &Memo{}, &Lines{}
		h.in.Delivered = lines.Get
		var last, lastWanted Output
		for step := range 15 {
			h.step()
			got := Compile(h.in, memo)
			want := Compile(h.in, nil)
			if !same(got, want) {
				t.Fatalf("seed %d, step %d: with a memo\n%+v\nwithout\n%+v", seed, step, got, want)
			}
			if !same(last, lastWanted) {
				t.Fatalf("seed %d, step %d: the output of the step before is now\n%+v\nand was\n%+v", seed, step, last, lastWanted)
			}
			last, lastWanted = got, want
			if !slices.IsSortedFunc(got.Users, func(a, b *User) int {
				return slices.Compare([]string{a.User.Namespace, a.User.Name}, []string{b.User.Namespace, b.User.Name})
			}) {
				t.Fatalf("seed %d, step %d: users are not sorted", seed, step)
			}
			if got.Blocked == nil {
				lines.Set(got.Files.Shards)
				h.in.Settings = &got.Settings
				written += len(records(t, got))
			}
			h.in.Seats, h.in.Previous = got.Seats, got.Slots
		}
	}
	if written < 10_000 {
		t.Errorf("%d records in all: the histories do not reach what they are for", written)
	}
}

// same compares outputs; errors are equal if their texts are.
func same(a, b Output) bool {
	text := func(users []*User) (out []*User) {
		for _, u := range users {
			u := *u
			if err := u.Err; err != nil {
				u.Message, u.Err = u.Message+err.Error(), nil
			}
			out = append(out, &u)
		}
		return out
	}
	a.Users, b.Users = text(a.Users), text(b.Users)
	return reflect.DeepEqual(a, b) //nolint:govet // no error remains in them
}
