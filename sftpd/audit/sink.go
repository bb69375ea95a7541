package audit

import (
	"context"
	"strconv"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Emit implements event.Sink: it writes the line of an event, and waits for the writer. Refusals do not wait: they are
// tallied, and written by Run. Events that are only counted have no line. A nil Log discards all.
func (l *Log) Emit(e event.Event) {
	if l == nil {
		return
	}
	switch e := e.(type) {
	case event.ConnectionRefused:
		x := entryOf(ConnectionRefused, Refused, string(e.Reason), e.Connection)
		x.Detail = e.Detail
		l.tally(x, e.Connection)
	case event.LoginRefused:
		x := entryOf(LoginRefused, Refused, string(e.Reason), e.Connection)
		x.Detail, x.KeysOffered = e.Detail, e.KeysOffered
		if e.Reason == event.LoginPenalized {
			l.tally(x, e.Connection) // hopeless attempts may continue for a long time
			return
		}
		l.Write(x)
	case event.Login:
		x := entryOf(Login, OK, "", e.Connection)
		x.Detail = e.Detail
		x.KeyExchange, x.Cipher, x.MAC = e.Algorithms.KeyExchange, e.Algorithms.Cipher, e.Algorithms.MAC
		x.HostKeyAlgorithm, x.PublicKeyAlgorithm = e.Algorithms.HostKey, e.Algorithms.PublicKey
		l.Write(x)
	case event.SessionRevoked:
		l.Write(entryOf(SessionRevoked, OK, string(e.Reason), e.Connection))
	case event.Logout:
		x := entryOf(Logout, OK, string(e.Reason), e.Connection)
		x.Duration = e.Duration
		l.Write(x)
	default:
		l.emitOfFile(e)
	}
}

// emitOfFile is Emit for files: those events are frequent, so their lines say less about the connection.
func (l *Log) emitOfFile(e event.Event) {
	switch e := e.(type) {
	case event.Transfer:
		x := entryOf(Transfer, string(e.Result), e.Error, e.Connection)
		x.file(e.File)
		x.SHA256, x.Left, x.Created, x.Truncated = e.SHA256, e.Left, e.Created, e.Truncated
		l.Write(x)
	case event.TransferOpen:
		x := entryOf(TransferOpen, OK, "", e.Connection)
		x.file(e.File)
		l.Write(x)
	case event.Operation:
		if e.Tallied {
			return
		}
		x := entryOf(Operation, string(e.Result), e.Status, e.Connection)
		x.Operation, x.Path, x.Target, x.BytesRead, x.Set = e.Operation, e.Path, e.Target, e.BytesRead, e.Set
		l.Write(x)
	case event.OperationsFailed:
		x := entryOf(Operation, string(e.Result), e.Status, e.Connection)
		x.Operation, x.Count = e.Operation, e.Count
		l.Write(x)
	case event.FileExpired:
		l.Write(Entry{
			Event: FileExpired, Result: OK, Account: e.Account, Path: e.Path,
			Rule: e.Rule, Volume: e.Volume, Size: e.Size, Uploaded: e.Uploaded, Directory: e.Directory,
		})
	}
}

// Run writes refusals until ctx ends, and then those that are left.
func (l *Log) Run(ctx context.Context) { l.refusals.run(ctx) }

// tally queues a refusal unless the same one was written recently. It does not wait for the writer.
func (l *Log) tally(e Entry, c *event.Connection) {
	l.refusals.add(e, Refusal{Event: e.Event, Reason: e.Reason, Source: c.Network})
}

// entryOf starts a line with what is known about the connection.
func entryOf(of Event, result, reason string, c *event.Connection) Entry {
	e := Entry{
		Event: of, Result: result, Reason: reason,
		Connection: c.ID, Source: c.Source, Proxy: c.Proxy,
		User: c.User, Account: c.Account, Methods: c.Methods,
	}
	if len(c.Keys) > 0 {
		e.KeyFingerprint, e.FurtherKeyFingerprints = c.Keys[0], c.Keys[1:]
	}
	if of == Transfer || of == TransferOpen || of == Operation {
		return e
	}
	e.ClientVersion = c.ClientVersion
	if x := c.Certificate; x != nil {
		e.CertificateCA, e.CertificateKeyID, e.CertificateSerial = x.CA, x.KeyID, strconv.FormatUint(x.Serial, 10)
	}
	return e
}

func (e *Entry) file(f event.File) {
	e.Path, e.Direction = f.Path, f.Direction
	e.BytesRead, e.BytesWritten, e.Duration = f.BytesRead, f.BytesWritten, f.Duration
}
