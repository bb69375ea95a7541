package event

import "time"

// Transfer is a file that was opened and closed.
type Transfer struct {
	*Connection
	File
	Result Result
	// Error is what went wrong, "" for nothing.
	Error string
	// Left is what is left of a file that was written and not completed: kept or deleted.
	Left string
	// Created: the file was made by opening it. Truncated: it was emptied, or replaced, by that.
	Created, Truncated bool
}

// TransferOpen is a file that has been open for long, and is still. A Transfer follows.
type TransferOpen struct {
	*Connection
	File
}

// File is one that is, or was, open.
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

// Operation is a change of the tree, or a request that was refused or failed.
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
	// Set is what a request for attributes asked for.
	Set Attributes
	// Tallied is whether it is one of many that failed: OperationsFailed will tell of all of them.
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

// Attributes of a file that were to be set, as texts; "" for each that was not.
type Attributes struct {
	Size  string // bytes; numbers of 64 bits do not fit into those of most JSON readers
	Mode  string // octal
	Owner string // "uid:gid"; 4294967295 leaves one as it is
	// Times in RFC 3339, UTC.
	Atime, Mtime string
}

func (Transfer) event()         {}
func (TransferOpen) event()     {}
func (Operation) event()        {}
func (OperationsFailed) event() {}
