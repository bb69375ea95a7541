package servers

import (
	"crypto/ed25519"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// The user can log in with only its key or only its password: both are measured.
func TestConfiguration(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "config")
	if err := writeConfig(dir, t.TempDir(), key); err != nil {
		t.Fatal(err)
	}
	set, err := config.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Rejected) != 0 || len(set.Users) != 1 || !slices.Equal(set.Users[0].Methods, []string{"PublicKey", "Password"}) {
		t.Errorf("rejected %v, users %+v", set.Rejected, set.Users)
	}
}
