package vfs

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// model implements this package's documentation again, as a simple in-memory file system: [FuzzTree] compares the real one with
// it. They share no code. A path is walked name by name, and errors are sets: if several things are wrong with a request, any
// of them may be reported.
type model struct {
	mounts map[string]*modelMount // by mount point
	nodes  map[string]bool        // mount points and synthetic directories
	osRoot bool
	// refused reports that the current walk did something that os.Root refuses (an absolute link, ".." above the root), unsure
	// that it did something that os.Root may refuse (a long chain).
	refused, unsure bool
	// slashes reports that a missing name may have trailing slashes.
	slashes bool
}

type modelMount struct {
	path      string
	root      *inode
	access    Access
	listNames bool
}

// inode is a file, directory or link of the model.
type inode struct {
	kind   byte // 'f', 'd', 'l'
	mode   uint32
	links  uint32 // names of a file or link
	data   []byte
	target string
	names  map[string]*inode
	up     *inode
	// madeIn and madeAs are the name that the user gave it in a mount with CreateOnly.
	madeIn *inode
	madeAs string
}

func newDir(up *inode, mode uint32) *inode {
	return &inode{kind: 'd', mode: mode, names: map[string]*inode{}, up: up}
}

// newModel returns a model of empty volumes.
func newModel(osRoot bool, mounts []Mount) *model {
	m := &model{mounts: map[string]*modelMount{}, nodes: map[string]bool{"/": true}, osRoot: osRoot}
	for _, c := range mounts {
		m.mounts[c.Path] = &modelMount{path: c.Path, root: newDir(nil, 0o755), access: c.Access, listNames: c.ListNames}
		for p := c.Path; p != "/"; p = p[:max(strings.LastIndexByte(p, '/'), 1)] {
			m.nodes[p] = true
		}
	}
	return m
}

// children are the mount points and synthetic directories directly below a node.
func (m *model) children(node string) (names []string) {
	for p := range m.nodes {
		if rest, ok := strings.CutPrefix(p, strings.TrimRight(node, "/")+"/"); ok && rest != "" && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	return names
}

// at returns where a path leads by its text: the last mount point or synthetic directory along it, whose mount is nil for a
// synthetic one, and the rest. If the rest is empty, the path is the node itself.
type at struct {
	node string
	mt   *modelMount
	rest []string
	text string // clean
}

func (a at) exact() bool { return a.text == a.node }

func (m *model) at(p string) (at, []error) {
	m.refused, m.unsure = false, false
	if len(p) >= 4096 {
		return at{}, []error{unix.ENAMETOOLONG}
	}
	if strings.Contains(p, "\x00") {
		return at{}, []error{unix.EINVAL}
	}
	var text []string
	a := at{node: "/", text: "/"}
	names := strings.Split(p, "/")
	from := 0
	for i, n := range names {
		switch {
		case len(n) > 255:
			return at{}, []error{unix.ENAMETOOLONG}
		case strings.HasPrefix(n, ".sftpd-upload."):
			return at{}, []error{unix.EACCES}
		case n == "..":
			text = text[:max(len(text)-1, 0)]
		case n != "" && n != ".":
			text = append(text, n)
		}
		if a.text = "/" + strings.Join(text, "/"); m.nodes[a.text] {
			a.node, from = a.text, i+1
		}
	}
	a.mt, a.rest = m.mounts[a.node], names[from:]
	return a, nil
}

// walk follows names from a mount's root, as the kernel does after chroot(2). If only the last name is missing, it returns the
// directory and the name along with ENOENT.
func (m *model) walk(mt *modelMount, names []string, followLast bool) (i, dir *inode, name string, err error) {
	cur, dir := mt.root, (*inode)(nil)
	todo := slices.Clone(names)
	for links := 0; len(todo) > 0; {
		n := todo[0]
		todo = todo[1:]
		if cur.kind != 'd' {
			return nil, nil, "", unix.ENOTDIR
		}
		if n == "" || n == "." {
			continue
		}
		if n == ".." {
			if cur.up == nil {
				m.refused = m.osRoot
				continue
			}
			cur = cur.up
			continue
		}
		if len(n) > 255 {
			return nil, nil, "", unix.ENAMETOOLONG
		}
		next := cur.names[n]
		if next == nil {
			if m.slashes {
				todo = slices.DeleteFunc(todo, func(n string) bool { return n == "" })
			}
			if len(todo) > 0 {
				return nil, nil, "", unix.ENOENT
			}
			return nil, cur, n, unix.ENOENT
		}
		if next.kind == 'l' && (len(todo) > 0 || followLast) {
			if links++; links > 40 {
				return nil, nil, "", unix.ELOOP
			}
			m.unsure = m.unsure || m.osRoot && links > 8
			if strings.HasPrefix(next.target, "/") {
				m.refused = m.refused || m.osRoot
				cur = mt.root
			}
			todo = append(strings.Split(next.target, "/"), todo...)
			continue
		}
		cur, dir, name = next, cur, n
	}
	return cur, dir, name, nil
}

// rights of the access modes, as documented.
func (mt *modelMount) may(what string) bool {
	switch mt.access {
	case ReadWrite:
		return true
	case ReadOnly:
		return what == "read" || what == "list"
	case CreateOnly:
		return what == "create" || what == "list" && mt.listNames
	case WriteOnly:
	}
	return what == "create" || what == "write" || what == "list" && mt.listNames
}

// entry is a name to be created, changed or removed, with its directory.
type entry struct {
	mt       *modelMount
	dir      *inode
	name     string
	trailing bool
	dot      bool // the path ended in "."
}

func (e entry) file() *inode { return e.dir.names[e.name] }

// entry finds the directory of a name. makes means that the name is to be created, which a synthetic directory refuses instead
// of reporting that it does not exist.
func (m *model) entry(p string, makes bool, rights ...string) (entry, []error) {
	a, errs := m.at(p)
	if errs != nil {
		return entry{}, errs
	}
	if a.exact() {
		return entry{}, []error{unix.EACCES}
	}
	if a.mt == nil {
		if makes {
			return entry{}, []error{unix.EACCES, unix.ENOENT}
		}
		return entry{}, []error{unix.ENOENT}
	}
	for _, r := range rights {
		if !a.mt.may(r) {
			return entry{}, m.denied(p, makes)
		}
	}
	e := entry{mt: a.mt}
	rest := a.rest
	for last := rest[len(rest)-1]; last == "" || last == "."; last = rest[len(rest)-1] {
		rest, e.trailing = rest[:len(rest)-1], true
		e.dot = e.dot || last == "."
	}
	if e.name = rest[len(rest)-1]; e.name == ".." {
		return entry{}, []error{unix.EBUSY}
	}
	dir, _, _, err := m.walk(a.mt, rest[:len(rest)-1], true)
	if err == nil && dir.kind != 'd' {
		err = unix.ENOTDIR
	}
	if err != nil {
		return entry{}, []error{err}
	}
	e.dir = dir
	return e, nil
}

// denied returns the possible errors of a request that the mount does not allow: errors of its name take precedence.
func (m *model) denied(p string, makes bool) []error {
	_, _, errs := m.find(p, false)
	switch {
	case !makes && errs != nil:
		return errs
	case makes && errs == nil:
		return []error{unix.EACCES, unix.EEXIST} // a rename may replace it
	}
	return append(errs, unix.EACCES)
}

// drop removes a name.
func (e entry) drop() {
	i := e.file()
	i.links--
	i.up = nil
	delete(e.dir.names, e.name)
}

// own reports whether a path belongs to something that the user created in a mount with CreateOnly.
func (m *model) own(p string) bool {
	e, errs := m.entry(p, false)
	return errs == nil && e.mt.access == CreateOnly && e.file() != nil && e.file().madeIn == e.dir && e.file().madeAs == e.name
}

// make is put for something that the user creates.
func (e entry) make(i *inode) {
	e.put(i)
	if e.mt.access == CreateOnly {
		i.madeIn, i.madeAs = e.dir, e.name
	}
}

// put gives a file a name.
func (e entry) put(i *inode) {
	e.dir.names[e.name] = i
	i.links++
	if i.kind == 'd' {
		i.up = e.dir
	}
}
