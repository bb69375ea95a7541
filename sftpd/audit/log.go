package audit

import (
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

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
	handler slog.Handler
	out     *writer
	// endpoint returns the listener's namespace and name.
	endpoint func() (namespace, name string)
	refusals *refusals
}

// New returns a Log that writes to w, with one call of Write per line. No event is dropped:
// a blocked writer keeps its session waiting.
func New(w io.Writer, endpoint func() (namespace, name string)) *Log {
	options := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}}
	out := newWriter(w)
	l := &Log{handler: slog.NewJSONHandler(printable{out}, options), out: out, endpoint: endpoint}
	l.refusals = newRefusals(l)
	return l
}

// Write writes an entry with the current time. It waits for as long as the writer does. Lines that the writer refuses are
// counted: see Failures.
func (l *Log) Write(e Entry) {
	if l == nil {
		return
	}
	r := slog.NewRecord(time.Now().UTC(), slog.LevelInfo, "", 0)
	namespace, name := l.endpoint()
	a := attributes{slog.Int("schema", SchemaVersion)}
	a.word("event", string(e.Event))
	a.word("result", e.Result)
	a.text("reason", e.Reason, event.MaxName, maxNameEscaped)
	a.text("detail", e.Detail, maxDetail, maxDetailEscaped)
	a.word("namespace", namespace)
	a.word("listener", name)
	a.word("connection", e.Connection)
	a.word("source", e.Source)
	a.word("proxy", e.Proxy)
	if e.Count > 0 {
		a = append(a, slog.Int("count", e.Count))
	}
	a.text("client_version", e.ClientVersion, event.MaxName, maxNameEscaped)
	a.text("user", e.User, event.MaxName, maxNameEscaped)
	a.word("account", e.Account)
	a.words("methods", e.Methods)
	a.word("key_fingerprint", e.KeyFingerprint)
	a.words("further_key_fingerprints", e.FurtherKeyFingerprints)
	a.words("keys_offered", e.KeysOffered)
	a.word("certificate_ca", e.CertificateCA)
	a.text("certificate_key_id", e.CertificateKeyID, event.MaxName, maxNameEscaped)
	a.word("certificate_serial", e.CertificateSerial)
	a.word("key_exchange", e.KeyExchange)
	a.word("cipher", e.Cipher)
	a.word("mac", e.MAC)
	a.word("host_key_algorithm", e.HostKeyAlgorithm)
	a.word("public_key_algorithm", e.PublicKeyAlgorithm)
	a.word("operation", e.Operation)
	a.word("direction", e.Direction)
	a.text("path", e.Path, event.MaxPath, maxPathEscaped)
	a.text("target", e.Target, event.MaxPath, maxPathEscaped)
	if e.Event == Operation && e.BytesRead > 0 {
		a = append(a, slog.Uint64("bytes_read", e.BytesRead))
	}
	if e.Event == Transfer || e.Event == TransferOpen {
		a = append(a, slog.Uint64("bytes_read", e.BytesRead), slog.Uint64("bytes_written", e.BytesWritten))
	}
	a.word("sha256", e.SHA256)
	a.word("left", e.Left)
	if e.Created {
		a = append(a, slog.Bool("created", true))
	}
	if e.Truncated {
		a = append(a, slog.Bool("truncated", true))
	}
	a.set(e)
	if e.Event == Transfer || e.Event == TransferOpen || e.Event == Logout {
		a = append(a, slog.Int64("duration_ms", e.Duration.Milliseconds()))
	}
	if e.Event == FileExpired {
		a.expired(e)
	}
	r.AddAttrs(a...)
	_ = l.handler.Handle(context.Background(), r)
}

type attributes []slog.Attr

// set adds the attributes of a file that a request has set.
func (a *attributes) set(e Entry) {
	a.word("set_size", e.Set.Size)
	a.word("set_mode", e.Set.Mode)
	a.word("set_owner", e.Set.Owner)
	a.word("set_atime", e.Set.Atime)
	a.word("set_mtime", e.Set.Mtime)
}

func (a *attributes) word(key, value string) {
	if value != "" {
		*a = append(*a, slog.String(key, value))
	}
}

func (a *attributes) words(key string, values []string) {
	if len(values) > 0 {
		*a = append(*a, slog.Any(key, values))
	}
}

func (a *attributes) expired(e Entry) {
	a.word("rule", e.Rule)
	a.word("volume", e.Volume)
	*a = append(*a, slog.String("uploaded", e.Uploaded.UTC().Format(time.RFC3339)))
	if e.Directory {
		*a = append(*a, slog.Bool("directory", true))
		return
	}
	*a = append(*a, slog.Int64("size", e.Size))
}

// text adds a string from a client. JSON only holds Unicode, so bytes that are not UTF-8 would
// all read as U+FFFD: in that case key+"_base64" has the exact bytes. Text that is longer than
// limit, or would take more than escaped bytes, is cut, and key+"_length" has its length.
func (a *attributes) text(key, value string, limit, escaped int) {
	if value == "" {
		return
	}
	if short := cutEscaped(event.Cut(value, limit), escaped); len(short) < len(value) {
		*a = append(*a, slog.Int(key+"_length", len(value)))
		value = short
	}
	*a = append(*a, slog.String(key, strings.ToValidUTF8(value, "\uFFFD")))
	if !utf8.ValidString(value) {
		*a = append(*a, slog.String(key+"_base64", base64.StdEncoding.EncodeToString([]byte(value))))
	}
}
