package outbox

import (
	"errors"
	"time"
)

// estimate returns about how many bytes the record of an event takes.
func estimate(event []byte) int64 { return int64(len(event)) + 200 }

// reserver reserves cost bytes of a user for a record until it is written. Its errors are those of this package.
type reserver func(user string, cost int64, drop bool) (*account, error)

// reserve is a reserver for records that someone waits for.
func (l *log) reserve(user string, cost int64, drop bool) (*account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.unavailable(); err != nil {
		l.lost++
		return nil, err
	}
	return l.reserveLocked(user, cost, drop)
}

// reserveLater is a reserver for records that no one waits for. They are queued even if the volume is slow, as long as there is room.
func (l *log) reserveLater(user string, cost int64, drop bool) (*account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		l.lost++
		return nil, ErrUnavailable
	}
	return l.reserveLocked(user, cost, drop)
}

func (l *log) reserveLocked(user string, cost int64, drop bool) (*account, error) {
	if l.queued > maxQueued || l.of[user] > maxQueuedOfUser {
		l.lost++
		return nil, ErrSlow
	}
	a := l.x.account(user)
	err := l.x.use(a).admit(cost)
	if err != nil && drop {
		err = l.x.makeRoom(a, cost)
	}
	if err != nil {
		l.lost++
		return nil, err
	}
	if b := l.x.users[user]; b != nil {
		a = b
	}
	l.x.hold(a, cost)
	return a, nil
}

// unavailable returns why nothing can be recorded now. Callers do not wait for a volume that others are already waiting for
// without success.
func (l *log) unavailable() error {
	switch {
	case l.failing != nil:
		return ErrUnavailable
	case l.writing && l.slow(l.began), len(l.queue) > 0 && l.slow(l.queue[0].beat):
		return ErrSlow
	}
	return nil
}

// slow reports whether others have been waiting for a record since a beat, and are about to give up or have done so.
func (l *log) slow(since int) bool { return l.beats-since >= waitBeats-1 }

// typicalSize is how many bytes the record of an upload usually takes at most.
const typicalSize = 2 << 10

// admits returns why a user's event cannot be recorded now, or nil if it can.
func (l *log) admits(user string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drop {
		return nil
	}
	if err := l.unavailable(); err != nil {
		return err
	}
	return l.x.use(l.x.account(user)).admit(typicalSize)
}

// put queues a record.
func (l *log) put(o *op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queueLocked(o)
}

func (l *log) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// wait waits until a record is written. After an error, it may still be written later; a prepared record is then abandoned.
func (l *log) wait(o *op) error {
	t := time.NewTimer(waitTime)
	defer t.Stop()
	for {
		select {
		case <-o.done:
			return o.err
		case <-t.C:
			if l.giveUp(o) {
				return ErrSlow
			}
			t.Reset(time.Second)
		}
	}
}

// giveUp reports whether to stop waiting for a record that is not written yet, and records that.
func (l *log) giveUp(o *op) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-o.done:
		return false
	default:
	}
	if l.beats-o.beat < waitBeats && !l.ended {
		return false
	}
	o.late = true
	l.lost++
	return true
}

// flush writes all queued records.
func (l *log) flush() {
	for {
		batch := l.takeBatch()
		if len(batch) == 0 {
			return
		}
		l.writeBatch(batch)
	}
}

// takeBatch returns the queued records in order, with their positions assigned.
func (l *log) takeBatch() []*op {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := uint64(time.Now().UnixMicro())
	n, size := 0, int64(0)
	for n < len(l.queue) && (n == 0 || size < maxBatch) {
		o := l.queue[n]
		size += o.size
		if l.of[o.rec.User] -= o.size; l.of[o.rec.User] <= 0 {
			delete(l.of, o.rec.User)
		}
		l.last = max(l.last+1, now)
		o.rec.N = l.last
		if o.stamp {
			l.stamped = false
		}
		n++
	}
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	l.queued -= size
	l.writing, l.began = n > 0, l.beats
	return batch
}

// placed is where an op's record is.
type placed struct {
	*op
	off, size int64
}

func (l *log) writeBatch(batch []*op) {
	l.mu.Lock()
	err := l.failing
	limit := segmentSize(l.maxBytes)
	l.mu.Unlock()
	if err == nil && (l.rotate || l.tail().size > limit) {
		if err = l.next(); err != nil {
			l.broken(err)
		}
	}
	var done []placed
	if err == nil {
		done, err = l.append(batch)
	}
	if err != nil {
		for _, o := range batch {
			l.end(o, ErrUnavailable)
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.segs[len(l.segs)-1]
	for _, p := range done {
		l.apply(p, seg)
		close(p.done)
	}
	if len(done) > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// append writes records to the last segment, and to the disk if one of them asks for it.
func (l *log) append(batch []*op) ([]placed, error) {
	seg := l.tail()
	var buf []byte
	done := make([]placed, 0, len(batch))
	sync := false
	issued, err := l.issue(batch)
	if err != nil {
		l.broken(err)
		return nil, err
	}
	for _, o := range batch {
		rec := &o.rec
		if o.stamp {
			rec = l.stateRecord()
			rec.N = o.rec.N
		}
		if rec.Kind == recorded {
			rec.Event = numbered(rec.Event, rec.N)
			if rec.At == 0 { // an adopted event keeps its age
				rec.At = time.Now().Unix()
			}
		}
		start := len(buf)
		next, err := rec.encode(buf)
		if err != nil && len(rec.Receipt) > 0 { // later receipts of its chain refer to it
			return nil, err
		}
		if err != nil {
			l.end(o, err)
			continue
		}
		buf = next
		done = append(done, placed{o, seg.size + int64(start), int64(len(buf) - start)})
		sync = sync || o.sync
	}
	l.fail("append")
	_, err = seg.file.Write(buf)
	if err == nil {
		l.unsynced = true
		if sync {
			l.fail("sync")
			err = l.sync()
		}
	}
	if err != nil {
		l.broken(err)
		// A partly written record would only be damaged, but a complete record of a refused event would be an event.
		if seg.file.Truncate(seg.size) != nil {
			l.logger.Warn("a refused event may have been recorded")
			l.chains = nil // later receipts must not take the places of its receipts
		}
		l.rotate = true
		return nil, err
	}
	l.chains.add(issued)
	l.mu.Lock()
	seg.size += int64(len(buf))
	for _, p := range done {
		seg.covers(&p.rec)
	}
	l.mu.Unlock()
	return done, nil
}

// errorLogInterval is the least time between log lines about errors of the volume.
const errorLogInterval = 10 * time.Second

// broken logs an error of the volume unless one was logged recently. Later records are tried again.
func (l *log) broken(err error) {
	now := time.Now().UnixNano()
	if before := l.errorLogged.Load(); now-before > int64(errorLogInterval) && l.errorLogged.CompareAndSwap(before, now) {
		l.logger.Error("a record of an event could not be written", "error", err)
	}
}

// end ends an op without a record.
func (l *log) end(o *op, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-o.done: // encoding it failed, and then writing the rest of its batch failed
		return
	default:
	}
	o.err = err
	if o.rec.Kind == recorded || o.rec.Kind == prepared {
		l.lost++
	}
	if o.user != nil {
		l.x.hold(o.user, -o.cost)
	}
	close(o.done)
}

// apply updates the index with written records.
func (l *log) apply(p placed, seg *segment) {
	r := &p.rec
	if r.Of != 0 && (r.Kind == recorded && r.Dead == "" || r.Kind == abandoned) {
		if at := l.prepared[r.Of]; at != nil {
			at.open--
			delete(l.prepared, r.Of)
		}
	}
	switch r.Kind {
	case prepared:
		l.prepared[r.N] = seg
		seg.open++
		if p.late {
			l.queueLocked(&op{rec: record{Kind: abandoned, Of: r.N, User: r.User}, user: p.user, cost: p.cost})
		}
		return // the reservation stays
	case recorded:
		l.written++
		if p.receipt != nil && len(r.Receipt) > 0 {
			l.issued++
		}
		e := entry{n: r.N, seg: seg, off: p.off, size: p.size, at: r.At, user: l.accountOf(p), sinks: l.x.wanting(r.Type, r.For, len(r.Receipt) > 0)}
		if r.Dead != "" {
			if at, ok := l.x.sink(r.For[0]); ok {
				if i, ok := l.x.find(r.Of); ok {
					l.x.release(i, 1<<at)
				}
				l.x.bury(at, e, eventID(r.Event))
			}
		} else {
			l.x.add(e)
		}
	case abandoned, forgotten, state:
	}
	if p.user != nil {
		l.x.hold(p.user, -p.cost)
	}
}

func (l *log) accountOf(p placed) *account {
	if p.user != nil {
		return p.user
	}
	return l.x.account(p.rec.User)
}

// queueLocked does what put does, with the lock held.
func (l *log) queueLocked(o *op) {
	o.done, o.beat = make(chan struct{}), l.beats
	o.size = estimate(o.rec.Event) + estimateReceipt(o.receipt)
	l.queue = append(l.queue, o)
	l.queued += o.size
	l.of[o.rec.User] += o.size
	l.kick()
}

// stampLocked queues a record of what the sinks have acknowledged, unless one is queued already. The lock is held.
func (l *log) stampLocked() {
	if !l.stamped && l.open {
		l.stamped = true
		l.queueLocked(&op{rec: record{Kind: state}, stamp: true})
	}
}

var errNoSuchEvent = errors.New("no such event")
