package server

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// lineBase is about what a line of the audit log has without its paths.
const lineBase = 500

// charge charges the user with a line of the audit log that was caused after the login.
func (c *conn) charge(path, target string) {
	c.account.Logged(lineBase + audit.PathSize(path) + audit.PathSize(target))
}

// observe emits what an SFTP session did.
func (c *conn) observe(e sftp.Event) {
	switch e := e.(type) {
	case sftp.Transfer:
		c.observeTransfer(e)
	case sftp.Operation:
		c.observeOperation(e)
	}
}

func (c *conn) observeTransfer(t sftp.Transfer) {
	e := event.Transfer{
		Connection: c.describe(), File: fileOf(t), Result: event.OK, Left: string(t.Left), Created: t.Created, Truncated: t.Truncated,
	}
	switch t.Result {
	case sftp.Failed:
		e.Result = event.Failed
	case sftp.Aborted:
		e.Result = event.Aborted
	case sftp.Completed:
	}
	if t.Err != nil {
		e.Error = t.Err.Error()
	}
	c.server.emit(e)
	c.charge(t.Path, "")
}

func fileOf(t sftp.Transfer) event.File {
	return event.File{
		Path: t.Path, Direction: string(t.Direction), BytesRead: t.BytesRead, BytesWritten: t.BytesWritten, Duration: t.Duration,
	}
}

func (c *conn) observeOperation(o sftp.Operation) {
	e := event.Operation{
		Connection: c.describe(), Operation: o.Op, Path: o.Path, Target: o.Target, BytesRead: o.BytesRead, Set: attributes(o.Changes),
	}
	switch o.Status {
	case sftp.StatusOK:
		e.Result = event.OK
	case sftp.StatusPermissionDenied:
		e.Result, e.Status = event.WasRefused, o.Status.String()
	default:
		e.Result, e.Status = event.Failed, o.Status.String()
	}
	e.Tallied = o.BytesRead == 0 && e.Result != event.OK &&
		!c.failures.count(failure{e.Operation, e.Result, e.Status}, time.Now(), func() { c.emitFailures(false) })
	c.server.emit(e)
	if !e.Tallied {
		c.charge(o.Path, o.Target)
	}
}

// attributes are those that a request set, for the audit log.
func attributes(c vfs.Changes) (set event.Attributes) {
	if c.Set&vfs.SetSize != 0 {
		set.Size = strconv.FormatUint(c.Size, 10)
	}
	if c.Set&vfs.SetOwner != 0 {
		set.Owner = fmt.Sprintf("%d:%d", c.UID, c.GID)
	}
	if c.Set&vfs.SetMode != 0 {
		set.Mode = fmt.Sprintf("%04o", c.Mode&0o7777)
	}
	if c.Set&vfs.SetTimes != 0 {
		set.Atime = time.Unix(c.Atime, 0).UTC().Format(time.RFC3339)
		set.Mtime = time.Unix(c.Mtime, 0).UTC().Format(time.RFC3339)
	}
	return set
}
