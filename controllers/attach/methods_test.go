package attach

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// authenticating gives a user methods and the named credentials.
func authenticating(credentials string, methods ...string) func(*v1alpha1.SFTPUser) {
	return func(u *v1alpha1.SFTPUser) {
		a := &u.Spec.Authentication
		a.Methods = combinations(methods...)
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

func requiring(methods ...string) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) { l.Spec.Authentication.RequiredMethods = combinations(methods...) }
}

// combinations with their steps separated by commas
func combinations(texts ...string) (out []v1alpha1.MethodCombination) {
	for _, text := range texts {
		var steps []v1alpha1.AuthMethod
		for name := range strings.SplitSeq(text, ",") {
			steps = append(steps, v1alpha1.AuthMethod(name))
		}
		out = append(out, v1alpha1.MethodCombination{Steps: steps})
	}
	return out
}

func TestMethods(t *testing.T) {
	const keyCode, keyPassword = "PublicKey,TOTP", "PublicKey,Password"
	for _, tc := range []struct {
		name     string
		listener *v1alpha1.SFTPListener
		user     func(*v1alpha1.SFTPUser)
		want     string // combinations separated by spaces
		reason   string
		message  string // a part of it
	}{
		{"nothing", listener(), authenticating(""), "PublicKey", "Accepted", ""},
		{"a password", listener(), authenticating("password"), "PublicKey Password", "Accepted", ""},
		{"both", listener(), authenticating("password", keyPassword), keyPassword, "Accepted", ""},
		{"an app", listener(), authenticating("totp"), keyCode, "Accepted", ""},
		{
			"an app and a password", listener(), authenticating("password totp"),
			keyCode + " Password,TOTP", "Accepted", "",
		},
		{"methods", listener(), authenticating("password totp", keyCode, keyPassword), keyCode + " " + keyPassword, "Accepted", ""},
		{"methods that cannot be", listener(), authenticating("", "hostbased"), "", "MethodNotAllowed", `"hostbased" in "hostbased" is not a step`},

		{"what is required", listener(requiring(keyCode)), authenticating("totp"), keyCode, "Accepted", ""},
		{"what is required, without it", listener(requiring(keyCode)), authenticating(""), keyCode, "Accepted", ""},
		{"what is required, with an app", listener(requiring(keyPassword, keyCode)), authenticating("password totp"), keyPassword + ",TOTP " + keyCode, "Accepted", ""},
		{"required twice with an app", listener(requiring("PublicKey", keyCode)), authenticating("totp"), keyCode, "Accepted", ""},
		{"more than what is required", listener(requiring("PublicKey")), authenticating("password", keyPassword), keyPassword, "Accepted", ""},
		{"one of two that are required", listener(requiring(keyCode, keyPassword)), authenticating("password", keyPassword), keyPassword, "Accepted", ""},
		{
			"less than what is required", listener(requiring(keyCode, keyPassword)), authenticating("", "PublicKey"), "PublicKey", "MethodsTooWeak",
			"The combination PublicKey is weaker than what the listener requires, which is: " + keyCode + " or " + keyPassword,
		},
		{
			"one of two is weak", listener(requiring(keyCode)), authenticating("totp password", keyCode, "Password"), keyCode + " Password", "MethodsTooWeak",
			"The combination Password is weaker",
		},
		{"another order", listener(requiring("Password,PublicKey")), authenticating("password", keyPassword), keyPassword, "MethodsTooWeak", "weaker"},
		{"required that cannot be", listener(requiring("x")), authenticating(""), "", "MethodNotAllowed", "the listener's requiredMethods"},

		{"a password that the listener does not allow", listener(only(v1alpha1.AuthPublicKey)), authenticating("password", keyPassword), keyPassword, "MethodNotAllowed", "the method Password"},
		{"a key that the listener does not allow", listener(only(v1alpha1.AuthPassword)), authenticating("password", keyPassword), keyPassword, "MethodNotAllowed", "the method PublicKey"},
		{"a code needs no method of the listener's", listener(only(v1alpha1.AuthPublicKey)), authenticating("totp"), keyCode, "Accepted", ""},
		{"a password alone where keys are not allowed", listener(only(v1alpha1.AuthPassword)), func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.AuthorizedKeys = nil
			authenticating("password")(u)
		}, "PublicKey Password", "Accepted", ""},
		{"a password alone where it is not enough", listener(only(v1alpha1.AuthPassword), requiring(keyPassword)), func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.AuthorizedKeys = nil
			authenticating("password")(u)
		}, keyPassword, "MethodNotAllowed", "the method PublicKey"},
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
