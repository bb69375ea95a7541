package credentials

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/password"
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

// A new hash of the same password would close its sessions and rewrite a shard for nothing.
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

// While its Secret is broken, a password does not go on working: the user's owner may have removed it on purpose.
func TestPasswordOfABrokenSecretIsGone(t *testing.T) {
	old := &config.Password{Hash: "h", Source: "uid-p/7/password"}
	if got := resolve(t, cluster{}, passwordFrom("p", ""), old).Password; got != nil {
		t.Errorf("password %+v, want none", got)
	}
}
