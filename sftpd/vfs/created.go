package vfs

import (
	"sync"

	"golang.org/x/sys/unix"
)

// created holds the names that a tree has created in mounts with [CreateOnly]. Clients give a file its final name when it is
// complete, and set its times after that: a connection may still rename and touch what it has just created, and nothing else.
type created struct {
	mu    sync.Mutex
	files map[createdName]identity
}

type createdName struct {
	dir  identity
	name string
}

// maxCreated bounds what is remembered. Clients rename and touch right after an upload.
const maxCreated = 4096

func (c *created) key(par parent) (createdName, bool) {
	var st unix.Stat_t
	if unix.Fstat(par.fd, &st) != nil {
		return createdName{}, false
	}
	return createdName{identityOf(&st), par.name}, true
}

// add records a name as created by this tree.
func (c *created) add(par parent, id identity) {
	key, ok := c.key(par)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = map[createdName]identity{}
	}
	for k := range c.files {
		if len(c.files) < maxCreated {
			break
		}
		delete(c.files, k)
	}
	c.files[key] = id
}

// has reports whether an entry is the one that this tree created under its name.
func (c *created) has(par parent) bool {
	key, ok := c.key(par)
	if !ok {
		return false
	}
	c.mu.Lock()
	id, ok := c.files[key]
	c.mu.Unlock()
	return ok && isNamed(par.fd, par.name, id)
}

// moved changes an entry's name.
func (c *created) moved(from, to parent) {
	key, ok := c.key(from)
	if !ok {
		return
	}
	c.mu.Lock()
	id, ok := c.files[key]
	delete(c.files, key)
	c.mu.Unlock()
	if ok {
		c.add(to, id)
	}
}

// ofOwn reports whether a change that needs want concerns an entry that this tree has
// created, which [CreateOnly] allows.
func (t *Tree) ofOwn(pl place) bool {
	if !pl.m.createsOnly() {
		return false
	}
	par, err := pl.parentOf()
	if err != nil {
		return false
	}
	defer par.close()
	return t.created.has(par)
}

// madeDir records a directory that was created.
func (t *Tree) madeDir(pl place, par parent) {
	var st unix.Stat_t
	if pl.m.createsOnly() && lstatAt(par.fd, par.name, &st) == nil {
		t.created.add(par, identityOf(&st))
	}
}

// openNew opens a file in a mount where files can only be created, so that no OPEN reaches
// an existing one, neither by its name nor as the leftover of an interrupted upload.
func (t *Tree) openNew(pl place, flags int, mode uint32) (*File, error) {
	flags = flags&^unix.O_TRUNC | unix.O_EXCL
	var f *File
	var err error
	if t.staging.OnClose {
		f, err = t.staging.open(pl, flags, mode, t.turn)
	}
	if f == nil && err == nil {
		f, err = t.openInPlace(pl, flags, mode)
	}
	if err != nil {
		return nil, err
	}
	if par, err := pl.parentOf(); err == nil {
		t.created.add(par, f.id)
		par.close()
	}
	return f, nil
}
