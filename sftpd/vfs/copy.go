package vfs

import (
	"io"

	"golang.org/x/sys/unix"
)

// CopyTo copies up to n bytes from offset off of f to offset dstOff of dst, in the kernel
// where it can, and returns how many it copied; 0 with io.EOF at the end of f. One call
// copies a part, so that the caller can stop in between. The files must differ, but may be
// in different mounts: a copy is just a read and a write, and both were allowed when the
// files were opened.
func (f *File) CopyTo(dst *File, off, dstOff, n int64) (int64, error) {
	if !f.Readable() || !dst.Writable() {
		return 0, ErrAccess
	}
	if f.id == dst.id {
		return 0, ErrSameFile
	}
	if off < 0 || dstOff < 0 || n < 0 {
		return 0, unix.EINVAL
	}
	dst.sum.replaced()
	if dst.flags&unix.O_APPEND == 0 {
		from, to := off, dstOff
		var done int
		err := retry(func() (err error) {
			done, err = unix.CopyFileRange(f.fd, &from, dst.fd, &to, int(min(n, 1<<30)), 0)
			return err
		})
		switch err {
		case nil:
			if done == 0 && n > 0 {
				return 0, io.EOF
			}
			return int64(done), nil
		case unix.EXDEV, unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL, unix.EPERM, unix.EBADF:
			// Other file systems, old kernels, seccomp.
		default:
			return 0, err
		}
	}
	buf := make([]byte, min(n, 256<<10))
	got, err := f.ReadAt(buf, off)
	if err != nil {
		return 0, err
	}
	put, err := dst.WriteAt(buf[:got], dstOff)
	return int64(put), err
}
