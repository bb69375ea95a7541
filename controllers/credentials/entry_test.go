package credentials

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// everything refers to a Secret of each kind.
func everything() v1alpha1.UserAuthentication {
	return v1alpha1.UserAuthentication{
		AuthorizedKeysSecretRefs: []v1alpha1.AuthorizedKeysSecretReference{{Name: "k"}, {Name: "k", Key: "ops"}, {Name: "k", Key: "authorized_keys"}},
		PasswordSecretRef:        &v1alpha1.PasswordSecretReference{Name: "p"},
		TOTPSecretRef:            &v1alpha1.TOTPSecretReference{Name: "t"},
	}
}

func TestRefs(t *testing.T) {
	a := everything()
	want := []Ref{
		{"team", "k", "authorized_keys", KindKeys}, {"team", "k", "ops", KindKeys}, {"team", "p", "password", KindPassword}, {"team", "t", "totp", KindTOTP},
	}
	if got := Refs(user(a)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	a.PasswordSecretRef.Format, a.PasswordSecretRef.Key, a.TOTPSecretRef.Key = v1alpha1.PasswordHash, "hash", "uri"
	want[2], want[3] = Ref{"team", "p", "hash", KindHash}, Ref{"team", "t", "uri", KindTOTP}
	if got := Refs(user(a)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	a.PasswordSecretRef.Format = v1alpha1.PasswordPlain
	if got := Refs(user(a))[2].Kind; got != KindPassword {
		t.Errorf("format Plain: %s", got)
	}
	if got := Refs(user(v1alpha1.UserAuthentication{})); len(got) != 0 {
		t.Errorf("nothing: %+v", got)
	}
}

// An entry that has not been read yet is pending: it is not a problem and does not cause one.
func TestPending(t *testing.T) {
	u := user(everything())
	c := Resolve(u, nil, func(Ref) Entry { return Entry{} })
	if !reflect.DeepEqual(c.Pending, Refs(u)) || len(c.Problems) != 0 || len(c.Failures) != 0 {
		t.Errorf("%+v", c)
	}
	if c = c.WithMethods(methods(t, "PublicKey,Password"), true); len(c.Problems) != 0 || c.CanLogIn() {
		t.Errorf("with methods: %+v", c)
	}
	// Credentials that are known work, even if others are not.
	u.Spec.Authentication.AuthorizedKeys = []string{ed25519Key}
	c = Resolve(u, nil, func(ref Ref) Entry {
		if ref.Kind == KindPassword {
			return Entry{Known: true, Password: &config.Password{Hash: "h"}, PasswordLength: 7}
		}
		return Entry{}
	})
	if len(c.Keys) != 1 || c.Password == nil || len(c.Pending) != 3 || !c.WithMethods(methods(t, "PublicKey,Password"), true).CanLogIn() {
		t.Errorf("%+v", c)
	}
	if c = c.FilterByRules(Rules{MinPasswordLength: 8}); c.Password != nil || len(c.Pending) != 3 {
		t.Errorf("a short password: %+v", c)
	}
}

// A failure is reported, but removes nothing that the entry still has.
func TestFailures(t *testing.T) {
	known, err := Read(Ref{"team", "k", "authorized_keys", KindKeys}, secret("k", "authorized_keys", ed25519Key), nil)
	if err != nil {
		t.Fatal(err)
	}
	known.Failure = "the server is away"
	c := Resolve(user(keysFrom("k", "")), nil, func(Ref) Entry { return known })
	if len(c.Keys) != 1 || len(c.Problems) != 0 || len(c.Pending) != 0 || fmt.Sprint(c.Failures) != `[Secret "k" cannot be read: the server is away]` {
		t.Errorf("%+v", c)
	}
	c = Resolve(user(keysFrom("k", "")), nil, func(Ref) Entry { return Entry{Failure: "the server is away"} })
	if c = c.WithMethods(methods(t, "PublicKey"), true); len(c.Failures) != 1 || len(c.Pending) != 1 || len(c.Problems) != 0 {
		t.Errorf("never read: %+v", c)
	}
}

// A name that no object may have is never requested: the client's error is not "not found", so a single user with such a name
// used to block the configuration of all users.
func TestNamesThatNoSecretHas(t *testing.T) {
	for _, name := range []string{"a/b", "..", ".", "50%", ""} {
		for _, a := range []v1alpha1.UserAuthentication{passwordFrom(name, ""), keysFrom(name, ""), {TOTPSecretRef: &v1alpha1.TOTPSecretReference{Name: name}}} {
			u := user(a)
			c := Resolve(u, nil, func(ref Ref) Entry {
				t.Errorf("%+v was asked for", ref)
				return Entry{}
			})
			want := fmt.Sprintf("Secret %q cannot exist, because no object can have this name; correct %s", name, Refs(u)[0].field())
			if len(c.Pending) != 0 || len(c.Problems) != 1 || c.Problems[0] != (Problem{v1alpha1.ReasonSecretNotFound, want}) {
				t.Errorf("%q: %+v, want %s", name, c, want)
			}
			if e, err := Read(Refs(u)[0], secret(name, "password", "hunter2"), nil); err != nil || e.Password != nil || !e.Known || e.Problem == nil {
				t.Errorf("%q was read: %+v", name, e)
			}
		}
	}
	if _, invalid := (Ref{Secret: "A_b..c"}).Invalid(); invalid {
		t.Error("a name that a client may ask for is for the server to refuse")
	}
}

// A hashing error is left to the caller to retry; the entry still has everything that is known.
func TestErrorOfTheHash(t *testing.T) {
	broken := errors.New("no randomness")
	e, err := Read(Ref{"team", "p", "password", KindPassword}, secret("p", "password", "hunter2"), func(data []byte, source string) (*config.Password, error) {
		if string(data) != "hunter2" || source != "uid-p/7/password" {
			t.Errorf("%q, %s", data, source)
		}
		return nil, broken
	})
	if !errors.Is(err, broken) || e.Password != nil || e.PasswordLength != 0 || e.Problem != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestVersionOfAnEntry(t *testing.T) {
	s := secret("k", "authorized_keys", strings.Repeat("#", 10))
	e, _ := Read(Ref{"team", "k", "authorized_keys", KindKeys}, s, nil)
	if e.Version != "uid-k/7" || e.Version != Version(s) {
		t.Errorf("version %q", e.Version)
	}
	s.ResourceVersion = ""
	if Version(s) != "" || Version(nil) != "" {
		t.Error("there is nothing that identifies the version of a file's object")
	}
	c := resolve(t, secrets(secret("p", "password", "hunter2")), passwordFrom("p", ""), nil)
	if c.Password.Source != "uid-p/7/password" {
		t.Errorf("source %q", c.Password.Source)
	}
}
