package vfs

import (
	"golang.org/x/sys/unix"
)

// Attr holds the attributes of a file in SFTP version 3, and its link count.
type Attr struct {
	Size         uint64 // bytes
	Mode         uint32 // type and permissions, as st_mode
	UID, GID     uint32
	Nlink        uint32
	Atime, Mtime int64 // seconds since 1970
}

func attrOf(st *unix.Stat_t) Attr {
	return Attr{
		Size: uint64(max(st.Size, 0)), Mode: st.Mode, UID: st.Uid, GID: st.Gid, Nlink: uint32(st.Nlink),
		Atime: int64(st.Atim.Sec), Mtime: int64(st.Mtim.Sec),
	}
}

func statFD(fd int) (Attr, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return Attr{}, err
	}
	return attrOf(&st), nil
}

// Stat returns the attributes of the file at p, following links.
func (t *Tree) Stat(p string) (Attr, error) { return t.stat(p, 0) }

// Lstat returns the attributes of the file at p, of the link itself if it is one.
func (t *Tree) Lstat(p string) (Attr, error) { return t.stat(p, unix.O_NOFOLLOW) }

func (t *Tree) stat(p string, nofollow int) (Attr, error) {
	pl, err := t.locate(p)
	if err != nil {
		return Attr{}, err
	}
	if pl.node != nil {
		return t.nodeAttr(pl.node)
	}
	if pl.m == nil {
		return Attr{}, unix.ENOENT
	}
	a, err := pl.stat(nofollow)
	if err == unix.ENOENT && t.staging.OnClose && !t.staging.DeleteIncomplete && pl.m.need(rightWrite) == nil {
		return t.statKept(pl)
	}
	return a, err
}

func (pl place) stat(nofollow int) (Attr, error) {
	// An entry of the root needs one call instead of three.
	if dir, name, trailing := splitLast(pl.rest); dir == "" && !trailing && name != ".." {
		var st unix.Stat_t
		if err := lstatAt(pl.m.fd, name, &st); err != nil {
			return Attr{}, err
		}
		if nofollow != 0 || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			return attrOf(&st), nil
		}
	}
	fd, err := pl.m.r.open(pl.rest, unix.O_PATH|nofollow, 0)
	if err != nil {
		return Attr{}, err
	}
	defer unix.Close(fd)
	return statFD(fd)
}

// StatVFS describes the file system that holds the file at p, like statvfs(3).
type StatVFS struct {
	BlockSize, FragmentSize         uint64 // bytes
	Blocks, BlocksFree, BlocksAvail uint64 // in units of FragmentSize
	Files, FilesFree, FilesAvail    uint64 // inodes
	FSID                            uint64
	NameMax                         uint64 // bytes
	ReadOnly, NoSetuidPrograms      bool
}

// StatVFS returns the figures of the volume that holds p. A synthetic directory has no space.
func (t *Tree) StatVFS(p string) (StatVFS, error) {
	pl, err := t.locate(p)
	switch {
	case err != nil:
		return StatVFS{}, err
	case pl.node != nil && pl.node.m == nil:
		return StatVFS{BlockSize: 4096, FragmentSize: 4096, NameMax: maxName, ReadOnly: true}, nil
	case pl.m == nil:
		return StatVFS{}, unix.ENOENT
	case pl.node != nil:
		return statFS(pl.m.fd, pl.m)
	}
	fd, err := pl.m.r.open(pl.rest, unix.O_PATH, 0)
	if err != nil {
		return StatVFS{}, err
	}
	defer unix.Close(fd)
	return statFS(fd, pl.m)
}

func statFS(fd int, m *mount) (StatVFS, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return StatVFS{}, err
	}
	frag := uint64(st.Frsize)
	if frag == 0 {
		frag = uint64(st.Bsize)
	}
	return StatVFS{
		BlockSize: uint64(st.Bsize), FragmentSize: frag,
		Blocks: st.Blocks, BlocksFree: st.Bfree, BlocksAvail: st.Bavail,
		Files: st.Files, FilesFree: st.Ffree, FilesAvail: st.Ffree,
		// The kernel's ID only distinguishes volumes.
		FSID:     uint64(uint32(st.Fsid.Val[0]))<<32 | uint64(uint32(st.Fsid.Val[1])),
		NameMax:  uint64(st.Namelen),
		ReadOnly: st.Flags&unix.ST_RDONLY != 0 || m.rights&rightCreate == 0,
		// Special bits are masked, so nothing here runs with elevated rights.
		NoSetuidPrograms: true,
	}, nil
}
