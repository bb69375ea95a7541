package compile

import (
	"errors"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// TestUsersAreReused: unchanged users have the same pointers as before, whatever happens to other users; changed ones do not.
func TestUsersAreReused(t *testing.T) {
	memo := &Memo{}
	in := input(user("a", 1), user("b", 2), user("c", 3), user("d", 4), user("e", 5))
	in.Users[3].Spec.State = v1alpha1.UserSuspended
	var last Output
	step := func(change func(), fresh ...string) {
		t.Helper()
		change()
		slices.Reverse(in.Users)
		out := Compile(in, memo)
		for _, u := range out.Users {
			if again := slices.Contains(last.Users, u); again == slices.Contains(fresh, u.User.Name) {
				t.Errorf("%s: the same pointer again: %v", u.User.Name, again)
			}
		}
		in.Seats, in.Previous, last = out.Seats, out.Slots, out
	}
	set := func(name string, change func(*v1alpha1.SFTPUser)) func() {
		return func() {
			in.Users = slices.Clone(in.Users)
			i := slices.IndexFunc(in.Users, func(u *v1alpha1.SFTPUser) bool { return u.Name == name })
			in.Users[i] = in.Users[i].DeepCopy()
			in.Users[i].Generation++
			change(in.Users[i])
		}
	}
	nothing := func() {}
	step(nothing, "a", "b", "c", "d", "e")
	step(nothing)
	step(func() { in.Listener = in.Listener.DeepCopy() })
	step(set("b", func(u *v1alpha1.SFTPUser) { u.Spec.AllowedCIDRs = []string{"10.1.0.0/16"} }), "b")
	step(set("a", func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended }), "a")
	step(set("d", func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserActive }), "d")
	step(set("d", func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended }), "d")
	step(func() { in.Users = append(slices.Clone(in.Users), user("0", 6), user("bb", 7), user("z", 8)) }, "0", "bb", "z")
	step(func() {
		in.Users = slices.DeleteFunc(slices.Clone(in.Users), func(u *v1alpha1.SFTPUser) bool { return u.Name == "0" || u.Name == "c" })
	})
	step(set("z", func(u *v1alpha1.SFTPUser) { u.UID = "made again" }), "z")
	step(set("e", func(u *v1alpha1.SFTPUser) { u.DeletionTimestamp = new(metav1.NewTime(now)) }))
	step(nothing)
	step(func() { in.Users = nil })
	step(func() { in.Users = []*v1alpha1.SFTPUser{user("a", 1)} }, "a")
}

// TestUserThatHasNoRoomIsReused: a user without a place keeps its pointer while it waits, and gets a place once there is one.
func TestUserThatHasNoRoomIsReused(t *testing.T) {
	in, before := full(t)
	memo := &Memo{}
	large := user("zz", numbers(1, 60)...)
	waiting := next(in, before, append(slices.Clone(in.Users), large)...)
	first := Compile(waiting, memo)
	second := Compile(waiting, memo)
	for i, u := range first.Users {
		if second.Users[i] != u {
			t.Errorf("%s has a different pointer", u.User.Name)
		}
	}
	u := second.Users[len(second.Users)-1]
	if !u.Overflow || u.Digest != "" || u.Reason != v1alpha1.ReasonListenerFull {
		t.Fatalf("%+v", u)
	}
	third := Compile(next(in, before, append(slices.Clone(in.Users[20:]), large)...), memo)
	now := third.Users[len(third.Users)-1]
	if now == u || now.Overflow || now.Digest == "" || now.Reason != v1alpha1.ReasonAccepted || !u.Overflow {
		t.Errorf("%+v, and before %+v", now, u)
	}
}

// TestReuse: the new result is used if it differs in anything.
func TestReuse(t *testing.T) {
	of := func() User {
		return User{
			Decision: attach.Decision{User: user("a"), Username: "a", Reason: v1alpha1.ReasonAccepted}, Digest: "d", Shard: 1,
		}
	}
	one := of()
	one.Credentials.Keys = []config.Key{{PublicKey: "a"}}
	if reuse(&one, one) != &one || reuse(nil, one) == &one {
		t.Error("the same value counts as different, or a different one as the same")
	}
	other := one
	other.Credentials.Keys = slices.Clone(one.Credentials.Keys)
	if reuse(&one, other) == &one {
		t.Error("keys were compiled again, and are the same")
	}
	for name, change := range map[string]func(*User){
		"the record":       func(u *User) { u.Digest = "e" },
		"the shard":        func(u *User) { u.Shard = 2 },
		"the decision":     func(u *User) { u.Message = "other" },
		"an error":         func(u *User) { u.Err = errors.New("other") },
		"no place":         func(u *User) { u.Overflow = true },
		"no room":          func(u *User) { u.GrowthRefused = true },
		"no keys":          func(u *User) { u.Credentials.Keys = nil },
		"an inventory":     func(u *User) { u.Credentials.Inventory = []v1alpha1.UserKeyStatus{{}} },
		"methods":          func(u *User) { u.Credentials.Methods = factor.Set{{}} },
		"a password":       func(u *User) { u.Credentials.Password = &config.Password{} },
		"an app":           func(u *User) { u.Credentials.TOTP = &config.TOTP{} },
		"certificates":     func(u *User) { u.Credentials.Certificates = true },
		"a problem":        func(u *User) { u.Credentials.Problems = []credentials.Problem{{}} },
		"a pending entry":  func(u *User) { u.Credentials.Pending = []credentials.Ref{{}} },
		"a failed read":    func(u *User) { u.Credentials.Failures = []string{""} },
		"another SFTPUser": func(u *User) { u.User = u.User.DeepCopy() },
	} {
		other := one
		change(&other)
		if got := reuse(&one, other); got == &one || got.Credentials.Certificates != other.Credentials.Certificates || got.Digest != other.Digest {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
