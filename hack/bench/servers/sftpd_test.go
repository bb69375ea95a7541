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
	for _, f := range append([]Features{Plain}, Featured...) {
		dir := filepath.Join(t.TempDir(), "config")
		if err := writeConfig(dir, t.TempDir(), key, f); err != nil {
			t.Fatal(err)
		}
		set, err := config.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Rejected) != 0 || len(set.Users) != 1 || !slices.Equal(set.Users[0].Methods, []string{"PublicKey", "Password"}) {
			t.Errorf("%s: rejected %v, users %+v", f.Label, set.Rejected, set.Users)
		}
		l := set.Listener
		has := Features{f.Label, l.Uploads.Publish == config.PublishOnClose, l.Events.On(), l.Uploads.Checksum == config.ChecksumSHA256, l.Receipts.On()}
		if has != f {
			t.Errorf("got the configuration %+v, want %+v", has, f)
		}
	}
}
