package delivery

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/apply/applytest"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// rig is a Writer with an in-memory API server.
type rig struct {
	*Writer
	t       *testing.T
	secrets *applytest.Secrets
	l       *v1alpha1.SFTPListener
	cache   Cache
	now     time.Time
}

func newRig(t *testing.T) *rig {
	r := &rig{
		t: t, secrets: &applytest.Secrets{}, now: noon,
		l: &v1alpha1.SFTPListener{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners", UID: "l"},
			Spec:       v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}}},
		},
	}
	r.Writer = &Writer{
		Client: r.secrets, Now: func() time.Time { return r.now }, atATime: 1,
		Applier: &apply.Applier{Client: r.secrets, Live: r.secrets, Now: func() time.Time { return r.now }},
	}
	return r
}

// output returns a compiled configuration with these users in its shards, each as "name" or "name=record".
func (r *rig) output(shards ...string) compile.Output {
	out := compile.Output{Settings: render.Settings(r.l, render.Trust{}, render.PodVolumePath)}
	out.HostKeys = []render.PrivateHostKey{{Private: []byte("key"), State: v1alpha1.HostKeyActive}}
	for i, users := range shards {
		for u := range strings.FieldsSeq(users) {
			name, digest, ok := strings.Cut(u, "=")
			if !ok {
				digest = "1"
			}
			o := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name)}}
			out.Users = append(out.Users, &compile.User{Decision: attach.Decision{User: o}, Digest: digest, Shard: i})
		}
		out.Users = append(out.Users, &compile.User{
			Decision: attach.Decision{User: &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{UID: "suspended"}}}, Shard: i,
		})
		out.Files.Shards = append(out.Files.Shards, []byte(users))
		out.Files.ShardDigests = append(out.Files.ShardDigests, config.Digest([]byte(users)))
	}
	return out
}

// write writes a configuration and returns the calls made for it, in short: "0" for shard 0, and "config".
func (r *rig) write(shards ...string) (Result, string) {
	r.t.Helper()
	res := r.Write(r.t.Context(), r.l, r.output(shards...), "host keys", &r.cache)
	if res.Version != r.cache.Version() {
		r.t.Error("the result is not of the version in the cache")
	}
	var calls []string
	for _, c := range r.secrets.Calls() {
		for i := range 8 {
			c = strings.ReplaceAll(c, render.ShardSecretName(r.l, i), strconv.Itoa(i))
		}
		c = strings.ReplaceAll(c, render.ConfigSecretName(r.l), "config")
		calls = append(calls, strings.TrimPrefix(c, "apply "))
	}
	return res, strings.Join(calls, " ")
}

// want writes, and checks what was written.
func (r *rig) want(calls string, complete bool, shards ...string) Result {
	r.t.Helper()
	res, got := r.write(shards...)
	if got != calls || res.Complete != complete || res.Wrote != (calls != "") {
		r.t.Errorf("wrote %q (%v), complete %v: %v %v; want %q", got, res.Wrote, res.Complete, res.Err, res.Refusals, calls)
	}
	return res
}

// users returns the records of a version, shard by shard.
func users(v *Version) string {
	if v == nil {
		return "nothing"
	}
	var out []string
	for _, s := range v.Shards {
		var in []string
		for _, uid := range slices.Sorted(maps.Keys(s)) {
			in = append(in, string(uid)+"="+s[uid])
		}
		out = append(out, strings.Join(in, " "))
	}
	return strings.Join(out, ", ")
}

func (r *rig) wantUsers(v *Version, want string) {
	r.t.Helper()
	if got := users(v); got != want {
		r.t.Errorf("version of %s, want %s", got, want)
	}
}

func (r *rig) fail(err error, verb string, shards ...int) {
	r.secrets.Fail = func(v, name string) error {
		for _, i := range shards {
			if v == verb && (i < 0 && name == render.ConfigSecretName(r.l) || i >= 0 && name == render.ShardSecretName(r.l, i)) {
				return err
			}
		}
		return nil
	}
}

var errDown = errors.New("down")

// Only changes are written, shards before the settings that name them, and foreign changes are reverted.
func TestWrite(t *testing.T) {
	r := newRig(t)
	if r.cache.Version() != nil {
		t.Error("a version before anything was written")
	}
	first := r.want("0 1 config", true, "a b", "c").Version
	r.wantUsers(first, "a=1 b=1, c=1")
	if first.HostKeys != "host keys" || !first.At.Equal(noon) {
		t.Errorf("%+v", first)
	}
	secret := r.secrets.Secret("team", render.ConfigSecretName(r.l))
	if _, digest, _ := render.Compose(r.output().Settings, r.output().HostKeys, nil, r.output("a b", "c").Files.ShardDigests); digest != first.Digest {
		t.Errorf("digest %s, want %s", first.Digest, digest)
	}
	if string(r.secrets.Secret("team", render.ShardSecretName(r.l, 1)).Data[render.ShardFile(1)]) != "c" || len(secret.Data) == 0 {
		t.Error("a Secret has not what it should")
	}
	r.now = noon.Add(time.Minute)
	if again := r.want("", true, "a b", "c").Version; again != first {
		t.Error("the same configuration is another version")
	}
	second := r.want("1 config", true, "a b", "c=2").Version
	r.wantUsers(second, "a=1 b=1, c=2")
	if r.wantUsers(first, "a=1 b=1, c=1"); !second.At.Equal(r.now) {
		t.Errorf("written at %v", second.At)
	}
	for i, name := range []string{render.ShardSecretName(r.l, 0), render.ConfigSecretName(r.l)} {
		changed := r.secrets.Secret("team", name)
		changed.Data = map[string][]byte{"x": nil}
		r.secrets.Put(changed)
		if v := r.want([]string{"0", "config"}[i], true, "a b", "c=2").Version; v != second {
			t.Error("what was repaired is another version")
		}
	}
}

// A listener that grows or shrinks: new shards are written after removals from others, and unused ones are deleted.
func TestShardsComeAndGo(t *testing.T) {
	r := newRig(t)
	r.want("0 config", true, "a b")
	r.wantUsers(r.want("0 config 1 2 config", true, "a", "c", "d").Version, "a=1, c=1, d=1")
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: render.ShardSecretName(r.l, 7), Labels: render.Selector(r.l)}}
	r.secrets.Put(foreign)
	other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners-certificate", Labels: render.Selector(r.l), OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "x", Name: r.l.Name, UID: r.l.UID, Controller: new(true)},
	}}}
	r.secrets.Put(other)
	r.fail(errDown, "delete", 2)
	res, calls := r.write("a")
	if calls != "config delete 1" || !errors.Is(res.Err, errDown) || res.Complete || !strings.Contains(res.Err.Error(), render.ShardSecretName(r.l, 2)) {
		t.Errorf("%q %+v", calls, res)
	}
	r.wantUsers(res.Version, "a=1")
	r.secrets.Fail = nil
	if res, calls := r.write("a"); calls != "delete 2" || !res.Complete {
		t.Errorf("%q %+v", calls, res)
	}
	r.secrets.Fail = func(verb, _ string) error {
		if verb == "list" {
			return errDown
		}
		return nil
	}
	r.want("", true, "a") // it is known that there is no other
	if res, _ := r.write("a", "b"); !errors.Is(res.Err, errDown) || res.Complete {
		t.Errorf("a list that fails: %+v", res)
	}
	if r.secrets.Secret("team", foreign.Name) == nil || r.secrets.Secret("team", other.Name) == nil {
		t.Error("a Secret that is not one of the listener's shards was deleted")
	}
}

// A shard that cannot be written does not prevent the others from being written, and the settings name its current state.
func TestShardThatCannotBeWritten(t *testing.T) {
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "x", errors.New("exceeded quota"))
	ending := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "x", errors.New("ending"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, tc := range map[string]struct {
		err             error
		failed, refused bool
	}{
		"an error":             {errDown, true, false},
		"a refusal":            {refused, false, true},
		"the namespace's end":  {ending, false, false},
		"a panic of a library": {nil, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.want("0 1 2 config", true, "a b", "c d", "e")
			r.secrets.Fail = func(verb, name string) error {
				if verb != "apply" || name != render.ShardSecretName(r.l, 0) {
					return nil
				}
				if tc.err == nil {
					panic("TOPSECRET")
				}
				return tc.err
			}
			res, calls := r.write("a", "c", "e")
			if calls != "1 config" || (res.Err != nil) != tc.failed || (len(res.Refusals) > 0) != tc.refused || !res.Wrote {
				t.Errorf("%q %+v", calls, res)
			}
			if res.Complete != (!tc.failed && !tc.refused) || res.Err != nil && strings.Contains(res.Err.Error(), "TOPSECRET") {
				t.Errorf("%+v", res)
			}
			r.wantUsers(res.Version, "a=1 b=1, c=1, e=1")
			r.secrets.Fail = nil
			r.wantUsers(r.want("0 config", true, "a", "c", "e").Version, "a=1, c=1, e=1")
		})
	}
}

// If a new shard cannot be written, it and all shards after it come later, whereas removals from the others are delivered now.
// If there is no version yet, pods wait for all of it.
func TestNewShardThatCannotBeWritten(t *testing.T) {
	r := newRig(t)
	r.fail(errDown, "apply", 1)
	if res, calls := r.write("a", "b", "c"); calls != "0 2" || res.Version != nil || !errors.Is(res.Err, errDown) || !res.Wrote {
		t.Errorf("%q %+v", calls, res)
	}
	r.secrets.Fail = nil
	r.wantUsers(r.want("1 config", true, "a", "b", "c").Version, "a=1, b=1, c=1")

	r.fail(errDown, "apply", 3)
	res, calls := r.write("a=2", "b", "c", "d", "e")
	if calls != "0 config 4" || !errors.Is(res.Err, errDown) {
		t.Errorf("%q %+v", calls, res)
	}
	r.wantUsers(res.Version, "a=2, b=1, c=1")
}

// A user that moves is never in two Secrets that the settings name: the shard that it leaves is written first.
func TestMove(t *testing.T) {
	r := newRig(t)
	r.want("0 1 2 config", true, "a b", "c", "d")
	r.wantUsers(r.want("1 0 config", true, "a b c", "", "d").Version, "a=1 b=1 c=1, , d=1")
	r.wantUsers(r.want("0 2 1 config", true, "a b", "c", "d=2").Version, "a=1 b=1, c=1, d=2")

	r.fail(errDown, "apply", 0)
	res, calls := r.write("a", "b c", "d=3")
	if calls != "2 1" || !errors.Is(res.Err, errMoving) || !errors.Is(res.Err, errDown) || res.Complete {
		t.Errorf("%q %+v", calls, res)
	}
	r.wantUsers(res.Version, "a=1 b=1, c=1, d=2") // pods would refuse settings in which b occurs twice
	if res, calls := r.write("a", "b c", "d=3"); calls != "" || !errors.Is(res.Err, errMoving) {
		t.Errorf("%q %+v", calls, res)
	}
	r.secrets.Fail = nil
	r.wantUsers(r.want("0 config", true, "a", "b c", "d=3").Version, "a=1, b=1 c=1, d=3")
	r.wantUsers(r.want("1 0 config", true, "a b", "c", "d=3").Version, "a=1 b=1, c=1, d=3")
}

// If settings cannot be written, the version does not change; other host keys are another version with the same records.
func TestSettingsThatCannotBeWritten(t *testing.T) {
	r := newRig(t)
	first := r.want("0 config", true, "a").Version
	r.fail(errDown, "apply", -1)
	if res, calls := r.write("a=2"); calls != "0" || res.Version != first || !errors.Is(res.Err, errDown) || !res.Wrote {
		t.Errorf("%q %+v", calls, res)
	}
	r.secrets.Fail = nil
	r.want("config", true, "a=2")

	// The states of host keys may change without a change to the configuration; the Secret is checked then, and stays.
	version := r.cache.Version()
	res := r.Write(t.Context(), r.l, r.output("a=2"), "other states", &r.cache)
	if calls := r.secrets.Calls(); len(calls) != 0 || res.Wrote || !res.Complete || res.Version != version {
		t.Errorf("%v %+v", calls, res)
	}

	out := r.output("a=3")
	out.Settings = config.Listener{}
	if res := r.Write(t.Context(), r.l, out, "host keys", &r.cache); res.Err == nil || res.Complete || res.Version != version {
		t.Errorf("settings that the daemon would refuse: %+v", res)
	}
}

// While the caches cannot be read, everything counts as changed by others: it is applied, which writes nothing.
func TestUntouched(t *testing.T) {
	r := newRig(t)
	version := r.want("0 config", true, "a").Version
	gets := 0
	r.secrets.Fail = func(verb, _ string) error {
		if gets++; verb == "get" && gets == 1 {
			return errDown
		}
		return nil
	}
	if res, _ := r.write("a"); res.Version != version || !res.Complete {
		t.Errorf("%+v", res)
	}
}
