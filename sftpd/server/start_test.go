package server_test

import (
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// start runs a daemon for ada, whose password is "secret", with what change does to its configuration, nil for nothing.
func start(t *testing.T, change func(*configtest.Dir)) (*daemontest.Daemon, *configtest.Dir) {
	t.Helper()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	if change != nil {
		change(dir)
	}
	return daemontest.Start(t, dir), dir
}
