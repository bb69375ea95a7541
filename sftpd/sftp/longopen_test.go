package sftp

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestLongOpen: files that stay open are visible from outside the session, with the bytes read and written so far, and again
// after a while.
func TestLongOpen(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, s, _ := dialRaw(t, tr, Options{})
	before := time.Now()
	h := c.open("/f", flagRead|flagWrite|flagCreate)
	c.status(typeWrite, h, uint64(0), "12345")
	c.content(h, 0, 3)
	c.status(typeExtended, "check-file-handle", h, "sha256", uint64(0), uint64(0), 0)
	c.status(typeStat, "/")
	now := time.Now()
	got, next := s.LongOpen(now, time.Minute, time.Hour)
	if len(got) != 0 || next.Before(before.Add(time.Minute)) || next.After(now.Add(time.Minute)) {
		t.Errorf("too early: %+v, next at %s", got, next)
	}
	first := next
	for _, tc := range []struct {
		name string
		now  time.Time
		want int
		next time.Time
	}{
		{"just before", first.Add(-1), 0, first},
		{"after a minute", first, 1, first.Add(time.Hour)},
		{"again at once", first.Add(time.Minute), 0, first.Add(time.Hour)},
		{"just before an hour is over", first.Add(time.Hour - 1), 0, first.Add(time.Hour)},
		{"late", first.Add(2 * time.Hour), 1, first.Add(3 * time.Hour)},
	} {
		got, next := s.LongOpen(tc.now, time.Minute, time.Hour)
		if len(got) != tc.want || !next.Equal(tc.next) {
			t.Errorf("%s: %d files, next at %s, want %d and %s", tc.name, len(got), next, tc.want, tc.next)
		}
		for _, f := range got {
			if f.Path != "/f" || f.Direction != Both || f.BytesRead != 3+5 || f.BytesWritten != 5 || f.Start.Before(before) || f.Duration != tc.now.Sub(f.Start) {
				t.Errorf("%s: %+v", tc.name, f)
			}
		}
	}
	// A second one is due before the first is again, and the first opened comes first.
	h2 := c.open("/g", flagWrite|flagCreate)
	if got, next := s.LongOpen(first, time.Minute, time.Hour); len(got) != 0 || !next.After(first) || next.After(time.Now().Add(time.Minute)) {
		t.Errorf("with another: %+v, next at %s", got, next)
	}
	if got, _ := s.LongOpen(first.Add(4*time.Hour), time.Minute, time.Hour); len(got) != 2 || got[0].Path != "/f" || got[1].Path != "/g" {
		t.Errorf("two: %+v", got)
	}
	c.status(typeClose, h)
	c.status(typeClose, h2)
	if got, next := s.LongOpen(first.Add(9*time.Hour), time.Minute, time.Hour); len(got) != 0 || !next.IsZero() {
		t.Errorf("after they were closed: %+v, next at %s", got, next)
	}
}

// TestOpenTransfersAreUsedAgain: whatever the order in which files are opened and closed, those that are open are reported, each with
// its own numbers, and opening one more allocates nothing once as many have been open.
func TestOpenTransfersAreUsedAgain(t *testing.T) {
	var o openTransfers
	s := &Session{}
	file := &vfs.File{}
	open := map[*handle]uint64{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range uint64(2000) {
		if len(open) < 5 && random.IntN(2) == 0 {
			h := &handle{file: file, path: strconv.FormatUint(i, 10), start: time.Unix(int64(i), 0)}
			s.longOpen.add(h)
			h.seen.written.Store(i)
			open[h] = i
		}
		for h := range open {
			if random.IntN(4) == 0 {
				s.longOpen.remove(h)
				delete(open, h)
			}
			break
		}
		got, _ := s.LongOpen(time.Unix(1<<40, 0), 0, 0)
		if len(got) != len(open) {
			t.Fatalf("%d files are reported, %d are open", len(got), len(open))
		}
		for _, f := range got {
			i, err := strconv.ParseUint(f.Path, 10, 64)
			if err != nil || f.BytesWritten != i || f.BytesRead != 0 || !f.Start.Equal(time.Unix(int64(i), 0)) {
				t.Fatalf("%+v", f)
			}
		}
	}
	h := &handle{file: file}
	if n := testing.AllocsPerRun(100, func() { o.add(h); o.remove(h) }); n != 0 {
		t.Errorf("a file that is opened allocates %v times", n)
	}
}

// TestLongOpenDirection: the reported direction is what the file has been used for so far, as in the Transfer event that
// follows, or what it was opened for if it has not been used.
func TestLongOpenDirection(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, s, _ := dialRaw(t, tr, Options{})
	direction := func() Direction {
		got, _ := s.LongOpen(time.Now().Add(time.Minute), time.Minute, 0)
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
