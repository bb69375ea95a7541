package vfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links one path may pass, as in Linux.
const maxLinks = 40

// RealPath returns the absolute virtual path of p without "..", "." and links. The last component need not
// exist, all others must (as in OpenSSH's sftp-server). In a [WriteOnly] mount, links are left unresolved.
// The result is text and resolved again when it is used.
func (t *Tree) RealPath(p string) (string, error) {
	pl, err := t.locate(p)
	switch {
	case err != nil:
		return "", err
	case pl.node != nil:
		return Clean(t.absolute(p)), nil
	case pl.m == nil:
		return "", unix.ENOENT
	case pl.m.need(rightRead) != nil:
		return Clean(t.absolute(p)), nil //nolint:nilerr // no read permission: link targets count as content
	}
	rest, err := pl.m.realRest(pl.rest, t.turn)
	if err != nil {
		return "", err
	}
	return Clean(pl.m.path + "/" + rest), nil
}

// Bounds of a walk, like realpath(3)'s: otherwise a tree of links can make a path of 1800 bytes take
// seconds.
const (
	// maxSteps is how many components a walk visits, including those of links.
	maxSteps = 4096
	// freeSteps is how many steps a walk takes before it needs a turn, and in each turn. Real paths are shorter.
	freeSteps = 64
	// reopenCost is how many components of a reopened directory count as one step.
	reopenCost = 16
)

// walk is the state of realRest: dir is the directory that done leads to, opened during the walk.
type walk struct {
	m     *mount
	turn  Turn
	done  []string
	size  int // of done, with a slash before each
	dir   int // m.fd, a descriptor of its own, or closed
	links int
	steps int
	end   func() // of the turn
}

const closed = -1

// realRest walks rest from the mount's root. It opens one component at a time and never lets the kernel
// follow a link, so nothing outside the mount is reached: races can make its answer stale, not unsafe.
func (m *mount) realRest(rest string, turn Turn) (string, error) {
	w := &walk{m: m, turn: turn, dir: m.fd}
	defer w.finish()
	if err := w.run(rest); err != nil {
		return "", err
	}
	return strings.Join(w.done, "/"), nil
}

func (w *walk) run(todo string) error {
	for todo != "" {
		if err := w.step(1); err != nil {
			return err
		}
		name, rest, more := strings.Cut(todo, "/")
		todo = rest
		switch name {
		case "", ".":
			continue
		case "..":
			w.up()
			continue
		}
		target, err := w.look(name)
		switch err {
		case nil:
			if w.links++; w.links > maxLinks {
				return unix.ELOOP
			}
			if more {
				target += "/" + rest
			}
			if len(target) >= maxPath {
				return unix.ENAMETOOLONG
			}
			if todo = target; strings.HasPrefix(target, "/") {
				w.done, w.size = w.done[:0], 0
				w.moveTo(w.m.fd)
			}
			continue
		case unix.EINVAL: // not a link; only a directory can be continued
			if more {
				err = w.enter(name)
			} else {
				err = nil
			}
		case unix.ENOENT:
			if strings.Trim(rest, "/") == "" {
				err = nil
				todo = ""
			}
		}
		if err != nil {
			return err
		}
		w.done = append(w.done, name)
		if w.size += len(name) + 1; w.size > maxPath {
			return unix.ENAMETOOLONG
		}
	}
	return nil
}

// step counts a step, and waits for a turn when one is due.
func (w *walk) step(n int) error {
	before := w.steps / freeSteps
	if w.steps += n; w.steps > maxSteps {
		return unix.ENAMETOOLONG
	}
	if w.turn == nil || w.steps/freeSteps == before {
		return nil
	}
	w.endTurn()
	var err error
	w.end, err = w.turn()
	return err
}

func (w *walk) endTurn() {
	if w.end != nil {
		w.end()
		w.end = nil
	}
}

func (w *walk) finish() {
	w.endTurn()
	w.moveTo(w.m.fd)
}

// moveTo replaces the directory's descriptor.
func (w *walk) moveTo(dir int) {
	if w.dir != w.m.fd && w.dir != closed {
		unix.Close(w.dir)
	}
	w.dir = dir
}

func (w *walk) up() {
	if n := len(w.done); n > 0 {
		w.size -= len(w.done[n-1]) + 1
		w.done = w.done[:n-1]
		w.moveTo(closed)
	}
}

// look returns the target of a link in the directory. It gives EINVAL for anything else.
func (w *walk) look(name string) (string, error) {
	if err := w.reopen(); err != nil {
		return "", err
	}
	return readlinkAt(w.dir, name)
}

// reopen opens the directory after "..": by its names, since the kernel's ".." may lead out of the mount.
func (w *walk) reopen() error {
	switch {
	case w.dir != closed:
		return nil
	case len(w.done) == 0:
		w.dir = w.m.fd
		return nil
	}
	if err := w.step(len(w.done) / reopenCost); err != nil {
		return err
	}
	fd, err := w.m.r.open(strings.Join(w.done, "/"), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == nil {
		w.dir = fd
	}
	return err
}

func (w *walk) enter(name string) error {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(w.dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err == nil {
		w.moveTo(fd)
	}
	return err
}
