package credentials

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

func passwordFrom(name, entry string) v1alpha1.UserAuthentication {
	return v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: name, Key: entry}}
}

func verifies(t *testing.T, p *config.Password, plain string) bool {
	t.Helper()
	h, err := password.Parse(p.Hash)
	if err != nil {
		t.Fatal(err)
	}
	return h.Verify([]byte(plain))
}

func TestPasswordIsHashed(t *testing.T) {
	c := resolve(t, secrets(secret("p", "password", "hunter2")), passwordFrom("p", ""), nil)
	if len(c.Problems) != 0 || c.Password == nil {
		t.Fatalf("problems %v", c.Problems)
	}
	if !verifies(t, c.Password, "hunter2") || verifies(t, c.Password, "hunter3") {
		t.Error("the hash is not that of the password")
	}
	if strings.Contains(c.Password.Hash+c.Password.Source, "hunter2") {
		t.Error("the record contains the password")
	}
	if c.Password.Source != "uid-p/7/password" {
		t.Errorf("source %q, want the Secret's UID and version and the entry", c.Password.Source)
	}
}

// A new hash of the same password would end its sessions and rewrite a shard for no reason.
func TestHashIsUsedAgain(t *testing.T) {
	old := resolve(t, secrets(secret("p", "password", "hunter2")), passwordFrom("p", ""), nil).Password

	same := resolve(t, secrets(secret("p", "password", "hunter2")), passwordFrom("p", ""), old).Password
	if same != old {
		t.Error("the Secret is the same, but its password was hashed again")
	}

	relabelled := secret("p", "password", "hunter2")
	relabelled.ResourceVersion = "8"
	again := resolve(t, secrets(relabelled), passwordFrom("p", ""), old).Password
	if again.Hash != old.Hash || again.Source != "uid-p/8/password" {
		t.Errorf("the Secret has a new version with the same password: got %+v, want the hash of before with the new source", again)
	}

	moved := resolve(t, secrets(secret("q", "pw", "hunter2")), passwordFrom("q", "pw"), old).Password
	if moved.Hash != old.Hash || moved.Source != "uid-q/7/pw" {
		t.Errorf("another Secret has the same password: got %+v, want the hash of before with the new source", moved)
	}
}

func TestNewPasswordGetsANewHash(t *testing.T) {
	old := resolve(t, secrets(secret("p", "password", "hunter2")), passwordFrom("p", ""), nil).Password
	changed := secret("p", "password", "correct horse")
	changed.ResourceVersion = "8"
	got := resolve(t, secrets(changed), passwordFrom("p", ""), old).Password
	if got.Hash == old.Hash || !verifies(t, got, "correct horse") {
		t.Error("the hash is not that of the new password")
	}

	unreadable := &config.Password{Hash: "of another time", Source: "x"}
	if got := resolve(t, secrets(changed), passwordFrom("p", ""), unreadable).Password; !verifies(t, got, "correct horse") {
		t.Error("a hash that cannot be read must be replaced")
	}
}

// While its Secret is broken, a password does not keep working: the user's owner may have removed it on purpose.
func TestPasswordOfABrokenSecretIsGone(t *testing.T) {
	old := &config.Password{Hash: "h", Source: "uid-p/7/password"}
	if got := resolve(t, cluster{}, passwordFrom("p", ""), old).Password; got != nil {
		t.Errorf("password %+v, want none", got)
	}
}

const (
	bcryptHash = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2" // of "correct horse"
	sha512Hash = "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/"
)

func hashFrom(name, entry string) v1alpha1.UserAuthentication {
	a := passwordFrom(name, entry)
	a.PasswordSecretRef.Format = v1alpha1.PasswordHash
	return a
}

// A hash made elsewhere is passed on unchanged, with or without a trailing newline.
func TestForeignHash(t *testing.T) {
	for _, hash := range []string{bcryptHash, sha512Hash} {
		for _, entry := range []string{hash, hash + "\n"} {
			c := resolve(t, secrets(secret("p", "passwordHash", entry)), hashFrom("p", "passwordHash"), nil)
			if len(c.Problems) != 0 || c.Password == nil || c.Password.Hash != hash || !verifies(t, c.Password, "correct horse") {
				t.Errorf("%q: %+v, problems %v", entry, c.Password, c.Problems)
			}
			if left := c.FilterByRules(Rules{MinPasswordLength: 64}); left.Password == nil || len(left.Problems) != 0 {
				t.Errorf("a hash has no length: %v", left.Problems)
			}
		}
	}
}

// A malformed hash, or one that is too expensive, is reported without the content of the Secret.
func TestHashThatCannotBeUsed(t *testing.T) {
	for entry, say := range map[string]string{
		"hunter2": `Secret "p", entry "password" cannot be used as the hash of a password: not a hash of argon2id ($argon2id$...), bcrypt ($2b$...) or SHA-512 crypt ($6$...)`,
		strings.Replace(bcryptHash, "$05$", "$15$", 1):                     `Secret "p", entry "password" cannot be used as the hash of a password: bcrypt cost is out of bounds; allowed are 4 to 14`,
		strings.Replace(sha512Hash, "$6$", "$6$rounds=999999$", 1):         `Secret "p", entry "password" cannot be used as the hash of a password: the rounds of SHA-512 crypt are out of bounds; allowed are 1000 to 500000`,
		"$argon2id$v=19$m=65537,t=2,p=1$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5": `Secret "p", entry "password" cannot be used as the hash of a password: argon2id parameters are out of bounds; allowed are m=1024 to 65536, t=1 to 16, p=1 to 16`,
	} {
		c := resolve(t, secrets(secret("p", "password", entry)), hashFrom("p", ""), nil)
		if c.Password != nil || len(c.Problems) != 1 || c.Problems[0] != (Problem{Reason: v1alpha1.ReasonInvalidPassword, Message: say}) {
			t.Errorf("%q: %+v, problems %q", entry, c.Password, c.Problems)
		}
	}
}

// A hash where a plaintext password is expected would be a password that no client knows.
func TestHashInThePlaceOfAPassword(t *testing.T) {
	c := resolve(t, secrets(secret("p", "password", bcryptHash)), passwordFrom("p", ""), nil)
	want := `Secret "p", entry "password" holds the hash of a password; set spec.authentication.passwordSecretRef.format to Hash, or put the password there`
	if c.Password != nil || len(c.Problems) != 1 || c.Problems[0].Message != want {
		t.Errorf("%+v, problems %q", c.Password, c.Problems)
	}
}

// Once the password itself becomes known, a foreign hash of it is replaced by one of the operator's.
func TestForeignHashGivesWay(t *testing.T) {
	old := resolve(t, secrets(secret("p", "password", bcryptHash)), hashFrom("p", ""), nil).Password
	now := resolve(t, secrets(secret("p", "password", "correct horse")), passwordFrom("p", ""), old).Password
	if h, err := password.Parse(now.Hash); err != nil || !password.IsNew(h) || !verifies(t, now, "correct horse") {
		t.Errorf("%+v", now)
	}
}

// A password that is too short for the listener is left out; characters count, not bytes.
func TestShortPassword(t *testing.T) {
	for plain, ok := range map[string]bool{"12345678": true, "1234567": false, "pässwörd": true, "pässwör": false} {
		c := resolve(t, secrets(secret("p", "password", plain)), passwordFrom("p", ""), nil)
		got := c.FilterByRules(Rules{MinPasswordLength: 8})
		if ok != (got.Password != nil) || ok != (len(got.Problems) == 0) {
			t.Errorf("%q: %+v, problems %v", plain, got.Password, got.Problems)
		}
		want := Problem{v1alpha1.ReasonInvalidPassword, `The password in Secret "p" has fewer than 8 characters, which the listener requires (its spec.authentication.passwordPolicy); put a longer one there`}
		if !ok && got.Problems[0] != want {
			t.Errorf("%q: problem %q", plain, got.Problems[0])
		}
		if c.Password == nil {
			t.Error("the original has changed")
		}
	}
}
