package retention

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// holds are the directories of a volume in which nothing is deleted.
type holds struct {
	paths []string
	ids   map[identity]bool
	// missing is the first held directory that does not exist.
	missing string
}

// resolve finds held directories on a volume. Anyone with write access to a directory can rename it. So one that is no longer in
// its place may be anywhere in its top-level directory, which is the user's namespace. In that case, all of that directory is
// held.
func resolve(volume int, paths []string) (holds, error) {
	h := holds{ids: map[identity]bool{}}
	for _, path := range paths {
		fd, err := openBeneath(volume, orDot(path), unix.O_PATH)
		switch {
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
			if h.missing == "" {
				h.missing = path
			}
			path, _, _ = cutFirst(path)
		case err != nil:
			return h, err
		default:
			id, err := identityOf(fd)
			unix.Close(fd)
			if err != nil {
				return h, err
			}
			h.ids[id] = true
		}
		h.paths = append(h.paths, path)
	}
	return h, nil
}

// cutFirst returns the first directory of a path, or "", the volume, if the path has only one.
func cutFirst(path string) (first, rest string, found bool) {
	if first, rest, found = strings.Cut(path, "/"); !found {
		return "", path, false
	}
	return first, rest, true
}

// held reports whether a directory is held, is beneath one that is, or is a held one that was renamed.
func (h *holds) held(path string, id identity) bool {
	if h.ids[id] {
		return true
	}
	for _, p := range h.paths {
		if p == "" || path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}
