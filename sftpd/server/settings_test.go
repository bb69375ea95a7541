package server_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestUploadsAreThoseOfTheLogin: a session keeps the upload settings of its login, even if its first channel is opened after a
// change; new sessions use the new settings.
func TestUploadsAreThoseOfTheLogin(t *testing.T) {
	t.Parallel()
	d, dir := start(t, nil)
	before := d.MustDial(t, "ada", ssh.Password("secret"))
	dir.Listener.Uploads.Publish = config.PublishOnClose
	d.Reload(t, dir)
	after := d.MustDial(t, "ada", ssh.Password("secret"))
	exists := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir.Home("ada"), name))
		return err == nil
	}
	for name, tc := range map[string]struct {
		client *ssh.Client
		there  bool
	}{"before": {before, true}, "after": {after, false}} {
		f, err := daemontest.StartSFTP(t, tc.client).Create("/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("content")); err != nil {
			t.Fatal(err)
		}
		if there := exists(name); there != tc.there {
			t.Errorf("%s the change: the upload in progress is there: %v, want %v", name, there, tc.there)
		}
		if err := f.Close(); err != nil || !exists(name) {
			t.Errorf("%s the change: closed: %v", name, err)
		}
	}
}
