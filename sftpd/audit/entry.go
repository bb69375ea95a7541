// Package audit writes the audit log: one JSON object per line for each login, refusal, transfer and change to a file.
// docs/audit-log.md describes it.
package audit

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Event is the kind of an entry.
type Event string

// Events.
const (
	// Login: a user logged in. LoginRefused: a credential was refused, or a connection
	// ended without a login. Logout ends what Login began.
	Login        Event = "login"
	LoginRefused Event = "login_refused"
	Logout       Event = "logout"
	// SessionRevoked: the daemon closed a session; Reason says why. A Logout follows.
	SessionRevoked Event = "session_revoked"
	// ConnectionRefused: a connection was closed before a user was named.
	ConnectionRefused Event = "connection_refused"
	// Transfer is a file that was opened and closed. Operation is a change to the tree, or any request refused for lack of
	// permission.
	Transfer  Event = "transfer"
	Operation Event = "operation"
	// TransferOpen is a file that has been open for a long time and still is. A Transfer follows.
	TransferOpen Event = "transfer_open"
	// FileExpired is a file, or an empty directory, that retention deleted.
	FileExpired Event = "file_expired"
)

// Results.
const (
	OK      = "ok"
	Refused = "refused"
	Failed  = "failed"
	Aborted = "aborted"
)

// Entry is one line of the audit log. Empty fields are left out.
type Entry struct {
	// Event, and its Result: OK, Refused, Failed or Aborted.
	Event  Event
	Result string
	// Reason for a result that is not OK, in one word or a short sentence.
	Reason string
	// Detail is a sentence with more information for people.
	Detail string

	// Connection is random and the same in all lines of one connection.
	Connection string
	// Source is the client's address and port; a network for a line with a Count.
	Source string
	// Proxy is the address and port of the proxy that the client came through.
	Proxy string
	// Count is how often a refusal, or a failure of an operation, was repeated since its last line, 0 in a line for a
	// single one.
	Count int
	// ClientVersion is the client's identification (RFC 4253 section 4.2).
	ClientVersion string
	// User is the login name as the client gave it, known or not.
	User string
	// Account is "namespace/name" of the SFTPUser, if the user is known.
	Account string
	// Methods that succeeded, in order, followed by the one that was refused.
	Methods []string
	// KeyFingerprint is that of the key used, FurtherKeyFingerprints those of further ones.
	// KeysOffered are the fingerprints of keys that a refused connection tried.
	KeyFingerprint         string
	FurtherKeyFingerprints []string
	KeysOffered            []string
	// CertificateCA is the fingerprint of the CA that signed the certificate of that key, or
	// of the last of KeysOffered; CertificateKeyID and CertificateSerial are the
	// certificate's. The serial number is a decimal string: it does not fit into the numbers
	// of most JSON readers.
	CertificateCA, CertificateKeyID, CertificateSerial string
	// KeyExchange, Cipher and MAC negotiated for a login; an authenticated cipher has no
	// MAC. The last two are the signature algorithms of the host and of the user's key.
	KeyExchange, Cipher, MAC             string
	HostKeyAlgorithm, PublicKeyAlgorithm string

	// Operation is the SFTP request's name.
	Operation string
	// Direction of a transfer: download, upload or both.
	Direction string
	// Path and Target are in the user's tree, never on the host.
	Path, Target string
	// BytesRead were sent to the client or hashed for it, BytesWritten received from it.
	BytesRead, BytesWritten uint64
	// SHA256 of a file that was uploaded, in hexadecimal.
	SHA256 string
	// Left is what remains of a file that was written and not completed: kept or deleted.
	Left string
	// Created: opening created the file. Truncated: opening truncated or replaced it.
	Created, Truncated bool
	// Set is the attributes that a request asked to set.
	Set event.Attributes
	// Rule of retention that deleted a file, Volume that it was on, its Size, and when it was Uploaded. Path is below the
	// volume. Directory is set for an empty directory.
	Rule, Volume string
	Size         int64
	Uploaded     time.Time
	Directory    bool
	// Duration of a transfer or a session.
	Duration time.Duration
}
