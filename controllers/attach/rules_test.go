package attach

import (
	"slices"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// ruled returns a listener with rules.
func ruled(rules ...v1alpha1.AllowedUsersRule) *v1alpha1.SFTPListener {
	for i := range rules {
		if rules[i].Name == "" {
			rules[i].Name = "tenants"
		}
		if rules[i].Namespaces.From == "" {
			rules[i].Namespaces.From = v1alpha1.NamespacesAll
		}
	}
	return listener(func(l *v1alpha1.SFTPListener) { l.Spec.AllowedUsers.Rules = rules })
}

func homed(d v1alpha1.Directory) func(*v1alpha1.SFTPUser) {
	return func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory = d }
}

// What a rule does not allow, with a message that names it.
func TestRules(t *testing.T) {
	const remedy = `, or ask its owner to change the rule "tenants" of spec.allowedUsers`
	archive := func(subPaths ...string) v1alpha1.AllowedUsersRule {
		return v1alpha1.AllowedUsersRule{Volumes: []v1alpha1.AllowedVolume{{Name: "archive", SubPaths: subPaths, Access: v1alpha1.AccessReadOnly}}}
	}
	onArchive := func(scope v1alpha1.DirectoryScope, subPath string) func(*v1alpha1.SFTPUser) {
		return homed(v1alpha1.Directory{Volume: "archive", Scope: scope, SubPath: subPath, Access: v1alpha1.AccessReadOnly})
	}
	password := func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "p"}
	}
	certified := func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.Certificates = v1alpha1.CertificatesAccepted }
	atMost := func(a v1alpha1.Access) v1alpha1.AllowedUsersRule { return v1alpha1.AllowedUsersRule{Access: a} }
	with := func(a v1alpha1.Access, l v1alpha1.Listing) func(*v1alpha1.SFTPUser) {
		return homed(v1alpha1.Directory{Access: a, Listing: l})
	}
	notOpen := func(directory string) string {
		return `spec.homeDirectory asks for ` + directory + `, which the listener does not open to users of namespace "other"; use its home volume with scope User or Namespace` + remedy
	}
	tooMuch := func(access string) string {
		return `spec.homeDirectory asks for ` + access + `, which the listener does not allow users of namespace "other" there; set a different access` + remedy
	}
	for name, c := range map[string]struct {
		rule            v1alpha1.AllowedUsersRule
		user            *v1alpha1.SFTPUser
		reason, message string
	}{
		"the home volume":                     {user: user("other", "u")},
		"the namespace's directory":           {user: user("other", "u", homed(v1alpha1.Directory{Scope: v1alpha1.ScopeNamespace}))},
		"the whole home volume":               {v1alpha1.AllowedUsersRule{}, user("other", "u", homed(v1alpha1.Directory{Scope: v1alpha1.ScopeVolume})), "DirectoryNotAllowed", notOpen(`the whole volume "home"`)},
		"the namespace's own, by scope":       {user: user("other", "u", homed(v1alpha1.Directory{Scope: v1alpha1.ScopeVolume, SubPath: "other/x"}))},
		"another namespace's":                 {v1alpha1.AllowedUsersRule{}, user("other", "u", homed(v1alpha1.Directory{Scope: v1alpha1.ScopeVolume, SubPath: "others"})), "DirectoryNotAllowed", notOpen(`the directory "others" of volume "home"`)},
		"another volume":                      {v1alpha1.AllowedUsersRule{}, user("other", "u", onArchive("", "")), "DirectoryNotAllowed", notOpen(`the directory "other/u" of volume "archive"`)},
		"another volume of the listener's":    {user: user("platform", "u", onArchive(v1alpha1.ScopeVolume, ""))},
		"a volume":                            {rule: archive(), user: user("other", "u", onArchive("", ""))},
		"a volume, and not all of it":         {archive(), user("other", "u", onArchive(v1alpha1.ScopeVolume, "in")), "DirectoryNotAllowed", notOpen(`the directory "in" of volume "archive"`)},
		"a directory of a volume":             {rule: archive("in"), user: user("other", "u", onArchive(v1alpha1.ScopeVolume, "in/2026"))},
		"a directory whose name begins so":    {archive("in"), user("other", "u", onArchive(v1alpha1.ScopeVolume, "inbox")), "DirectoryNotAllowed", notOpen(`the directory "inbox" of volume "archive"`)},
		"a directory, and not one's own":      {archive("in"), user("other", "u", onArchive("", "")), "DirectoryNotAllowed", notOpen(`the directory "other/u" of volume "archive"`)},
		"a volume for the listener's own":     {archive("in"), user("platform", "u", onArchive(v1alpha1.ScopeVolume, "out")), "DirectoryNotAllowed", `spec.homeDirectory asks for the directory "out" of volume "archive", which the listener does not open to users of namespace "platform"; use its home volume with scope User or Namespace` + remedy},
		"too much access to a volume":         {archive(), user("other", "u", homed(v1alpha1.Directory{Volume: "archive"})), "AccessNotAllowed", tooMuch("ReadWrite")},
		"all access":                          {rule: atMost("ReadWrite"), user: user("other", "u", with("CreateOnly", "Names"))},
		"reading":                             {rule: atMost("ReadOnly"), user: user("other", "u", with("ReadOnly", ""))},
		"writing where reading is allowed":    {atMost("ReadOnly"), user("other", "u"), "AccessNotAllowed", tooMuch("ReadWrite")},
		"creating where reading is allowed":   {atMost("ReadOnly"), user("other", "u", with("CreateOnly", "")), "AccessNotAllowed", tooMuch("CreateOnly")},
		"creating where writing is allowed":   {rule: atMost("WriteOnly"), user: user("other", "u", with("CreateOnly", ""))},
		"listing where writing is allowed":    {atMost("WriteOnly"), user("other", "u", with("WriteOnly", "Names")), "AccessNotAllowed", tooMuch("WriteOnly with listing Names")},
		"replacing where creating is allowed": {atMost("CreateOnly"), user("other", "u", with("WriteOnly", "")), "AccessNotAllowed", tooMuch("WriteOnly")},
		"an access of a later version":        {atMost("ListOnly"), user("other", "u", with("ReadOnly", "")), "AccessNotAllowed", tooMuch("ReadOnly")},
		"a method": {
			v1alpha1.AllowedUsersRule{Methods: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}},
			user("other", "u", password), "MethodNotAllowed",
			`The listener does not allow the method Password to users of namespace "other"; remove it from spec.authentication` + remedy,
		},
		"an allowed method": {rule: v1alpha1.AllowedUsersRule{Methods: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}}, user: user("other", "u")},
		"certificates": {
			v1alpha1.AllowedUsersRule{Certificates: v1alpha1.CertificatesRefused},
			user("other", "u", certified), "MethodNotAllowed",
			`The listener does not allow certificates to users of namespace "other"; remove spec.authentication.certificates` + remedy,
		},
		"allowed certificates": {user: user("other", "u", certified)},
	} {
		t.Run(name, func(t *testing.T) {
			if c.reason == "" {
				c.reason, c.message = v1alpha1.ReasonAccepted, accepted
			}
			l := ruled(c.rule)
			l.Spec.Authentication.TrustedUserCAs = []string{"ca"}
			got := Decide(Input{Listener: l, Users: []*v1alpha1.SFTPUser{c.user}, Now: now}, nil).Decisions[0]
			if got.Reason != c.reason {
				t.Errorf("reason %s, want %s", got.Reason, c.reason)
			}
			wantMessage(t, got, c.message)
		})
	}
}

// The first rule that matches applies, and no other.
func TestFirstRule(t *testing.T) {
	l := ruled(
		v1alpha1.AllowedUsersRule{Name: "some", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesNames, Names: []string{"a", "b"}}, Access: v1alpha1.AccessReadOnly},
		v1alpha1.AllowedUsersRule{
			Name:           "labeled",
			Namespaces:     v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"sftp": "yes"}}},
			MaxConnections: new(int32(7)),
		},
	)
	labels := map[string]map[string]string{"b": {"sftp": "yes"}, "c": {"sftp": "yes"}}
	in := Input{Listener: l, NamespaceLabels: labels, Now: now, Users: []*v1alpha1.SFTPUser{
		user("a", "u"), user("b", "u"), user("c", "u"), user("d", "u"), user("platform", "u"),
	}}
	memo := &Memo{}
	for range 2 {
		got := Decide(in, memo).Decisions
		want := []string{"a/u: AccessNotAllowed", "b/u: AccessNotAllowed", "c/u: Accepted", "d/u: NotAllowedByListener", "platform/u: NotAllowedByListener"}
		if have := outcomes(got); !slices.Equal(have, want) {
			t.Errorf("%q, want %q", have, want)
		}
		if got[2].MaxNamespaceConnections != 7 || got[0].MaxNamespaceConnections != 0 {
			t.Errorf("connections %d and %d", got[2].MaxNamespaceConnections, got[0].MaxNamespaceConnections)
		}
	}
	// Labels change independently of the listener and its users: another rule applies.
	in.NamespaceLabels = map[string]map[string]string{"d": {"sftp": "yes"}}
	want := []string{"a/u: AccessNotAllowed", "b/u: AccessNotAllowed", "c/u: NotAllowedByListener", "d/u: Accepted", "platform/u: NotAllowedByListener"}
	if have := outcomes(Decide(in, memo).Decisions); !slices.Equal(have, want) {
		t.Errorf("%q, want %q", have, want)
	}
}

// Names of users in other namespaces are prefixed unless the listener says otherwise; those in its own are not.
func TestOthersArePrefixed(t *testing.T) {
	for policy, want := range map[v1alpha1.UsernamePolicy][2]string{
		"": {"u", "other.u"}, v1alpha1.UsernamesOthersPrefixed: {"u", "other.u"},
		v1alpha1.UsernamesNamespacePrefixed: {"platform.u", "other.u"}, v1alpha1.UsernamesAny: {"u", "u"},
	} {
		l := ruled(v1alpha1.AllowedUsersRule{})
		l.Spec.AllowedUsers.Usernames = policy
		if got := [2]string{Username(l, user("platform", "u")), Username(l, user("other", "u"))}; got != want {
			t.Errorf("%q: %q, want %q", policy, got, want)
		}
	}
}

// When a namespace is full, users who are in stay in, whatever is edited; after them the oldest get in. Other namespaces are
// not affected.
func TestNamespaceFull(t *testing.T) {
	l := ruled(v1alpha1.AllowedUsersRule{MaxUsers: new(int32(2))})
	second := func(n int) func(*v1alpha1.SFTPUser) { return aged(time.Duration(n) * time.Second) }
	in := Input{Listener: l, Now: now, Users: []*v1alpha1.SFTPUser{
		user("a", "old", second(9), identified), user("a", "older", second(10), identified), user("a", "young", second(1), identified),
		user("b", "u", identified), user("platform", "u", identified),
	}}
	first := Decide(in, nil)
	want := []string{"a/old: Accepted", "a/older: Accepted", "a/young: NamespaceFull", "b/u: Accepted", "platform/u: Accepted"}
	if have := outcomes(first.Decisions); !slices.Equal(have, want) {
		t.Fatalf("%q, want %q", have, want)
	}
	wantMessage(t, first.Decisions[2], `Namespace "a" has 2 logins already, which is its limit on the listener; remove or suspend one, or ask its owner to change the rule "tenants" of spec.allowedUsers`)
	// An edit, and users that are older than those with a login, as after a restore from a backup.
	edited := user("a", "old", aged(0), identified, func(u *v1alpha1.SFTPUser) { u.Generation = 5 })
	in.Users[0], in.Users[2], in.Seats = edited, user("a", "young", aged(time.Hour), identified), first.Seats
	if have := outcomes(Decide(in, nil).Decisions); !slices.Equal(have, want) {
		t.Errorf("after edits: %q, want %q", have, want)
	}
	suspended(edited)
	want = []string{"a/old: Suspended", "a/older: Accepted", "a/young: Accepted", "b/u: Accepted", "platform/u: Accepted"}
	if have := outcomes(Decide(in, nil).Decisions); !slices.Equal(have, want) {
		t.Errorf("with one suspended: %q, want %q", have, want)
	}
}

// Without a limit, a namespace other than the listener's own gets half of the logins.
func TestDefaultShareOfLogins(t *testing.T) {
	l := ruled(v1alpha1.AllowedUsersRule{})
	for max, want := range map[int32]int{1: 1, 2: 1, 9: 4, 1000: 500} {
		l.Spec.MaxUsers = &max
		if r := newRules(l); r.maxUsers(0, "other") != want || r.maxUsers(0, "platform") != int(max) {
			t.Errorf("of %d: %d, and %d for the listener's own namespace", max, r.maxUsers(0, "other"), r.maxUsers(0, "platform"))
		}
	}
}
