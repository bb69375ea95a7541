package sftp

import (
	"context"
	"log/slog"
)

// DefaultMaxHandles is the limit of open files and directories in a session. OpenSSH's
// server has about as many, under the usual limit of 1,024 descriptors, and there are
// scripts that rely on opening all files of a folder at once.
const DefaultMaxHandles = 1000

// Options are the settings of a session. The zero value is usable.
type Options struct {
	// MaxHandles is how many files and directories may be open at once; 0 is
	// [DefaultMaxHandles]. limits@openssh.com announces it.
	MaxHandles int
	// Descriptors, if set, bounds the open files and directories of several
	// sessions together.
	Descriptors Descriptors
	// Work, if set, bounds what the server does at a time for the user's sessions.
	Work Work
	// Opened, if set, is called when a file has been opened. It must not block.
	Opened func()
	// Permit, if set, is asked once at the start for each kind of request, by its name in
	// [Requests]. A request that is not permitted is answered with
	// SSH_FX_PERMISSION_DENIED, and an extension is not advertised.
	Permit func(request string) bool
	// User is the client's own login name, the only one with a home directory.
	User string
	// ClientVersion and ServerVersion are the identifications (RFC 4253, section 4.2),
	// without "SSH-2.0-" or with it. The order of SYMLINK's arguments depends on them.
	ClientVersion, ServerVersion string
	// Observe, if set, gets the session's events. It must return quickly.
	Observe func(Event)
	// Logger, if set, gets a debug line for each request and an error for each
	// fault of the server itself.
	Logger *slog.Logger
}

// Descriptors are file descriptors that sessions share. An implementation must be safe for concurrent use.
type Descriptors interface {
	// Acquire takes a descriptor for a new handle, and reports whether there was one.
	Acquire() bool
	// Release returns a descriptor.
	Release()
}

// Work limits the work for each user. An implementation must be safe for concurrent use.
type Work interface {
	// Turn waits for a turn on a processor, and returns a function that ends it.
	Turn(ctx context.Context) (done func(), err error)
	// Pace waits until the user may do another operation that is logged in the audit log.
	Pace(ctx context.Context) error
}
