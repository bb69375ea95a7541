package vfs

import (
	"golang.org/x/sys/unix"
)

// refusal is an error that the tree itself returns. It matches an errno with errors.Is, so
// that callers can map all errors by errno.
type refusal struct {
	text  string
	errno unix.Errno
}

func (r *refusal) Error() string        { return r.text }
func (r *refusal) Is(target error) bool { return target == error(r.errno) }
func (r *refusal) Unwrap() error        { return r.errno }

// Errors of the tree, each with the errno that it unwraps to.
var (
	// ErrAccess (EACCES): the mount's access mode does not allow it.
	ErrAccess error = &refusal{"not allowed by the directory's access mode", unix.EACCES}
	// ErrCrossMount (EXDEV): a rename or link would lead into another mount.
	ErrCrossMount error = &refusal{"source and target are in different mounts", unix.EXDEV}
	// ErrMountPoint (EACCES): a mount point or a synthetic directory cannot be renamed,
	// removed, replaced, or have its mode changed.
	ErrMountPoint error = &refusal{"mount points and their parents cannot be changed", unix.EACCES}
	// ErrNotRegular (EOPNOTSUPP): only regular files and directories can be opened.
	ErrNotRegular error = &refusal{"not a regular file", unix.EOPNOTSUPP}
	// ErrOwner (EPERM): files always belong to the daemon's user.
	ErrOwner error = &refusal{"the owner cannot be changed", unix.EPERM}
	// ErrDots (EBUSY): "." and ".." cannot be created, renamed or removed.
	ErrDots error = &refusal{`"." and ".." cannot be changed`, unix.EBUSY}
	// ErrReserved (EACCES): the name is reserved for uploads in progress, or for events.
	ErrReserved error = &refusal{
		"names that begin with " + stagingPrefix + ", and " + eventsDirectory + " and " + codesDirectory + ", are reserved for the server", unix.EACCES,
	}
	// ErrNotPublished (EIO): a write of an upload failed, so the file was not published.
	ErrNotPublished error = &refusal{"a write failed, so the file was not published; upload it again", unix.EIO}
	// ErrInterrupted (EBUSY): an upload that was to replace the file was interrupted. What
	// a client would append belongs to that upload, not to this file.
	ErrInterrupted error = &refusal{"an upload that replaces this file was interrupted; upload it from the beginning", unix.EBUSY}
	// ErrUploading (EBUSY): another handle is writing the file, which cannot hold both
	// handles' content.
	ErrUploading error = &refusal{"another upload of this file is in progress; try again when it has ended", unix.EBUSY}
	// ErrRemoved (ESTALE): the file was removed from the volume before it was complete.
	ErrRemoved error = &refusal{"the file was removed during its upload; upload it again", unix.ESTALE}
	// ErrSameFile (EBUSY): source and target of a copy are one file.
	ErrSameFile error = &refusal{"source and target are the same file", unix.EBUSY}
)

// retry repeats a system call that a signal interrupted. Go's runtime preempts threads with
// signals, which makes network file systems return EINTR.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
