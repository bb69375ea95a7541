package events

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of an event.
const (
	// MaxSize is the maximum size of an encoded event in bytes. CloudEvents obliges intermediaries to forward 64 KiB.
	MaxSize = 16 << 10
	// MaxPath is the maximum size of a path in an event, in bytes. A longer one, which no system call accepts, is cut; its
	// length is then in path_length.
	MaxPath = 4096
	// MaxSubject is the maximum size of a subject in bytes. Data contains the whole path.
	MaxSubject = 1024
	// maxName bounds every other string.
	maxName = 512
)

// SpecVersion is the version of CloudEvents.
const SpecVersion = "1.0"

// ContentType is the media type of an event in structured JSON, and DataContentType that of its data.
const (
	ContentType     = "application/cloudevents+json"
	DataContentType = "application/json"
)

// Event is a CloudEvents event. The JSON encoding is the structured one.
type Event struct {
	SpecVersion string `json:"specversion"`
	// ID is unique, and the same in each delivery. It is random, except for keys: see [KeyID].
	ID string `json:"id"`
	// Source names the SFTPListener: https://<cluster>/apis/sftp-operator.io/v1alpha1/namespaces/<ns>/sftplisteners/<name>.
	Source string `json:"source"`
	Type   Type   `json:"type"`
	// Subject is <namespace>/<user>/<path in the user's tree>, <namespace>/<user> for a login or a key, or <volume>/<path> for a
	// file that expired. See [Subject].
	Subject string    `json:"subject,omitempty"`
	Time    time.Time `json:"time"`

	DataContentType string `json:"datacontenttype"`
	// PartitionKey is namespace/name of the SFTPUser: events of a pod with the same key are delivered in order.
	PartitionKey string `json:"partitionkey,omitempty"`
	// Sequence increases with each event of a pod, and has 20 decimal digits so that it sorts as a string. It starts at the current
	// time in microseconds, so the events of several pods sort by the pods' clocks.
	Sequence string `json:"sequence"`
	// AuthType and AuthID are those of the CloudEvents extension for authentication contexts. AuthID is namespace/name
	// of the SFTPUser.
	AuthType string `json:"authtype,omitempty"`
	AuthID   string `json:"authid,omitempty"`

	Data Data `json:"data"`
}

// Values of AuthType.
const (
	AuthUser            = "app_user"
	AuthUnauthenticated = "unauthenticated"
	AuthSystem          = "system"
)

// Data describes what happened. Empty fields are left out.
type Data struct {
	// Listener and User are namespace/name of the SFTPListener and the SFTPUser, Login the login name.
	Listener string `json:"listener"`
	User     string `json:"user,omitempty"`
	Login    string `json:"login,omitempty"`

	// Path is in the user's tree. PathBase64 is set instead if the path is not UTF-8, has control characters, or would be too
	// long in JSON. PathLength is the path's length in bytes if it was cut.
	Path       string `json:"path,omitempty"`
	PathBase64 string `json:"path_base64,omitempty"`
	PathLength int    `json:"path_length,omitempty"`
	// OriginalPath is the name before a rename.
	OriginalPath       string `json:"original_path,omitempty"`
	OriginalPathBase64 string `json:"original_path_base64,omitempty"`
	OriginalPathLength int    `json:"original_path_length,omitempty"`

	// Size of the file in bytes, nil if it is not known.
	Size *int64 `json:"size,omitempty"`
	// SHA256 of the file's content in hexadecimal, if it was computed.
	SHA256 string `json:"sha256,omitempty"`
	// Replaced: the upload replaced or changed a file that had the name before.
	Replaced bool `json:"replaced,omitempty"`
	// BytesRead were sent to the client, BytesWritten received from it.
	BytesRead    uint64 `json:"bytes_read,omitempty"`
	BytesWritten uint64 `json:"bytes_written,omitempty"`
	// Reason is why something failed or was refused, as in the audit log.
	Reason string `json:"reason,omitempty"`
	// Left is what happened to the file of an upload that failed: kept or deleted.
	Left string `json:"left,omitempty"`
	// Recovered: the daemon was killed while the file was published, and the outcome was established afterward.
	Recovered bool `json:"recovered,omitempty"`

	// Volume is the volume's name; if it is set, Path is below the volume instead of in a user's tree. Rule is the rule of
	// retention, Uploaded is when the file was uploaded, and Directory is set for an empty directory.
	Volume    string    `json:"volume,omitempty"`
	Rule      string    `json:"rule,omitempty"`
	Uploaded  time.Time `json:"uploaded,omitzero"`
	Directory bool      `json:"directory,omitempty"`

	// Fingerprint of a key, as OpenSSH prints it, and Expires when it expires.
	Fingerprint string    `json:"fingerprint,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`

	// Connection is the connection's ID in the audit log, SourceAddress the client's address and port.
	Connection    string `json:"connection,omitempty"`
	SourceAddress string `json:"source_address,omitempty"`
	// Methods are the authentication methods of a login.
	Methods []string `json:"methods,omitempty"`
	// Receipt is a signed receipt for the upload, if the listener issues them: a DSSE envelope, see package receipt.
	Receipt json.RawMessage `json:"receipt,omitempty"`
}

// SetPath sets Path, or PathBase64.
func (d *Data) SetPath(p string) {
	d.Path, d.PathBase64, d.PathLength = pathFields(p)
}

// SetOriginalPath sets OriginalPath, or OriginalPathBase64.
func (d *Data) SetOriginalPath(p string) {
	d.OriginalPath, d.OriginalPathBase64, d.OriginalPathLength = pathFields(p)
}

// FullPath returns the path's bytes, whichever field has them.
func (d *Data) FullPath() (string, error) { return fullPath(d.Path, d.PathBase64) }

// FullOriginalPath is FullPath for the original path.
func (d *Data) FullOriginalPath() (string, error) {
	return fullPath(d.OriginalPath, d.OriginalPathBase64)
}

func fullPath(text, encoded string) (string, error) {
	if encoded == "" {
		return text, nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return string(raw), err
}

func pathFields(p string) (text, encoded string, length int) {
	if len(p) > MaxPath {
		length, p = len(p), cut(p, MaxPath)
	}
	if plain(p) {
		return p, "", length
	}
	return "", base64.StdEncoding.EncodeToString([]byte(p)), length
}

// plain reports whether a path can be in JSON unchanged, with at most as many bytes as in base64.
func plain(p string) bool {
	escapes := 0
	for i, r := range p {
		switch {
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(p[i:]); n == 1 {
				return false
			}
		case !allowed(r):
			return false
		case r == '"' || r == '\\':
			escapes++
		case r == '\u2028' || r == '\u2029': // encoding/json escapes them
			escapes += 3
		}
	}
	return escapes <= MaxPath/3
}

// allowed reports whether CloudEvents allows a character in a string: no control characters, and no noncharacters.
func allowed(r rune) bool {
	return !unicode.IsControl(r) && r&0xFFFE != 0xFFFE && (r < 0xFDD0 || r > 0xFDEF)
}

// cut shortens s to at most limit bytes without splitting a UTF-8 character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Subject returns the subject of an event about a path, or about a user if path is empty. Bytes that CloudEvents does not
// allow in a string become U+FFFD, and a long one is cut: subjects are for filters and people, and data has the exact path.
func Subject(namespace, name, path string) string {
	s := namespace + "/" + name
	if path != "" {
		s += "/" + strings.TrimPrefix(cut(path, MaxPath), "/")
	}
	return Text(s, MaxSubject)
}

// Text returns s with U+FFFD in place of everything that CloudEvents does not allow in a string, cut to limit bytes.
func Text(s string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		if !allowed(r) {
			return utf8.RuneError
		}
		return r
	}, cut(s, limit))
	return cut(strings.ToValidUTF8(clean, "\uFFFD"), limit)
}
