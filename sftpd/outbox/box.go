package outbox

import (
	"context"
	"log/slog"
	"path"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
)

// Options of a Box.
type Options struct {
	// Pod names the log's directory.
	Pod string
	Log *slog.Logger
	// Step is called at each step of recording a file, for tests that kill the process there; nil for none.
	Step func(step string)
	// KeysEvery is the interval at which WatchKeys checks keys, a minute if it is 0.
	KeysEvery time.Duration
}

// Box is a daemon's outbox. It is off until Configure turns it on. It is safe for concurrent use.
type Box struct {
	Options
	current atomic.Pointer[outbox]

	mu      sync.Mutex
	ended   bool
	stopped chan struct{} // closed when the previous log has ended
	stop    context.CancelFunc
}

// outbox is a log with its settings.
type outbox struct {
	*log
	config.Events
	listener string // namespace/name
	// selected returns the sinks with a selection of users that includes an account.
	selected func(account string) []string
	onClose  bool
	receipts bool
	step     func(string)
}

// New returns an outbox that is off.
func New(o Options) *Box {
	if o.Step == nil {
		o.Step = func(string) {}
	}
	if o.Pod == "" || o.Pod != filepath.Base(o.Pod) || o.Pod == "." || o.Pod == ".." {
		o.Pod = "sftpd"
	}
	return &Box{Options: o}
}

// directory is the name of the directory for all events on a volume. It is reserved, see package vfs.
const directory = ".sftpd-events"

// Configure applies the settings of a listener without waiting for a volume. selected returns the sinks with Selected that get an
// account's events; nil means none. The signer signs receipts; nil means that none are issued.
func (b *Box) Configure(l *config.Listener, selected func(account string) []string, signer *receipt.Signer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !l.Events.On() && signer == nil || b.ended {
		b.off()
		return
	}
	volume, own := receipts.Place(l, "")
	base := logsOn(volume, l)
	set := live{sinks: l.Events.Sinks, maxBytes: l.Events.Bytes(), maxAge: l.Events.Age(), drop: l.Events.Drops()}
	for _, v := range l.Volumes {
		if at := logsOn(v, l); at != base {
			set.elsewhere = append(set.elsewhere, at)
		}
	}
	if selected == nil {
		selected = func(string) []string { return nil }
	}
	next := &outbox{
		selected: selected, receipts: signer != nil,
		Events: l.Events, listener: l.Namespace + "/" + l.Name, onClose: l.Uploads.Publish == config.PublishOnClose, step: b.Step,
	}
	if next.Source == "" { // without sinks
		next.Source = events.Source("", l.Namespace, l.Name)
	}
	if now := b.current.Load(); now != nil && now.base == base {
		next.log = now.log
		now.log.configure(set)
		now.log.sign(signer)
	} else {
		b.off()
		next.log = b.startLog(logSettings{base: base, pod: b.Pod, store: receipts.Open(filepath.Join(volume.Path, own)), live: set}, signer)
	}
	b.current.Store(next)
}

// logsOn returns the directory of the logs of a listener's pods on a volume.
func logsOn(v config.Volume, l *config.Listener) string {
	return filepath.Join(v.Path, directory, l.Namespace, l.Name)
}

// off stops the log. The lock is held.
func (b *Box) off() {
	b.current.Store(nil)
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// endTime is how long a log waits for the previous one, which may hang.
const endTime = 5 * time.Second

// startLog starts a log when the previous one has ended. The lock is held.
func (b *Box) startLog(s logSettings, signer *receipt.Signer) *log {
	l := newLog(s, b.Log, b.Step)
	l.signer = signer // uploads that it settles may need receipts
	ctx, stop := context.WithCancel(context.Background())
	before, done := b.stopped, make(chan struct{})
	b.stop, b.stopped = stop, done
	go func() {
		defer close(done)
		if before != nil {
			select {
			case <-before:
			case <-time.After(endTime):
			}
		}
		l.run(ctx)
	}()
	return l
}

// lastTime is how long a daemon that is shutting down waits for a volume.
const lastTime = 2 * time.Second

// Run waits until ctx ends and then until all queued records are written, unless the volume hangs.
func (b *Box) Run(ctx context.Context) {
	<-ctx.Done()
	b.mu.Lock()
	b.ended = true
	b.off()
	stopped := b.stopped
	b.mu.Unlock()
	if stopped == nil {
		return
	}
	select {
	case <-stopped:
	case <-time.After(lastTime):
		b.Log.Warn("the volume for events does not answer, so the records queued last are lost")
	}
}

// configure changes the live settings.
func (l *log) configure(s live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reflect.DeepEqual(l.live, s) { // most changes to a listener concern only its users
		return
	}
	l.live = s
	if l.open {
		l.x.configure(s.maxBytes, s.sinks, l.last)
		l.stampLocked()
	} else {
		l.x = newIndex(s.maxBytes, s.sinks).inherit(l.x)
	}
}

// temporary reports whether a name is one that clients use only until an upload is complete.
func (o *outbox) temporary(name string) bool {
	for _, p := range o.TemporaryNames {
		if ok, _ := path.Match(p, name); ok { // the pattern is valid
			return true
		}
	}
	return false
}

const noSyncProblem = "the volume cannot write data to its disk on request (fdatasync)"

// Status returns what /events/status shows, or false if the outbox is off.
func (b *Box) Status() (events.Status, bool) {
	o := b.current.Load()
	if o == nil {
		return events.Status{}, false
	}
	st := o.status()
	if !o.onClose {
		st.Problems = append(st.Problems, "uploads.publish is Immediate: files are visible before they are complete, and an upload interrupted by a kill has no event")
	}
	st.Durable = len(st.Problems) == 0
	return st, true
}

func (l *log) status() events.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := events.Status{Bytes: l.x.total, MaxBytes: l.x.max, Lost: l.lost, Written: l.written, Full: l.x.full()}
	switch {
	case l.failing != nil:
		st.Problems = append(st.Problems, "events cannot be recorded: "+plainError(l.failing))
	case !l.open:
		st.Problems = append(st.Problems, "the volume for events has not answered yet")
	}
	if l.noSync {
		st.Problems = append(st.Problems, noSyncProblem)
	}
	if l.noLocks {
		st.Problems = append(st.Problems, "the volume does not support locks (flock), so events of a deleted pod are not adopted")
	}
	if l.signer != nil {
		st.Receipts = l.receiptStatus()
	}
	for i, s := range l.x.sinks[:l.x.receipts()] {
		out := events.SinkStatus{Name: s.Name, Pending: s.pending, Bytes: s.bytes, Dead: len(s.dead), Dropped: s.dropped}
		if at := l.x.oldest(i); at > 0 {
			out.Oldest = time.Unix(at, 0).UTC()
		}
		st.Sinks = append(st.Sinks, out)
	}
	return st
}
