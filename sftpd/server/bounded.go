package server

import (
	"context"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// lineBase is about what a line of the audit log has without its paths.
const lineBase = 500

// write writes a line that a client has caused after its login, and charges the user with it.
func (c *conn) write(e audit.Entry) {
	c.server.Audit.Write(e)
	c.charge(e)
}

func (c *conn) charge(e audit.Entry) {
	c.account.Logged(lineBase + audit.PathSize(e.Path) + audit.PathSize(e.Target))
}

// turns are the user's, for what happens in the volumes.
func (c *conn) turns(ctx context.Context) vfs.Option {
	return vfs.WithTurns(func() (func(), error) { return c.account.Turn(ctx) })
}
