// Package vfs is the jail of one SFTP user: a tree of virtual directories over
// directories of the host, out of which no name, link or race leads.
//
// It knows neither SFTP nor SSH, users or Kubernetes, and runs on Linux alone.
//
// # Mounts
//
// A [Tree] is made of mounts. Each one shows a directory of a volume (the
// volume's host directory plus a subPath) at a virtual path, with an [Access]
// mode. The mount at "/" is the home. A mount point hides a real entry of the
// same name in its parent, and is shown in its parent's listing. A directory on
// the way to a mount point which is no mount point itself (the "/a" of a mount
// "/a/b") is synthetic: it lists its mount points, nothing can be created in
// it, and it hides a real "/a" of the mount above.
//
// # How a path is resolved
//
// A virtual path is walked by its text to find its mount, and the remainder is
// resolved by the kernel, in one openat2(2) call with RESOLVE_IN_ROOT and
// RESOLVE_NO_MAGICLINKS, relative to a descriptor of the mount's directory.
// What changes a name (mkdir, rename, unlink and so on) resolves the parent
// this way and then uses the *at call on the parent's descriptor with the last
// component, which is never "..", never empty and never ends in a slash.
// Where openat2 is missing, [os.Root] resolves instead; [Tree.Resolver] tells.
//
// Relative paths start at "/", and the empty path is "/" (filexfer-02, 6.2).
//
// # The meaning of ".."
//
// Inside a mount, ".." is the kernel's: "link/.." is the parent of the link's
// target. But a ".." whose text leads back to a mount point or to a synthetic
// directory ends there, because the kernel knows nothing of our mounts: with a
// mount at "/docs", "/docs/../x" is the home's "x", and so is "/link/../x".
// ".." at "/" stays at "/".
//
// # Symbolic links
//
// Each mount is a root directory of its own, as after chroot(2): a link whose
// target is absolute is resolved from the root of the mount that holds the
// link, and no link leads into another mount. To its user a link speaks the
// tree's language: [Tree.Symlink] takes an absolute target as a virtual path
// and stores it relative to the mount's root, [Tree.Readlink] puts the mount
// point in front again. A target in another mount is refused with
// [ErrCrossMount]. Relative targets are stored as they come. The os.Root
// resolver follows no absolute links at all: they are refused.
//
// A link of the home that textually points at a hidden entry reaches that
// entry, not the mount that hides it. That is no way around access modes:
// [Open] refuses mounts whose directories contain each other and whose access
// differs.
//
// # Uploads
//
// With [Uploads].OnClose a file that is made or truncated is written under a hidden
// name in its own directory and renamed when it is closed, so that it appears
// whole or not at all. Names that begin with ".sftpd-upload." are kept for that:
// they are neither listed nor reached, whatever the policy, and no link to them
// is made. What a broken connection left waits under a hidden name of its own, is
// shown by Stat where there is no file, and is continued by whoever opens the
// name for writing without O_TRUNC. Where there is a file, that is refused with
// [ErrInterrupted]: it would continue the old file with the end of the new one.
//
// A name has one staged file at most, whose own name is derived from it, and whoever
// writes a file holds a lock on it (see inuse.go). So handles of one connection, of
// several, and of several daemons find each other. An OPEN without O_TRUNC of a name
// that is being uploaded shares the staged file; one with O_TRUNC or O_EXCL is refused
// with [ErrUploading], unless it is the same connection's, and so is the replacement of
// a file that somebody writes in place. The first CLOSE that is complete publishes.
// Locks end with their process: what a daemon leaves that is killed is continued like
// what a broken connection left.
//
// Where a volume has no locks (fcntl(2), F_OFD_SETLK), writers of a staged name share
// it as well, but an upload that goes on looks like one that was left: another one that
// replaces it makes its CLOSE fail with [ErrRemoved], and a file that is being written
// in place can be replaced.
//
// # Kernel mounts below a volume
//
// They are crossed (no RESOLVE_NO_XDEV): no SFTP user can make one, so whoever
// mounted a file system inside a volume wants it seen there, and NFS and
// overlay volumes make mounts of their own.
//
// # Errors
//
// Every operation on a [Tree], [File] or [Dir] returns nil, io.EOF, an error
// of this package, or a bare syscall.Errno. None of them contains a path, so
// no host path can reach a client. [Open] alone returns errors with host
// paths, for the daemon's log.
package vfs
