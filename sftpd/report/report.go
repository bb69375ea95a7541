// Package report turns what the SFTP sessions of a connection do into events, and charges the user for their lines in the
// audit log. Failures in quick succession are tallied; files that stay open are logged while they are open.
package report

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// A file that stays open gets a line in the audit log after openFirst, and then every openAgain, so what was read and written
// until then is known even if the process is killed. Files that are copied in seconds have only the line at the end.
const (
	openFirst = 10 * time.Second
	openAgain = 5 * time.Minute
)

// lineBase is roughly the size of an audit line without its paths.
const lineBase = 500

// Reporter is the reporter of one connection. It is safe for concurrent use.
type Reporter struct {
	of     *event.Connection
	emit   func(event.Event)
	charge func(bytes int)

	failures failures
}

// New returns the reporter of a connection with a completed login. It passes events to emit, which may wait, and the
// approximate length of each event's audit line to charge.
func New(of *event.Connection, emit func(event.Event), charge func(bytes int)) *Reporter {
	return &Reporter{of: of, emit: emit, charge: charge}
}

// Observe reports what a session did.
func (r *Reporter) Observe(e sftp.Event) {
	switch e := e.(type) {
	case sftp.Transfer:
		r.transfer(e)
	case sftp.Operation:
		r.operation(e)
	}
}

// StillOpen reports files that a session has had open for a long time. It returns when the next one has to be reported, the
// zero time if none is open.
func (r *Reporter) StillOpen(s *sftp.Session, now time.Time) (next time.Time) {
	long, next := s.LongOpen(now, openFirst, openAgain)
	for _, t := range long {
		r.line(event.TransferOpen{Connection: r.of, File: fileOf(t)}, t.Path)
	}
	return next
}

// End reports the failures that have no line yet. Later ones get their own lines.
func (r *Reporter) End() { r.emitCounted(r.failures.take(true)) }

// emitCounted emits an event for each kind of failure that was counted.
func (r *Reporter) emitCounted(counted map[failure]int) {
	for f, n := range counted {
		r.line(event.OperationsFailed{Connection: r.of, Operation: f.operation, Result: f.result, Status: f.status, Count: n})
	}
}

// line emits an event that has a line in the audit log.
func (r *Reporter) line(e event.Event, paths ...string) {
	r.emit(e)
	size := lineBase
	for _, p := range paths {
		size += audit.PathSize(p)
	}
	r.charge(size)
}

func (r *Reporter) transfer(t sftp.Transfer) {
	e := event.Transfer{
		Connection: r.of, File: fileOf(t), Result: event.OK, SHA256: t.SHA256, Left: string(t.Left),
		Created: t.Created, Truncated: t.Truncated,
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
	r.line(e, t.Path)
}

func fileOf(t sftp.Transfer) event.File {
	return event.File{
		Path: t.Path, Direction: string(t.Direction), BytesRead: t.BytesRead, BytesWritten: t.BytesWritten, Duration: t.Duration,
	}
}

func (r *Reporter) operation(o sftp.Operation) {
	e := event.Operation{
		Connection: r.of, Operation: o.Op, Path: o.Path, Target: o.Target, BytesRead: o.BytesRead, Set: attributes(o.Changes),
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
		!r.failures.count(failure{e.Operation, e.Result, e.Status}, time.Now(), func() { r.emitCounted(r.failures.take(false)) })
	if e.Tallied {
		r.emit(e)
		return
	}
	r.line(e, o.Path, o.Target)
}

// attributes returns the attributes that a request set, for the audit log.
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
