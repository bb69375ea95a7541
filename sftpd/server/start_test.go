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

// start runs a daemon for ada, whose password is "secret", with a configuration that change modifies; nil changes nothing.
func start(t *testing.T, change func(*configtest.Dir), adjust ...func(*server.Server)) (*daemontest.Daemon, *configtest.Dir) {
	t.Helper()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	if change != nil {
		change(dir)
	}
	return daemontest.Start(t, dir, adjust...), dir
}

// connected waits until the daemon has this many connections. The line of a logout is written before its place is free, because
// the place is kept while the audit log is waited for.
func connected(t *testing.T, d *daemontest.Daemon, want float64) {
	t.Helper()
	d.Eventually(t, "connections that ended have left", func() bool { return d.Metric(t, "sftpd_connections") == want })
}

// inTime repeats a time-critical step with longer and longer periods until it was on time: a step that a busy machine runs too
// late proves nothing about the daemon.
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

// use logs in and accesses files. The login may be too late; the caller decides what that means.
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
