package server_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// start runs a daemon for ada, whose password is "secret", with what change does to its configuration, nil for nothing.
func start(t *testing.T, change func(*configtest.Dir), adjust ...func(*server.Server)) (*daemontest.Daemon, *configtest.Dir) {
	t.Helper()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	if change != nil {
		change(dir)
	}
	return daemontest.Start(t, dir, adjust...), dir
}

// inTime tries something that ends or begins soon with ever more time, until it was in time: what a machine that has other
// things to do does too late says nothing of the daemon.
func inTime(t *testing.T, soon time.Duration, try func(soon time.Duration) (ok bool)) {
	t.Helper()
	for range 5 {
		if try(soon) {
			return
		}
		soon *= 2
	}
	t.Fatalf("not in time with %s: the machine is too slow for this test", soon/2)
}

// use logs in and looks at files. It is for a login that may come too late, which is for the caller to judge.
func use(d *daemontest.Daemon, user string, methods ...ssh.AuthMethod) (*ssh.Client, error) {
	c, err := d.Dial(user, methods...)
	if err != nil {
		return nil, err
	}
	files, err := sftp.NewClient(c)
	if err == nil {
		_, err = files.ReadDir("/")
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}
