package attach

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// decideOne returns the decision about the only user of a listener.
func decideOne(t *testing.T, l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) Decision {
	t.Helper()
	got := Decide(Input{Listener: l, Users: []*v1alpha1.SFTPUser{u}, Now: now}, nil).Decisions
	if len(got) != 1 {
		t.Fatalf("%d decisions about one user", len(got))
	}
	return got[0]
}

// A listener that accepts only passwords accepts a user with a password and no key at all. Any source of keys for the user, and
// any method that asks for one, counts as a key that the listener does not allow.
func TestKeysWherePasswordsOnlyAreAllowed(t *testing.T) {
	keyless := func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.AuthorizedKeys = nil
		authenticating("password")(u)
	}
	auth := func(change func(*v1alpha1.UserAuthentication)) func(*v1alpha1.SFTPUser) {
		return func(u *v1alpha1.SFTPUser) { change(&u.Spec.Authentication) }
	}
	for name, c := range map[string]struct {
		change  func(*v1alpha1.SFTPUser)
		allowed bool
	}{
		"a password": {auth(func(*v1alpha1.UserAuthentication) {}), true},
		"a key":      {auth(func(a *v1alpha1.UserAuthentication) { a.AuthorizedKeys = []string{"k"} }), false},
		"a Secret with keys": {auth(func(a *v1alpha1.UserAuthentication) {
			a.AuthorizedKeysSecretRefs = make([]v1alpha1.AuthorizedKeysSecretReference, 1)
		}), false},
		"a key and a Secret": {auth(func(a *v1alpha1.UserAuthentication) {
			a.AuthorizedKeys, a.AuthorizedKeysSecretRefs = []string{"k"}, make([]v1alpha1.AuthorizedKeysSecretReference, 1)
		}), false},
		"certificates": {auth(func(a *v1alpha1.UserAuthentication) { a.Certificates = v1alpha1.CertificatesAccepted }), false},
		"both at once": {auth(func(a *v1alpha1.UserAuthentication) { a.Methods = combinations("PublicKey,Password") }), false},
		"methods with a key": {auth(func(a *v1alpha1.UserAuthentication) {
			a.Methods = combinations("PublicKey", "Password")
		}), false},
		"methods without a key":     {auth(func(a *v1alpha1.UserAuthentication) { a.Methods = combinations("Password") }), true},
		"no password, and so a key": {auth(func(a *v1alpha1.UserAuthentication) { a.PasswordSecretRef = nil }), false},
	} {
		t.Run(name, func(t *testing.T) {
			l := listener(only(v1alpha1.AuthPassword), func(l *v1alpha1.SFTPListener) { l.Spec.Authentication.TrustedUserCAs = []string{"ca"} })
			d := decideOne(t, l, user("platform", "acme", keyless, c.change))
			if d.Accepted() != c.allowed || !c.allowed && d.Reason != v1alpha1.ReasonMethodNotAllowed {
				t.Errorf("%s: %s", d.Reason, d.Message)
			}
		})
	}
}

// A user without keys, whose methods ask for none, does not need a listener that allows keys.
func TestMethodsWithoutAKey(t *testing.T) {
	u := user("platform", "acme", authenticating("password", "Password"))
	if d := decideOne(t, listener(only(v1alpha1.AuthPassword)), u); !d.Accepted() {
		t.Errorf("%s: %s", d.Reason, d.Message)
	}
}

func TestCertificatesNeedAnAuthority(t *testing.T) {
	certificates := func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.Certificates = v1alpha1.CertificatesAccepted }
	authority := func(l *v1alpha1.SFTPListener) { l.Spec.Authentication.TrustedUserCAs = []string{"ca"} }
	fromSecret := func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.TrustedUserCAsSecretRefs = make([]v1alpha1.SecretFileReference, 1)
	}
	d := decideOne(t, listener(), user("platform", "acme", certificates))
	if d.Reason != v1alpha1.ReasonMethodNotAllowed {
		t.Errorf("without an authority: %s", d.Reason)
	}
	wantMessage(t, d, "The listener trusts no certificate authority (its spec.authentication.trustedUserCAs); "+
		"remove spec.authentication.certificates or ask the listener's owner")
	for name, l := range map[string]*v1alpha1.SFTPListener{
		"in the spec": listener(authority), "in a Secret": listener(fromSecret), "in both": listener(authority, fromSecret),
	} {
		if d := decideOne(t, l, user("platform", "acme", certificates)); !d.Accepted() {
			t.Errorf("an authority %s: %s: %s", name, d.Reason, d.Message)
		}
	}
	if d := decideOne(t, listener(), user("platform", "acme")); !d.Accepted() {
		t.Errorf("without certificates: %s: %s", d.Reason, d.Message)
	}
}

// Requirements of a listener that cannot be parsed are the listener's error, and no user is accepted despite them.
func TestRequiredMethodsThatCannotBeUsed(t *testing.T) {
	d := decideOne(t, listener(requiring("x")), user("platform", "acme", authenticating("", "PublicKey")))
	if d.Reason != v1alpha1.ReasonMethodNotAllowed || !strings.HasPrefix(d.Message, "The listener's requiredMethods cannot be used: ") {
		t.Errorf("%s: %s", d.Reason, d.Message)
	}
}

// Only a user's own methods count as explicit, even if they cannot be used.
func TestExplicitMethods(t *testing.T) {
	for name, c := range map[string]struct {
		listener       *v1alpha1.SFTPListener
		user           func(*v1alpha1.SFTPUser)
		explicit, fail bool
	}{
		"nothing":                 {listener(), authenticating(""), false, false},
		"methods":                 {listener(), authenticating("", "PublicKey"), true, false},
		"unusable methods":        {listener(), authenticating("", "x"), true, true},
		"the listener's":          {listener(requiring("PublicKey")), authenticating(""), false, false},
		"the listener's unusable": {listener(requiring("x")), authenticating(""), false, true},
	} {
		u := user("platform", "acme", c.user)
		methods, explicit, err := Methods(c.listener, u)
		if explicit != c.explicit || (err != nil) != c.fail || (methods == nil) != c.fail {
			t.Errorf("%s: %v, explicit %v, %v", name, methods, explicit, err)
		}
	}
}

// A user with a TOTP app is asked for a code once in each combination that has room for it; the other combinations are those
// that the listener requires.
func TestAppWithRequiredMethods(t *testing.T) {
	const full = "PublicKey,PublicKey,PublicKey,Password"
	if n := strings.Count(full, ",") + 1; n != factor.MaxSteps {
		t.Fatalf("%d steps, want the most that are possible", n)
	}
	u := user("platform", "acme", authenticating("password totp"))
	methods, _, err := Methods(listener(requiring(full, "PublicKey,Password,PublicKey", "Password,TOTP")), u)
	want := []string{
		"PublicKey,PublicKey,PublicKey,Password", "PublicKey,Password,PublicKey,TOTP", "Password,TOTP",
	}
	if err != nil || !slices.Equal(methods.Strings(), want) {
		t.Errorf("%q, %v\nwant %q", methods.Strings(), err, want)
	}
}

func TestLengthOfALoginName(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*v1alpha1.SFTPListener)
		ok     bool
	}{
		{strings.Repeat("a", 128), nil, true},
		{strings.Repeat("a", 129), nil, false},
		{strings.Repeat("a", 119), func(l *v1alpha1.SFTPListener) { l.Spec.AllowedUsers.Usernames = v1alpha1.UsernamesNamespacePrefixed }, true},
		{strings.Repeat("a", 120), func(l *v1alpha1.SFTPListener) { l.Spec.AllowedUsers.Usernames = v1alpha1.UsernamesNamespacePrefixed }, false},
	} {
		l := listener()
		if c.change != nil {
			c.change(l)
		}
		if d := decideOne(t, l, user("platform", "acme", named(c.name))); d.Accepted() != c.ok {
			t.Errorf("%d characters, in effect %d: %s", len(c.name), len(d.Username), d.Reason)
		}
	}
}

// A listener created before the API server enforced this may have no volume. Its users get a condition, and other listeners are
// not affected.
func TestListenerWithoutVolumes(t *testing.T) {
	l := listener(func(l *v1alpha1.SFTPListener) { l.Spec.Volumes = nil })
	if got := HomeVolume(l); got != "" {
		t.Errorf("the home volume is %q", got)
	}
	if d := decideOne(t, l, user("platform", "acme")); d.Reason != v1alpha1.ReasonVolumeNotFound {
		t.Errorf("%s: %s", d.Reason, d.Message)
	}
	l = listener(func(l *v1alpha1.SFTPListener) { l.Spec.Volumes = l.Spec.Volumes[:1] })
	if got := HomeVolume(l); got != "home" {
		t.Errorf("with one volume, the home volume is %q", got)
	}
}

func TestConflictNamesTheLogin(t *testing.T) {
	got := Decide(Input{Listener: listener(), Now: now, Users: []*v1alpha1.SFTPUser{
		user("platform", "a", named("x"), aged(time.Hour)), user("platform", "b", named("x")),
	}}, nil).Decisions
	wantMessage(t, got[1], `The login name "x" is taken by SFTPUser "a", which is older or had it before; the name is immutable, so delete this SFTPUser and recreate it with a different spec.username`)
}

func TestMaxUsersByDefault(t *testing.T) {
	if n := MaxUsers(listener()); n != 1000 {
		t.Errorf("%d", n)
	}
	if n := MaxUsers(listener(func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(7)) })); n != 7 {
		t.Errorf("%d, want 7", n)
	}
}

// The next expiry is the earliest one, in whatever order users are evaluated.
func TestNextExpiryInAnyOrder(t *testing.T) {
	first, second, third := expiring(now.Add(time.Minute)), expiring(now.Add(time.Hour)), expiring(now.Add(time.Second))
	for _, order := range [][]func(*v1alpha1.SFTPUser){{first, second, third}, {third, second, first}, {second, first, third}, {first, third, second}} {
		var users []*v1alpha1.SFTPUser
		for i, expires := range order {
			users = append(users, user("platform", string(rune('a'+i)), expires, aged(time.Duration(9-i)*time.Minute)))
		}
		if next := Decide(Input{Listener: listener(), Users: users, Now: now}, nil).Next; !next.Equal(now.Add(time.Second)) {
			t.Errorf("next is %v, want in one second", next)
		}
	}
}

// Directories with different access must not contain each other, whatever their position among the mounts.
func TestOverlapMessages(t *testing.T) {
	mount := func(path string, d v1alpha1.Directory) v1alpha1.Mount {
		return v1alpha1.Mount{Path: path, Directory: d}
	}
	home := v1alpha1.Directory{SubPath: "home"}
	for name, c := range map[string]struct {
		home    v1alpha1.Directory
		mounts  []v1alpha1.Mount
		message string // "" if there is no problem
	}{
		"a drop box in the home": {
			v1alpha1.Directory{},
			[]v1alpha1.Mount{mount("/in", v1alpha1.Directory{SubPath: "in", Access: v1alpha1.AccessWriteOnly})},
			"spec.mounts[/in] (platform/acme/in, WriteOnly) is inside spec.homeDirectory (platform/acme, ReadWrite); ",
		},
		"the home in the whole volume": {
			v1alpha1.Directory{},
			[]v1alpha1.Mount{mount("/all", v1alpha1.Directory{Scope: v1alpha1.ScopeVolume, Access: v1alpha1.AccessReadOnly})},
			"spec.homeDirectory (platform/acme, ReadWrite) is inside spec.mounts[/all] (the whole volume, ReadOnly); ",
		},
		"the same directory": {
			home,
			[]v1alpha1.Mount{mount("/again", v1alpha1.Directory{SubPath: "home", Access: v1alpha1.AccessReadOnly})},
			"spec.homeDirectory (platform/acme/home, ReadWrite) is inside spec.mounts[/again] (platform/acme/home, ReadOnly); ",
		},
		"the last of three in the second": {
			home,
			[]v1alpha1.Mount{
				mount("/a", v1alpha1.Directory{SubPath: "a"}),
				mount("/b", v1alpha1.Directory{SubPath: "b", Access: v1alpha1.AccessReadOnly}),
				mount("/c", v1alpha1.Directory{SubPath: "b/c", Access: v1alpha1.AccessWriteOnly}),
			},
			"spec.mounts[/c] (platform/acme/b/c, WriteOnly) is inside spec.mounts[/b] (platform/acme/b, ReadOnly); ",
		},
		"names listed in a drop box whose names are not": {
			home,
			[]v1alpha1.Mount{
				mount("/in", v1alpha1.Directory{SubPath: "in", Access: v1alpha1.AccessWriteOnly}),
				mount("/seen", v1alpha1.Directory{SubPath: "in/seen", Access: v1alpha1.AccessWriteOnly, Listing: v1alpha1.ListingNames}),
			},
			"spec.mounts[/seen] (platform/acme/in/seen, WriteOnly with listing Names) is inside spec.mounts[/in] (platform/acme/in, WriteOnly); ",
		},
		"listing says nothing where all may be read": {
			v1alpha1.Directory{},
			[]v1alpha1.Mount{mount("/in", v1alpha1.Directory{SubPath: "in", Listing: v1alpha1.ListingNames})},
			"",
		},
		"equal access everywhere": {
			v1alpha1.Directory{Access: v1alpha1.AccessReadWrite},
			[]v1alpha1.Mount{mount("/in", v1alpha1.Directory{SubPath: "in"}), mount("/again", v1alpha1.Directory{})},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := decideOne(t, listener(), user("platform", "acme", func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory, u.Spec.Mounts = c.home, c.mounts }))
			if c.message == "" {
				if !d.Accepted() {
					t.Errorf("%s: %s", d.Reason, d.Message)
				}
				return
			}
			if d.Reason != v1alpha1.ReasonDirectoriesOverlap {
				t.Fatalf("%s: %s", d.Reason, d.Message)
			}
			wantMessage(t, d, c.message+"give them the same access, or put the directories side by side, "+
				"for example homeDirectory.subPath: home and subPath: inbox for the mount")
		})
	}
}

// A missing volume is found even if valid mounts precede it.
func TestLaterMounts(t *testing.T) {
	d := decideOne(t, listener(), user("platform", "acme", func(u *v1alpha1.SFTPUser) {
		u.Spec.Mounts = []v1alpha1.Mount{{Path: "/a", Directory: v1alpha1.Directory{SubPath: "a"}}, {Path: "/b", Directory: v1alpha1.Directory{Volume: "x"}}}
	}))
	wantMessage(t, d, `spec.mounts[/b].volume is "x", but the listener's volumes are: home, archive; correct the name, or ask the listener's owner`)
}

// Methods must not modify a slice that they share with the listener's combinations.
func TestMethodsChangeNothing(t *testing.T) {
	l := listener(requiring("PublicKey", "Password"))
	u := user("platform", "acme", authenticating("password totp"))
	first, _, err1 := Methods(l, u)
	text := first.Strings()
	again, _, err2 := Methods(l, u)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(text, again.Strings()) || !slices.Equal(text, first.Strings()) {
		t.Errorf("%q, then %q", text, again.Strings())
	}
}
