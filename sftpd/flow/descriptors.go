package flow

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"
)

// Descriptors shares the daemon's file descriptors among the files and directories that
// users have open.
type Descriptors struct {
	// Limit is that of all users together. It may be changed before anything is open.
	Limit int

	mu    sync.Mutex
	total int
	byUID map[string]int
}

// NewDescriptors shares a third of the process's limit. An upload that is published on
// close takes two descriptors. So a third at least is left for connections, which are
// always accepted, for volumes and for paths that are being resolved.
func NewDescriptors(ofProcess uint64) *Descriptors {
	return &Descriptors{Limit: int(min(ofProcess/3, math.MaxInt32)), byUID: map[string]int{}}
}

// OpenFilesLimit returns RLIMIT_NOFILE, whose soft limit Go raises to the hard one at start.
func OpenFilesLimit() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1024 // as where nothing is set; the call cannot fail with these arguments
	}
	return l.Cur
}

// mayOpen reports whether a user with so many open files may open another. Whoever has as many
// as are left gets no more, so that there are always some for others: one user gets half
// of all, each further one half of the rest, and n that want all get equal shares.
func mayOpen(own, total, limit int) bool { return own < limit-total }

// Acquire takes a descriptor for a user, and reports whether there was one.
func (d *Descriptors) Acquire(uid string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !mayOpen(d.byUID[uid], d.total, d.Limit) {
		return false
	}
	d.total++
	d.byUID[uid]++
	return true
}

// Release gives it back.
func (d *Descriptors) Release(uid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total--
	if d.byUID[uid]--; d.byUID[uid] == 0 {
		delete(d.byUID, uid)
	}
}
