package retention

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

const (
	// maxDepth is how many directories deep a walk goes. Each level has a descriptor and a buffer.
	maxDepth = 64
	// maxPath bounds the paths that are visited, in bytes.
	maxPath = 4096
	// bufferSize is how much of a directory is read at a time, in bytes: some 500 names.
	bufferSize = 16 << 10
)

// entry is a file or directory that a walk finds.
type entry struct {
	// dir is the open directory, which has the identity dirID and the path dirPath beneath the volume.
	dir     int
	dirID   identity
	dirPath string
	name    string
	attributes
}

// path returns the path of the entry beneath the volume.
func (e *entry) path() string { return join(e.dirPath, e.name) }

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// walk visits the files beneath a directory, one directory per level at a time.
type walk struct {
	volume int
	pace   *pace
	// held reports whether to skip a directory.
	held func(path string, id identity) bool
	// wanted reports whether to read the attributes of a name.
	wanted func(name string) bool
	// visit is called for each regular file with such a name.
	visit func(*entry) error
	// empty, unless it is nil, is called for each empty directory below the first one.
	empty func(parent, dir *entry) error
	// most is how many entries may be read.
	most int64
	// skipped counts directories that were not looked into.
	skipped int64

	buffers [][]byte
	entries int64
}

// errTooLarge is returned for more entries than may be read.
var errTooLarge = errors.New("too many files and directories")

// from walks what is beneath a path of the volume. It is not an error if the path does not exist.
func (w *walk) from(ctx context.Context, path string) error {
	fd, err := openBeneath(w.volume, orDot(path), unix.O_RDONLY)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return w.skip(err)
	}
	defer unix.Close(fd)
	_, err = w.directory(ctx, fd, path, 0)
	return err
}

// skip counts a directory that cannot be opened. An error that concerns more than this directory ends the walk.
func (w *walk) skip(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT): // it was removed
		return nil
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EXDEV), errors.Is(err, unix.ELOOP),
		errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ENAMETOOLONG):
		w.skipped++
		return nil
	}
	return err
}

// directory walks an open directory, and reports whether it is empty.
func (w *walk) directory(ctx context.Context, fd int, path string, depth int) (empty bool, err error) {
	id, err := identityOf(fd)
	if err != nil {
		return false, err
	}
	if depth >= maxDepth || len(path) > maxPath || w.held(path, id) {
		w.skipped++
		return false, nil
	}
	if len(w.buffers) <= depth {
		w.buffers = append(w.buffers, make([]byte, bufferSize))
	}
	e := entry{dir: fd, dirID: id, dirPath: path}
	empty = true
	for {
		n := 0
		err := retry(func() (err error) {
			n, err = unix.Getdents(fd, w.buffers[depth])
			return err
		})
		if errors.Is(err, unix.ENOENT) { // the directory was removed
			return false, nil
		}
		if err != nil || n == 0 {
			return empty, err
		}
		for buf := w.buffers[depth][:n]; len(buf) > 0; {
			var kind byte
			if e.name, kind, buf = nextName(buf); e.name == "." || e.name == ".." {
				continue
			}
			empty = false
			if w.entries++; w.entries > w.most {
				return false, errTooLarge
			}
			if err := w.pace.step(ctx); err != nil {
				return false, err
			}
			if err := w.entry(ctx, &e, kind, depth); err != nil {
				return false, err
			}
		}
	}
}

// nextName removes the first entry from a buffer of getdents64(2).
func nextName(buf []byte) (name string, kind byte, rest []byte) {
	const lengthAt, kindAt, nameAt = 16, 18, 19
	length := int(binary.NativeEndian.Uint16(buf[lengthAt:]))
	name, _, _ = strings.Cut(string(buf[nameAt:length]), "\x00")
	return name, buf[kindAt], buf[length:]
}

func (w *walk) entry(ctx context.Context, e *entry, kind byte, depth int) (err error) {
	switch kind {
	case unix.DT_DIR:
		return w.enter(ctx, e, depth)
	case unix.DT_REG:
		if !w.wanted(e.name) {
			return nil
		}
	case unix.DT_UNKNOWN:
	default:
		return nil
	}
	e.attributes, err = look(e.dir, e.name)
	switch {
	case errors.Is(err, unix.EACCES): // a user may have removed the permission to search its directory
		w.skipped++
		return nil
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	case e.directory():
		return w.enter(ctx, e, depth)
	case !e.regular() || !w.wanted(e.name):
		return nil
	}
	return w.visit(e)
}

// enter walks a subdirectory, unless it is one of the daemon's own, for events or used codes.
func (w *walk) enter(ctx context.Context, e *entry, depth int) error {
	if vfs.Internal(e.name) {
		return nil
	}
	fd, err := openBeneath(e.dir, e.name, unix.O_RDONLY)
	if err != nil {
		return w.skip(err)
	}
	defer unix.Close(fd)
	below := *e // the entry is reused for the next one
	empty, err := w.directory(ctx, fd, below.path(), depth+1)
	if err != nil || !empty || w.empty == nil {
		return err
	}
	dir := entry{dir: fd, dirPath: below.path()}
	if dir.attributes, err = look(fd, ""); err != nil {
		return err
	}
	return w.empty(&below, &dir)
}
