// Package vfs is the jail of one SFTP user: a tree of virtual directories over directories
// of the host, which no name, link or race can escape.
//
// It does not know about SFTP, SSH, users or Kubernetes, and runs only on Linux.
//
// # Mounts
//
// A [Tree] is made of mounts. Each one shows a directory of a volume (the volume's host
// directory plus a subPath) at a virtual path, with an [Access] mode. The mount at "/" is
// the home. A mount point hides a real entry of the same name in its parent, and is shown
// in its parent's listing. A directory on the path to a mount point that is not a mount
// point itself (the "/a" of a mount "/a/b") is synthetic: it lists its mount points,
// nothing can be created in it, and it hides a real "/a" of the mount above.
//
// # How a path is resolved
//
// A virtual path is walked by its text to find its mount, and the remainder is resolved by
// the kernel, in one openat2(2) call with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS,
// relative to a descriptor of the mount's directory. Operations that change a name (mkdir,
// rename, unlink and so on) resolve the parent this way and then use the *at call on the
// parent's descriptor with the last component, which is never "..", never empty and never
// ends in a slash. Where openat2 is missing, [os.Root] resolves instead; [Tree.Resolver]
// reports which.
//
// Relative paths start at "/", and the empty path is "/" (filexfer-02, 6.2).
//
// # The meaning of ".."
//
// Inside a mount, ".." is the kernel's: "link/.." is the parent of the link's target. But a
// ".." whose text leads back to a mount point or to a synthetic directory ends there,
// because the kernel does not know our mounts: with a mount at "/docs", "/docs/../x" is the
// home's "x", and so is "/link/../x". ".." at "/" stays at "/".
//
// # Symbolic links
//
// Each mount is a root directory of its own, as after chroot(2): a link whose target is
// absolute is resolved from the root of the mount that holds the link, and no link leads
// into another mount. Link targets are translated to the user's tree: [Tree.Symlink] takes
// an absolute target as a virtual path and stores it relative to the mount's root,
// [Tree.Readlink] puts the mount point in front again. A target in another mount is refused
// with [ErrCrossMount]. Relative targets are stored as given. The os.Root resolver does not
// follow absolute links: they are refused.
//
// A link of the home that textually points at a hidden entry reaches that entry, not the
// mount that hides it. This does not bypass access modes: [Open] refuses mounts whose
// directories contain each other and whose access differs.
//
// # Uploads
//
// With [Uploads].OnClose a file that is created or truncated is written under a hidden name in its own directory and renamed when
// it is closed, so that it appears whole or not at all. Names that begin with ".sftpd-upload." are reserved for that: they can be
// neither listed nor reached, whatever the policy, and no link to them can be created. What a broken connection left behind stays
// under its hidden name. If there is no file with that name, Stat shows the leftover, and opening the name for writing without
// O_TRUNC continues it. If there is one, that open is refused with [ErrInterrupted]: it would continue the old file with the end
// of the new one.
//
// A name has one staged file at most, whose own name is derived from it, and every writer of a file holds a lock on it (see
// inuse.go). That is how handles of the same connection, of other connections and of other daemons find each other. An OPEN
// without O_TRUNC of a name that is being uploaded shares the staged file; one with O_TRUNC or O_EXCL is refused with
// [ErrUploading], unless it is the same connection's, and so is replacing a file that another handle is writing in place. The
// first complete CLOSE publishes. Locks end with their process: what a killed daemon leaves behind is continued like what a
// broken connection left behind.
//
// Where a volume has no locks (fcntl(2), F_OFD_SETLK), writers of a staged name share it as well, but an active upload looks like
// an abandoned one: if a second upload replaces it, the CLOSE of the first one fails with [ErrRemoved], and a file that is being
// written in place can be replaced.
//
// With a [Journal] an upload is recorded before its CLOSE succeeds: ahead of the rename by which it gets its name, or after its
// last write if it was written in place. The directory ".sftpd-events" at a volume's root, where records are kept, is reserved
// like the names of staged files, and so is ".sftpd-codes", for used codes. All are reserved in any case (upper or lower), and in
// other forms that a volume may treat as the same name (see reserved.go).
//
// # Kernel mounts below a volume
//
// They are crossed (no RESOLVE_NO_XDEV): SFTP users cannot create them, so a file system
// mounted inside a volume is meant to be seen there, and NFS and overlay volumes have
// mounts of their own.
//
// # Errors
//
// Every operation on a [Tree], [File] or [Dir] returns nil, io.EOF, an error of this
// package, or a bare syscall.Errno. None of them contains a path, so no host path can reach
// a client. Only [Open] returns errors with host paths, for the daemon's log.
package vfs
