package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestCreateOnlyUploads: a client uploads under a temporary name, sets its times and renames it, with a new name each time.
func TestCreateOnlyUploads(t *testing.T) {
	t.Parallel()
	for _, publish := range []string{"", config.PublishOnClose} {
		dir := configtest.New(t)
		dir.Listener.Uploads.Publish = publish
		u := dir.AddUser("ada", "secret")
		u.Mounts[0].Access = config.CreateOnly
		d := daemontest.Start(t, dir)
		put := func(files *sftp.Client, name, temporary string) error {
			f, err := files.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
			if err != nil {
				return err
			}
			_, err = f.Write([]byte("content"))
			if err = errors.Join(err, f.Close(), files.Chtimes(temporary, time.Now(), time.Unix(1e9, 0))); err != nil || name == temporary {
				return err
			}
			return files.PosixRename(temporary, name)
		}
		c := d.MustDial(t, "ada", ssh.Password("secret"))
		files := daemontest.StartSFTP(t, c)
		if err := errors.Join(put(files, "/a.csv", "/a.csv.filepart"), put(files, "/b.csv", "/b.csv")); err != nil {
			t.Error(publish, err)
		}
		if err := put(files, "/a.csv", "/again.filepart"); err == nil {
			t.Errorf("%s: a.csv was replaced", publish)
		}
		if err := put(files, "/b.csv", "/b.csv"); err == nil {
			t.Errorf("%s: b.csv was replaced", publish)
		}
		other := daemontest.StartSFTP(t, d.MustDial(t, "ada", ssh.Password("secret")))
		for what, err := range map[string]error{
			"rename": other.Rename("/a.csv", "/c.csv"), "truncate": other.Truncate("/a.csv", 0), "remove": other.Remove("/a.csv"),
			"own, remove": files.Remove("/a.csv"), "own, truncate": files.Truncate("/a.csv", 0),
		} {
			if !errors.Is(err, os.ErrPermission) {
				t.Errorf("%s: %s: %v", publish, what, err)
			}
		}
		for _, name := range []string{"a.csv", "b.csv"} {
			if got, err := os.ReadFile(filepath.Join(dir.Home("ada"), name)); err != nil || string(got) != "content" {
				t.Errorf("%s: %s: %q, %v", publish, name, got, err)
			}
		}
	}
}
