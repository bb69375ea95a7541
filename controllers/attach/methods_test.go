package attach

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// authenticating gives a user methods or a mode, and the credentials that words name.
func authenticating(mode v1alpha1.AuthMode, credentials string, methods ...v1alpha1.MethodCombination) func(*v1alpha1.SFTPUser) {
	return func(u *v1alpha1.SFTPUser) {
		a := &u.Spec.Authentication
		a.Mode, a.Methods = mode, methods
		for c := range strings.FieldsSeq(credentials) {
			switch c {
			case "password":
				a.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "p"}
			case "totp":
				a.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "t"}
			}
		}
	}
}

func requiring(methods ...v1alpha1.MethodCombination) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) { l.Spec.Authentication.RequiredMethods = methods }
}

func TestMethods(t *testing.T) {
	const keyCode, keyPassword = "publickey,keyboard-interactive:totp", "publickey,password"
	for _, tc := range []struct {
		name     string
		listener *v1alpha1.SFTPListener
		user     func(*v1alpha1.SFTPUser)
		want     string // with blanks between the combinations
		reason   string
		message  string // a part of it
	}{
		{"nothing", listener(), authenticating("", ""), "publickey", "Accepted", ""},
		{"a password", listener(), authenticating("", "password"), "publickey password", "Accepted", ""},
		{"any of both", listener(), authenticating("AnyOf", "password"), "publickey password", "Accepted", ""},
		{"all", listener(), authenticating("AllOf", "password"), keyPassword, "Accepted", ""},
		{"an app", listener(), authenticating("", "totp"), keyCode, "Accepted", ""},
		{
			"an app and a password", listener(), authenticating("AnyOf", "password totp"),
			keyCode + " password,keyboard-interactive:totp", "Accepted", "",
		},
		{"all and an app", listener(), authenticating("AllOf", "password totp"), "publickey,password,keyboard-interactive:totp", "Accepted", ""},
		{"methods", listener(), authenticating("", "password totp", keyCode, keyPassword), keyCode + " " + keyPassword, "Accepted", ""},
		{"methods that cannot be", listener(), authenticating("", "", "hostbased"), "", "MethodNotAllowed", `"hostbased" in "hostbased" is no step`},

		{"what is required", listener(requiring(keyCode)), authenticating("", "totp"), keyCode, "Accepted", ""},
		{"what is required, without it", listener(requiring(keyCode)), authenticating("", ""), keyCode, "Accepted", ""},
		{"what is required, with an app", listener(requiring(keyPassword, keyCode)), authenticating("", "password totp"), keyPassword + ",keyboard-interactive:totp " + keyCode, "Accepted", ""},
		{"required twice with an app", listener(requiring("publickey", keyCode)), authenticating("", "totp"), keyCode, "Accepted", ""},
		{"more than what is required", listener(requiring("publickey")), authenticating("AllOf", "password"), keyPassword, "Accepted", ""},
		{"one of two that are required", listener(requiring(keyCode, keyPassword)), authenticating("", "password", keyPassword), keyPassword, "Accepted", ""},
		{
			"less than what is required", listener(requiring(keyCode, keyPassword)), authenticating("AnyOf", ""), "publickey", "MethodsTooWeak",
			"The combination publickey is weaker than what the listener requires, which is: " + keyCode + " or " + keyPassword,
		},
		{
			"one of two is weak", listener(requiring(keyCode)), authenticating("", "totp password", keyCode, "password"), keyCode + " password", "MethodsTooWeak",
			"The combination password is weaker",
		},
		{"another order", listener(requiring("password,publickey")), authenticating("AllOf", "password"), keyPassword, "MethodsTooWeak", "weaker"},
		{"required that cannot be", listener(requiring("x")), authenticating("", ""), "", "MethodNotAllowed", "the listener's requiredMethods"},

		{"a password that the listener does not allow", listener(only(v1alpha1.AuthPublicKey)), authenticating("", "password", keyPassword), keyPassword, "MethodNotAllowed", "the method Password"},
		{"a key that the listener does not allow", listener(only(v1alpha1.AuthPassword)), authenticating("", "password", keyPassword), keyPassword, "MethodNotAllowed", "the method PublicKey"},
		{"a code needs no method of the listener's", listener(only(v1alpha1.AuthPublicKey)), authenticating("", "totp"), keyCode, "Accepted", ""},
		{"a password alone where keys are not allowed", listener(only(v1alpha1.AuthPassword)), func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.AuthorizedKeys = nil
			authenticating("", "password")(u)
		}, "publickey password", "Accepted", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := user("platform", "acme", tc.user)
			methods, _, err := Methods(tc.listener, u)
			if have := strings.Join(methods.Strings(), " "); have != tc.want && err == nil {
				t.Errorf("methods %s, want %s", have, tc.want)
			}
			d := Decide(Input{Listener: tc.listener, Users: []*v1alpha1.SFTPUser{u}}, nil).Decisions
			if d[0].Reason != tc.reason || !strings.Contains(d[0].Message, tc.message) {
				t.Errorf("%s: %s\nwant %s: %s", d[0].Reason, d[0].Message, tc.reason, tc.message)
			}
		})
	}
}

func only(methods ...v1alpha1.AuthMethod) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) { l.Spec.Authentication.AllowedMethods = methods }
}
