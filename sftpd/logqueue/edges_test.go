package logqueue_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/logqueue"
)

// blocked returns a queue whose writer has taken one line and takes no more until it is opened.
func blocked(t *testing.T) (*logqueue.Queue, *gate) {
	t.Helper()
	g := &gate{open: make(chan struct{})}
	q := logqueue.New(g)
	write(t, q, "first\n")
	synctest.Wait()
	return q, g
}

// write relies on writers never learning about a dropped line.
func write(t *testing.T, q *logqueue.Queue, line string) {
	t.Helper()
	if n, err := q.Write([]byte(line)); n != len(line) || err != nil {
		t.Errorf("%d of %d bytes, %v", n, len(line), err)
	}
}

// TestBound: exactly 1 MiB of lines is queued, and space is released once they are written.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, g := blocked(t)
		for i, line := range []struct {
			bytes   int
			dropped uint64
		}{{1 << 19, 0}, {1<<19 + 1, 1}, {1 << 19, 1}, {1, 2}, {0, 2}} {
			if write(t, q, strings.Repeat("x", line.bytes)); q.Dropped() != line.dropped {
				t.Errorf("line %d: %d lines were dropped, want %d", i, q.Dropped(), line.dropped)
			}
		}
		close(g.open)
		synctest.Wait()
		if write(t, q, strings.Repeat("y", 1<<20)); q.Dropped() != 2 {
			t.Errorf("%d lines were dropped though none waits", q.Dropped())
		}
		synctest.Wait()
		if write(t, q, strings.Repeat("z", 1<<20+1)); q.Dropped() != 3 {
			t.Error("a line longer than the bound waits")
		}
		q.Close(time.Second)
	})
}

// TestNothingIsWritten: an empty write does not delay the next one.
func TestNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, g := blocked(t)
		for _, line := range []string{"", "second\n", "", "third\n"} {
			write(t, q, line)
		}
		close(g.open)
		q.Close(time.Second)
		if got := g.b.String(); got != "first\nsecond\nthird\n" || q.Dropped() != 0 {
			t.Errorf("%q, %d lines were dropped", got, q.Dropped())
		}
	})
}

// TestNotes: before the next line, the number of dropped lines is written once, in a machine-readable form.
func TestNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, g := blocked(t)
		write(t, q, "second\n")
		for range 3 {
			write(t, q, strings.Repeat("x", 2<<20))
		}
		time.Sleep(time.Hour)
		close(g.open)
		synctest.Wait()
		write(t, q, "third\n")
		synctest.Wait()
		write(t, q, strings.Repeat("x", 2<<20))
		write(t, q, "fourth\n")
		q.Close(time.Second)
		lines := strings.SplitAfter(g.b.String(), "\n")
		notes := map[int]int{1: 3, 4: 1}
		if want := []string{"first\n", "", "second\n", "third\n", "", "fourth\n", ""}; len(lines) != len(want) {
			t.Fatalf("%q", lines)
		} else {
			for i, line := range lines {
				n := notes[i]
				if n == 0 {
					if line != want[i] {
						t.Errorf("%q, want %q", line, want[i])
					}
					continue
				}
				var note struct {
					Time  time.Time `json:"time"`
					Level string    `json:"level"`
					Msg   string    `json:"msg"`
					Lines int       `json:"lines"`
				}
				if err := json.Unmarshal([]byte(line), &note); err != nil || note.Lines != n || note.Level != "WARN" || note.Msg == "" || !note.Time.Equal(time.Now()) {
					t.Errorf("%q, %v, want one of %d lines", line, err, n)
				}
			}
		}
	})
}

// TestClose: Close waits for pending writes, within its limit, and not at all if there are none.
func TestClose(t *testing.T) {
	for opens, want := range map[time.Duration]time.Duration{0: 0, 3 * time.Second: 3 * time.Second, 7 * time.Second: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			q, g := blocked(t)
			write(t, q, "second\n")
			if opens == 0 {
				close(g.open)
				synctest.Wait()
			} else {
				time.AfterFunc(opens, func() { close(g.open) })
			}
			begin := time.Now()
			if q.Close(5 * time.Second); time.Since(begin) != want {
				t.Errorf("closed after %s, want %s", time.Since(begin), want)
			}
			if write(t, q, "late\n"); q.Dropped() != 1 {
				t.Errorf("%d lines were dropped", q.Dropped())
			}
			q.Close(time.Hour)
			var kept []string
			for line := range strings.Lines(g.b.String()) {
				if !strings.HasPrefix(line, "{") { // of the late one, if there was a line after it
					kept = append(kept, line)
				}
			}
			if !slices.Equal(kept, []string{"first\n", "second\n"}) {
				t.Errorf("%q", kept)
			}
			q.Close(time.Hour) // there is nothing left to do
			if took := time.Since(begin); took > 8*time.Second {
				t.Errorf("closed after %s", took)
			}
		})
	}
}

// TestLinesAreCopied: the caller may reuse its buffer.
func TestLinesAreCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, g := blocked(t)
		var line []byte
		for i := range 100 {
			line = fmt.Appendf(line[:0], "%03d\n", i)
			if n, err := q.Write(line); n != len(line) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		close(g.open)
		q.Close(time.Second)
		var want strings.Builder
		want.WriteString("first\n")
		for i := range 100 {
			fmt.Fprintf(&want, "%03d\n", i)
		}
		if got := g.b.String(); got != want.String() {
			t.Errorf("%q", got)
		}
	})
}

// TestRefusedAreNotTold: lines refused by the writer are counted, but not announced in a further line, which the writer may
// refuse as well.
func TestRefusedAreNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &refusing{times: 2}
		q := logqueue.New(w)
		for i := range 4 {
			write(t, q, fmt.Sprintln(i))
		}
		q.Close(time.Second)
		if got := w.b.String(); q.Dropped() != 2 || got != "2\n3\n" {
			t.Errorf("%d lines were dropped, %q arrived", q.Dropped(), got)
		}
	})
}

// refusing is a writer that refuses some lines.
type refusing struct {
	times int
	b     strings.Builder
}

func (r *refusing) Write(p []byte) (int, error) {
	if r.times > 0 {
		r.times--
		return broken{}.Write(p)
	}
	return r.b.Write(p)
}
