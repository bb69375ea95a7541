package audit

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"
)

// blockedAfter is how long a write may take before the log counts as blocked. A pipe with a running reader takes a line in
// microseconds; a disk being flushed may take a second or two.
const blockedAfter = 5 * time.Second

// started is the origin of this package's monotonic clock.
var started = time.Now()

// writer passes lines on and notices when they do not arrive. Its Write may not be called concurrently.
type writer struct {
	to io.Writer
	// torn is set if the last write ended within a line.
	torn bool

	// begun is when the write in progress began, since started; 0 for none.
	begun    atomic.Int64
	failures atomic.Uint64
	lastErr  atomic.Pointer[error]
	gone     chan struct{}
}

func newWriter(to io.Writer) *writer { return &writer{to: to, gone: make(chan struct{})} }

// Write writes a line. After one that was cut off it begins with a newline, so that the fragment does not corrupt the
// next line.
func (w *writer) Write(line []byte) (int, error) {
	w.begun.Store(max(1, int64(time.Since(started))))
	defer w.begun.Store(0)
	if w.torn {
		if n, err := w.to.Write([]byte{'\n'}); n == 0 {
			return 0, w.failed(err)
		}
		w.torn = false
	}
	n, err := w.to.Write(line)
	if err == nil && n == len(line) {
		return n, nil
	}
	w.torn = n > 0
	return n, w.failed(err)
}

func (w *writer) failed(err error) error {
	if err == nil {
		err = io.ErrShortWrite
	}
	w.failures.Add(1)
	if w.lastErr.Swap(&err); errors.Is(err, syscall.EPIPE) {
		select {
		case <-w.gone: // closed before, by this goroutine's predecessors: writes do not overlap
		default:
			close(w.gone)
		}
	}
	return err
}

func (w *writer) blocked() time.Duration {
	begun := w.begun.Load()
	if begun == 0 {
		return 0
	}
	if d := time.Since(started) - time.Duration(begun); d >= blockedAfter {
		return d
	}
	return 0
}

// Failures returns how many lines could not be written, and why the last one failed.
func (l *Log) Failures() (lines uint64, last error) {
	if l == nil {
		return 0, nil
	}
	if p := l.out.lastErr.Load(); p != nil {
		last = *p
	}
	return l.out.failures.Load(), last
}

// Blocked returns how long a line has been waiting to be taken, 0 for less than a few seconds.
func (l *Log) Blocked() time.Duration {
	if l == nil {
		return 0
	}
	return l.out.blocked()
}

// Gone returns a channel that is closed when the log's reader is gone: no line will ever arrive again. A nil Log's is never
// closed.
func (l *Log) Gone() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.out.gone
}
