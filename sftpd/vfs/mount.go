package vfs

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount shows one directory of a volume at a virtual path.
type Mount struct {
	// Path is the mount point: clean and absolute. "/" is the home.
	Path string
	// Volume is the volume's directory on the host. It is trusted: links in it
	// are followed.
	Volume string
	// SubPath is the directory below Volume that is shown: clean and relative, "" for all of it. Missing directories are created
	// with mode 0770. No component of it may be a symbolic link: with one, a writer on the volume could redirect another user's
	// mount.
	SubPath string
	// Access is what the user may do in it.
	Access Access
	// ListNames lets a [WriteOnly] or [CreateOnly] mount be listed.
	ListNames bool
	// IgnoreAttributes makes changes to permissions, owners and times succeed without effect, for volumes that do not support them.
	// The size is not one of them.
	IgnoreAttributes bool
	// Internal: SubPath leads into the server's own directory of the volume, which no other mount reaches. The mount is not in the
	// listing of the directory above, so that clients that mirror that directory leave it alone.
	Internal bool
}

// mount is a Mount with its directory open.
type mount struct {
	path   string
	rights right
	// internal is Mount.Internal.
	internal bool
	// ignoreAttributes is Mount.IgnoreAttributes.
	ignoreAttributes bool

	fd int // the root directory, O_PATH
	r  resolver

	// chain contains the identities of the directories that contain the root, from the volume's up to "/" and from there down to the
	// root, which comes last.
	chain []identity
}

// identity distinguishes files while both exist.
type identity struct{ dev, ino uint64 }

func identityOf(st *unix.Stat_t) identity { return identity{uint64(st.Dev), st.Ino} }

func (m *mount) close() {
	if m.r != nil {
		_ = m.r.close() // best effort, as for descriptors: nothing was written to it
	}
	unix.Close(m.fd)
}

func openMount(c Mount, which Resolver) (*mount, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("mount %q: %w", c.Path, err)
	}
	m := &mount{path: c.Path, rights: c.Access.rights(), internal: c.Internal, ignoreAttributes: c.IgnoreAttributes, fd: -1}
	if c.ListNames {
		m.rights |= rightList
	}
	if err := m.openRoot(c); err != nil {
		return nil, fmt.Errorf("mount %q: %w", c.Path, err)
	}
	if which == Openat2 {
		m.r = openat2Resolver{m.fd}
		return m, nil
	}
	root, err := newOSRoot(m.fd)
	if err != nil {
		unix.Close(m.fd)
		return nil, fmt.Errorf("mount %q: os.Root of volume %q: %w", c.Path, c.Volume, err)
	}
	m.r = root
	return m, nil
}

func (c Mount) check() error {
	switch {
	case c.Path == "" || c.Path[0] != '/' || path.Clean(c.Path) != c.Path:
		return fmt.Errorf("path %q is not clean and absolute", c.Path)
	case strings.IndexByte(c.Path, 0) >= 0:
		return fmt.Errorf("path %q contains NUL", c.Path)
	case c.Access.rights() == 0:
		return fmt.Errorf("access %q is not one of %s, %s, %s, %s", c.Access, ReadWrite, ReadOnly, WriteOnly, CreateOnly)
	case c.ListNames && c.Access != WriteOnly && c.Access != CreateOnly:
		return fmt.Errorf("listNames requires access %s or %s", WriteOnly, CreateOnly)
	case c.Volume == "":
		return fmt.Errorf("no volume given")
	case c.SubPath == "":
		return nil
	case c.SubPath[0] == '/' || c.SubPath == "." || path.Clean(c.SubPath) != c.SubPath ||
		c.SubPath == ".." || strings.HasPrefix(c.SubPath, "../"):
		return fmt.Errorf("subPath %q is not clean and relative", c.SubPath)
	}
	for name := range strings.SplitSeq(c.SubPath, "/") {
		if reserved(name) && !c.Internal {
			return fmt.Errorf("subPath %q has a name that is reserved for the server", c.SubPath)
		}
	}
	return nil
}

// openRoot opens the volume and walks down the subPath, one component per call: a single
// name opened with O_NOFOLLOW can only lead into the current directory, whatever is swapped
// meanwhile, so this needs no resolver.
func (m *mount) openRoot(c Mount) error {
	fd, err := openDirAt(unix.AT_FDCWD, c.Volume, 0)
	if err != nil {
		return fmt.Errorf("volume %q: %w", c.Volume, err)
	}
	m.chain = above(fd)
	if err := m.enter(fd); err != nil {
		return fmt.Errorf("volume %q: %w", c.Volume, err)
	}
	if c.SubPath == "" {
		return nil
	}
	for name := range strings.SplitSeq(c.SubPath, "/") {
		fd, err := openOrMake(m.fd, name)
		if err == nil {
			err = m.enter(fd)
		}
		if err != nil {
			unix.Close(m.fd)
			return fmt.Errorf("subPath %q of volume %q: directory %q: %w", c.SubPath, c.Volume, name, err)
		}
	}
	return nil
}

// maxAbove bounds the directories above a volume that are checked: a Linux path has no more.
const maxAbove = maxPath / 2

// above returns the identities of a directory's ancestors, up to "/": a volume may be
// inside a directory of another volume. It stops at a directory that the daemon may not
// read.
func above(fd int) (chain []identity) {
	at := fd
	defer func() {
		if at != fd {
			unix.Close(at)
		}
	}()
	var st unix.Stat_t
	if unix.Fstat(at, &st) != nil {
		return nil
	}
	below := identityOf(&st)
	for range maxAbove {
		up, err := openDirAt(at, "..", 0)
		if err != nil {
			break
		}
		if at != fd {
			unix.Close(at)
		}
		at = up
		if unix.Fstat(at, &st) != nil || identityOf(&st) == below { // ".." of "/" is "/"
			break
		}
		below = identityOf(&st)
		chain = append(chain, below)
	}
	return chain
}

// enter replaces the mount's root by fd.
func (m *mount) enter(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return err
	}
	if m.fd >= 0 {
		unix.Close(m.fd)
	}
	m.fd, m.chain = fd, append(m.chain, identityOf(&st))
	return nil
}

func openOrMake(dirfd int, name string) (int, error) {
	fd, err := openDirAt(dirfd, name, unix.O_NOFOLLOW)
	if err == unix.ENOENT {
		err = unix.Mkdirat(dirfd, name, 0o770)
		if err != nil && err != unix.EEXIST {
			return -1, fmt.Errorf("cannot be created: %w", err)
		}
		made := err == nil
		fd, err = openDirAt(dirfd, name, unix.O_NOFOLLOW)
		if made && err == nil {
			// The process's umask must not keep the volume's group out. Best effort: some
			// network volumes have no modes.
			_ = chmodFD(fd, 0o770, unix.S_IFDIR)
		}
	}
	if err == unix.ENOTDIR || err == unix.ELOOP {
		var st unix.Stat_t
		if lstatAt(dirfd, name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return -1, fmt.Errorf("is a symbolic link, which a subPath must not contain: %w", err)
		}
	}
	return fd, err
}

func openDirAt(dirfd int, name string, flags int) (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Openat(dirfd, name, flags|unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// checkOverlap rejects mounts with different access where one contains the other: the wider access would apply to both, because
// the outer mount reaches the directory under its real name. It does not reach an internal mount.
func checkOverlap(a, b *mount) error {
	if a.rights == b.rights || a.internal || b.internal || !a.contains(b) && !b.contains(a) {
		return nil
	}
	return fmt.Errorf("mounts %q and %q: one directory contains the other, so both need the same access: %w",
		a.path, b.path, os.ErrInvalid)
}

func (m *mount) contains(o *mount) bool {
	return slices.Contains(o.chain, m.chain[len(m.chain)-1])
}
