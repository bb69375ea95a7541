package outbox

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Receipts returns what the daemon's status shows about receipts, or nil if none are issued or the volume has not responded
// yet.
func (b *Box) Receipts() *config.ReceiptsStatus {
	o := b.current.Load()
	if o == nil || !o.receipts {
		return nil
	}
	return o.log.receiptsKept()
}

func (l *log) receiptsKept() *config.ReceiptsStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open && l.failing == nil {
		return nil
	}
	st := &config.ReceiptsStatus{}
	switch {
	case l.failing != nil:
		st.Failing = "no upload can be recorded: " + anonymousError(l.failing)
	case l.keeping != nil:
		st.Failing = anonymousError(l.keeping)
	}
	if l.trimming != nil {
		st.NotRemoved = anonymousError(l.trimming)
	}
	var lost []string
	if l.noSync {
		lost = append(lost, noSyncProblem)
	}
	if l.noLocks {
		lost = append(lost, "the volume does not support locks (flock), so records of a deleted pod are not adopted")
	}
	st.NotDurable = strings.Join(lost, "; ")
	return st
}

// anonymousError returns the part of an error that does not name a user: the system call's error.
func anonymousError(err error) string {
	if n, ok := errors.AsType[unix.Errno](err); ok {
		return n.Error()
	}
	return "the pod's log says why"
}
