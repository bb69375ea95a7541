package sftp

import (
	"context"
	"log/slog"
)

// DefaultMaxHandles is the limit of open files and directories in a session.
// OpenSSH's server has about as many, under the usual limit of 1,024 descriptors, and
// scripts that open a folder's files at once have grown up with it.
const DefaultMaxHandles = 1000

// Options are the settings of a session. The zero value is usable.
type Options struct {
	// MaxHandles is how many files and directories may be open at once; 0 is
	// [DefaultMaxHandles]. limits@openssh.com announces it.
	MaxHandles int
	// Descriptors, if set, bounds the open files and directories of several
	// sessions together.
	Descriptors Descriptors
	// Work, if set, bounds what the user's sessions may have the server do at a time.
	Work Work
	// Opened, if set, is called when a file has been opened. It must not wait.
	Opened func()
	// Permit, if set, is asked once at the start for each kind of request, by
	// its name in [Requests]. A request that is not permitted is answered with
	// SSH_FX_PERMISSION_DENIED, an extension is not advertised either.
	Permit func(request string) bool
	// User is the client's own login name, the only one that it has a home for.
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

// Descriptors are file descriptors that sessions share. It is used from the
// goroutines of all of them.
type Descriptors interface {
	// Acquire takes one for a new handle, or returns false if there is none.
	Acquire() bool
	// Release gives one back.
	Release()
}

// Work is bounded for each user. It is used from the goroutines of all of the user's sessions.
type Work interface {
	// Turn waits for a place to use a processor for a moment, and returns how to give it back.
	Turn(ctx context.Context) (done func(), err error)
	// Pace waits until the user may do another thing that gets a line of the audit log.
	Pace(ctx context.Context) error
}
