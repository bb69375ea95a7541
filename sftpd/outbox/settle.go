package outbox

import (
	"context"
	"encoding/json"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// settleTime is how long a starting log waits for the outcomes of prepared records. Those on a volume that hangs are settled
// when it answers.
const settleTime = 5 * time.Second

// settlers bounds the number of concurrent checks.
const settlers = 32

// settle finds out what happened to files that were about to be renamed when a daemon was killed, and queues the outcomes.
func (l *log) settle(ctx context.Context, open []unsettled) {
	places := make(chan struct{}, settlers)
	var looking sync.WaitGroup
	for _, u := range open {
		looking.Go(func() {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
			case <-ctx.Done():
				return
			}
			rec := outcome(&u.rec, look)
			l.mu.Lock()
			l.narrow(&rec)
			l.mu.Unlock()
			o := l.withReceipt(rec)
			o.sync, o.done = true, make(chan struct{})
			o.size = estimate(o.rec.Event) + estimateReceipt(o.receipt)
			l.mu.Lock()
			defer l.mu.Unlock()
			// The outcomes go ahead of everything queued since.
			o.beat = l.beats
			l.queue = append([]*op{o}, l.queue...)
			l.queued += o.size
			l.of[o.rec.User] += o.size
			l.kick()
		})
	}
	settled := make(chan struct{})
	go func() {
		looking.Wait()
		close(settled)
	}()
	select {
	case <-settled:
	case <-ctx.Done():
	case <-time.After(settleTime):
		l.logger.Warn("the outcome of interrupted uploads cannot be read from a volume")
	}
}

// found describes what a name refers to now.
type found struct {
	inode   uint64
	size    int64
	written int64 // see record.Written
}

// look returns what a path refers to: the zero value if it is not a regular file.
func look(path string) found {
	var st unix.Stat_t
	err := retry(func() error { return unix.Lstat(path, &st) })
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return found{}
	}
	return found{st.Ino, st.Size, st.Mtim.Nano()}
}

// outcome returns the record that settles a prepared one. The file was renamed if its name now refers to the inode that was
// about to get it. Device numbers are not compared: those of network volumes differ from pod to pod.
func outcome(p *record, look func(path string) found) record {
	out := record{Kind: recorded, Of: p.N, User: p.User, Type: p.Type, For: p.For}
	var e events.Event
	if json.Unmarshal(p.Event, &e) != nil {
		return record{Kind: abandoned, Of: p.N, User: p.User}
	}
	e.Data.Recovered = true
	there := look(filepath.Join(string(p.Dir), string(p.Name)))
	switch {
	case there.inode == p.Inode && p.Inode != 0:
		// A client may have continued the upload before this check, or started it again in a file that got the same inode.
		if e.Data.Size == nil || *e.Data.Size != there.size || p.Written != 0 && p.Written != there.written {
			e.Data.SHA256 = "" // of the previous content
		}
		e.Data.Size = &there.size
	case p.Rename: // the file still has its old name
		return record{Kind: abandoned, Of: p.N, User: p.User}
	default:
		e.Type, out.Type = events.FileUploadFailed, events.FileUploadFailed
		e.Data.Reason, e.Data.SHA256 = "interrupted", ""
		if look(filepath.Join(string(p.Dir), string(p.Temp))).inode == p.Inode {
			e.Data.Left = "kept"
		}
	}
	raw, err := events.Encode(&e)
	if err != nil {
		return record{Kind: abandoned, Of: p.N, User: p.User}
	}
	out.Event = raw
	return out
}
