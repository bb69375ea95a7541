package audit

import (
	"io"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// SchemaVersion is the version of docs/audit-log.schema.json, and in each line. Removing or
// renaming a field, or changing its meaning, increases it; adding a field does not.
const SchemaVersion = 1

// maxDetail is a limit in bytes, in addition to those of package event.
const maxDetail = 1024

// Limits on the size of a text in a line, where a character may be escaped to six bytes and bytes that are not UTF-8 appear
// twice. A whole line stays below 16 KiB: container runtimes split longer ones, which breaks programs that read lines.
const (
	maxNameEscaped   = 3 * event.MaxName
	maxDetailEscaped = 2 * maxDetail
	maxPathEscaped   = event.MaxPath + 512
)

// Log writes entries. It is safe for concurrent use. Nil discards them.
type Log struct {
	// endpoint returns the listener's namespace and name.
	endpoint func() (namespace, name string)
	refusals *refusals

	mu  sync.Mutex // held while a line is written
	out *writer
}

// New returns a Log that writes to w, with one call of Write per line. No event is dropped:
// a blocked writer keeps its session waiting.
func New(w io.Writer, endpoint func() (namespace, name string)) *Log {
	l := &Log{out: newWriter(w), endpoint: endpoint}
	l.refusals = newRefusals(l)
	return l
}

// Write writes an entry with the current time. It waits for as long as the writer does. Lines that the writer refuses are
// counted: see Failures.
func (l *Log) Write(e Entry) {
	if l == nil {
		return
	}
	made, _ := lines.Get().(*line)
	defer lines.Put(made)
	made.begin(time.Now())
	namespace, name := l.endpoint()
	made.entry(&e, namespace, name)
	made.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(made.text) // the writer counts its errors
}

// entry adds the fields of an entry and of the listener.
func (l *line) entry(e *Entry, namespace, name string) {
	l.number("schema", SchemaVersion)
	l.word("event", string(e.Event))
	l.word("result", e.Result)
	l.limited("reason", e.Reason, event.MaxName, maxNameEscaped)
	l.limited("detail", e.Detail, maxDetail, maxDetailEscaped)
	l.word("namespace", namespace)
	l.word("listener", name)
	l.word("connection", e.Connection)
	l.word("source", e.Source)
	l.word("proxy", e.Proxy)
	if e.Count > 0 {
		l.number("count", int64(e.Count))
	}
	l.limited("client_version", e.ClientVersion, event.MaxName, maxNameEscaped)
	l.limited("user", e.User, event.MaxName, maxNameEscaped)
	l.word("account", e.Account)
	l.words("methods", e.Methods)
	l.word("key_fingerprint", e.KeyFingerprint)
	l.words("further_key_fingerprints", e.FurtherKeyFingerprints)
	l.words("keys_offered", e.KeysOffered)
	l.word("certificate_ca", e.CertificateCA)
	l.limited("certificate_key_id", e.CertificateKeyID, event.MaxName, maxNameEscaped)
	l.word("certificate_serial", e.CertificateSerial)
	l.word("key_exchange", e.KeyExchange)
	l.word("cipher", e.Cipher)
	l.word("mac", e.MAC)
	l.word("host_key_algorithm", e.HostKeyAlgorithm)
	l.word("public_key_algorithm", e.PublicKeyAlgorithm)
	l.file(e)
}

// file adds the fields of an entry that are about a file, and the duration.
func (l *line) file(e *Entry) {
	l.word("operation", e.Operation)
	l.word("direction", e.Direction)
	l.limited("path", e.Path, event.MaxPath, maxPathEscaped)
	l.limited("target", e.Target, event.MaxPath, maxPathEscaped)
	transfer := e.Event == Transfer || e.Event == TransferOpen
	if transfer || e.Event == Operation && e.BytesRead > 0 {
		l.bytes("bytes_read", e.BytesRead)
	}
	if transfer {
		l.bytes("bytes_written", e.BytesWritten)
	}
	l.word("sha256", e.SHA256)
	l.word("left", e.Left)
	l.is("created", e.Created)
	l.is("truncated", e.Truncated)
	l.set(e.Set)
	if transfer || e.Event == Logout {
		l.number("duration_ms", e.Duration.Milliseconds())
	}
	if e.Event == FileExpired {
		l.expired(e)
	}
}
