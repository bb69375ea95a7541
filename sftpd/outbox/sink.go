package outbox

import (
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Emit implements event.Sink, for all but published files, which a Journal records. It does not wait: a kill may lose events
// that were emitted moments before, and events for which there is no room are counted.
func (b *Box) Emit(e event.Event) {
	o := b.current.Load()
	if o == nil {
		return
	}
	switch e := e.(type) {
	case event.Transfer:
		o.transfer(e)
	case event.Operation:
		if e.Result == event.OK {
			o.operation(e)
		}
	case event.FileExpired:
		if o.wantedOf(events.FileExpired, e.Account) {
			o.emit(o.expired(e), e.Account)
		}
	case event.Login:
		if o.wantedOf(events.LoginSucceeded, e.Account) {
			out := o.event(e.Connection, events.LoginSucceeded, "")
			out.Data.Methods = e.Methods
			o.emit(out, e.Account)
		}
	case event.LoginRefused:
		if o.wantedOf(events.LoginRefused, e.Account) {
			o.emit(o.refused(e), strangers) // whichever user the client names
		}
	}
}

// refused describes a refused login. Its client was not authenticated, and its user may not exist.
func (o *outbox) refused(e event.LoginRefused) *events.Event {
	out := o.event(e.Connection, events.LoginRefused, "")
	out.AuthType, out.AuthID = events.AuthUnauthenticated, ""
	out.Data.Reason, out.Data.Methods = string(e.Reason), e.Methods
	return out
}

// expired describes a file that retention deletes.
func (o *outbox) expired(e event.FileExpired) *events.Event {
	out := o.event(&event.Connection{Account: e.Account}, events.FileExpired, e.Path)
	out.Subject = events.Text(e.Volume+"/"+strings.TrimPrefix(event.Cut(e.Path, event.MaxPath), "/"), events.MaxSubject)
	out.AuthType, out.AuthID = events.AuthSystem, ""
	out.Data.Volume, out.Data.Rule, out.Data.Uploaded, out.Data.Directory = e.Volume, e.Rule, e.Uploaded.UTC(), e.Directory
	out.Data.Size = &e.Size
	return out
}

// emit records an event without waiting.
func (o *outbox) emit(e *events.Event, user string) {
	if op, err := o.record(e, user, 0, o.reserveLater); err == nil {
		o.put(op)
	}
}

func (o *outbox) transfer(e event.Transfer) {
	t := events.FileUploadFailed
	switch {
	case e.Direction == "download" && e.Result == event.OK:
		t = events.FileDownloaded
	case e.Direction == "download" || e.Result == event.OK:
		return
	}
	if !o.wantedOf(t, e.Account) {
		return
	}
	out := o.event(e.Connection, t, e.Path)
	out.Data.BytesRead, out.Data.BytesWritten, out.Data.Left = e.BytesRead, e.BytesWritten, e.Left
	if t == events.FileUploadFailed {
		if out.Data.Reason = events.Text(e.Error, event.MaxName); e.Result == event.Aborted {
			out.Data.Reason = "aborted"
		}
	}
	o.emit(out, e.Account)
}

// operations maps requests to the events that they cause when they succeed.
var operations = map[string]events.Type{
	"remove":       events.FileDeleted,
	"rename":       events.FileRenamed,
	"posix-rename": events.FileRenamed,
	"mkdir":        events.DirectoryCreated,
	"rmdir":        events.DirectoryDeleted,
}

func (o *outbox) operation(e event.Operation) {
	t, ok := operations[e.Operation]
	if !ok || !o.wantedOf(t, e.Account) {
		return
	}
	path := e.Path
	if t == events.FileRenamed {
		path = e.Target
	}
	out := o.event(e.Connection, t, path)
	if t == events.FileRenamed {
		out.Data.SetOriginalPath(e.Path)
	}
	o.emit(out, e.Account)
}
