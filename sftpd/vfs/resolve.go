package vfs

import (
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Resolver names a way to resolve paths below a mount's root.
type Resolver string

const (
	// Auto uses Openat2 where the kernel and the seccomp profile allow it.
	Auto Resolver = ""
	// Openat2 is openat2(2) with RESOLVE_IN_ROOT: Linux 5.6 and later.
	Openat2 Resolver = "openat2"
	// OSRoot is [os.Root]: any Linux, slower, follows no absolute links.
	OSRoot Resolver = "os.Root"
)

// Probe returns the resolver that [Auto] means in this process. The kernel is asked once.
func Probe() Resolver {
	if haveOpenat2() {
		return Openat2
	}
	return OSRoot
}

var haveOpenat2 = sync.OnceValue(func() bool {
	fd, err := openat2(unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == nil {
		unix.Close(fd)
	}
	return knowsOpenat2(err)
})

// knowsOpenat2 reports whether the kernel has openat2, from the result of a call. Any other error is about what was opened.
func knowsOpenat2(err error) bool {
	// ENOSYS: old kernel. EPERM: a seccomp profile older than the call. EINVAL and E2BIG: a
	// kernel with another form of it.
	switch err {
	case unix.ENOSYS, unix.EPERM, unix.EINVAL, unix.E2BIG:
		return false
	}
	return true
}

// resolver opens names below one directory and never anything outside it.
type resolver interface {
	// open is open(2) with O_CLOEXEC and O_NOCTTY added. rest is relative, not
	// empty, and may hold "..", links and a trailing slash.
	open(rest string, flags int, mode uint32) (fd int, err error)
	close() error
}

// parent is an open directory and the name of an entry in it: the arguments of the *at
// calls. The name is never empty, "." or "..", and has no slash: a name "link/" would make
// the kernel follow the link without our resolver.
type parent struct {
	fd       int
	name     string
	owned    bool
	trailing bool // the path ended in a slash: it means a directory
	dot      bool // the path ended in ".", a name that rename, rmdir and unlink do not accept
}

func (p *parent) close() {
	if p.owned {
		unix.Close(p.fd)
	}
}

// isDir enforces that a path with a trailing slash is a directory, as the kernel does for
// names that must exist.
func (p *parent) isDir() error {
	if !p.trailing {
		return nil
	}
	var st unix.Stat_t
	if err := lstatAt(p.fd, p.name, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	return nil
}

// parentOf resolves a place's path except for its last component.
func (pl place) parentOf() (parent, error) {
	dir, name, trailing := splitLast(pl.rest)
	switch name {
	case "", ".", "..":
		return parent{}, ErrDots
	}
	p := parent{fd: pl.m.fd, name: name, trailing: trailing, dot: trailing && endsInDot(pl.rest)}
	if dir == "" {
		return p, nil
	}
	fd, err := pl.m.r.open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return parent{}, err
	}
	p.fd, p.owned = fd, true
	return p, nil
}

// splitLast divides rest at its last component.
func splitLast(rest string) (dir, name string, trailing bool) {
	for {
		cut := strings.TrimRight(rest, "/")
		if len(cut) != len(rest) {
			trailing = true
		}
		if cut != "." && !strings.HasSuffix(cut, "/.") {
			rest = cut
			break
		}
		trailing = true
		rest = cut[:len(cut)-1]
	}
	i := strings.LastIndexByte(rest, '/')
	return strings.TrimRight(rest[:i+1], "/"), rest[i+1:], trailing
}

func endsInDot(rest string) bool {
	return strings.HasSuffix(strings.TrimRight(rest, "/"), "/.")
}

func lstatAt(dirfd int, name string, st *unix.Stat_t) error {
	return retry(func() error { return unix.Fstatat(dirfd, name, st, unix.AT_SYMLINK_NOFOLLOW) })
}
