package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Restarting the operator changes nothing: users keep their credentials from Secrets before these have been read again, and the
// pods keep their host keys before these have been decided again.
func TestRestart(t *testing.T) {
	r := newRig(t)
	r.running("p")
	r.hostKey()
	r.stored("keys", "authorized_keys", publicKey(7))
	r.stored("pw", "password", "correct horse battery staple")
	parsed, err := publickey.ParseLine(strings.TrimSpace(publicKey(7)))
	if err != nil {
		t.Fatal(err)
	}
	a := r.edit(r.put("a", 1), func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: "keys", Key: "authorized_keys"}}
		u.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "pw", Key: "password"}
	})
	r.put("b", 1, 2)
	r.put("c", 1, 3)
	r.reading()
	for r.good(); len(r.delivered()["a"].Keys) == 0 || r.delivered()["a"].Password == nil; {
		r.news()
	}
	before := r.delivered()
	digest := r.access().Delivered.Version.Digest
	r.edit(a, func(u *v1alpha1.SFTPUser) {
		u.Status.Keys = []v1alpha1.UserKeyStatus{{Fingerprint: parsed.Fingerprint(), Source: "secret/keys"}}
	})
	r.secrets.Calls()
	r.restart()
	r.good()
	wantSame(t, r, before, digest)
	if keys := r.access().Recalled.Private; len(keys) != 1 || r.access().Blocked != nil {
		t.Errorf("the listener controller is told of %d host keys, blocked %+v", len(keys), r.access().Blocked)
	}
	r.annotated("p", digest)
	// Now they are read again, and the hash of an unchanged password stays.
	r.reading()
	for deadline := time.Now().Add(time.Minute); ; r.news() {
		e, _ := r.Entries.Get(r.name(), credentials.Refs(a)[1])
		if e.Known && e.Password != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the password is not read")
		}
	}
	r.good()
	wantSame(t, r, before, digest)
	// Anything that was invalid before the restart stays invalid, and a removal needs nothing more.
	r.remove("b")
	if r.good(); r.logins() != "a c" {
		t.Errorf("logins %q", r.logins())
	}
}

// Of two users with the same login name, the one that had it keeps it, even if the other one is older.
func TestWhoWasInStaysInAfterARestart(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.edit(r.put("b", 1, 1), func(u *v1alpha1.SFTPUser) { u.Spec.Username = "x" })
	r.good()
	r.restart()
	r.hostKey()
	r.edit(r.put("a", 1, 2), func(u *v1alpha1.SFTPUser) {
		u.Spec.Username, u.CreationTimestamp = "x", metav1.NewTime(noon.Add(-2*time.Hour))
	})
	if r.good(); r.logins() != "x" || r.delivered()["x"].Name != "b" {
		t.Errorf("%+v", r.delivered())
	}
}

func wantSame(t *testing.T, r *rig, before map[string]config.User, digest string) {
	t.Helper()
	after := r.delivered()
	if calls := r.secrets.Calls(); len(calls) > 0 || r.access().Delivered.Version.Digest != digest || !slices.Equal(slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before))) {
		t.Errorf("%v; records %v, before %v", calls, after, before)
	}
	for name, u := range before {
		if fmt.Sprintf("%+v", u.Keys) != fmt.Sprintf("%+v", after[name].Keys) || u.Password != nil && *u.Password != *after[name].Password {
			t.Errorf("%s has %+v, had %+v", name, after[name], u)
		}
	}
}

// If settings cannot be used, the delivered ones stay in effect, whether this operator or its predecessor delivered them, and
// removals are still delivered.
func TestSettingsStay(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.change(func(l *v1alpha1.SFTPListener) { l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"} })
	for _, name := range []string{"a", "b", "c"} {
		r.put(name, 1, 1)
	}
	r.good()
	r.change(func(l *v1alpha1.SFTPListener) { l.Spec.AllowedCIDRs = []string{"nonsense"} })
	for _, step := range []struct{ gone, left string }{{"a", "b c"}, {"b", "c"}} {
		r.remove(step.gone)
		r.good()
		settings := string(r.secrets.Secret("team", render.ConfigSecretName(r.l)).Data[config.ListenerFile])
		if p := r.access().Problems; r.logins() != step.left || len(p) != 1 || p[0].Reason != v1alpha1.ReasonConfigRejected || !strings.Contains(settings, "192.0.2.0/24") {
			t.Errorf("logins %q, problems %+v", r.logins(), p)
		}
		r.restart()
	}
}

// full fills a listener's only shard, so that no record has room to grow. The first user has one key.
func (r *rig) full() *v1alpha1.SFTPUser {
	r.t.Helper()
	r.change(func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(600)) })
	a := r.put("a", 1, 1)
	for i := range 50 {
		mounts := 8
		if i >= 40 {
			mounts = 1 // what is left
		}
		r.edit(r.put(fmt.Sprintf("u%02d", i), 1, 2), func(u *v1alpha1.SFTPUser) {
			for j := range mounts {
				u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Path: fmt.Sprint("/", j, strings.Repeat("m", 3500))})
			}
		})
	}
	r.good()
	gone := 0
	for _, u := range r.access().Users {
		if u.Overflow {
			r.remove(u.User.Name)
			gone++
		}
	}
	if gone < 2 || gone > 25 {
		r.t.Fatalf("%d users have no room", gone)
	}
	r.good()
	return a
}

// A record that outgrows its place keeps what was delivered, by this operator or its predecessor.
func TestGrowthKeepsWhatWasDelivered(t *testing.T) {
	for name, restart := range map[string]bool{"the same operator": false, "another one": true} {
		r := newRig(t)
		r.hostKey()
		a := r.full()
		if restart {
			r.restart()
			r.hostKey()
		}
		r.edit(a, func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.AuthorizedKeys = nil
			for k := range 60 {
				u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, publicKey(k))
			}
		})
		r.good()
		users := r.access().Users
		i := slices.IndexFunc(users, func(u *compile.User) bool { return u.Username == "a" })
		if got := r.delivered()["a"].Keys; !users[i].GrowthRefused || len(got) != 1 || got[0].PublicKey != strings.TrimSpace(publicKey(1)) {
			t.Errorf("%s: refused %v, %d keys", name, users[i].GrowthRefused, len(got))
		}
	}
}
