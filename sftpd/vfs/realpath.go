package vfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links one path may pass, as in Linux.
const maxLinks = 40

// RealPath returns the absolute virtual path of p without "..", "." and links.
// The last component need not exist, all others must (as OpenSSH's
// sftp-server). In a [WriteOnly] mount links stay in it. The result is text: it is resolved anew when used.
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
		return Clean(t.absolute(p)), nil //nolint:nilerr // no right to read: where links lead is content, too
	}
	rest, err := pl.m.realRest(pl.rest)
	if err != nil {
		return "", err
	}
	return Clean(pl.m.path + "/" + rest), nil
}

// realRest walks rest from the mount's root. What it asks of the kernel is
// jailed like everything else, so races can make its answer stale, not unsafe.
func (m *mount) realRest(rest string) (string, error) {
	var done []string
	links := 0
	todo := strings.Split(rest, "/")
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = done[:max(len(done)-1, 0)]
			continue
		}
		done = append(done, name)
		at := strings.Join(done, "/")
		target, err := m.readlink(at)
		switch err {
		case nil:
			if links++; links > maxLinks {
				return "", unix.ELOOP
			}
			done = done[:len(done)-1]
			if strings.HasPrefix(target, "/") {
				done = done[:0]
			}
			todo = append(strings.Split(target, "/"), todo...)
		case unix.EINVAL: // no link; only a directory leads on
			if len(todo) > 0 {
				if err := m.isDir(at); err != nil {
					return "", err
				}
			}
		case unix.ENOENT:
			if strings.Join(todo, "") != "" {
				return "", err
			}
		default:
			return "", err
		}
	}
	return strings.Join(done, "/"), nil
}

func (m *mount) isDir(rest string) error {
	fd, err := m.r.open(rest, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
