package vfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is the virtual file system of one user. Its methods may be called
// concurrently; Close must come after all others.
type Tree struct {
	root     *node
	mounts   []*mount
	resolver Resolver
	staging  staging
	created  created
	turn     Turn      // nil for no bound
	journal  Journal   // nil for none
	start    string    // what relative paths are relative to; "" is "/"
	opened   time.Time // the times of synthetic directories
}

// Option changes how [Open] opens a tree.
type Option func(*Tree)

// WithResolver sets the way to resolve paths; the default is [Auto].
func WithResolver(r Resolver) Option { return func(t *Tree) { t.resolver = r } }

// WithStart sets the absolute virtual path that relative paths are relative to. The default is
// "/". It is not looked up: if it does not exist, relative paths do not either.
func WithStart(dir string) Option { return func(t *Tree) { t.start = dir } }

// Open opens the directories of all mounts and creates missing subPaths. Its errors name
// the mount, the volume and the directory at fault; they hold host paths and are not meant
// for clients. No mount at "/" makes "/" synthetic.
func Open(mounts []Mount, opts ...Option) (*Tree, error) {
	t := &Tree{root: &node{name: "/"}, opened: time.Now()}
	for _, o := range opts {
		o(t)
	}
	switch t.resolver {
	case Auto:
		t.resolver = Probe()
	case Openat2, OSRoot:
	default:
		return nil, fmt.Errorf("resolver %q is unknown", t.resolver)
	}
	if len(mounts) == 0 {
		return nil, errors.New("no mounts given")
	}
	for _, c := range mounts {
		if err := t.add(c); err != nil {
			_ = t.Close() // always nil
			return nil, err
		}
	}
	return t, nil
}

func (t *Tree) add(c Mount) error {
	m, err := openMount(c, t.resolver)
	if err != nil {
		return err
	}
	t.mounts = append(t.mounts, m)
	for _, o := range t.mounts[:len(t.mounts)-1] {
		if err := checkOverlap(o, m); err != nil {
			return err
		}
	}
	n := t.root
	for name := range strings.SplitSeq(strings.Trim(c.Path, "/"), "/") {
		if name == "" {
			break // the mount at "/"
		}
		if len(name) > maxName {
			return fmt.Errorf("mount %q: %w", c.Path, unix.ENAMETOOLONG)
		}
		next := n.child(name)
		if next == nil {
			next = &node{name: name}
			n.children = append(n.children, next)
			slices.SortFunc(n.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
		}
		n = next
	}
	if n.m != nil {
		return fmt.Errorf("mount %q: two mounts have this path: %w", path.Clean(c.Path), os.ErrExist)
	}
	n.m = m
	return nil
}

// Close closes the tree's directories. Open files and directories stay usable.
func (t *Tree) Close() error {
	for _, m := range t.mounts {
		m.close()
	}
	t.mounts = nil
	return nil
}

// Resolver returns how the tree resolves paths: [Openat2] or [OSRoot].
func (t *Tree) Resolver() Resolver { return t.resolver }

// synthetic returns the attributes of a directory that exists only by configuration.
func (t *Tree) synthetic(n *node) Attr {
	sec := t.opened.Unix()
	return Attr{
		Mode: unix.S_IFDIR | 0o555, Nlink: uint32(2 + len(n.children)),
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Atime: sec, Mtime: sec,
	}
}

// nodeAttr returns the attributes of a mount point or synthetic directory.
func (t *Tree) nodeAttr(n *node) (Attr, error) {
	if n.m == nil {
		return t.synthetic(n), nil
	}
	return statFD(n.m.fd)
}

// entry resolves p for changing the name p, which mount points and synthetic directories do
// not allow.
func (t *Tree) entry(p string, want right, n name) (place, parent, error) {
	pl, err := t.locate(p)
	if err != nil {
		return pl, parent{}, err
	}
	if pl.node != nil {
		return pl, parent{}, ErrMountPoint
	}
	if pl.m == nil {
		return pl, parent{}, unix.ENOENT
	}
	if pl.m.need(want) != nil {
		return pl, parent{}, t.denied(pl, n)
	}
	par, err := pl.parentOf()
	return pl, par, err
}
