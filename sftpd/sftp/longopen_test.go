package sftp

import (
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestLongOpen: files that stay open are seen from outside of the session, with what was read and written so far, and again
// after a while.
func TestLongOpen(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, s, _ := dialRaw(t, tr, Options{})
	h := c.open("/f", flagRead|flagWrite|flagCreate)
	c.status(typeWrite, h, uint64(0), "12345")
	c.content(h, 0, 3)
	c.status(typeExtended, "check-file-handle", h, "sha256", uint64(0), uint64(0), 0)
	c.status(typeStat, "/")
	now := time.Now()
	if got := s.LongOpen(now, time.Minute, time.Hour); len(got) != 0 {
		t.Errorf("too early: %+v", got)
	}
	now = now.Add(time.Minute)
	got := s.LongOpen(now, time.Minute, time.Hour)
	if len(got) != 1 || got[0].Path != "/f" || got[0].Direction != Both || got[0].BytesRead != 3+5 || got[0].BytesWritten != 5 {
		t.Errorf("%+v", got)
	}
	if got := s.LongOpen(now.Add(time.Minute), time.Minute, time.Hour); len(got) != 0 {
		t.Errorf("again at once: %+v", got)
	}
	if got := s.LongOpen(now.Add(time.Hour), time.Minute, time.Hour); len(got) != 1 {
		t.Errorf("not again: %+v", got)
	}
	c.status(typeClose, h)
	if got := s.LongOpen(now.Add(2*time.Hour), time.Minute, time.Hour); len(got) != 0 {
		t.Errorf("after it was closed: %+v", got)
	}
}

// TestLongOpenDirection: it is what the file was used for so far, as in the Transfer that follows, and what it was opened for
// while it was not used.
func TestLongOpenDirection(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, s, _ := dialRaw(t, tr, Options{})
	direction := func() Direction {
		got := s.LongOpen(time.Now().Add(time.Minute), time.Minute, 0)
		if len(got) != 1 {
			t.Fatalf("%+v", got)
		}
		return got[0].Direction
	}
	h := c.open("/f", flagRead|flagWrite|flagCreate)
	if got := direction(); got != Upload {
		t.Errorf("created: %s", got)
	}
	c.status(typeClose, h)
	h = c.open("/f", flagRead|flagWrite)
	if got := direction(); got != Both {
		t.Errorf("opened for both: %s", got)
	}
	c.status(typeWrite, h, uint64(0), "12345")
	if got := direction(); got != Upload {
		t.Errorf("written: %s", got)
	}
	c.content(h, 0, 3)
	if got := direction(); got != Both {
		t.Errorf("written and read: %s", got)
	}
}
