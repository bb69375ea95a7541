package sftp

import (
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

func TestLongName(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	recent, old := time.Date(2026, 11, 2, 9, 5, 0, 0, time.UTC).Unix(), time.Date(2025, 1, 31, 23, 59, 0, 0, time.UTC).Unix()
	long := longNames{now: now.Unix()} // shared, because it caches a date
	for want, a := range map[string]vfs.Attr{
		"-rw-r--r--    1 1000     1000           12 Nov  2 09:05 n":       {Mode: 0o100644, Nlink: 1, UID: 1000, GID: 1000, Size: 12, Mtime: recent},
		"drwxrws--T  123 0        4294967295 123456789012 Jan 31  2025 n": {Mode: 0o043770, Nlink: 123, GID: 1<<32 - 1, Size: 123456789012, Mtime: old},
		"lrwxrwxrwx    1 0        0               4 Nov  2 09:05 n":       {Mode: 0o120777, Nlink: 1, Size: 4, Mtime: recent},
		"prwSr-xr-t    1 0        0               0 Jan  1  1970 n":       {Mode: 0o015655, Nlink: 1, Mtime: -5},
		"b---------    1 0        0               0 Nov  2 09:05 n":       {Mode: 0o060000, Nlink: 1, Mtime: recent},
		"c--s--S---    1 0        0               0 Nov  2 09:05 n":       {Mode: 0o026100, Nlink: 1, Mtime: recent},
		"s---------    1 0        0               0 Nov  2 09:05 n":       {Mode: 0o140000, Nlink: 1, Mtime: recent},
	} {
		if got := string(long.append(nil, []byte("n"), a)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestStatusNames(t *testing.T) {
	for s, want := range map[Status]string{0: "OK", 1: "EOF", 2: "NO_SUCH_FILE", 3: "PERMISSION_DENIED", 4: "FAILURE", 5: "BAD_MESSAGE", 8: "OP_UNSUPPORTED", 99: "FAILURE"} {
		if s.String() != want {
			t.Error(s, want)
		}
	}
}

// TestLongNameTimes compares the times with those of package time, in an order in which the cached date is reused and in one in
// which it is not.
func TestLongNameTimes(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	long := longNames{now: now.Unix()}
	for _, step := range []time.Duration{7 * time.Minute, 31*time.Hour + 13*time.Second, 173 * 24 * time.Hour} {
		for at, i := now.Add(-500*step), 0; i < 550; at, i = at.Add(step), i+1 {
			if at.Unix() < 0 {
				continue
			}
			layout := "Jan _2 15:04"
			if now.Sub(at) >= 365*24*time.Hour/2 {
				layout = "Jan _2  2006"
			}
			if got, want := string(long.appendTime(nil, at.Unix())), at.Format(layout); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
}
