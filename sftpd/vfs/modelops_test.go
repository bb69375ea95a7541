package vfs

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The model's requests. Each returns the set of possible errors, which is empty if it must succeed, and its effect.

const fuzzUmask = 0o022

func (m *model) mkdir(p string, mode uint32) ([]error, func()) {
	e, errs := m.entry(p, true, "create")
	switch {
	case errs != nil:
		if a, bad := m.at(p); bad == nil && (a.exact() || errs[0] == unix.EBUSY) {
			return []error{unix.EEXIST}, nil
		}
		return errs, nil
	case e.file() != nil:
		return []error{unix.EEXIST}, nil
	}
	return nil, func() { e.make(newDir(e.dir, mode&0o777&^fuzzUmask)) }
}

func (m *model) rmdir(p string) ([]error, func()) {
	e, errs := m.entry(p, false, "remove")
	switch {
	case errs != nil:
		return errs, nil
	case e.file() == nil:
		return []error{unix.ENOENT}, nil
	case e.file().kind != 'd':
		return []error{unix.ENOTDIR}, nil
	case e.dot:
		return []error{unix.EINVAL}, nil
	case len(e.file().names) > 0:
		return []error{unix.ENOTEMPTY}, nil
	}
	return nil, e.drop
}

func (m *model) remove(p string) ([]error, func()) {
	e, errs := m.entry(p, false, "remove")
	switch {
	case errs != nil:
		return errs, nil
	case e.file() == nil:
		return []error{unix.ENOENT}, nil
	case e.file().kind == 'd':
		return []error{unix.EISDIR}, nil
	case e.trailing:
		return []error{unix.ENOTDIR}, nil
	}
	return nil, e.drop
}

// pair is the two names of a rename or link.
func (m *model) pair(oldp, newp string, rights ...string) (from, to entry, errs []error) {
	from, a := m.entry(oldp, false, rights...)
	refused, unsure := m.refused, m.unsure
	to, b := m.entry(newp, true, rights...)
	m.refused, m.unsure = m.refused || refused, m.unsure || unsure
	errs = slices.Concat(a, b)
	switch {
	case errs != nil:
		return from, to, errs
	case from.mt != to.mt:
		return from, to, []error{unix.EXDEV}
	case from.file() == nil:
		return from, to, []error{unix.ENOENT}
	case (from.trailing || to.trailing) && from.file().kind != 'd':
		errs = append(errs, unix.ENOTDIR)
	}
	return from, to, errs
}

func (m *model) rename(oldp, newp string, replace bool) ([]error, func()) {
	own, want := m.own(oldp), "write"
	if own {
		want, replace = "create", false
	}
	from, to, errs := m.pair(oldp, newp, want)
	if from.dir != nil && to.dir != nil && from.mt == to.mt && (from.dot || to.dot) {
		return []error{unix.EBUSY}, nil
	}
	if from.dir == nil || to.dir == nil || from.mt != to.mt || from.file() == nil {
		return errs, nil
	}
	src, dst := from.file(), to.file()
	if own && src.kind != 'f' {
		errs = append(errs, unix.EACCES)
	}
	for d := to.dir; d != nil; d = d.up {
		if d == src {
			errs = append(errs, unix.EINVAL)
		}
	}
	for d := from.dir; d != nil; d = d.up {
		if d == dst {
			errs = append(errs, unix.ENOTEMPTY)
		}
	}
	switch {
	case dst == nil:
	case !replace:
		errs = append(errs, unix.EEXIST)
	case dst == src:
	case src.kind == 'd' && dst.kind != 'd':
		errs = append(errs, unix.ENOTDIR)
	case src.kind != 'd' && dst.kind == 'd':
		errs = append(errs, unix.EISDIR)
	case dst.kind == 'd' && len(dst.names) > 0:
		errs = append(errs, unix.ENOTEMPTY)
	}
	if errs != nil {
		return errs, nil
	}
	return nil, func() {
		if dst == src {
			return // rename(2): does nothing if both names are of one file
		}
		if dst != nil {
			to.drop()
		}
		from.drop()
		to.make(src)
	}
}

func (m *model) link(oldp, newp string) ([]error, func()) {
	from, to, errs := m.pair(oldp, newp, "read", "write", "remove")
	if from.dir == nil || to.dir == nil || from.mt != to.mt || from.file() == nil {
		return errs, nil
	}
	if from.file().kind == 'd' {
		errs = append(errs, unix.EPERM)
	}
	if to.file() != nil {
		errs = append(errs, unix.EEXIST)
	}
	if to.trailing {
		errs = append(errs, unix.ENOENT)
	}
	if errs != nil {
		return errs, nil
	}
	return nil, func() { to.put(from.file()) }
}

func (m *model) symlink(target, p string) ([]error, func()) {
	if strings.HasPrefix(target, "/") {
		a, errs := m.at(target)
		if errs != nil {
			return append(errs, unix.EACCES, unix.ENOENT, unix.EBUSY, unix.EEXIST), nil
		}
		e, errs := m.entry(p, true, "read", "write", "remove")
		if errs == nil && a.mt != e.mt {
			errs = []error{unix.EXDEV}
		}
		return m.symlinkAt("/"+strings.TrimLeft(strings.Join(a.rest, "/"), "/"), e, errs)
	}
	if strings.Contains(target, "\x00") {
		return []error{unix.EINVAL}, nil
	}
	for n := range strings.SplitSeq(target, "/") {
		if strings.HasPrefix(n, ".sftpd-upload.") {
			return []error{unix.EACCES, unix.ENOENT, unix.EBUSY, unix.EEXIST}, nil
		}
	}
	e, errs := m.entry(p, true, "read", "write", "remove")
	return m.symlinkAt(target, e, errs)
}

func (m *model) symlinkAt(target string, e entry, errs []error) ([]error, func()) {
	switch {
	case errs != nil:
		return errs, nil
	case e.trailing || target == "":
		return []error{unix.ENOENT, unix.EEXIST}, nil
	case e.file() != nil:
		return []error{unix.EEXIST}, nil
	}
	return nil, func() { e.put(&inode{kind: 'l', mode: 0o777, target: target}) }
}

// find resolves a path for requests that only read it. The inode is nil for a synthetic directory.
func (m *model) find(p string, followLast bool) (at, *inode, []error) {
	a, errs := m.at(p)
	switch {
	case errs != nil:
		return a, nil, errs
	case a.mt == nil && a.exact():
		return a, nil, nil
	case a.mt == nil:
		return a, nil, []error{unix.ENOENT}
	}
	i, _, _, err := m.walk(a.mt, a.rest, followLast)
	if err != nil {
		return a, nil, []error{err}
	}
	return a, i, nil
}

func (m *model) readlink(p string) (string, []error) {
	e, errs := m.entry(p, false, "read")
	switch {
	case errs != nil:
		if a, bad := m.at(p); bad == nil && (a.exact() || errs[0] == unix.EBUSY) {
			return "", []error{unix.EINVAL}
		}
		if _, i, bad := m.find(p, false); bad == nil && i != nil && i.kind != 'l' {
			return "", append(errs, unix.EINVAL)
		}
		return "", errs
	case e.file() == nil:
		return "", []error{unix.ENOENT}
	case e.file().kind != 'l':
		return "", []error{unix.EINVAL}
	}
	target := e.file().target
	if strings.HasPrefix(target, "/") && e.mt.path != "/" {
		target = e.mt.path + strings.TrimRight(target, "/")
	}
	return target, nil
}

// list returns the names in a directory except "." and "..".
func (m *model) list(p string) (names []string, errs []error) {
	a, i, errs := m.find(p, true)
	if errs != nil {
		return nil, errs
	}
	if a.exact() {
		names = m.children(a.node)
	}
	if a.mt != nil && !a.mt.may("list") {
		if len(names) == 0 {
			if i.kind != 'd' {
				return nil, []error{unix.ENOTDIR}
			}
			return nil, []error{unix.EACCES}
		}
		return names, nil
	}
	if i == nil {
		return names, nil
	}
	if i.kind != 'd' {
		return nil, []error{unix.ENOTDIR}
	}
	for n := range i.names {
		if !a.exact() || !m.nodes[strings.TrimRight(a.node, "/")+"/"+n] {
			names = append(names, n)
		}
	}
	return names, nil
}

// realpath requires every name except the last to exist.
func (m *model) realpath(p string) (string, []error) {
	a, errs := m.at(p)
	switch {
	case errs != nil:
		return "", errs
	case a.exact():
		return a.text, nil
	case a.mt == nil:
		return "", []error{unix.ENOENT}
	case !a.mt.may("read"):
		return a.text, nil
	}
	rest := a.rest
	for len(rest) > 0 && rest[len(rest)-1] == "" {
		rest = rest[:len(rest)-1]
	}
	m.slashes = true
	i, dir, name, err := m.walk(a.mt, rest, true)
	m.slashes = false
	if err == unix.ENOENT && dir != nil {
		return joined(a.mt, dir, name), nil
	}
	if err == nil && len(rest) < len(a.rest) && i.kind != 'd' {
		err = unix.ENOTDIR
	}
	switch {
	case err != nil:
		return "", []error{err}
	case i.kind == 'd':
		return joined(a.mt, i, ""), nil
	}
	return joined(a.mt, dir, name), nil
}

// joined is the path of a name in a directory.
func joined(mt *modelMount, dir *inode, name string) string {
	p := name
	for ; dir.up != nil; dir = dir.up {
		for n, i := range dir.up.names {
			if i == dir {
				p = n + "/" + p
			}
		}
	}
	return "/" + strings.Trim(strings.Trim(mt.path, "/")+"/"+strings.Trim(p, "/"), "/")
}

func (m *model) open(p string, flags int, mode uint32) ([]error, func() *inode) {
	a, errs := m.at(p)
	switch {
	case errs != nil:
		return errs, nil
	case a.exact():
		return []error{unix.EISDIR}, nil
	case a.mt == nil:
		return []error{unix.ENOENT, unix.EACCES}, nil
	}
	access := flags & (os.O_WRONLY | os.O_RDWR)
	if a.mt.access == CreateOnly && access == os.O_WRONLY && flags&os.O_CREATE != 0 {
		flags |= os.O_EXCL
	} else if access != os.O_WRONLY && !a.mt.may("read") || (access != os.O_RDONLY || flags != access) && !a.mt.may("write") {
		return m.deniedOpen(p, flags), nil
	}
	creates, exclusive := flags&os.O_CREATE != 0, flags&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL
	i, dir, name, err := m.walk(a.mt, a.rest, !exclusive)
	last := a.rest[len(a.rest)-1]
	switch {
	case creates && (last == "" || last == "." || last == ".."):
		return []error{unix.EISDIR, unix.ENOENT, unix.ENOTDIR, unix.EEXIST}, nil
	case err == unix.ENOENT && creates && dir != nil:
		e := entry{mt: a.mt, dir: dir, name: name}
		return nil, func() *inode {
			i := &inode{kind: 'f', mode: mode & 0o777 &^ fuzzUmask}
			e.make(i)
			return i
		}
	case err != nil && creates:
		return []error{err, unix.EISDIR}, nil // a link to "x/"
	case err != nil:
		return []error{err}, nil
	case exclusive:
		return []error{unix.EEXIST}, nil
	case i.kind == 'd':
		return []error{unix.EISDIR}, nil
	}
	return nil, func() *inode {
		if flags&os.O_TRUNC != 0 {
			i.data = nil
		}
		return i
	}
}

// deniedOpen is denied for an OPEN.
func (m *model) deniedOpen(p string, flags int) []error {
	_, i, errs := m.find(p, true)
	switch {
	case flags&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return m.denied(p, true)
	case errs == nil && i.kind == 'd':
		return []error{unix.EISDIR}
	case errs == nil:
		return []error{unix.EACCES}
	case flags&os.O_CREATE != 0:
		return append(errs, unix.EACCES)
	}
	return errs
}

// setstat returns which changes fail and why; the others are still made.
func (m *model) setstat(p string, c Changes, followLast bool) ([]error, func()) {
	if !followLast && c.Set&SetSize != 0 {
		return []error{unix.EINVAL}, nil
	}
	own := m.own(p)
	a, i, errs := m.find(p, followLast && !own)
	switch {
	case a.mt == nil && errs == nil:
		return []error{unix.EACCES}, nil
	case errs != nil:
		return errs, nil
	case !a.mt.may("write") && (!own || c.Set&SetSize != 0):
		return []error{unix.EACCES}, nil
	}
	root := i == a.mt.root
	if c.Set&SetSize != 0 && i.kind != 'f' {
		errs = append(errs, unix.EISDIR)
	}
	if c.Set&SetMode != 0 && i.kind == 'l' {
		errs = append(errs, unix.EOPNOTSUPP)
	}
	if c.Set&SetMode != 0 && root && c.Mode&0o777 != i.mode {
		errs = append(errs, unix.EACCES)
	}
	return errs, func() {
		if c.Set&SetSize != 0 && i.kind == 'f' {
			i.data = append(i.data, make([]byte, max(0, int(c.Size)-len(i.data)))...)[:c.Size]
		}
		if c.Set&SetMode != 0 && i.kind != 'l' && !root {
			i.mode = c.Mode & 0o777
		}
	}
}
