package vfs

import "golang.org/x/sys/unix"

// Access is what a user may do in a mount.
type Access string

const (
	// ReadWrite allows everything.
	ReadWrite Access = "ReadWrite"
	// ReadOnly allows reading, listing and statting.
	ReadOnly Access = "ReadOnly"
	// WriteOnly is a drop box: create, write, overwrite, mkdir, rename inside the mount,
	// set attributes, stat. Content and link targets cannot be read, names can be listed
	// only with [Mount].ListNames, and nothing can be removed or linked.
	WriteOnly Access = "WriteOnly"
	// CreateOnly is a drop box that only grows: files and directories can be created, and nothing that exists is written, replaced,
	// renamed or removed. What the same tree has created can be renamed to a free name, and its times and permissions can be set,
	// because that is how clients upload. Otherwise it is like WriteOnly.
	CreateOnly Access = "CreateOnly"
)

// right is one permission that an access mode grants or refuses.
type right uint8

const (
	// rightRead is reading content and link targets.
	rightRead right = 1 << iota
	// rightList is listing names and attributes.
	rightList
	// rightCreate is creating files and directories, and writing to them while the handle
	// that created them is open.
	rightCreate
	// rightWrite is writing, truncating, renaming, setting attributes.
	rightWrite
	// rightRemove is unlink and rmdir, and creating links: a second name for a file is the
	// first step to getting it out of a drop box.
	rightRemove
)

func (a Access) rights() right {
	switch a {
	case ReadWrite:
		return rightRead | rightList | rightCreate | rightWrite | rightRemove
	case ReadOnly:
		return rightRead | rightList
	case WriteOnly:
		return rightCreate | rightWrite
	case CreateOnly:
		return rightCreate
	}
	return 0
}

// need returns [ErrAccess] unless the mount grants all of want.
func (m *mount) need(want right) error {
	if m.rights&want != want {
		return ErrAccess
	}
	return nil
}

// createsOnly reports whether nothing that exists may be changed.
func (m *mount) createsOnly() bool { return m.rights&(rightCreate|rightWrite) == rightCreate }

// wants returns the rights needed to open a file with these flags.
func wants(flags int) right {
	var want right
	if flags&unix.O_ACCMODE != unix.O_WRONLY {
		want |= rightRead
	}
	if flags&unix.O_ACCMODE != unix.O_RDONLY || flags&(unix.O_CREAT|unix.O_TRUNC|unix.O_APPEND) != 0 {
		want |= rightWrite
	}
	return want
}
