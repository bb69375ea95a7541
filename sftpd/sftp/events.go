package sftp

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// Event is something for the audit log: a [Transfer] or an [Operation]. It is
// reported by the session's goroutine, which waits: observers must be quick.
type Event interface{ event() }

// Direction is what a file was opened for, or used for if it was used.
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
	// Completed: the client closed the file. Whether it read or wrote all that
	// it wanted to, version 3 does not say.
	Completed Result = "completed"
	// Failed: a read, write, sync or close failed; Transfer.Err is the first error.
	Failed Result = "failed"
	// Aborted: the session ended with the file open.
	Aborted Result = "aborted"
)

// Transfer is the life of one open file, reported when it is closed.
type Transfer struct {
	Path         string // virtual and clean, as it was opened
	Direction    Direction
	BytesRead    uint64 // sent to the client, hashed for it, or copied by copy-data
	BytesWritten uint64 // received from the client, or copied
	Start        time.Time
	Duration     time.Duration
	Result       Result
	Err          error // nil unless Failed; holds no host path
	// Left says what is left of a file that was written and not completed.
	Left vfs.Leftover
	// Created: opening the file made it. Truncated: opening it emptied it, or began to replace it.
	Created, Truncated bool
}

// Operation is a change of the tree or the hash of a file, done or refused, or any other
// request that was refused with SSH_FX_PERMISSION_DENIED. A successful OPEN is none: its
// Transfer follows.
type Operation struct {
	Op     string // the request's name, as OpenSSH's sftp-server -Q requests has it
	Path   string // virtual and clean; empty if the request was refused unread
	Target string // the new name of a rename, link or copy, clean too; the target of a symlink as sent
	Status Status
	// BytesRead of the file were hashed. Those of an open file are in its Transfer, too.
	BytesRead uint64
	// Changes are the attributes that SETSTAT and its like were to set.
	Changes vfs.Changes
}

func (Transfer) event()  {}
func (Operation) event() {}
