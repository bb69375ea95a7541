package attach

import (
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func wantMessage(t *testing.T, d Decision, want string) {
	t.Helper()
	if d.Message != want {
		t.Errorf("message\n\t%s\nwant\n\t%s", d.Message, want)
	}
}

func TestReasons(t *testing.T) {
	keysOnly := func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.AllowedMethods = []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}
	}
	passwordsOnly := func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.AllowedMethods = []v1alpha1.AuthMethod{v1alpha1.AuthPassword}
	}
	password := func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "p"}
	}
	home := func(d v1alpha1.Directory) func(*v1alpha1.SFTPUser) {
		return func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory = d }
	}
	mounted := func(path string, d v1alpha1.Directory) func(*v1alpha1.SFTPUser) {
		return func(u *v1alpha1.SFTPUser) {
			u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Path: path, Directory: d})
		}
	}
	all := admitting(v1alpha1.NamespacesAll)
	tests := []struct {
		name            string
		listener        *v1alpha1.SFTPListener
		user            *v1alpha1.SFTPUser
		reason, message string
	}{
		{"accepted", listener(), user("platform", "acme"), "Accepted", `The listener accepts this user`},
		{
			"another namespace", listener(), user("other", "acme"), "NotAllowedByListener",
			`SFTPListener "partners" does not admit users of namespace "other"; its owner decides in spec.allowedUsers.rules`,
		},
		{
			"a login name with a space", listener(), user("platform", "acme", named("a b")), "InvalidUsername",
			`The login name "a b" must start with a letter, digit or '_' and contain only letters, digits and . _ @ + -; set spec.username`,
		},
		{
			"an object's name that is too long for a login", listener(), user("platform", strings.Repeat("a", 129)), "InvalidUsername",
			`The login name has 129 characters, but at most 128 are allowed; set a shorter spec.username`,
		},
		{
			"a password where keys are asked for", listener(keysOnly), user("platform", "acme", password), "MethodNotAllowed",
			`The listener does not allow the method Password; remove it from spec.authentication or ask the listener's owner`,
		},
		{
			"a key where passwords are asked for", listener(passwordsOnly), user("platform", "acme"), "MethodNotAllowed",
			`The listener does not allow the method PublicKey; remove it from spec.authentication or ask the listener's owner`,
		},
		{
			"a home on a volume that does not exist", listener(), user("platform", "acme", home(v1alpha1.Directory{Volume: "homes"})), "VolumeNotFound",
			`spec.homeDirectory.volume is "homes", but the listener's volumes are: home, archive; correct the name, or ask the listener's owner`,
		},
		{
			"a mount of a volume that does not exist", listener(), user("platform", "acme", mounted("/in", v1alpha1.Directory{Volume: "x"})), "VolumeNotFound",
			`spec.mounts[/in].volume is "x", but the listener's volumes are: home, archive; correct the name, or ask the listener's owner`,
		},
		{
			"the whole volume of someone else's listener", listener(all),
			user("other", "acme", mounted("/all", v1alpha1.Directory{Volume: "archive", Scope: v1alpha1.ScopeVolume})), "DirectoryNotAllowed",
			`spec.mounts[/all] asks for the whole volume "archive", which the listener does not open to users of namespace "other"; use its home volume with scope User or Namespace, or ask its owner to change the rule "tenants" of spec.allowedUsers`,
		},
		{
			"the whole volume as a home of someone else's listener", listener(all),
			user("other", "acme", home(v1alpha1.Directory{Scope: v1alpha1.ScopeVolume})), "DirectoryNotAllowed",
			`spec.homeDirectory asks for the whole volume "home", which the listener does not open to users of namespace "other"; use its home volume with scope User or Namespace, or ask its owner to change the rule "tenants" of spec.allowedUsers`,
		},
		{
			"the whole volume of one's own listener", listener(all),
			user("platform", "acme", home(v1alpha1.Directory{Scope: v1alpha1.ScopeVolume})), "Accepted", `The listener accepts this user`,
		},
		{
			"suspended", listener(), user("platform", "acme", suspended), "Suspended",
			`spec.state is Suspended; set it to Active to let the user log in`,
		},
		{
			"expired", listener(), user("platform", "acme", expiring(now)), "Expired",
			`The login expired at 2026-06-01T12:00:00Z; set a later spec.expirationTime`,
		},
		{"not expired yet", listener(), user("platform", "acme", expiring(now.Add(time.Nanosecond))), "Accepted", `The listener accepts this user`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Decide(Input{Listener: tt.listener, Users: []*v1alpha1.SFTPUser{tt.user}, Now: now}, nil).Decisions
			if got[0].Reason != tt.reason {
				t.Errorf("reason %s, want %s", got[0].Reason, tt.reason)
			}
			wantMessage(t, got[0], tt.message)
		})
	}
}

func TestAdmission(t *testing.T) {
	selecting := func(s *v1alpha1.NamespaceSelector) func(*v1alpha1.SFTPListener) {
		return func(l *v1alpha1.SFTPListener) {
			admitting(v1alpha1.NamespacesSelector)(l)
			l.Spec.AllowedUsers.Rules[0].Namespaces.Selector = s
		}
	}
	labels := map[string]map[string]string{"a": {"sftp": "yes"}, "b": {"sftp": "no"}, "platform": nil}
	tests := []struct {
		name     string
		listener *v1alpha1.SFTPListener
		admitted []string
	}{
		{"by default its own namespace", listener(), []string{"platform"}},
		{"Same", listener(admitting(v1alpha1.NamespacesSame)), []string{"platform"}},
		{"All", listener(admitting(v1alpha1.NamespacesAll)), []string{"a", "b", "platform", "unknown"}},
		{"a label", listener(selecting(&v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"sftp": "yes"}})), []string{"a"}},
		{"the empty selector matches every namespace", listener(selecting(&v1alpha1.NamespaceSelector{})), []string{"a", "b", "platform", "unknown"}},
		{"no selector matches none", listener(selecting(nil)), nil},
		{"a selector that cannot be used matches none", listener(selecting(&v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"sftp": "a b"}})), nil},
		{"a choice that this version does not know admits none", listener(admitting("Some")), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var users []*v1alpha1.SFTPUser
			for _, ns := range []string{"a", "b", "platform", "unknown"} {
				users = append(users, user(ns, "of-"+ns))
			}
			decisions := Decide(Input{Listener: tt.listener, Users: users, NamespaceLabels: labels, Now: now}, nil).Decisions
			var got []string
			for _, d := range decisions {
				if d.Accepted() {
					got = append(got, d.User.Namespace)
				}
			}
			if strings.Join(got, " ") != strings.Join(tt.admitted, " ") {
				t.Errorf("admits %q, want %q", got, tt.admitted)
			}
		})
	}
}

// Paths are derived from object names: no two users share one unless they ask for it.
func TestSubPath(t *testing.T) {
	u := user("team-a", "acme", named("login"))
	for _, tt := range []struct {
		scope         v1alpha1.DirectoryScope
		subPath, want string
	}{
		{"", "", "team-a/acme"},
		{v1alpha1.ScopeUser, "in/2026", "team-a/acme/in/2026"},
		{v1alpha1.ScopeNamespace, "", "team-a"},
		{v1alpha1.ScopeNamespace, "in", "team-a/in"},
		{v1alpha1.ScopeVolume, "", ""},
		{v1alpha1.ScopeVolume, "in", "in"},
	} {
		if got := SubPathOf(u, v1alpha1.Directory{Scope: tt.scope, SubPath: tt.subPath}); got != tt.want {
			t.Errorf("scope %q, subPath %q: %q, want %q", tt.scope, tt.subPath, got, tt.want)
		}
	}
}

func TestHomeVolume(t *testing.T) {
	first := listener()
	other := listener(func(l *v1alpha1.SFTPListener) { l.Spec.HomeDirectory.Volume = "archive" })
	if got := VolumeOf(first, v1alpha1.Directory{}); got != "home" {
		t.Errorf("the home volume is %q, want the first one", got)
	}
	if got := VolumeOf(other, v1alpha1.Directory{}); got != "archive" {
		t.Errorf("the home volume is %q, want archive", got)
	}
	if got := VolumeOf(other, v1alpha1.Directory{Volume: "home"}); got != "home" {
		t.Errorf("the directory's volume is %q, want home", got)
	}
}
