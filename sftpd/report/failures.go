package report

import (
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Each of a connection's failed operations gets a line as long as they come no faster than this. People, and programs that look
// for files, stay below that; beyond it failures are counted, and each kind gets a line with its count every failuresInterval and
// at the end of the connection.
const (
	failuresBurst    = 20
	failuresRate     = 10 // a second
	failuresInterval = 10 * time.Second
)

// failure is the key by which failed operations are counted. All strings are from fixed sets.
type failure struct {
	operation string
	result    event.Result
	status    string
}

// failures holds the failed operations of a connection.
type failures struct {
	mu      sync.Mutex
	tokens  float64
	at      time.Time
	counted map[failure]int
	timer   *time.Timer // until they are logged; nil if there are none
	closed  bool
}

// count reports whether a failure gets its own line. If not, it has been counted, and due is called later.
func (f *failures) count(of failure, now time.Time, due func()) (line bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens = min(failuresBurst, f.tokens+now.Sub(f.at).Seconds()*failuresRate)
	f.at = now
	if f.tokens >= 1 || f.closed {
		f.tokens--
		return true
	}
	if f.counted == nil {
		f.counted = map[failure]int{}
	}
	f.counted[of]++
	if f.timer == nil {
		f.timer = time.AfterFunc(failuresInterval, due)
	}
	return false
}

// take returns what has been counted. last is set at the end of the connection: later failures get their own lines.
func (f *failures) take(last bool) map[failure]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	f.closed = f.closed || last
	counted := f.counted
	f.counted = nil
	return counted
}
