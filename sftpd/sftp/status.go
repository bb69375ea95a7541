package sftp

import (
	"errors"
	"io"
	"syscall"
)

// Status is the code of an SSH_FXP_STATUS reply (filexfer-02, section 7).
type Status uint32

// The codes that the server sends.
const (
	StatusOK               Status = 0
	StatusEOF              Status = 1
	StatusNoSuchFile       Status = 2
	StatusPermissionDenied Status = 3
	StatusFailure          Status = 4
	StatusBadMessage       Status = 5
	StatusUnsupported      Status = 8
)

// String returns the code's name in the draft, without "SSH_FX_".
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "OK"
	case StatusEOF:
		return "EOF"
	case StatusNoSuchFile:
		return "NO_SUCH_FILE"
	case StatusPermissionDenied:
		return "PERMISSION_DENIED"
	case StatusBadMessage:
		return "BAD_MESSAGE"
	case StatusUnsupported:
		return "OP_UNSUPPORTED"
	case StatusFailure:
	}
	return "FAILURE"
}

// fault is an error of the protocol layer.
type fault struct {
	status Status
	text   string
}

func (f *fault) Error() string { return f.text }

var (
	errMalformed   = &fault{StatusBadMessage, "Malformed request"}
	errNotFirst    = &fault{StatusBadMessage, "INIT must be the first request, and the only one of its kind"}
	errHandle      = &fault{StatusFailure, "Invalid handle"}
	errHandleKind  = &fault{StatusFailure, "The handle is not of the kind that this request takes"}
	errHandles     = &fault{StatusFailure, "Too many open handles"}
	errDescriptors = &fault{StatusFailure, "Too many open files on this server, close some"}
	errNotReadable = &fault{StatusPermissionDenied, "The handle is not open for reading"}
	errNotWritable = &fault{StatusPermissionDenied, "The handle is not open for writing"}
	errUnsupported = &fault{StatusUnsupported, "Operation unsupported"}
	errNotAllowed  = &fault{StatusPermissionDenied, "This request is not allowed here"}
	errNoSuchUser  = &fault{StatusFailure, "No such user"}
	errNoHash      = &fault{StatusUnsupported, "None of these hash algorithms is supported, but sha256 and sha512"}
	errHashBlock   = &fault{StatusFailure, "The block size must be 0, or at least 256 and so large that the hashes fit a reply"}
	errHashRange   = &fault{StatusFailure, "At most 1 TiB is hashed at a time: ask for parts"}
	errInternal    = &fault{StatusFailure, "Internal error"}
)

// statusOf returns the code and text for an error. The codes are those of
// OpenSSH's errno_to_portable. No text holds a path: those of vfs errors are
// fixed, and errors of any other origin are not shown.
func statusOf(err error) (Status, string) {
	switch {
	case err == nil:
		return StatusOK, "Success"
	case errors.Is(err, io.EOF):
		return StatusEOF, "End of file"
	}
	if f, ok := errors.AsType[*fault](err); ok {
		return f.status, f.text
	}
	return errnoStatus(err)
}

// errnoStatus is apart from statusOf because errors.As allocates.
func errnoStatus(err error) (Status, string) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return StatusFailure, "Failure"
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.EBADF, syscall.ELOOP:
		return StatusNoSuchFile, "No such file"
	case syscall.EPERM, syscall.EACCES, syscall.EFAULT:
		if err != error(errno) { //nolint:errorlint // a refusal of the tree matches its errno, and says more
			return StatusPermissionDenied, "Permission denied: " + err.Error()
		}
		return StatusPermissionDenied, "Permission denied"
	case syscall.ENAMETOOLONG, syscall.EINVAL:
		return StatusBadMessage, "Bad message: " + err.Error()
	case syscall.ENOSYS:
		return StatusUnsupported, "Operation unsupported"
	}
	return StatusFailure, "Failure: " + err.Error()
}
