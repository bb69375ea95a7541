package vfs

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits of Linux, checked before a path is resolved: PATH_MAX and NAME_MAX.
const (
	maxPath = 4096
	maxName = 255
)

// node is a directory that exists by configuration: a mount point, or a
// synthetic directory (m is nil) on the way to one.
type node struct {
	name     string
	m        *mount
	children []*node // sorted by name
}

// internal reports whether it is left out of listings.
func (n *node) internal() bool { return n.m != nil && n.m.internal }

// listed reports whether it has mount points that are listed.
func (n *node) listed() bool {
	return slices.ContainsFunc(n.children, func(c *node) bool { return !c.internal() })
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// hides reports whether an entry on disk is hidden below n because a mount point or
// synthetic directory has its name. A nil node hides no entries.
func (n *node) hides(name []byte) bool {
	if n == nil {
		return false
	}
	for _, c := range n.children {
		if c.name == string(name) {
			return true
		}
	}
	return false
}

// place is where the text of a virtual path leads.
type place struct {
	node *node  // set if the path is exactly a mount point or synthetic directory
	m    *mount // the mount that holds the path; nil below a synthetic directory
	rest string // what the kernel resolves below the mount's root; "" at its root
}

// step is one level of the walk: the place, and where in the path its rest starts.
type step struct {
	node  *node
	m     *mount
	start int
}

// locate walks p by its text. See the package comment for "..".
func (t *Tree) locate(p string) (place, error) {
	if err := checkPath(p); err != nil {
		return place{}, err
	}
	p = t.absolute(p)
	var room [16]step
	stack := append(room[:0], step{t.root, t.root.m, 0})
	for i := 0; i < len(p); {
		if p[i] == '/' {
			i++
			continue
		}
		j := strings.IndexByte(p[i:], '/')
		if j < 0 {
			j = len(p)
		} else {
			j += i
		}
		name := p[i:j]
		i = j
		switch {
		case len(name) > maxName:
			return place{}, unix.ENAMETOOLONG
		case reserved(name):
			return place{}, ErrReserved
		}
		switch name {
		case ".":
		case "..":
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		default:
			stack = append(stack, stack[len(stack)-1].down(name, i))
		}
		if top := &stack[len(stack)-1]; top.node != nil {
			top.start = i // what led here, dots included, is not part of a rest
		}
	}
	top := stack[len(stack)-1]
	pl := place{node: top.node, m: top.m}
	if top.node == nil && top.m != nil {
		pl.rest = strings.TrimLeft(p[top.start:], "/")
	}
	return pl, nil
}

// down descends by one component; end is where that component ends in the path.
func (s step) down(name string, end int) step {
	if s.node != nil {
		if c := s.node.child(name); c != nil {
			return step{c, c.m, end}
		}
	}
	return step{nil, s.m, s.start}
}

// absolute prefixes a relative path with the tree's start.
func (t *Tree) absolute(p string) string {
	if t.start == "" || strings.HasPrefix(p, "/") {
		return p
	}
	return t.start + "/" + p
}

func checkPath(p string) error {
	if len(p) >= maxPath {
		return unix.ENAMETOOLONG
	}
	if strings.IndexByte(p, 0) >= 0 {
		return unix.EINVAL
	}
	return nil
}

// Clean returns the absolute form of a virtual path, considering only its text, for log
// lines and replies: no ".", "..", doubled or trailing slash.
func Clean(p string) string {
	if clean(p) {
		return p
	}
	var names []string
	for name := range strings.SplitSeq(p, "/") {
		switch name {
		case "", ".":
		case "..":
			names = names[:max(len(names)-1, 0)]
		default:
			names = append(names, name)
		}
	}
	return "/" + strings.Join(names, "/")
}

// clean reports whether p is its own absolute form.
func clean(p string) bool {
	if p == "/" {
		return true
	}
	for rest := p; rest != ""; {
		if rest[0] != '/' {
			return false
		}
		end := strings.IndexByte(rest[1:], '/') + 1
		if end == 0 {
			end = len(rest)
		}
		switch rest[1:end] {
		case "", ".", "..":
			return false
		}
		rest = rest[end:]
	}
	return p != ""
}
