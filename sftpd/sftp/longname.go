package sftp

import (
	"strconv"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// longNames formats the ls -l lines in READDIR replies (filexfer-02, section 6.7), in the
// columns of OpenSSH's sftp-server: clients parse them, especially for the link count and
// the owner, which are numbers here.
type longNames struct {
	now int64 // seconds since 1970

	// Consecutive entries usually have the same date, so it is cached.
	day   int64 // since 1970, plus one: 0 means none
	month [6]byte
	year  [4]byte
}

const daySeconds = 24 * 60 * 60

// append appends the line of one entry.
func (l *longNames) append(b []byte, name []byte, a vfs.Attr) []byte {
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
	b = l.appendTime(b, a.Mtime)
	b = append(b, ' ')
	return append(b, name...)
}

// appendTime appends "Jan _2 15:04", or "Jan _2  2006" for files at least half a year old,
// in UTC.
func (l *longNames) appendTime(b []byte, mtime int64) []byte {
	sec := int64(seconds(mtime))
	if day := sec/daySeconds + 1; day != l.day {
		l.day = day
		t := time.Unix(sec, 0).UTC()
		t.AppendFormat(l.month[:0], "Jan _2")
		t.AppendFormat(l.year[:0], "2006")
	}
	b = append(b, l.month[:]...)
	b = append(b, ' ')
	if l.now-mtime >= 365*daySeconds/2 {
		b = append(b, ' ')
		return append(b, l.year[:]...)
	}
	minute := sec % daySeconds / 60
	b = appendTwo(b, minute/60)
	b = append(b, ':')
	return appendTwo(b, minute%60)
}

// appendTwo appends the two digits of n.
func appendTwo(b []byte, n int64) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10)) }

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

// appendMode appends ten letters as strmode(3) does.
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

// special shows a set-id or sticky bit in place of an execute bit, in upper case if that
// bit is not set.
func special(at []byte, set bool, c byte) {
	switch {
	case !set:
	case at[0] == 'x':
		at[0] = c
	default:
		at[0] = c - 'a' + 'A'
	}
}
