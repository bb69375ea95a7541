package server

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/health"
)

// descriptors shares the daemon's file descriptors among the files and directories that
// users have open.
type descriptors struct {
	limit int // of all users together

	mu    sync.Mutex
	total int
	byUID map[string]int
}

// reservedDescriptors are for what is not a user's: the health port's connections, and the process's own, such as
// standard streams, listeners, the configuration that is being read, exports of traces and looks at volumes.
const reservedDescriptors = health.MaxConnections + 32

// newDescriptors shares a third of the process's limit, less what is reserved. A mount takes one or two descriptors, and
// so does a file: two if it is an upload that is published on close. So a third at least is left for connections, see
// mostConnections, and for paths that are being resolved.
func newDescriptors(ofProcess uint64) *descriptors {
	return &descriptors{limit: bounded(shared(ofProcess) / 3), byUID: map[string]int{}}
}

// mostConnections is how many connections a process can have with its limit of descriptors.
func mostConnections(ofProcess uint64) int { return max(1, bounded(shared(ofProcess)/4)) }

func shared(ofProcess uint64) uint64 { return ofProcess - min(ofProcess, reservedDescriptors) }

func bounded(n uint64) int { return int(min(n, math.MaxInt32)) }

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

func (d *descriptors) acquire(uid string) bool { return d.acquireAll(uid, 1) }

// acquireAll takes several, or none.
func (d *descriptors) acquireAll(uid string, n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n == 0 || !mayOpen(d.byUID[uid]+n-1, d.total+n-1, d.limit) {
		return n == 0
	}
	d.total += n
	d.byUID[uid] += n
	return true
}

func (d *descriptors) release(uid string) { d.releaseAll(uid, 1) }

func (d *descriptors) releaseAll(uid string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total -= n
	if d.byUID[uid] -= n; d.byUID[uid] == 0 {
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
		s.conn.server.Metrics.Refusal(reasonDescriptors)
	}
	return ok
}

func (s share) Release() { s.conn.server.descriptors.release(s.conn.grant.UID) }
