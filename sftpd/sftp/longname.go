package sftp

import (
	"strconv"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// appendLongName appends the line of ls -l that READDIR sends along (filexfer-02,
// section 6.7), in the columns of OpenSSH's sftp-server: clients parse it, above
// all for the link count and the owner, which are numbers here.
func appendLongName(b []byte, name []byte, a vfs.Attr, now time.Time) []byte {
	b = appendMode(b, a.Mode)
	b = append(b, "  "...)
	b = appendNumber(b, uint64(a.Nlink), 3, false)
	b = append(b, ' ')
	b = appendNumber(b, uint64(a.UID), 8, true)
	b = append(b, ' ')
	b = appendNumber(b, uint64(a.GID), 8, true)
	b = append(b, ' ')
	b = appendNumber(b, a.Size, 8, false)
	b = append(b, ' ')
	// Half a year old and more shows the year in place of the time.
	layout := "Jan _2 15:04"
	if now.Unix()-a.Mtime >= 365*24*60*60/2 {
		layout = "Jan _2  2006"
	}
	b = time.Unix(int64(seconds(a.Mtime)), 0).UTC().AppendFormat(b, layout)
	b = append(b, ' ')
	return append(b, name...)
}

// appendNumber pads n with blanks to width, on the right if left is set.
func appendNumber(b []byte, n uint64, width int, left bool) []byte {
	var digits [20]byte
	d := strconv.AppendUint(digits[:0], n, 10)
	if left {
		b = append(b, d...)
	}
	for i := len(d); i < width; i++ {
		b = append(b, ' ')
	}
	if !left {
		b = append(b, d...)
	}
	return b
}

// appendMode appends ten letters as strmode(3).
func appendMode(b []byte, mode uint32) []byte {
	const types = "?pc?d?b?-?l?s???" // by the upper four bits
	b = append(b, types[mode>>12&15])
	const rwx = "rwxrwxrwx"
	at := len(b)
	for i := range 9 {
		c := byte('-')
		if mode&(0o400>>i) != 0 {
			c = rwx[i]
		}
		b = append(b, c)
	}
	special(b[at+2:], mode&0o4000 != 0, 's')
	special(b[at+5:], mode&0o2000 != 0, 's')
	special(b[at+8:], mode&0o1000 != 0, 't')
	return b
}

// special shows a set-id or sticky bit at the place of an execute bit, in upper
// case where that is not set.
func special(at []byte, set bool, c byte) {
	switch {
	case !set:
	case at[0] == 'x':
		at[0] = c
	default:
		at[0] = c - 'a' + 'A'
	}
}
