package access

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// stored stores a Secret of the listener with one entry, modified by the test.
func (r *rig) stored(name, entry, content string, changes ...func(*corev1.Secret)) {
	s := render.Secret(r.l, name, map[string][]byte{entry: []byte(content)})
	s.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(r.l, v1alpha1.GroupVersion.WithKind("SFTPListener"))}
	for _, change := range changes {
		change(s)
	}
	r.secrets.Put(s)
}

// On startup the operator recalls the contents of its own Secrets, and nothing from Secrets that others have put in their
// place.
func TestOwnSecrets(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.Secret)
		own    bool
	}{
		"its own":               {func(*corev1.Secret) {}, true},
		"restored, no owner":    {func(s *corev1.Secret) { s.OwnerReferences = nil }, true},
		"another owner":         {func(s *corev1.Secret) { s.OwnerReferences[0].UID = "other" }, false},
		"no label":              {func(s *corev1.Secret) { s.Labels = nil }, false},
		"another's label":       {func(s *corev1.Secret) { s.Labels[v1alpha1.LabelListener] = "other" }, false},
		"owned, not controlled": {func(s *corev1.Secret) { s.OwnerReferences[0].UID, s.OwnerReferences[0].Controller = "other", nil }, true},
	} {
		r := newRig(t)
		r.stored("x", "e", "content", tc.change)
		s, err := r.own(t.Context(), r.l, "x")
		if err != nil || (s != nil) != tc.own || s != nil && string(s.Data["e"]) != "content" {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	r := newRig(t)
	if s, err := r.own(t.Context(), r.l, "gone"); s != nil || err != nil {
		t.Errorf("one that is not there: %v, %v", s, err)
	}
	down := errors.New("down")
	r.secrets.Fail = func(string, string) error { return down }
	if s, err := r.own(t.Context(), r.l, "x"); s != nil || !errors.Is(err, down) || err.Error() != "read Secret team/x: down" {
		t.Errorf("while the API server is down: %v, %v", s, err)
	}
}

const (
	revoked = "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"
	lineOfA = `{"username":"a","uid":"u-a","namespace":"team","name":"a","methods":["PublicKey"],"keys":[{"publicKey":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"}],"mounts":[{"path":"/","volume":"home","access":"ReadWrite"}]}` + "\n"
	lineOfB = `{"username":"b","uid":"u-b","namespace":"team","name":"b","fieldOfALaterVersion":1}` + "\n"
)

// Records, revoked keys and CAs are recalled; lines and settings of other versions as far as they can be parsed.
func TestRecall(t *testing.T) {
	policy := render.PolicyAt(newRig(t).l, noon)
	settings := `{"revoked":{"keys":["` + revoked + `"]},"authentication":{"trustedUserCAs":["ca"]},"ofALaterVersion":1}`
	with := func(r *rig) {
		r.l.Spec.MaxUsers = new(int32(1500)) // three shards
		r.stored(render.ConfigSecretName(r.l), config.ListenerFile, settings)
		r.stored(render.ShardSecretName(r.l, 0), render.ShardFile(0), lineOfA)
		r.stored(render.ShardSecretName(r.l, 2), render.ShardFile(2), lineOfB+"no JSON\n"+strings.ReplaceAll(strings.ReplaceAll(lineOfA, `"a"`, `"c"`), "u-a", "u-c"))
		for _, name := range []string{"a", "b", "c"} {
			u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("u-" + name)}}
			u.Spec.ListenerRef.Name = r.l.Name
			r.Users.Observe(nil, u)
		}
	}
	r := newRig(t)
	with(r)
	got, err := r.recall(t.Context(), r.l, policy)
	if err != nil {
		t.Fatal(err)
	}
	if uids := slices.Sorted(maps.Keys(got.users)); !slices.Equal(uids, []string{"u-a", "u-c"}) || got.users["u-a"].Username != "a" {
		t.Errorf("users %v", uids)
	}
	if got.trust == nil || !slices.Equal(got.trust.Revoked.Keys, []string{revoked}) || !slices.Equal(got.trust.UserCAs, []string{"ca"}) || got.settings != nil {
		t.Errorf("trust %+v, settings %+v", got.trust, got.settings)
	}
	if len(got.shards) != 3 || string(got.shards[0]) != lineOfA || got.shards[1] != nil || len(got.shards[2]) == 0 {
		t.Errorf("shards %q", got.shards)
	}
	if len(got.Slots) != 3 || got.Slots["u-a"].Shard != 0 || got.Slots["u-b"].Shard != 2 || !got.Seats["u-c"].Login {
		t.Errorf("slots %v, seats %v", got.Slots, got.Seats)
	}
	// Without settings, pods have loaded nothing.
	r = newRig(t)
	r.stored(render.ShardSecretName(r.l, 0), render.ShardFile(0), lineOfA)
	if got, err := r.recall(t.Context(), r.l, policy); err != nil || len(got.users) != 0 || got.trust != nil || got.shards != nil {
		t.Errorf("%+v, %v", got, err)
	}
	// A partial list would be mistaken for the complete one.
	for _, name := range []string{render.ConfigSecretName(r.l), render.ShardSecretName(r.l, 0), render.ShardSecretName(r.l, 2)} {
		r := newRig(t)
		with(r)
		down := errors.New("down")
		r.secrets.Fail = func(_, n string) error {
			if n == name {
				return down
			}
			return nil
		}
		if _, err := r.recall(t.Context(), r.l, policy); !errors.Is(err, down) {
			t.Errorf("%s cannot be read: %v", name, err)
		}
	}
}

// Recalled settings are used only if the daemon accepts them, and damaged ones revoke and trust nothing.
func TestRecalledSettings(t *testing.T) {
	r := newRig(t)
	whole := render.Settings(r.l, render.Trust{UserCAs: []string{}}, render.PodVolumePath)
	files, _, err := render.Compose(whole, []render.PrivateHostKey{{Private: []byte("key"), State: v1alpha1.HostKeyActive}}, nil, []string{config.Digest(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		data            string
		trust, settings bool
	}{
		"whole":             {string(files[config.ListenerFile]), true, true},
		"of another kind":   {`{"revoked":{"keys":[]},"limits":7}`, true, false},
		"without a version": {`{}`, true, false},
		"damaged":           {`{"revoked":`, false, false},
		"of another type":   {`{"revoked":7}`, false, false},
		"empty":             {"", false, false},
	} {
		var got recalled
		if got.recallSettings([]byte(tc.data)); (got.trust != nil) != tc.trust || (got.settings != nil) != tc.settings {
			t.Errorf("%s: trust %+v, settings %+v", name, got.trust, got.settings)
		}
	}
}

func TestFilesOfSecrets(t *testing.T) {
	problem := func(reason string) *credentials.Problem { return &credentials.Problem{Reason: reason} }
	for name, tc := range map[string]struct {
		entry credentials.Entry
		want  render.SecretFile
	}{
		"read":            {credentials.Entry{Known: true, Data: []byte("x")}, render.SecretFile{Data: []byte("x")}},
		"not read":        {credentials.Entry{Data: []byte("x")}, render.SecretFile{Unread: true}},
		"no Secret":       {credentials.Entry{Known: true, Problem: problem("SecretNotFound"), Data: []byte("x")}, render.SecretFile{NoSecret: true}},
		"no entry":        {credentials.Entry{Known: true, Problem: problem("SecretKeyMissing")}, render.SecretFile{NoEntry: true}},
		"an old problem":  {credentials.Entry{Problem: problem("SecretNotFound")}, render.SecretFile{NoSecret: true}},
		"read, and empty": {credentials.Entry{Known: true}, render.SecretFile{}},
	} {
		got := secretFile(tc.entry)
		if got.NoSecret != tc.want.NoSecret || got.NoEntry != tc.want.NoEntry || got.Unread != tc.want.Unread || string(got.Data) != string(tc.want.Data) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// Reports of pods are accepted for users that they have, for the current and previous keys of those, and for the listener's
// host keys.
func TestTarget(t *testing.T) {
	r := newRig(t)
	list := users("a", "b")
	list[0].Credentials.Inventory = []v1alpha1.UserKeyStatus{{Fingerprint: "k1"}, {Fingerprint: "k2"}}
	list[1].Credentials.Inventory = []v1alpha1.UserKeyStatus{{Fingerprint: "k3"}}
	list[0].User.Status.Keys = []v1alpha1.UserKeyStatus{{Fingerprint: "old"}, {Fingerprint: "older"}}
	v := &delivery.Version{Digest: "d", At: noon}
	for _, written := range []bool{true, false} {
		got := target(r.l, v, ack.Keys{"now", "before"}, list, []string{"h1", "h2"}, written)
		if got.UID != r.l.UID || got.Digest != "d" || got.Keys != (ack.Keys{"now", "before"}) || got.Written.Equal(noon) != written || got.Known.Keys != 3 {
			t.Errorf("written %v: %+v", written, got)
		}
		believed(t, got)
	}
}

func believed(t *testing.T, target poll.Target) {
	t.Helper()
	k := target.Known
	for _, tc := range []struct {
		what      string
		got, want bool
	}{
		{"a", k.User("a"), true},
		{"b", k.User("b"), true},
		{"c", k.User("c"), false},
		{"nobody", k.User(""), false},
		{"a's key", k.Key("a", "k1"), true},
		{"a's other key", k.Key("a", "k2"), true},
		{"b's key at a", k.Key("a", "k3"), false},
		{"b's key", k.Key("b", "k3"), true},
		{"a key of a before", k.Key("a", "old"), true},
		{"another", k.Key("a", "older"), true},
		{"at b", k.Key("b", "old"), false},
		{"a key of no one", k.Key("c", "k1"), false},
		{"a host key", k.HostKey("h2"), true},
		{"another's", k.HostKey("h3"), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v", tc.what, tc.got)
		}
	}
}
