package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// With a memo, only users affected by a change are resolved.
func TestMemoSavesWork(t *testing.T) {
	resolved := 0
	in := input(user("a", 1), user("b", 2), user("c", 3), user("d", 4))
	in.Resolve = func(u *v1alpha1.SFTPUser) credentials.Credentials {
		resolved++
		return resolve(u)
	}
	memo := &Memo{}
	for i, step := range []struct {
		change func()
		want   int
	}{
		{func() {}, 4},
		{func() {}, 0},
		{func() { in.Listener = in.Listener.DeepCopy() }, 0},
		{func() { in.Users = append([]*v1alpha1.SFTPUser{withKeys(in.Users[0], 9)}, in.Users[1:]...) }, 1},
		{func() { in.Users = append([]*v1alpha1.SFTPUser{in.Users[0]}, in.Users[2:]...) }, 0},
		{func() {}, 0},
		{func() { in.Users = append(slices.Clone(in.Users), user("e", 5)) }, 1},
	} {
		step.change()
		resolved = 0
		if Compile(in, memo); resolved != step.want {
			t.Errorf("step %d: %d users are resolved, want %d", i, resolved, step.want)
		}
	}
}

// While a record has no room, a removed key disappears at once, even with a memo of the reduced record.
func TestMemoOfAReducedRecord(t *testing.T) {
	in, before := full(t)
	memo := &Memo{}
	keysOf := func(in Input) string {
		var got []string
		for _, k := range records(t, Compile(in, memo))["a"].Keys {
			got = append(got, k.PublicKey)
		}
		return strings.Join(got, " ")
	}
	rest := in.Users[1:]
	with := func(u *v1alpha1.SFTPUser) Input { return next(in, before, append([]*v1alpha1.SFTPUser{u}, rest...)...) }
	grown := withKeys(in.Users[0], numbers(1, 60)...)
	if got := keysOf(with(grown)); got != publicKey(1)+" "+publicKey(2) {
		t.Errorf("grown: %s", got)
	}
	less := with(withKeys(grown, numbers(2, 60)...))
	if got := keysOf(less); got != publicKey(2) {
		t.Errorf("a key less: %s", got)
	}
	// The delivered record has changed, without a change to the user.
	delivered := less.Delivered
	less.Delivered = func(uid string) []byte {
		if uid != "uid-a" {
			return delivered(uid)
		}
		was := records(t, before)["a"]
		was.Keys = []config.Key{{PublicKey: publicKey(3)}}
		line, err := config.EncodeUser(was)
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	if got := keysOf(less); got != publicKey(3) {
		t.Errorf("another record was delivered: %s", got)
	}
	// If it is unknown what was delivered, nothing is kept.
	less.Delivered = nil
	out := Compile(less, nil)
	if u := out.Users[0]; !u.GrowthRefused || u.Digest != "" || u.Err != nil {
		t.Errorf("refused %v, digest %q: %v", u.GrowthRefused, u.Digest, u.Err)
	}
}

// A record that leaves a full shard is removed from it, even if as many others have no room there.
func TestMemoWhenOneLeavesAndOneHasNoRoom(t *testing.T) {
	in, before := full(t)
	memo := &Memo{}
	large := func(name string) *v1alpha1.SFTPUser { return user(name, numbers(1, 60)...) }
	first := next(in, before, append(slices.Clone(in.Users), large("zz1"))...)
	if out := Compile(first, memo); !out.Users[len(out.Users)-1].Overflow {
		t.Fatal("there is room")
	}
	second := next(in, before, append(slices.Clone(in.Users[1:]), large("zz1"), large("zz2"))...)
	got, want := Compile(second, memo), Compile(second, nil)
	if _, left := records(t, got)["a"]; left || !same(got, want) {
		t.Errorf("the user that left is still there: %v", left)
	}
}

// A finding about a user changes nothing about the user.
func TestFindingsChangeNothing(t *testing.T) {
	failures := []string{"a", "a", "b"}
	c := credentials.Credentials{Failures: failures[:2], Pending: []credentials.Ref{{Secret: "x"}}}
	if got := unread(c); len(got) != 2 || fmt.Sprint(failures) != "[a a b]" {
		t.Errorf("%q, and the failures are %q", got, failures)
	}
}
