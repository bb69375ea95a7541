package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// segment is a file of a log. Its counters are guarded by the log's lock, and the file is written by the log's goroutine.
type segment struct {
	number int
	path   string
	file   *os.File
	size   int64
	// live bytes belong to events that some sink needs. open counts prepared records that are not settled.
	live int64
	open int
	// fixed bytes were not live when the segment was compacted, but were kept for what they say about other records.
	fixed int64
	// first and last are the positions of its records. What was prepared there and settled until cleared was left out when it was
	// compacted.
	first, last, cleared uint64
	// readers keep the file open. If gone is set, the last one closes it.
	readers int
	gone    bool
}

const (
	segmentSuffix = ".seg"
	lockName      = "lock"
	maxSegments   = 128
	minSegment    = 256 << 10
)

// segmentSize returns the size at which the next segment begins.
func segmentSize(maxBytes int64) int64 { return max(maxBytes/(maxSegments/2), minSegment) }

// covers adds a record.
func (s *segment) covers(r *record) {
	if r.Kind == state {
		return
	}
	if s.first == 0 {
		s.first = r.N
	}
	s.last = max(s.last, r.N)
}

func segmentName(number int) string { return fmt.Sprintf("%08d%s", number, segmentSuffix) }

// segmentNumber returns a segment's number from its file name, or false.
func segmentNumber(name string) (int, bool) {
	base, ok := strings.CutSuffix(name, segmentSuffix)
	n, err := strconv.Atoi(base)
	return n, ok && err == nil && n > 0
}

// fdatasync is the system call. Tests replace it.
var fdatasync = func(f *os.File) error { return retry(func() error { return unix.Fdatasync(int(f.Fd())) }) }

// fsync is the system call, for directories. Tests replace it.
var fsync = (*os.File).Sync

// Modes of directories and files: another pod may run as another user of the volume's group.
const (
	dirMode  = 0o770
	fileMode = 0o660
)

func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// cannotSync reports whether an error means that the volume does not support syncing, or is not worth failing for.
func cannotSync(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

// syncDir writes a directory's names to the disk.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := fsync(f); err != nil && !cannotSync(err) {
		return err
	}
	return nil
}

// makeDirs creates a directory, and those above it that are missing. It sets the mode, regardless of the umask, only of those
// that it creates: the others belong to someone else. The names of the last levels are written to the disk.
func makeDirs(dir string, levels int) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	for at := dir; levels > 0; at, levels = filepath.Dir(at), levels-1 {
		if err := syncDir(filepath.Dir(at)); err != nil {
			return err
		}
	}
	return nil
}

func makeDir(dir string) error {
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, dirMode)
	}
	switch {
	case err == nil:
		_ = os.Chmod(dir, dirMode) // not every volume has modes
	case errors.Is(err, fs.ErrExist):
		return nil
	}
	return err
}

// errOwned: another process has the log.
var errOwned = errors.New("the log belongs to another process")

// takeLock locks a log's directory for as long as the file is open. noLocks is set if the volume does not support locks;
// then nothing is locked.
func takeLock(dir string, create bool) (file *os.File, noLocks bool, err error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	for range 100 {
		f, err := os.OpenFile(filepath.Join(dir, lockName), flags, fileMode)
		if err != nil {
			return nil, false, err
		}
		switch err := retry(func() error { return flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }); {
		case err == nil:
		case errors.Is(err, unix.EWOULDBLOCK):
			f.Close()
			return nil, false, errOwned
		default: // ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL
			return f, true, nil
		}
		// Another pod may have adopted the log, and removed the file, before the lock was taken.
		if named, err := os.Stat(f.Name()); err == nil {
			if have, err := f.Stat(); err == nil && os.SameFile(named, have) {
				return f, false, nil
			}
		}
		f.Close()
		if create {
			if err := os.MkdirAll(dir, dirMode); err != nil {
				return nil, false, err
			}
		}
	}
	return nil, false, errOwned
}

// flock is the system call. Tests replace it.
var flock = unix.Flock
