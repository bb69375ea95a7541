package vfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// A file can be renamed while it is being written, by its own connection or by another one, and so can the directories that lead
// to it. The record at CLOSE must contain the name that the file has then.

// recording returns what a journal needs to know about a file that was opened for writing.
func (t *Tree) recording(f *File, p string) *recorded {
	r := &recorded{journal: t.journal, tree: t, path: Clean(t.absolute(p))}
	if f.Staged() {
		r.dir = hostPath(f.up.dir.fd)
	}
	return r
}

// follow changes the path of a staged file whose directory has been moved.
func (r *recorded) follow(p *Publication) {
	if p.Dir == r.dir || p.Dir == "" || r.dir == "" {
		return
	}
	if dir, m := r.tree.virtual(p.Dir); m != nil {
		p.OriginalPath, p.Path = r.path, Clean(dir+"/"+p.Name)
	}
}

// find sets the name of a file that was written in place, and its path if that differs from the one when it was opened. A file
// that was opened under a temporary name, and that was moved to a place that this tree does not reach, is an error: nothing else
// would record what was written to it.
func (r *recorded) find(f *File, p *Publication, st *unix.Stat_t) error {
	_, p.Name, _ = splitLast(r.path)
	if there, id := r.tree.look(r.path, nil); st.Nlink == 0 || there && id == f.id {
		return nil
	}
	now, m := r.tree.virtual(hostPath(f.fd))
	there, id := r.tree.look(now, m)
	switch {
	case m != nil && there && id == f.id:
	case m != nil && there && now == r.path: // to the kernel it is the same file: some FUSE volumes change a file's number
		return nil
	case r.journal.Temporary(p.Name):
		return ErrRemoved
	default:
		return nil
	}
	p.OriginalPath, p.Path = r.path, now
	_, p.Name, _ = splitLast(now)
	return nil
}

// look reports whether a path leads to something, in a certain mount unless that is nil, and what that is.
func (t *Tree) look(p string, m *mount) (there bool, id identity) {
	pl, err := t.locate(p)
	if err != nil || pl.node != nil || pl.m == nil || m != nil && pl.m != m {
		return false, id
	}
	fd, err := pl.m.r.open(pl.rest, unix.O_PATH, 0)
	if err != nil {
		return false, id
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false, id
	}
	return true, identityOf(&st)
}

// virtual returns the path of this tree that leads to a host's path, and its mount, nil if there is none. If there are
// several, it is the one of the innermost mount.
func (t *Tree) virtual(host string) (p string, in *mount) {
	longest := ""
	for _, m := range t.mounts {
		root := hostPath(m.fd)
		rest, below := strings.CutPrefix(host, strings.TrimSuffix(root, "/")+"/")
		switch {
		case root == "" || len(root) < len(longest):
			continue
		case host == root:
			rest = ""
		case !below:
			continue
		}
		longest, in, p = root, m, Clean(m.path+"/"+rest)
	}
	return p, in
}
