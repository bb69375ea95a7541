package sftp

import (
	"math"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// attrs decodes ATTRS (filexfer-02, section 5). Extended pairs are skipped, as
// are flags of other versions.
func (f *fields) attrs() vfs.Changes {
	var c vfs.Changes
	flags := f.uint32()
	if flags&attrSize != 0 {
		c.Set |= vfs.SetSize
		c.Size = f.uint64()
	}
	if flags&attrOwner != 0 {
		c.Set |= vfs.SetOwner
		c.UID, c.GID = f.uint32(), f.uint32()
	}
	if flags&attrMode != 0 {
		c.Set |= vfs.SetMode
		c.Mode = f.uint32()
	}
	if flags&attrTimes != 0 {
		c.Set |= vfs.SetTimes
		c.Atime, c.Mtime = int64(f.uint32()), int64(f.uint32())
	}
	if flags&attrExtended != 0 {
		for n := f.uint32(); n > 0 && !f.bad; n-- {
			f.bytes()
			f.bytes()
		}
	}
	return c
}

// mode returns the permissions in c, or def if c has none.
func mode(c vfs.Changes, def uint32) uint32 {
	if c.Set&vfs.SetMode != 0 {
		return c.Mode & 0o777
	}
	return def
}

// attrs encodes all attributes that version 3 knows, as OpenSSH sends them.
func (r *replies) attrs(a vfs.Attr) {
	r.uint32(attrSize | attrOwner | attrMode | attrTimes)
	r.uint64(a.Size)
	r.uint32(a.UID)
	r.uint32(a.GID)
	r.uint32(a.Mode)
	r.uint32(seconds(a.Atime))
	r.uint32(seconds(a.Mtime))
}

// seconds fits a time into the 32 bits of version 3: 1970 to 2106.
func seconds(t int64) uint32 { return uint32(min(max(t, 0), math.MaxUint32)) }
