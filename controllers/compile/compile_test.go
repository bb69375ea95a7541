package compile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func listener() *v1alpha1.SFTPListener {
	return &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners", UID: "l", Generation: 1},
		Spec: v1alpha1.SFTPListenerSpec{
			AllowedUsers: v1alpha1.AllowedUsers{
				Usernames: v1alpha1.UsernamesAny,
				Rules:     []v1alpha1.AllowedUsersRule{{Name: "all", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}}},
			},
			Volumes: []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}},
		},
	}
}

func user(name string, keys ...int) *v1alpha1.SFTPUser {
	u := &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name), Generation: 1, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
		Spec:       v1alpha1.SFTPUserSpec{ListenerRef: v1alpha1.ListenerReference{Name: "partners"}},
	}
	for _, k := range keys {
		u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, publicKey(k))
	}
	return u
}

// resolve resolves the keys in the spec.
func resolve(u *v1alpha1.SFTPUser) (out credentials.Credentials) {
	for _, line := range u.Spec.Authentication.AuthorizedKeys {
		out.Keys = append(out.Keys, config.Key{PublicKey: line})
	}
	return out
}

func stamped(*v1alpha1.SFTPUser) (Stamp, bool) { return Stamp{}, true }

func input(users ...*v1alpha1.SFTPUser) Input {
	return Input{
		Listener: listener(), Users: users, Resolve: resolve, Stamp: stamped, Now: now,
		Trust:    render.Trust{UserCAs: []string{publicKey(99)}},
		HostKeys: []render.PrivateHostKey{{Private: []byte("key"), State: v1alpha1.HostKeyActive}}, VolumePath: render.PodVolumePath,
	}
}

// records returns the records of an output by login name.
func records(t *testing.T, o Output) map[string]config.User {
	t.Helper()
	out := map[string]config.User{}
	for _, s := range o.Files.Shards {
		for line := range bytes.Lines(s) {
			u, err := config.DecodeUser(line)
			if err != nil {
				t.Fatal(err)
			}
			out[u.Username] = u
		}
	}
	return out
}

func TestCompile(t *testing.T) {
	suspended := user("c", 3)
	suspended.Spec.State = v1alpha1.UserSuspended
	suspended.Spec.ExpirationTime = new(metav1.NewTime(now.Add(time.Minute)))
	expiring := user("b", 2)
	expiring.Spec.ExpirationTime = new(metav1.NewTime(now.Add(time.Hour)))
	in := input(user("d"), suspended, expiring, user("a", 1))
	out := Compile(in, nil)
	var got []string
	for i := range out.Users {
		u := out.Users[i]
		got = append(got, fmt.Sprint(u.Username, " ", u.Reason, " ", u.Digest != ""))
	}
	if want := []string{"a Accepted true", "b Accepted true", "c Suspended false", "d Accepted false"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if all := records(t, out); len(all) != 2 || all["a"].Keys[0].PublicKey != publicKey(1) || all["b"].NotAfter == nil {
		t.Errorf("records %+v", all)
	}
	if !out.NextChange.Equal(now.Add(time.Hour)) {
		t.Errorf("next change %v", out.NextChange)
	}
	if out.Blocked != nil || len(out.Files.Shards) != 2 || len(out.Files.ShardDigests) != 2 || out.Files.Digest != config.Digest(out.Files.Config[config.ListenerFile]) {
		t.Errorf("blocked %v, files %v", out.Blocked, out.Files)
	}
	if len(out.Slots) != 2 || len(out.Seats) != 4 {
		t.Errorf("slots %v, seats %v", out.Slots, out.Seats)
	}
}

// The end of the crypto policy is also a next change.
func TestPolicyEnds(t *testing.T) {
	in := input(user("a", 1))
	in.Listener.Spec.CryptoPolicyExpirationTime = new(metav1.NewTime(now.Add(time.Minute)))
	if out := Compile(in, nil); !out.NextChange.Equal(now.Add(time.Minute)) || len(out.Problems) != 0 {
		t.Errorf("next change %v, problems %v", out.NextChange, out.Problems)
	}
	in.Now = now.Add(time.Minute)
	out := Compile(in, nil)
	if !out.NextChange.IsZero() || len(out.Problems) != 1 || out.Problems[0].Reason != v1alpha1.ReasonCryptoPolicyExpired {
		t.Errorf("next change %v, problems %v", out.NextChange, out.Problems)
	}
}

// A user that makes the compiler fail affects only that user.
func TestIsolation(t *testing.T) {
	for name, c := range map[string]struct {
		resolve func() credentials.Credentials
		change  func(*v1alpha1.SFTPUser)
		err     string
	}{
		"a panic":               {resolve: func() credentials.Credentials { panic("secret content") }, err: "the operator failed on it (string); report this as a bug"},
		"a panic with an error": {resolve: func() credentials.Credentials { panic(errors.New("secret content")) }, err: "failed on it (*errors.errorString)"},
		"a panic of the runtime": {resolve: func() credentials.Credentials {
			return credentials.Credentials{Keys: make([]config.Key, len(now.String())-1000)}
		}, err: "makeslice"},
		"a record that is refused": {change: func(u *v1alpha1.SFTPUser) { u.Spec.AllowedCIDRs = []string{"nonsense"} }, err: "nonsense"},
		"a mount twice":            {change: func(u *v1alpha1.SFTPUser) { u.Spec.Mounts = []v1alpha1.Mount{{Path: "/"}} }, err: `mount path "/" is a duplicate`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := user("bad", 2)
			if c.change != nil {
				c.change(bad)
			}
			in := input(user("a", 1), bad, user("z", 3))
			in.Resolve = func(u *v1alpha1.SFTPUser) credentials.Credentials {
				if u.Name == "bad" && c.resolve != nil {
					return c.resolve()
				}
				return resolve(u)
			}
			out := Compile(in, nil)
			if all := records(t, out); len(all) != 2 || all["bad"].UID != "" || out.Blocked != nil {
				t.Errorf("records %v, blocked %v", all, out.Blocked)
			}
			u := out.Users[1]
			if u.Err == nil || !strings.Contains(u.Err.Error(), c.err) || strings.Contains(u.Err.Error(), "secret content") || u.Digest != "" {
				t.Errorf("error %v, want %q", u.Err, c.err)
			}
			for _, i := range []int{0, 2} {
				if out.Users[i].Err != nil || out.Users[i].Digest == "" {
					t.Errorf("%s: %v", out.Users[i].Username, out.Users[i].Err)
				}
			}
			if f := out.Findings(in.Listener); len(f) != 1 || f[0].Object != "SFTPUser team/bad" || f[0].Reason != v1alpha1.ReasonUserRejected ||
				!strings.HasPrefix(f[0].Message, "The user cannot be configured: ") {
				t.Errorf("findings %v", f)
			}
		})
	}
}

func TestBlocked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Input)
		want   string
	}{
		"no host key":                  {func(in *Input) { in.HostKeys = nil }, "The listener has no host key yet"},
		"unknown list":                 {func(in *Input) { in.Trust.Unknown = true }, "A list of revoked keys has never been read"},
		"settings that cannot be used": {func(in *Input) { in.Listener.Spec.AllowedCIDRs = []string{"nonsense"} }, "The listener's settings cannot be used: "},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(user("a", 1))
			c.change(&in)
			out := Compile(in, nil)
			if out.Blocked == nil || !strings.HasPrefix(out.Blocked.Message, c.want) || !reflect.DeepEqual(out.Files, render.Files{}) {
				t.Errorf("blocked %v, files %v", out.Blocked, out.Files)
			}
			if len(out.Users) != 1 || out.Users[0].Digest == "" || len(out.Slots) != 1 {
				t.Errorf("users %+v, slots %v", out.Users, out.Slots)
			}
			f := out.Findings(in.Listener)
			if pending := out.Blocked.Reason == v1alpha1.ReasonPending; pending != (len(f) == 0) || !pending && f[0].Object != "SFTPListener team/partners" {
				t.Errorf("findings %v", f)
			}
		})
	}
}

// If settings cannot be used, the delivered ones remain in effect, while users can still be added and removed.
func TestSettingsThatCannotBeUsed(t *testing.T) {
	in := input(user("a", 1), user("b", 2))
	before := Compile(in, nil)
	in.Settings = &before.Settings
	in.Listener = listener()
	in.Listener.Spec.AllowedCIDRs = []string{"nonsense"}
	in.Users = in.Users[:1]
	out := Compile(in, nil)
	if all := records(t, out); len(all) != 1 || out.Blocked != nil || out.Files.Digest == "" || out.Files.Digest == before.Files.Digest {
		t.Errorf("records %v, blocked %v, digest %q", all, out.Blocked, out.Files.Digest)
	}
	if len(out.Problems) != 1 || out.Problems[0].Reason != v1alpha1.ReasonConfigRejected || !strings.HasSuffix(out.Problems[0].Message, "stay in effect") {
		t.Errorf("problems %v", out.Problems)
	}
}

// The key of receipts goes with settings that want receipts: previous ones that do not want them, and that may not allow them, stay in
// effect without the key.
func TestReceiptKey(t *testing.T) {
	wanting := func() Input {
		in := input(user("a", 1))
		in.ReceiptKey = []byte("key")
		in.Listener.Spec.Uploads = v1alpha1.ListenerUploads{Publish: v1alpha1.PublishOnClose, Checksum: v1alpha1.ChecksumSHA256, Receipts: &v1alpha1.UploadReceipts{}}
		return in
	}
	with := Compile(wanting(), nil)
	if string(with.Files.Config[config.ReceiptKeyFile]) != "key" || string(with.ReceiptKey) != "key" {
		t.Fatalf("blocked %v, problems %v", with.Blocked, with.Problems)
	}
	without := Compile(input(user("a", 1)), nil)
	for _, tc := range []struct {
		before Output
		key    string
	}{{with, "key"}, {without, ""}} {
		in := wanting()
		in.Listener.Spec.AllowedCIDRs = []string{"nonsense"}
		var settings config.Listener
		if err := json.Unmarshal(tc.before.Files.Config[config.ListenerFile], &settings); err != nil { // as it is recalled
			t.Fatal(err)
		}
		in.Settings = &settings
		out := Compile(in, nil)
		if out.Blocked != nil || len(out.Problems) != 1 || string(out.Files.Config[config.ReceiptKeyFile]) != tc.key || string(out.ReceiptKey) != tc.key {
			t.Errorf("blocked %v, problems %v, key %q", out.Blocked, out.Problems, out.ReceiptKey)
		}
	}
}

// Delivery composes the settings from the digests of shards, without the shards.
func TestComposing(t *testing.T) {
	out := Compile(input(user("a", 1), user("b", 2)), nil)
	files, digest, err := render.Compose(out.Settings, out.HostKeys, out.ReceiptKey, out.Files.ShardDigests)
	if err != nil || digest != out.Files.Digest || !reflect.DeepEqual(files, out.Files.Config) {
		t.Errorf("%v: digest %s, want %s", err, digest, out.Files.Digest)
	}
	other, _, err := render.Compose(out.Settings, out.HostKeys, out.ReceiptKey, []string{config.Digest(nil), out.Files.ShardDigests[1]})
	var settings config.Listener
	if err2 := json.Unmarshal(other[config.ListenerFile], &settings); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if s := settings.Shards; len(s) != 2 || s[0].SHA256 != config.Digest(nil) || s[1].SHA256 != out.Files.ShardDigests[1] {
		t.Errorf("composed of the shards %+v", s)
	}
}

// Rules of the listener exclude users that they do not allow.
func TestRules(t *testing.T) {
	in := input(user("a", 1, 2))
	in.Trust.Revoked.Keys = []string{fingerprint(2)}
	out := Compile(in, nil)
	if all := records(t, out); len(all["a"].Keys) != 1 || all["a"].Keys[0].PublicKey != publicKey(1) {
		t.Errorf("records %+v", all)
	}
	if p := out.Users[0].Credentials.Problems; len(p) != 1 || p[0].Reason != v1alpha1.ReasonKeyRevoked {
		t.Errorf("problems %v", p)
	}
}
