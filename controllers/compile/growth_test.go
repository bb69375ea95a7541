package compile

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func numbers(from, to int) (out []int) {
	for n := from; n < to; n++ {
		out = append(out, n)
	}
	return out
}

// changed returns another version of a user.
func changed(u *v1alpha1.SFTPUser, change func(*v1alpha1.SFTPUser)) *v1alpha1.SFTPUser {
	u = u.DeepCopy()
	u.Generation++
	change(u)
	return u
}

func withKeys(u *v1alpha1.SFTPUser, keys ...int) *v1alpha1.SFTPUser {
	return changed(u, func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.AuthorizedKeys = user("", keys...).Spec.Authentication.AuthorizedKeys
	})
}

// next returns the input that follows an output.
func next(in Input, out Output, users ...*v1alpha1.SFTPUser) Input {
	lines := &Lines{}
	lines.Set(out.Files.Shards)
	in.Users, in.Seats, in.Previous, in.Delivered = users, out.Seats, out.Slots, lines.Get
	return in
}

// full returns an input with one shard that has fewer than 3,000 bytes free. The user "a" has the keys 1 and 2.
func full(t *testing.T) (Input, Output) {
	t.Helper()
	in := input(user("a", 1, 2))
	in.Listener.Spec.MaxUsers = new(int32(625))
	for i := range 400 {
		u := user(fmt.Sprintf("z%03d", i), numbers(100, 125)...)
		u.CreationTimestamp = metav1.NewTime(now.Add(time.Duration(i)*time.Second - time.Hour))
		in.Users = append(in.Users, u)
	}
	out := Compile(in, nil)
	in.Users = nil
	for i := range out.Users {
		if !out.Users[i].Overflow {
			in.Users = append(in.Users, out.Users[i].User)
		}
	}
	if free := shard.MaxBytes - len(out.Files.Shards[0]); len(out.Files.Shards) != 1 || free > 3000 || len(in.Users) > 399 {
		t.Fatalf("%d shards, %d bytes are free, %d users", len(out.Files.Shards), free, len(in.Users))
	}
	return in, Compile(in, nil)
}

func TestOverflow(t *testing.T) {
	in, before := full(t)
	older := user("older", numbers(1, 60)...)
	older.CreationTimestamp = metav1.NewTime(now.Add(-100 * time.Hour))
	out := Compile(next(in, before, append(in.Users, older)...), nil)
	i := slices.IndexFunc(out.Users, func(u *User) bool { return u.Username == "older" })
	u := out.Users[i]
	if !u.Overflow || u.Accepted() || u.Reason != v1alpha1.ReasonListenerFull || u.Message != overflowMessage || u.Digest != "" {
		t.Errorf("%+v", u.Decision)
	}
	if !reflect.DeepEqual(out.Files, before.Files) {
		t.Error("the configuration has changed")
	}
	if f := out.Findings(in.Listener); len(f) != 1 || f[0].Message != overflowMessage || f[0].Object != "SFTPUser team/older" {
		t.Errorf("findings %v", f)
	}
}

// A record that outgrows its place keeps what it had, as far as the user still has it.
func TestGrowth(t *testing.T) {
	in, before := full(t)
	for name, c := range map[string]struct {
		now     *v1alpha1.SFTPUser
		keys    []int // of the record, nil for no record
		refused bool
	}{
		"within its place":         {withKeys(in.Users[0], 1), []int{1}, false},
		"within the room":          {withKeys(in.Users[0], 1, 2, 3), []int{1, 2, 3}, false},
		"keys are added":           {withKeys(in.Users[0], numbers(1, 60)...), []int{1, 2}, true},
		"one is removed meanwhile": {withKeys(in.Users[0], numbers(2, 60)...), []int{2}, true},
		"none is left":             {withKeys(in.Users[0], numbers(3, 60)...), nil, true},
		"something else grows": {changed(in.Users[0], func(u *v1alpha1.SFTPUser) {
			u.Spec.Mounts = []v1alpha1.Mount{{Path: "/" + strings.Repeat("m", 4000)}}
		}), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			users := append([]*v1alpha1.SFTPUser{c.now}, in.Users[1:]...)
			out := Compile(next(in, before, users...), nil)
			var got []string
			r, written := records(t, out)["a"]
			for _, k := range r.Keys {
				got = append(got, k.PublicKey)
			}
			var want []string
			for _, k := range c.keys {
				want = append(want, publicKey(k))
			}
			u := out.Users[0]
			if !slices.Equal(got, want) || written != (c.keys != nil) || u.GrowthRefused != c.refused || u.Overflow {
				t.Errorf("written %v, keys %v, want %v; refused %v, want %v", written, got, want, u.GrowthRefused, c.refused)
			}
			if (u.Digest != "") != written || !u.Accepted() {
				t.Errorf("digest %q, %s", u.Digest, u.Reason)
			}
			if p := u.Credentials.Problems; c.refused != (len(p) == 1 && p[0].Reason == v1alpha1.ReasonUserTooLarge && p[0].Message == growthMessage) {
				t.Errorf("problems %v", p)
			}
			if all := records(t, out); len(all) < len(in.Users)-1 {
				t.Errorf("%d records of %d users", len(all), len(in.Users))
			}
			again := Compile(next(in, out, users...), nil)
			if !reflect.DeepEqual(again.Files.Shards, out.Files.Shards) || !maps.Equal(again.Slots, out.Slots) {
				t.Error("nothing has changed, and the configuration has")
			}
			// The former size always fits, and the whole record once there is room.
			if back := Compile(next(in, out, in.Users...), nil); !reflect.DeepEqual(back.Files, before.Files) {
				t.Error("the user does not get back what it had")
			}
			if room := Compile(next(in, out, users[:2]...), nil); room.Users[0].GrowthRefused || room.Users[0].Digest == "" {
				t.Error("there is room, and growth is refused")
			}
		})
	}
}

// A reduced record never grants more than the new record.
func TestReduce(t *testing.T) {
	key := func(n int, from ...string) config.Key { return config.Key{PublicKey: publicKey(n), From: from} }
	for name, c := range map[string]struct{ now, before, want config.User }{
		"new keys go, and bounds are those of now": {
			config.User{Keys: []config.Key{key(1, "10.0.0.0/8"), key(2)}, Methods: []string{"PublicKey"}},
			config.User{Keys: []config.Key{key(1)}, Methods: []string{"PublicKey"}},
			config.User{Keys: []config.Key{key(1, "10.0.0.0/8")}, Methods: []string{"PublicKey"}},
		},
		"methods that need more keys go": {
			config.User{Keys: []config.Key{key(1), key(2)}, Methods: []string{"PublicKey,PublicKey", "Password"}, Password: &config.Password{Hash: "new"}},
			config.User{Keys: []config.Key{key(1)}, Password: &config.Password{Hash: "old"}},
			config.User{Keys: []config.Key{key(1)}, Methods: []string{"Password"}, Password: &config.Password{Hash: "new"}},
		},
		"networks in both": {
			config.User{AllowFrom: []string{"10.0.0.0/8", "192.0.2.0/24"}},
			config.User{AllowFrom: []string{"192.0.2.0/24", "198.51.100.0/24"}},
			config.User{AllowFrom: []string{"192.0.2.0/24"}},
		},
		"no network in both: not all": {
			config.User{AllowFrom: []string{"10.0.0.0/8"}},
			config.User{},
			config.User{AllowFrom: []string{"10.0.0.0/8"}},
		},
		"a certificate is enough for a method": {
			config.User{Keys: []config.Key{key(2)}, Methods: []string{"PublicKey"}, Certificates: true},
			config.User{Keys: []config.Key{key(1)}},
			config.User{Keys: []config.Key{}, Methods: []string{"PublicKey"}, Certificates: true},
		},
		"methods that no one knows go": {
			config.User{Methods: []string{"nonsense", "Password"}, Password: &config.Password{Hash: "new"}},
			config.User{},
			config.User{Methods: []string{"Password"}, Password: &config.Password{Hash: "new"}},
		},
		"what is gone does not come back": {
			config.User{MaxConnections: 1},
			config.User{Keys: []config.Key{key(1)}, Password: &config.Password{Hash: "old"}, TOTP: &config.TOTP{Secret: "s"}, Certificates: true, MaxConnections: 9},
			config.User{MaxConnections: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			was := fmt.Sprintf("%+v %+v %+v", c.now.Keys, c.now.Methods, c.now.AllowFrom)
			if got := reduce(c.now, c.before); !sameRecord(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if is := fmt.Sprintf("%+v %+v %+v", c.now.Keys, c.now.Methods, c.now.AllowFrom); is != was {
				t.Errorf("the record was changed: %s, was %s", is, was)
			}
			if got := reduce(c.now, reduce(c.now, c.before)); !sameRecord(got, c.want) {
				t.Errorf("again: %+v", got)
			}
		})
	}
}

func sameRecord(a, b config.User) bool {
	return slices.EqualFunc(a.Keys, b.Keys, func(a, b config.Key) bool { return reflect.DeepEqual(a, b) }) &&
		slices.Equal(a.Methods, b.Methods) && slices.Equal(a.AllowFrom, b.AllowFrom) &&
		reflect.DeepEqual([]any{a.Password, a.TOTP, a.Certificates, a.MaxConnections}, []any{b.Password, b.TOTP, b.Certificates, b.MaxConnections})
}
