package receipts

import (
	"os"
	"sync"
	"time"
)

// reachTime is how long a session waits for a volume with receipts before it begins without them.
const reachTime = time.Second

// Reach finds out whether a volume answers, so that a volume that hangs does not keep users from their files on others. The
// zero value is ready. At most one goroutine waits for a volume.
type Reach struct {
	mu      sync.Mutex
	looking map[string]*look
	// stat is the system call. Tests replace it.
	stat func(dir string) error
}

type look struct {
	done  chan struct{}
	since time.Time
	err   error
}

// Answers reports whether the directory of a volume responds within a second.
func (r *Reach) Answers(dir string) bool {
	l := r.look(dir)
	t := time.NewTimer(time.Until(l.since.Add(reachTime)))
	defer t.Stop()
	select {
	case <-l.done:
		return l.err == nil
	case <-t.C:
		return false
	}
}

// look returns the check of a directory that is in progress, or starts a new one.
func (r *Reach) look(dir string) *look {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.looking[dir]; l != nil {
		return l
	}
	if r.looking == nil {
		r.looking = map[string]*look{}
	}
	stat := r.stat
	if stat == nil {
		stat = func(dir string) error { _, err := os.Stat(dir); return err }
	}
	l := &look{done: make(chan struct{}), since: time.Now()}
	r.looking[dir] = l
	go func() {
		l.err = stat(dir)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.looking, dir)
		close(l.done)
	}()
	return l
}
