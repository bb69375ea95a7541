package server_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// tenants returns a configuration with two namespaces, the first of which has three users.
func tenants(t *testing.T) *configtest.Dir {
	dir := configtest.New(t)
	for _, user := range []string{"a1", "a2", "a3"} {
		dir.AddUser(user, "secret").Namespace = "team-a"
	}
	dir.AddUser("b", "secret").Namespace = "team-b"
	dir.Listener.Limits.MaxConnections = 6
	return dir
}

// refusedShare logs in where the namespace's share is used up.
func refusedShare(t *testing.T, d *daemontest.Daemon, user string) {
	t.Helper()
	lines := len(d.Audit(t, "login_refused"))
	c := d.MustDial(t, user, ssh.Password("secret"))
	heard, _ := errors.AsType[*ssh.OpenChannelError](second(c.NewSession()))
	if heard == nil || heard.Reason != ssh.ResourceShortage || !strings.Contains(heard.Message, "users of this namespace") {
		t.Errorf("%s hears %v", user, heard)
	}
	if got := d.WaitAudit(t, "login_refused", lines+1); got["reason"] != "namespace_connections" || got["user"] != user {
		t.Errorf("audit: %v", got)
	}
	c.Close()
	d.Eventually(t, "the refused connection gives its place up", func() bool { // with 6 places, the next one may need it
		return d.Metric(t, "sftpd_connections") == d.Metric(t, "sftpd_sessions")
	})
}

func works(t *testing.T, d *daemontest.Daemon, user string) *ssh.Client {
	t.Helper()
	c := d.MustDial(t, user, ssh.Password("secret"))
	daemontest.StillWorks(t, c)
	return c
}

// Without a limit, a namespace may have as many sessions as are free.
func TestShareOfANamespace(t *testing.T) {
	t.Parallel()
	d := daemontest.Start(t, tenants(t))
	works(t, d, "a1")
	works(t, d, "a2")
	last := works(t, d, "a3")
	refusedShare(t, d, "a1") // half of all
	works(t, d, "b")
	last.Close()
	connected(t, d, 3)
	works(t, d, "a2")
	refusedShare(t, d, "a3")
}

// A limit applies regardless of other namespaces, to the namespace and not to a user.
func TestNumberOfANamespace(t *testing.T) {
	t.Parallel()
	dir := tenants(t)
	for i := range dir.Users {
		u := &dir.Users[i]
		u.MaxNamespaceConnections = 4
		if u.Namespace == "team-b" {
			u.MaxNamespaceConnections = 1
		}
	}
	d := daemontest.Start(t, dir)
	for _, user := range []string{"a1", "a2", "a3", "a1", "b"} {
		works(t, d, user)
	}
	refusedShare(t, d, "a2")
	refusedShare(t, d, "b")
}

// A single namespace may use everything.
func TestNoShareOfOneNamespace(t *testing.T) {
	t.Parallel()
	dir := tenants(t)
	dir.Users = dir.Users[:3]
	d := daemontest.Start(t, dir)
	for range 2 {
		for _, user := range []string{"a1", "a2", "a3"} {
			works(t, d, user)
		}
	}
}
