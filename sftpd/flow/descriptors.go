package flow

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"
)

// Descriptors shares the daemon's file descriptors among the files, directories and mounts
// that users have open.
type Descriptors struct {
	// Limit is the limit for all users together. It may be changed before anything is open.
	Limit int

	mu    sync.Mutex
	total int
	byUID map[string]int
}

// NewDescriptors shares a third of the process's limit, minus what is reserved. A mount takes one or two descriptors, and so does
// a file: two if it is an upload that is published on close. So at least a third is left for connections, see MostConnections,
// and for paths that are being resolved.
func NewDescriptors(ofProcess, reserved uint64) *Descriptors {
	return &Descriptors{Limit: bounded(shared(ofProcess, reserved) / 3), byUID: map[string]int{}}
}

// MostConnections returns how many connections a process can have with its limit of descriptors, minus what is reserved.
func MostConnections(ofProcess, reserved uint64) int {
	return max(1, bounded(shared(ofProcess, reserved)/4))
}

func shared(ofProcess, reserved uint64) uint64 { return ofProcess - min(ofProcess, reserved) }

func bounded(n uint64) int { return int(min(n, math.MaxInt32)) }

// OpenFilesLimit returns RLIMIT_NOFILE, whose soft limit Go raises to the hard one at start.
func OpenFilesLimit() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1024 // the usual default; the call cannot fail with these arguments
	}
	return l.Cur
}

// mayOpen reports whether a user with this many open files may open another. A user that has as many as are left gets no more, so
// there are always some for others: one user gets half of all, each further one half of the rest, and n users that want all get
// equal shares.
func mayOpen(own, total, limit int) bool { return own < limit-total }

// Acquire takes a descriptor for a user, and reports whether there was one.
func (d *Descriptors) Acquire(uid string) bool { return d.AcquireAll(uid, 1) }

// AcquireAll takes several, or none.
func (d *Descriptors) AcquireAll(uid string, n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n == 0 || !mayOpen(d.byUID[uid]+n-1, d.total+n-1, d.Limit) {
		return n == 0
	}
	d.total += n
	d.byUID[uid] += n
	return true
}

// Release gives one back.
func (d *Descriptors) Release(uid string) { d.ReleaseAll(uid, 1) }

// ReleaseAll gives several back.
func (d *Descriptors) ReleaseAll(uid string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total -= n
	if d.byUID[uid] -= n; d.byUID[uid] == 0 {
		delete(d.byUID, uid)
	}
}

// Share is a user's part.
type Share struct {
	of      *Descriptors
	uid     string
	refused func()
}

// Of returns a user's part. refused is called whenever there is nothing left of it.
func (d *Descriptors) Of(uid string, refused func()) Share {
	return Share{of: d, uid: uid, refused: refused}
}

// Acquire takes a descriptor, and reports whether there was one.
func (s Share) Acquire() bool {
	ok := s.of.Acquire(s.uid)
	if !ok {
		s.refused()
	}
	return ok
}

// Release gives one back.
func (s Share) Release() { s.of.Release(s.uid) }
