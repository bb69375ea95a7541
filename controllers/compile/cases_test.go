package compile

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// reasons returns the outcome of each user, in the order of the output.
func reasons(out Output) string {
	var list []string
	for i := range out.Users {
		list = append(list, out.Users[i].User.Name+"="+out.Users[i].Reason)
	}
	return strings.Join(list, " ")
}

// Which users are accepted depends on the labels of namespaces, on who was accepted before, and on the time.
func TestWhoIsAccepted(t *testing.T) {
	a, b := user("a", 1), user("b", 2)
	a.Namespace, b.Namespace = "one", "two"
	in := input(a, b)
	in.Listener.Spec.AllowedUsers = v1alpha1.AllowedUsers{
		Usernames: v1alpha1.UsernamesAny,
		Rules: []v1alpha1.AllowedUsersRule{{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{
			From: v1alpha1.NamespacesSelector, Selector: &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"sftp": "yes"}},
		}}},
	}
	in.NamespaceLabels = map[string]map[string]string{"two": {"sftp": "yes"}}
	if got := reasons(Compile(in, nil)); got != "a=NotAllowedByListener b=Accepted" {
		t.Error(got)
	}
	older, younger := user("older", 1), user("younger", 2)
	older.Spec.Username, younger.Spec.Username = "same", "same"
	younger.CreationTimestamp = metav1.NewTime(now.Add(-time.Minute))
	in = input(older, younger)
	if got := reasons(Compile(in, nil)); got != "older=Accepted younger=UsernameConflict" {
		t.Error(got)
	}
	in.Seats = map[types.UID]attach.Seat{younger.UID: {Username: "same", Login: true}}
	if got := reasons(Compile(in, nil)); got != "older=UsernameConflict younger=Accepted" {
		t.Error(got)
	}
	in = input(changed(a, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = new(metav1.NewTime(now)) }))
	if got := reasons(Compile(in, nil)); got != "a=Expired" {
		t.Error(got)
	}
}

// The next change is the earliest time of any user or of the policy.
func TestNextChange(t *testing.T) {
	at := func(minutes int) *metav1.Time {
		return new(metav1.NewTime(now.Add(time.Duration(minutes) * time.Minute)))
	}
	for _, tc := range []struct {
		user, policy *metav1.Time
		want         time.Duration
	}{
		{at(5), at(9), 5 * time.Minute}, {at(9), at(5), 5 * time.Minute}, {nil, at(5), 5 * time.Minute}, {at(5), nil, 5 * time.Minute},
	} {
		in := input(changed(user("a", 1), func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = tc.user }))
		in.Listener.Spec.CryptoPolicyExpirationTime = tc.policy
		if got := Compile(in, nil).NextChange; !got.Equal(now.Add(tc.want)) {
			t.Errorf("user %v, policy %v: next change %v", tc.user, tc.policy, got)
		}
	}
}

// All errors of a listener appear in its problems, with the text of the conditions.
func TestProblemsOfAListener(t *testing.T) {
	in := input(user("a", 1))
	in.Listener.Spec.CryptoPolicy, in.Listener.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoLegacy2026, new(metav1.NewTime(now))
	in.TrustProblems = []credentials.Problem{{Reason: "InvalidUserCA", Message: "a CA"}, {Reason: "SecretNotFound", Message: "a list"}}
	want := append([]credentials.Problem{{
		Reason:  "CryptoPolicyExpired",
		Message: "cryptoPolicy Legacy2026 ended at 2026-06-01T12:00:00Z, and Modern2026 is offered instead; set spec.cryptoPolicy to that, or a later spec.cryptoPolicyExpirationTime",
	}}, in.TrustProblems...)
	out := Compile(in, nil)
	if !slices.Equal(out.Problems, want) {
		t.Errorf("%+v", out.Problems)
	}
	in.Listener.Spec.AllowedCIDRs = []string{"nonsense"}
	if out := Compile(in, nil); out.Blocked == nil || out.Blocked.Reason != v1alpha1.ReasonConfigRejected {
		t.Errorf("blocked %+v", out.Blocked)
	}
	in = input(user("a", 1))
	in.HostKeys = nil
	if out := Compile(in, nil); out.Blocked == nil || *out.Blocked != (credentials.Problem{Reason: "Pending", Message: "The listener has no host key yet"}) {
		t.Errorf("blocked %+v", out.Blocked)
	}
}

func TestFindings(t *testing.T) {
	of := func(name, reason string, problems ...credentials.Problem) *User {
		u := &User{Decision: attach.Decision{User: user(name), Reason: reason, Message: "because " + reason}}
		u.Credentials.Problems = problems
		return u
	}
	problem := func(reason string) credentials.Problem {
		return credentials.Problem{Reason: reason, Message: "because " + reason}
	}
	pending := func(secret string) credentials.Ref { return credentials.Ref{Namespace: "team", Secret: secret} }
	read := of("reads", v1alpha1.ReasonAccepted, problem("SecretNotFound"), problem("KeyNotFound"))
	read.Credentials.Pending = []credentials.Ref{pending("a"), pending("b"), pending("b"), pending("a")}
	failed := of("z", v1alpha1.ReasonAccepted)
	failed.Err = errors.New("no such thing")
	out := Output{
		Problems: []credentials.Problem{problem("InvalidUserCA"), problem("CryptoPolicyExpired")}, Blocked: new(problem("ConfigRejected")),
		Users: []*User{
			of("a", v1alpha1.ReasonSuspended, problem("WeakKey")), of("b", v1alpha1.ReasonExpired), of("c", v1alpha1.ReasonListenerFull, problem("WeakKey")),
			of("d", v1alpha1.ReasonUsernameConflict), read, failed,
		},
	}
	var got, missing []string
	for _, f := range out.Findings(listener()) {
		got = append(got, f.String())
		if f.Missing {
			missing = append(missing, f.Reason)
		}
	}
	want := []string{
		"SFTPListener team/partners: InvalidUserCA: because InvalidUserCA",
		"SFTPListener team/partners: CryptoPolicyExpired: because CryptoPolicyExpired",
		"SFTPListener team/partners: ConfigRejected: because ConfigRejected",
		"SFTPUser team/c: ListenerFull: because ListenerFull",
		"SFTPUser team/d: UsernameConflict: because UsernameConflict",
		"SFTPUser team/reads: SecretNotFound: because SecretNotFound",
		"SFTPUser team/reads: KeyNotFound: because KeyNotFound",
		`SFTPUser team/reads: SecretUnreadable: Secret "a" has not been read yet`,
		`SFTPUser team/reads: SecretUnreadable: Secret "b" has not been read yet`,
		`SFTPUser team/reads: SecretUnreadable: Secret "a" has not been read yet`,
		"SFTPUser team/z: UserRejected: The user cannot be configured: no such thing",
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(missing, []string{"SecretNotFound", "KeyNotFound"}) {
		t.Errorf("missing objects: %v", missing)
	}
	out.Blocked.Reason = v1alpha1.ReasonPending
	if len(out.Findings(listener())) != len(want)-1 {
		t.Error("that it waits is a finding")
	}
}

// A user without credentials has no record; this is decided here and not by the daemon.
func TestNoCredentials(t *testing.T) {
	in := input(user("a"))
	in.Resolve = func(*v1alpha1.SFTPUser) credentials.Credentials {
		return credentials.Credentials{Problems: []credentials.Problem{{Reason: "KeyNotFound", Message: "m"}}}
	}
	u := Compile(in, nil).Users[0]
	if u.Err != nil || u.Digest != "" || len(u.Credentials.Problems) == 0 || u.Credentials.Problems[0].Reason != "KeyNotFound" {
		t.Errorf("%+v", u)
	}
}

// Certificates work only where a CA is trusted.
func TestCertificatesNeedACA(t *testing.T) {
	in := input(user("a"))
	in.Resolve = func(*v1alpha1.SFTPUser) credentials.Credentials { return credentials.Credentials{Certificates: true} }
	if u := Compile(in, nil).Users[0]; u.Digest == "" || len(u.Credentials.Problems) != 0 {
		t.Errorf("with a CA: %+v", u)
	}
	in.Trust.UserCAs = nil
	if u := Compile(in, nil).Users[0]; u.Digest != "" || len(u.Credentials.Problems) == 0 {
		t.Errorf("without: %+v", u)
	}
}

// The older record comes first in its shard.
func TestOlderComesFirst(t *testing.T) {
	young, old := user("a", 1), user("b", 2)
	old.CreationTimestamp = metav1.NewTime(now.Add(-10 * time.Hour))
	in := input(young, old)
	in.Listener.Spec.MaxUsers = new(int32(600))
	if s := Compile(in, nil).Files.Shards[0]; bytes.Index(s, []byte("uid-b")) > bytes.Index(s, []byte("uid-a")) {
		t.Errorf("%s", s)
	}
}

// A shard without users is still a file.
func TestEmptyShards(t *testing.T) {
	for _, memo := range []*Memo{nil, {}} {
		out := Compile(input(), memo)
		if out.Blocked != nil || len(out.Files.ShardDigests) != 2 {
			t.Errorf("blocked %+v, %d shards", out.Blocked, len(out.Files.ShardDigests))
		}
		for i, digest := range out.Files.ShardDigests {
			if digest != config.Digest(nil) || out.Files.Shards[i] == nil {
				t.Errorf("shard %d is %q, digest %q", i, out.Files.Shards[i], digest)
			}
		}
	}
}

// A resolver uses the keyring of the user's namespace and the known entries of Secrets.
func TestResolver(t *testing.T) {
	u := user("a")
	u.Spec.Authentication.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: "keys"}}
	k := v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "k"},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: publicKey(7), UserRef: &v1alpha1.LocalUserReference{Name: "a"}},
	}
	r := Resolver{
		Keyring: func(namespace string) *key.Keyring {
			if namespace != "team" {
				t.Errorf("the keyring of %s", namespace)
			}
			return key.NewKeyring([]v1alpha1.SFTPKey{k})
		},
		Entry: func(credentials.Ref) credentials.Entry { return credentials.Entry{} },
	}
	got := r.Resolve(u)
	if len(got.Keys) != 1 || got.Keys[0].PublicKey != publicKey(7) || len(got.Pending) != 1 || got.Pending[0].Secret != "keys" {
		t.Errorf("%+v", got)
	}
}

// A memo of other rules, other users or other Secrets is not used.
func TestMemoIsNotStale(t *testing.T) {
	certified := user("certified")
	keys := 1
	base := func() Input {
		labeled := user("a", 1)
		labeled.Labels = map[string]string{"partner": "x"}
		in := input(labeled, certified)
		in.Resolve = func(u *v1alpha1.SFTPUser) credentials.Credentials {
			if u == certified {
				return credentials.Credentials{Certificates: true}
			}
			return credentials.Credentials{Keys: []config.Key{{PublicKey: publicKey(keys)}, {PublicKey: publicKey(50)}}}
		}
		return in
	}
	unstamped := func(*v1alpha1.SFTPUser) (Stamp, bool) { return Stamp{}, false }
	panics := func(*v1alpha1.SFTPUser) (Stamp, bool) { panic("odd") }
	spec := func(change func(*v1alpha1.SFTPListenerSpec)) func(*Input) {
		return func(in *Input) {
			in.Listener = in.Listener.DeepCopy()
			change(&in.Listener.Spec)
		}
	}
	volumes := spec(func(s *v1alpha1.SFTPListenerSpec) {
		s.Volumes = append(s.Volumes, v1alpha1.ListenerVolume{Name: "more", EmptyDir: &v1alpha1.EmptyDirVolume{}})
		s.HomeDirectory.Volume = "more"
	})
	selecting := func(partner string) func(*Input) {
		return spec(func(s *v1alpha1.SFTPListenerSpec) {
			s.Events = &v1alpha1.ListenerEvents{Sinks: []v1alpha1.EventSink{{Name: "jobs", Users: []v1alpha1.EventUserReference{
				{Selector: &v1alpha1.EventUserSelector{MatchLabels: map[string]string{"partner": partner}}},
			}}}}
		})
	}
	other := func(in *Input) { keys++ }
	for name, steps := range map[string][]func(*Input){
		"another volume": {func(*Input) {}, volumes},
		"another name": {func(*Input) {}, func(in *Input) {
			in.Listener = in.Listener.DeepCopy()
			in.Listener.Name = "other"
		}},
		"another namespace": {func(*Input) {}, func(in *Input) {
			in.Listener = in.Listener.DeepCopy()
			in.Listener.Namespace = "other"
		}},
		"a sink selects a user":    {func(*Input) {}, selecting("x")},
		"a sink selects others":    {selecting("x"), selecting("y")},
		"a sink selects no one":    {selecting("x"), spec(func(s *v1alpha1.SFTPListenerSpec) { s.Events = nil })},
		"a key is revoked":         {func(*Input) {}, func(in *Input) { in.Trust.Revoked.Keys = []string{fingerprint(50)} }},
		"no CA anymore":            {func(*Input) {}, func(in *Input) { in.Trust.UserCAs = nil }},
		"a CA":                     {func(in *Input) { in.Trust.UserCAs = nil }, func(in *Input) { in.Trust.UserCAs = []string{publicKey(99)} }},
		"the same, a copy":         {func(*Input) {}, spec(func(*v1alpha1.SFTPListenerSpec) {})},
		"no one knows the Secrets": {func(in *Input) { in.Stamp = nil }, other},
		"it is not known":          {func(in *Input) { in.Stamp = unstamped }, other},
		"it was not known, and is": {func(in *Input) { in.Stamp = unstamped }, func(in *Input) { other(in); in.Stamp = stamped }},
		"it was known, and is not": {func(*Input) {}, func(in *Input) { other(in); in.Stamp = unstamped }},
		"it cannot be told":        {func(in *Input) { in.Stamp = panics }, other},
		"another stamp": {func(*Input) {}, func(in *Input) {
			other(in)
			in.Stamp = func(*v1alpha1.SFTPUser) (Stamp, bool) { return Stamp{Entries: 1}, true }
		}},
		"another keyring": {func(*Input) {}, func(in *Input) {
			other(in)
			in.Stamp = func(*v1alpha1.SFTPUser) (Stamp, bool) { return Stamp{Keys: "k"}, true }
		}},
		"two users, and none, and 2": {func(*Input) {}, func(in *Input) { in.Users = nil }, func(in *Input) { in.Users = base().Users }},
	} {
		in, memo := base(), &Memo{}
		for i, step := range steps {
			step(&in)
			if got, want := Compile(in, memo), Compile(in, nil); !same(got, want) {
				t.Errorf("%s, step %d: with a memo\n%+v\nwithout\n%+v", name, i, got, want)
			}
			if len(memo.users) != len(in.Users) || len(memo.order) != len(in.Users) {
				t.Errorf("%s, step %d: %d users are remembered, %d in order", name, i, len(memo.users), len(memo.order))
			}
		}
	}
}

// A policy expires without a change to the spec; keys that it did not admit count from then on.
func TestMemoWhenThePolicyEnds(t *testing.T) {
	const nist = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="
	in := input(user("a"))
	in.Users[0].Spec.Authentication.AuthorizedKeys = []string{nist}
	in.Listener.Spec.CryptoPolicy, in.Listener.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoStrict2026, new(metav1.NewTime(now.Add(time.Hour)))
	memo := &Memo{}
	if out := Compile(in, memo); out.Users[0].Digest != "" {
		t.Fatalf("the key is admitted: %+v", out.Users[0])
	}
	in.Now = now.Add(time.Hour)
	if out := Compile(in, memo); out.Users[0].Digest == "" {
		t.Errorf("the key is not admitted: %+v", out.Users[0])
	}
}

// Users swap shards while their records and the number of records stay the same.
func TestMemoWhenUsersSwap(t *testing.T) {
	in, memo := input(user("a", 1), user("b", 1)), &Memo{}
	in.Listener.Spec.MaxUsers = new(int32(1000))
	for i := range 4 {
		in.Previous = map[string]shard.Slot{"uid-a": {Shard: i % 2, Bytes: 5000}, "uid-b": {Shard: 1 - i%2, Bytes: 5000}}
		if got, want := Compile(in, memo), Compile(in, nil); !same(got, want) {
			t.Fatalf("step %d:\n%s\nwant\n%s", i, got.Files.Shards, want.Files.Shards)
		}
	}
}

// A full shard has room for one of two users: the other has none, and the line that was last written for it does not count when
// it comes back.
func TestMemoWhenThereIsRoomForOne(t *testing.T) {
	large := func(name string, mounts int) *v1alpha1.SFTPUser {
		u := user(name, 1)
		for i := range mounts {
			u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Path: fmt.Sprint("/", i, strings.Repeat("m", 3500))})
		}
		return u
	}
	in, memo := input(), &Memo{}
	in.Listener.Spec.MaxUsers = new(int32(625))
	for i := range 34 {
		in.Users = append(in.Users, large(fmt.Sprint("u", i), 8))
	}
	out := Compile(in, nil)
	in.Users = slices.DeleteFunc(in.Users, func(u *v1alpha1.SFTPUser) bool {
		return slices.ContainsFunc(out.Users, func(o *User) bool { return o.User == u && o.Overflow })
	})
	a, b := in.Users[0], in.Users[1]
	if len(in.Users) < 30 || len(in.Users) > 33 {
		t.Fatalf("%d users fill a shard", len(in.Users))
	}
	in.Users = append(in.Users, large("extra", 8)) // there is room for one less
	slot := out.Slots[string(a.UID)]
	for i := range 5 {
		in.Previous = map[string]shard.Slot{}
		for _, u := range in.Users[2:] {
			in.Previous[string(u.UID)] = slot
		}
		in.Previous[string([]*v1alpha1.SFTPUser{a, b}[i%2].UID)] = slot // the other one arrives
		got, want := Compile(in, memo), Compile(in, nil)
		if !same(got, want) {
			t.Fatalf("step %d: shards of %d and %d bytes, digests %v and %v", i, len(got.Files.Shards[0]), len(want.Files.Shards[0]), got.Files.ShardDigests, want.Files.ShardDigests)
		}
		if n := len(records(t, got)); n != len(in.Users)-1 {
			t.Fatalf("step %d: %d records of %d users", i, n, len(in.Users))
		}
	}
}

// A line whose fields are encoded in another way is not used at all.
func TestRecallOfDamagedLines(t *testing.T) {
	got := Recall([][]byte{[]byte(`{"uid":"uid-a","username":"x","maxConnections":"many"}` + "\n" + `{"uid":"uid-b","username":"y","password":{"hash":"h"}}` + "\n")},
		[]*v1alpha1.SFTPUser{user("a"), user("b"), withSeat("c"), withSeat("d")})
	seats := map[types.UID]attach.Seat{"uid-b": {Username: "y", Login: true}, "uid-c": {Username: "c", Login: true}, "uid-d": {Username: "d", Login: true}}
	if !reflect.DeepEqual(got.Seats, seats) || len(got.Slots) != 1 || len(got.Passwords) != 0 {
		t.Errorf("%+v", got)
	}
	var l Lines
	l.Set([][]byte{[]byte("{}\n" + `{"name":"a"}` + "\n")})
	if line := l.Get(""); line != nil {
		t.Errorf("a record of no one: %q", line)
	}
}

func withSeat(name string) *v1alpha1.SFTPUser {
	u := user(name)
	u.Status.Username = name
	u.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted}}
	return u
}

// A delivered record that cannot be parsed reveals nothing about what its user had.
func TestReduceOfDamagedLines(t *testing.T) {
	in := input(user("a", 1))
	line := Compile(in, nil).Files.Shards
	whole := slices.Concat(line...)
	if got := reduceLine(whole, whole); !bytes.Equal(got, whole) {
		t.Errorf("%s, want it as it is", got)
	}
	certified := input(user("a"))
	certified.Resolve = func(*v1alpha1.SFTPUser) credentials.Credentials { return credentials.Credentials{Certificates: true} }
	now := slices.Concat(Compile(certified, nil).Files.Shards...)
	for what, before := range map[string][]byte{"damaged": []byte("x"), "nothing": nil} {
		if got := reduceLine(now, before); got != nil {
			t.Errorf("%s before: %s", what, got)
		}
		if got := reduceLine(before, now); got != nil {
			t.Errorf("%s now: %s", what, got)
		}
	}
}
