package outbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
)

// Times of a log.
const (
	// waitTime is how long to wait for a record, and waitBeats is the same in seconds in which the daemon runs; see log.beat.
	waitTime  = 10 * time.Second
	waitBeats = 10
	// reopenTime is the interval between attempts to open a log.
	reopenTime = 2 * time.Second
	// tickTime is the interval between checks of the segments, expireTime of the events' ages, adoptTime of other pods'
	// logs.
	tickTime   = time.Second
	expireTime = 30 * time.Second
	adoptTime  = 15 * time.Second
)

// Bounds of the queue of records to be written.
const (
	maxQueued       = 16 << 20
	maxQueuedOfUser = 4 << 20
	maxBatch        = 1 << 20
)

// logSettings holds what a log needs to know. Its directory and pod never change.
type logSettings struct {
	base  string // the directory of all pods' logs
	pod   string
	store *receipts.Store
	// trimEvery is the interval at which old receipts of all users are removed, trimTime if it is 0.
	trimEvery time.Duration
	live
}

// live settings can be changed.
type live struct {
	sinks    []config.EventSink
	maxBytes int64
	maxAge   time.Duration
	drop     bool // DropOldest
	// elsewhere are the directories of logs on the listener's other volumes, which it may have used before.
	elsewhere []string
}

// op is a record to be written.
type op struct {
	rec  record
	size int64
	sync bool
	// user has a reservation of cost bytes, which ends when the event is recorded or abandoned.
	user *account
	cost int64
	// stamp: write the record with the current state of all sinks.
	stamp bool
	// receipt will be issued for the upload of a recorded event, nil for none. Its place in a chain is
	// decided when it is written.
	receipt *receipt.Receipt

	done chan struct{}
	err  error
	late bool // the caller has stopped waiting
	beat int  // when it was queued
}

// log is an outbox's log on a volume.
type log struct {
	logSettings
	logger *slog.Logger
	fail   func(step string) // for tests: called at each step of what must survive a kill

	mu       sync.Mutex
	x        *index
	last     uint64 // position
	id       string
	queue    []*op
	queued   int64
	of       map[string]int64 // queued bytes by user
	stamped  bool             // a state record is queued
	failing  error            // why nothing can be recorded
	open     bool
	noSync   bool
	noLocks  bool
	lost     uint64
	written  uint64
	prepared map[uint64]*segment
	segs     []*segment
	changed  chan struct{} // closed at the next event
	expired  time.Time     // when ages were last checked
	beats    int           // see beat
	writing  bool          // a batch is being written, since the beat began
	began    int
	ended    bool            // nothing is written any more
	signer   *receipt.Signer // of receipts, nil for none
	issued   uint64
	unsigned uint64 // uploads without a checksum and therefore without a receipt
	keeping  error  // why receipts do not reach the store
	trimming error  // why old ones are not removed from it

	wake chan struct{}

	// The following belong to the goroutine of run.
	dir      string
	lock     *os.File
	rotate   bool
	unsynced bool
	chains   chains

	// errorLogged is when an error of the volume was last logged.
	errorLogged atomic.Int64
}

func newLog(s logSettings, logger *slog.Logger, fail func(string)) *log {
	if fail == nil {
		fail = func(string) {}
	}
	return &log{
		logSettings: s, logger: logger, fail: fail, x: newIndex(s.maxBytes, s.sinks), of: map[string]int64{},
		prepared: map[uint64]*segment{}, changed: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// beat counts the seconds in which the process runs, until done is closed. Only those count in deciding whether a volume is
// slow: otherwise a process that was stopped for some time, with its virtual machine or its cgroup, or that got no CPU time,
// would consider the volume slow the moment it continues, and refuse uploads that would be recorded a millisecond later.
func (l *log) beat(done <-chan struct{}) {
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	for {
		select {
		case <-done:
			return
		case <-seconds.C: // one, however many were missed
		}
		l.mu.Lock()
		l.beats++
		l.mu.Unlock()
	}
}

// run opens the log, writes queued records until ctx ends, and then writes the rest.
func (l *log) run(ctx context.Context) {
	ended := make(chan struct{})
	go l.beat(ended)
	defer func() {
		close(ended)
		l.mu.Lock()
		l.ended = true
		l.mu.Unlock()
	}()
	for {
		err := l.start(ctx)
		if err == nil {
			break
		}
		l.setFailing(err)
		l.flush() // fails queued records
		select {
		case <-ctx.Done():
			return
		case <-time.After(reopenTime):
		}
	}
	l.setFailing(nil)
	go l.adopt(ctx) // not waited for: its volume may hang when the log ends
	go l.keep(ctx)  // likewise
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-tick.C:
			l.tend()
		}
		l.flush()
	}
	l.flush()
	l.close()
}

func (l *log) setFailing(err error) {
	l.mu.Lock()
	was := l.failing
	l.failing = err
	l.mu.Unlock()
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		l.logger.Error("events cannot be recorded", "error", err)
	case err == nil && was != nil:
		l.logger.Info("events are recorded again")
	}
}

// start locks the pod's directory, or one next to it if another process has that one, and loads its contents.
func (l *log) start(ctx context.Context) error {
	l.dir = filepath.Join(l.base, l.pod)
	var noLocks bool
	for try := 0; ; try++ {
		if err := makeDirs(l.dir, 4); err != nil {
			return err
		}
		var err error
		l.lock, noLocks, err = takeLock(l.dir, true)
		if err == nil {
			break
		}
		if !errors.Is(err, errOwned) || try == 3 {
			return err
		}
		l.dir = filepath.Join(l.base, l.pod+"."+randomID())
	}
	have, err := load(l.dir)
	if err == nil {
		err = l.take(have)
	}
	if err != nil {
		l.lock.Close()
		return err
	}
	if have.damaged > 0 {
		l.logger.Warn("damaged event records were skipped", "records", have.damaged)
	}
	l.mu.Lock()
	l.noLocks = noLocks
	l.mu.Unlock()
	if err := l.next(); err != nil {
		l.close()
		return err
	}
	l.mu.Lock()
	l.open = true
	l.mu.Unlock()
	l.settle(ctx, have.unsettled)
	return nil
}

// take fills the index from what was loaded.
func (l *log) take(have *loaded) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.x = newIndex(l.maxBytes, l.sinks).inherit(l.x)
	l.prepared = map[uint64]*segment{}
	if l.id = have.id; l.id == "" {
		l.id = randomID()
	}
	l.last = max(l.last, have.last)
	for _, s := range l.x.sinks {
		acked, known := have.acked[s.Name]
		if s.acked = acked; !known {
			s.acked = have.last // a new sink gets later events only
		}
	}
	l.segs = have.segments
	for i := range have.events {
		l.restore(&have.events[i])
	}
	for _, p := range have.unsettled {
		l.prepared[p.rec.N] = p.seg
		p.seg.open++
	}
	return nil
}

// restore adds a loaded event.
func (l *log) restore(e *loadedEvent) {
	x := entry{n: e.n, seg: e.seg, off: e.off, size: e.size, at: e.at, user: l.x.account(e.user)}
	set := l.x.wanting(e.typ, e.names, e.receipt)
	for i, s := range l.x.sinks {
		bit := uint32(1) << i
		switch {
		case set&bit == 0:
		case e.dead:
			l.x.bury(i, x, e.id)
			return
		case s.acked < e.n && !e.moved[s.Name]:
			x.sinks |= bit
		}
	}
	if !e.dead {
		l.x.add(x)
	}
}

// next begins a new segment, with the current state.
func (l *log) next() error {
	number := 1
	l.mu.Lock()
	if n := len(l.segs); n > 0 {
		number = l.segs[n-1].number + 1
	}
	l.mu.Unlock()
	l.rotate = true
	// Records that had to be on the disk are there already, or were refused.
	if err := l.sync(); err != nil {
		l.broken(err)
	}
	f, err := os.OpenFile(filepath.Join(l.dir, segmentName(number)), os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, fileMode)
	if err != nil {
		return err
	}
	_ = f.Chmod(fileMode) // see makeDirs
	seg := &segment{number: number, path: f.Name(), file: f}
	line, err := l.stateRecord().encode(nil)
	if err == nil {
		_, err = f.Write(line)
	}
	if err == nil {
		err = syncDir(l.dir)
	}
	if err != nil {
		f.Close()
		_ = os.Remove(f.Name())
		return err
	}
	seg.size = int64(len(line))
	l.mu.Lock()
	l.segs = append(l.segs, seg)
	l.mu.Unlock()
	l.rotate, l.unsynced = false, true
	return nil
}

func (l *log) stateRecord() *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &record{Kind: state, N: l.last, Log: l.id, Acked: map[string]uint64{}}
	for _, s := range l.x.sinks {
		r.Acked[s.Name] = s.acked
	}
	return r
}

// sync writes the last segment to the disk.
func (l *log) sync() error {
	if !l.unsynced {
		return nil
	}
	seg := l.tail()
	err := fdatasync(seg.file)
	if cannotSync(err) {
		l.mu.Lock()
		l.noSync = true
		l.mu.Unlock()
		err = nil
	}
	if err == nil {
		l.unsynced = false
	}
	return err
}

func (l *log) tail() *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segs[len(l.segs)-1]
}

// close closes the files. The lock goes with its file.
func (l *log) close() {
	l.mu.Lock()
	l.open = false
	var files []*os.File
	for _, s := range l.segs {
		files = append(files, s.retire())
	}
	l.segs = nil
	if l.failing == nil {
		l.failing = errClosed
	}
	l.mu.Unlock()
	for _, f := range append(files, l.lock) {
		closeFile(f)
	}
}

var errClosed = errors.New("the daemon is shutting down")

// retire marks a segment as gone and returns its file, or nil if a reader has it open and will close it. The lock is held,
// so the caller closes the file later.
func (s *segment) retire() *os.File {
	if s.gone = true; s.readers == 0 {
		return s.file
	}
	return nil
}

// closeFile closes a file, which may be nil. It may block on a network volume that hangs, so no lock may be held. Tests
// replace it.
var closeFile = func(f *os.File) {
	if f != nil {
		f.Close()
	}
}

func randomID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// plainError returns an error's cause without paths of this host.
func plainError(err error) string {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Sprintf("%s: %v", p.Op, p.Err)
	}
	if p, ok := errors.AsType[*os.LinkError](err); ok {
		return fmt.Sprintf("%s: %v", p.Op, p.Err)
	}
	return err.Error()
}
