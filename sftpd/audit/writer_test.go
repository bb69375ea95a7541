package audit

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// step is what a script does with one write: it takes up to n bytes, all if negative, and returns an error.
type step struct {
	n   int
	err error
}

// script is a writer that does these steps, and then takes everything.
type script struct {
	steps []step
	got   []byte
	last  int // bytes taken of the last line
}

func (s *script) Write(b []byte) (int, error) {
	do := step{n: -1}
	if len(s.steps) > 0 {
		do, s.steps = s.steps[0], s.steps[1:]
	}
	if do.n < 0 {
		do.n = len(b)
	}
	do.n = min(do.n, len(b))
	s.got = append(s.got, b[:do.n]...)
	if string(b) != "\n" {
		s.last = do.n
	}
	return do.n, do.err
}

// TestFailedWrites: lines that do not arrive are counted, and a torn one does not corrupt the next.
func TestFailedWrites(t *testing.T) {
	full, broken := errors.New("full"), syscall.EPIPE
	for name, tc := range map[string]struct {
		steps    []step
		want     string
		failures uint64
		last     error
		gone     bool
	}{
		"none":                           {nil, "one\ntwo\n", 0, nil, false},
		"refused whole":                  {[]step{{0, full}}, "two\n", 1, full, false},
		"torn":                           {[]step{{1, full}}, "o\ntwo\n", 1, full, false},
		"torn without an error":          {[]step{{1, nil}}, "o\ntwo\n", 1, io.ErrShortWrite, false},
		"nothing without an error":       {[]step{{0, nil}}, "two\n", 1, io.ErrShortWrite, false},
		"all, with an error":             {[]step{{-1, full}}, "one\n\ntwo\n", 1, full, false},
		"torn, and no newline":           {[]step{{1, full}, {0, broken}}, "o", 2, broken, true},
		"torn, no newline, and no error": {[]step{{1, full}, {0, nil}}, "o", 2, io.ErrShortWrite, false},
		"the reader is gone":             {[]step{{0, broken}, {0, broken}}, "", 2, broken, true},
		"an error, then another":         {[]step{{0, broken}, {0, full}}, "", 2, full, true},
	} {
		to := &script{steps: tc.steps}
		w := newWriter(to)
		l := &Log{out: w}
		for _, line := range []string{"one\n", "two\n"} {
			before, _ := l.Failures()
			to.last = 0
			n, err := w.Write([]byte(line))
			if after, _ := l.Failures(); (err != nil) != (after > before) || err == nil && n != len(line) {
				t.Errorf("%s: wrote %d, %v, %d failures", name, n, err, after-before)
			}
			if n != to.last {
				t.Errorf("%s: wrote %d bytes of the line, and says %d", name, to.last, n)
			}
		}
		if got := string(to.got); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		if lines, last := l.Failures(); lines != tc.failures || !errors.Is(last, tc.last) {
			t.Errorf("%s: %d failures, last %v", name, lines, last)
		}
		gone := false
		select {
		case <-l.Gone():
			gone = true
		default:
		}
		if gone != tc.gone {
			t.Errorf("%s: gone %v", name, gone)
		}
	}
}

// TestTornTwice: after a torn line, a failed attempt leaves it torn, and the next line still begins on its own.
func TestTornTwice(t *testing.T) {
	to := &script{steps: []step{{1, io.EOF}, {0, io.EOF}}}
	w := newWriter(to)
	for _, line := range []string{"one\n", "two\n", "three\n", "four\n"} {
		_, _ = w.Write([]byte(line))
	}
	if got := string(to.got); got != "o\nthree\nfour\n" {
		t.Errorf("%q", got)
	}
}

// hung is a writer that accepts a line only when the test permits it.
type hung chan struct{}

func (h hung) Write(b []byte) (int, error) { <-h; return len(b), nil }

// TestBlocked: a line that is not accepted for five seconds counts as blocked, for as long as it is not accepted.
func TestBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := started
		started = time.Now()
		defer func() { started = before }()
		to := make(hung)
		l := New(to, func() (string, string) { return "", "" })
		if got := l.Blocked(); got != 0 {
			t.Errorf("%s before the first line", got)
		}
		time.Sleep(time.Hour) // the process is old by then
		go l.Write(Entry{Event: Login})
		synctest.Wait()
		for _, tc := range []struct{ wait, want time.Duration }{
			{0, 0}, {5*time.Second - 1, 0}, {1, 5 * time.Second}, {time.Minute, 65 * time.Second},
		} {
			time.Sleep(tc.wait)
			if got := l.Blocked(); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		}
		to <- struct{}{}
		synctest.Wait()
		if got := l.Blocked(); got != 0 {
			t.Errorf("%s after it was taken", got)
		}
	})
}

// TestNoLog: without a log everything is discarded, and nothing fails or blocks.
func TestNoLog(t *testing.T) {
	var l *Log
	if lines, last := l.Failures(); lines != 0 || last != nil || l.Blocked() != 0 || l.Gone() != nil {
		t.Error("a log that does not exist has failed")
	}
	l.Emit(event.ConnectionRefused{Connection: &event.Connection{}})
	l.Emit(event.Logout{Connection: &event.Connection{}})
}
