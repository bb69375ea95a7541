package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// probeSize is how much a probe writes, in bytes: a block, so that the file system has to allocate one.
const probeSize = 4096

// CheckWritable checks that files can be created on a volume, and returns the errno if not.
// subPaths are directories below it to try when the root denies permission: some volumes are
// writable only there. Nothing visible is changed: the file has no name, or where the file
// system does not support that, briefly a hidden one.
func CheckWritable(volume string, subPaths []string) error {
	root, err := os.OpenRoot(volume)
	if err != nil {
		return err
	}
	defer root.Close()
	denied := checkDirectory(root, ".")
	if !os.IsPermission(denied) {
		return denied
	}
	for _, sub := range subPaths {
		if checkDirectory(root, sub) == nil {
			return nil
		}
	}
	return denied
}

func checkDirectory(root *os.Root, sub string) error {
	dir, err := root.Open(sub)
	if err != nil {
		return err
	}
	defer dir.Close()
	fd := int(dir.Fd())
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return os.NewSyscallError("statfs", err)
	}
	switch {
	case int64(st.Flags)&unix.ST_RDONLY != 0:
		return os.NewSyscallError("statfs", unix.EROFS)
	// Some network file systems report a lack of space only here: their writes fail when the file is closed.
	case st.Blocks > 0 && st.Bavail == 0, st.Files > 0 && st.Ffree == 0:
		return os.NewSyscallError("statfs", unix.ENOSPC)
	}
	file, err := unnamedFile(fd)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	for rest := probeSize; rest > 0; {
		n, err := unix.Write(file, make([]byte, rest))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
		rest -= n
	}
	return nil
}

// unnamedFile creates a file in a directory, which disappears when it is closed.
func unnamedFile(dir int) (fd int, err error) {
	fd, err = unix.Openat(dir, ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	switch err {
	case nil:
		return fd, nil
	case unix.EOPNOTSUPP, unix.EISDIR, unix.EINVAL, unix.ENOENT: // open(2), O_TMPFILE
	default:
		return -1, os.NewSyscallError("open", err)
	}
	return namedFile(dir)
}

// namedFile is unnamedFile for file systems on which files need names.
func namedFile(dir int) (fd int, err error) {
	name := hiddenName()
	fd, err = unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, os.NewSyscallError("open", err)
	}
	if err := unix.Unlinkat(dir, name, 0); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("unlink", err)
	}
	return fd, nil
}
