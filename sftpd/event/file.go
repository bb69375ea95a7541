package event

import "time"

// Transfer is a file that was opened and closed.
type Transfer struct {
	*Connection
	File
	Result Result
	// Error is what went wrong, "" if nothing did.
	Error string
	// SHA256 of a file that was uploaded, in hexadecimal, "" if it was not computed.
	SHA256 string
	// Left is what remains of a file that was written and not completed: kept or deleted.
	Left string
	// Created: opening created the file. Truncated: opening truncated or replaced it.
	Created, Truncated bool
}

// TransferOpen is a file that has been open for a long time and still is. A Transfer follows.
type TransferOpen struct {
	*Connection
	File
}

// File is a file that is or was open.
type File struct {
	// Path is in the user's tree.
	Path string
	// Direction is download, upload or both.
	Direction string
	// BytesRead were sent to the client, BytesWritten received from it.
	BytesRead, BytesWritten uint64
	// Duration since it was opened.
	Duration time.Duration
}

// Operation is a change to the tree, or a request that was refused or failed.
type Operation struct {
	*Connection
	// Operation is the SFTP request's name.
	Operation    string
	Path, Target string
	Result       Result
	// Status is the answer, "" for success.
	Status string
	// BytesRead were hashed for the client.
	BytesRead uint64
	// Set is the attributes that a request asked to set.
	Set Attributes
	// Tallied is set if it is one of many that failed: OperationsFailed will report all of them.
	Tallied bool
}

// OperationsFailed is how many operations of one kind failed the same way, besides those that were emitted without Tallied.
type OperationsFailed struct {
	*Connection
	Operation string
	Result    Result
	Status    string
	Count     int
}

// Attributes are the attributes to be set, as strings; "" for each one that is not.
type Attributes struct {
	Size  string // bytes; 64-bit numbers do not fit into those of most JSON readers
	Mode  string // octal
	Owner string // "uid:gid"; 4294967295 leaves one as it is
	// Times in RFC 3339, UTC.
	Atime, Mtime string
}

func (Transfer) event()         {}
func (TransferOpen) event()     {}
func (Operation) event()        {}
func (OperationsFailed) event() {}

// FileExpired is a file, or an empty directory, that retention deletes. It is emitted immediately before that, so that
// nothing is deleted without it. No client is involved.
type FileExpired struct {
	// Rule is the name of the rule.
	Rule string
	// Volume is the volume's name, and Path the file's below it.
	Volume, Path string
	// Account is "namespace/name" of the SFTPUser to whose directory the rule applies, "" if it is not one of users.
	Account string
	// Size in bytes, and when the file was uploaded.
	Size     int64
	Uploaded time.Time
	// Directory is set for an empty directory.
	Directory bool
}

func (FileExpired) event() {}
