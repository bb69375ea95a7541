package server_test

import (
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

func TestLoginAndTransfer(t *testing.T) {
	dir := configtest.New(t)
	key, _ := configtest.Key(t)
	dir.AddUser("ada", "secret", key.PublicKey())
	d := daemontest.Start(t, dir)
	c := d.MustDial(t, "ada", ssh.PublicKeys(key))
	fs, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("/hello.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	d.WaitAudit(t, "logout", 1)
	t.Log(d.RawAudit())
}
