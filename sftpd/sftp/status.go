package sftp

import (
	"errors"
	"io"
	"syscall"
)

// Status is the code of an SSH_FXP_STATUS reply (filexfer-02, section 7).
type Status uint32

// Codes that the server sends.
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

// fault is a protocol error.
type fault struct {
	status Status
	text   string
}

func (f *fault) Error() string { return f.text }

var (
	errMalformed   = &fault{StatusBadMessage, "Malformed request"}
	errNotFirst    = &fault{StatusBadMessage, "INIT must be the first request, and must not be repeated"}
	errHandle      = &fault{StatusFailure, "Invalid handle"}
	errHandleKind  = &fault{StatusFailure, "This request does not work with this kind of handle"}
	errHandles     = &fault{StatusFailure, "Too many open handles"}
	errDescriptors = &fault{StatusFailure, "Too many open files on this server; close some"}
	errNotReadable = &fault{StatusPermissionDenied, "The handle is not open for reading"}
	errNotWritable = &fault{StatusPermissionDenied, "The handle is not open for writing"}
	errUnsupported = &fault{StatusUnsupported, "Operation unsupported"}
	errNotAllowed  = &fault{StatusPermissionDenied, "This request is not allowed here"}
	errNoSuchUser  = &fault{StatusFailure, "No such user"}
	errNoHash      = &fault{StatusUnsupported, "No supported hash algorithm; use sha256 or sha512"}
	errHashBlock   = &fault{StatusFailure, "The block size must be 0, or at least 256 and large enough for the hashes to fit in a reply"}
	errHashRange   = &fault{StatusFailure, "Too much to hash at once; request at most 1 TiB at a time"}
	errInternal    = &fault{StatusFailure, "Internal error"}
)

// statusOf returns the code and text for an error, with the codes of OpenSSH's
// errno_to_portable. No text contains a path: the texts of vfs errors are fixed, and other
// errors are not shown.
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

// errnoStatus is separate from statusOf because errors.As allocates.
func errnoStatus(err error) (Status, string) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return StatusFailure, "Failure"
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.EBADF, syscall.ELOOP:
		return StatusNoSuchFile, "No such file"
	case syscall.EPERM, syscall.EACCES, syscall.EFAULT:
		if err != error(errno) { //nolint:errorlint // an error of the tree matches its errno, and says more
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
