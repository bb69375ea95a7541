package server

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// descriptors shares the daemon's file descriptors among the files and directories that
// users have open.
type descriptors struct {
	limit int // of all users together

	mu    sync.Mutex
	total int
	byUID map[string]int
}

// newDescriptors shares a third of the process's limit. An upload that is published on
// close takes two descriptors. So a third at least is left for connections, which are
// always accepted, for volumes and for paths that are being resolved.
func newDescriptors(ofProcess uint64) *descriptors {
	return &descriptors{limit: int(min(ofProcess/3, math.MaxInt32)), byUID: map[string]int{}}
}

// openFilesLimit is RLIMIT_NOFILE, whose soft limit Go raises to the hard one at start.
func openFilesLimit() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1024 // as where nothing is set; the call cannot fail with these arguments
	}
	return l.Cur
}

// mayOpen says whether a user with so many open files may open another. Whoever has as many
// as are left gets no more, so that there are always some for others: one user gets half
// of all, each further one half of the rest, and n that want all get equal shares.
func mayOpen(own, total, limit int) bool { return own < limit-total }

func (d *descriptors) acquire(uid string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !mayOpen(d.byUID[uid], d.total, d.limit) {
		return false
	}
	d.total++
	d.byUID[uid]++
	return true
}

func (d *descriptors) release(uid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total--
	if d.byUID[uid]--; d.byUID[uid] == 0 {
		delete(d.byUID, uid)
	}
}

// share is a user's part of the descriptors, for package sftp.
type share struct {
	conn *conn
}

func (s share) Acquire() bool {
	ok := s.conn.server.descriptors.acquire(s.conn.grant.UID)
	if !ok {
		s.conn.server.Metrics.Refusal(event.OpenFiles)
	}
	return ok
}

func (s share) Release() { s.conn.server.descriptors.release(s.conn.grant.UID) }
