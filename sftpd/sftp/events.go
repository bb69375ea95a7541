package sftp

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// Event is something for the audit log: a [Transfer] or an [Operation]. The session's
// goroutine reports it and waits: observers must be quick.
type Event interface{ event() }

// Direction is what a file was used for, or opened for if it was not used.
type Direction string

// The directions of a transfer, as seen by the client.
const (
	Download Direction = "download"
	Upload   Direction = "upload"
	Both     Direction = "both"
)

// Result is how a transfer ended.
type Result string

const (
	// Completed: the client closed the file. Version 3 does not say whether it read or
	// wrote all that it wanted to.
	Completed Result = "completed"
	// Failed: a read, write, sync or close failed; Transfer.Err is the first error.
	Failed Result = "failed"
	// Aborted: the session ended with the file open.
	Aborted Result = "aborted"
)

// Transfer describes the use of one open file, reported when it is closed.
type Transfer struct {
	Path         string // virtual and clean, as it was opened
	Direction    Direction
	BytesRead    uint64 // sent to the client, hashed for it, or copied by copy-data
	BytesWritten uint64 // received from the client, or copied
	SHA256       string // of what was uploaded, in hexadecimal; "" if it is not known
	Start        time.Time
	Duration     time.Duration
	Result       Result
	Err          error // nil unless Failed; holds no host path
	// Left is what remains of a file that was written and not completed.
	Left vfs.Leftover
	// Created: opening created the file. Truncated: opening it emptied it, or began to replace it.
	Created, Truncated bool
}

// Operation is a change to the tree or the hash of a file, done or refused, or any other request that was refused with
// SSH_FX_PERMISSION_DENIED. A successful OPEN is not one: its Transfer follows.
type Operation struct {
	Op     string // the request's name, as in OpenSSH's sftp-server -Q requests
	Path   string // virtual and clean; empty if the request was refused unread
	Target string // the new name of a rename, link or copy, also clean; the target of a symlink as sent
	Status Status
	// BytesRead of the file were hashed. For an open file, its Transfer includes them.
	BytesRead uint64
	// Changes are the attributes that a SETSTAT-like request asked to set.
	Changes vfs.Changes
}

func (Transfer) event()  {}
func (Operation) event() {}
