package outbox

import (
	"os"
	"path/filepath"
	"slices"
	"time"
)

// compactions is how many segments are compacted at a time. A user can cause a few a second with uploads that fail.
const compactions = 8

// tend drops events that are too old, removes segments that are not needed, and compacts segments of which little is needed.
func (l *log) tend() {
	l.mu.Lock()
	if before, now := l.x.done, time.Now(); l.maxAge > 0 && now.Sub(l.expired) >= min(l.maxAge/10, expireTime) {
		l.expired = now
		l.x.expire(now.Add(-l.maxAge).Unix())
		if l.x.done != before {
			l.stampLocked()
		}
	}
	l.mu.Unlock()
	l.removeSegments()
	for range compactions {
		seg := l.wasteful()
		if seg == nil {
			break
		}
		if err := l.compact(seg); err != nil {
			l.broken(err)
			break
		}
	}
}

// removeSegments removes segments, oldest first, until one is still needed. So a record that settles another one, or forgets
// a dead letter, outlives the record that it refers to. The last segment has the current state and stays.
func (l *log) removeSegments() {
	for {
		l.mu.Lock()
		var first *segment
		var file *os.File
		if len(l.segs) > 1 && l.segs[0].live == 0 && l.segs[0].open == 0 {
			first = l.segs[0]
			l.segs = l.segs[1:]
			file = first.retire()
		}
		l.mu.Unlock()
		if first == nil {
			return
		}
		closeFile(file)
		if err := os.Remove(first.path); err != nil {
			l.broken(err)
		}
	}
}

// wasteful returns the oldest segment, other than the last one, of which less than half is needed or had to stay when it was
// compacted, if all segments together are larger than what events may occupy.
func (l *log) wasteful() *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	total, oldest := int64(0), (*segment)(nil)
	for i, s := range l.segs {
		total += s.size
		if i < len(l.segs)-1 && s.size > 0 && s.live+s.fixed < s.size/2 && oldest == nil {
			oldest = s
		}
	}
	if total < l.maxBytes && len(l.segs) < maxSegments {
		return nil
	}
	return oldest
}

// compact replaces a segment's file by one with the records that are still needed, in their order.
func (l *log) compact(old *segment) error {
	name := old.path
	f, err := os.OpenFile(name+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_ = f.Chmod(fileMode)
	next := &segment{number: old.number, path: old.path, file: f, first: old.first, last: old.last, cleared: l.newest()}
	moved, err := l.copyNeeded(old, next)
	if err == nil {
		if err = fdatasync(f); cannotSync(err) {
			err = nil
		}
	}
	switch {
	case err != nil:
	case next.size == 0:
		if err = os.Remove(name + ".tmp"); err == nil {
			err = os.Remove(name)
		}
	default:
		err = os.Rename(name+".tmp", name)
	}
	if err == nil {
		err = syncDir(filepath.Dir(name))
	}
	if err != nil {
		f.Close()
		return err
	}
	closeFile(l.replace(old, next, moved))
	if next.size == 0 {
		closeFile(f)
	}
	return nil
}

// copyNeeded copies records, and returns where those of events are now.
func (l *log) copyNeeded(old, next *segment) (map[uint64]int64, error) {
	moved := map[uint64]int64{}
	var failed error
	var buf []byte
	flush := func() {
		if failed == nil {
			_, failed = next.file.Write(buf)
		}
		buf = buf[:0]
	}
	_, err := old.file.Seek(0, 0)
	if err != nil {
		return nil, err
	}
	here := map[uint64]bool{} // prepared records of this segment
	_, err = eachLine(old.file, func(line []byte, _ int64) {
		r, err := decode(line)
		if err != nil {
			return
		}
		if r.Kind == prepared {
			here[r.N] = true
		}
		if line = l.remains(r, line, here); len(line) == 0 {
			return
		}
		if r.Kind == recorded {
			moved[r.N] = next.size
		}
		next.size += int64(len(line))
		if buf = append(buf, line...); len(buf) > maxBatch {
			flush()
		}
	})
	flush()
	if err == nil {
		err = failed
	}
	return moved, err
}

// remains returns what a compacted segment keeps of a record: its line, a shorter one, or nothing. here contains the prepared
// records of the segment.
func (l *log) remains(r *record, line []byte, here map[uint64]bool) []byte {
	settles := r.Kind == abandoned || r.Kind == recorded && r.Dead == "" && r.Of != 0
	switch {
	case l.needed(r):
		return line
	case !settles || here[r.Of] || !l.announced(r) || l.unsettled(r.Of): // refused, and could not be taken back
		return nil
	}
	// The prepared record is in another segment, which may stay. Without the record that settles it, the upload would have a
	// different outcome at the next start, depending on what has its name by then.
	short, err := (&record{Kind: abandoned, N: r.N, Of: r.Of, User: r.User}).encode(nil)
	if err != nil {
		return line
	}
	return short
}

// unsettled reports whether the outcome of a prepared record is not known.
func (l *log) unsettled(n uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.prepared[n] != nil
}

// announced reports whether the prepared record that another one settles may still be in a segment.
func (l *log) announced(r *record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.segs, func(s *segment) bool { return s.first <= r.Of && r.Of <= s.last && s.cleared < r.N })
}

// newest is the position of the last record.
func (l *log) newest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// needed reports whether a record of a segment is needed. What the sinks have acknowledged is in later segments.
func (l *log) needed(r *record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r.Kind {
	case recorded:
		// A dead letter that is gone is needed as long as its event is pending for another sink, or is behind one that its own sink
		// has not acknowledged: at the next start, it would be pending again.
		return l.x.needs(r.N) || r.Dead != "" && (l.x.needs(r.Of) || l.x.behind(r.For, r.Of))
	case prepared:
		return l.prepared[r.N] != nil
	case forgotten:
		return true
	case state, abandoned: // see remains
	}
	return false
}

// replace puts a compacted segment in place of the old one, and returns the old file for the caller to close.
func (l *log) replace(old, next *segment, moved map[uint64]int64) *os.File {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n, off := range moved {
		if i, ok := l.x.find(n); ok && l.x.entries[i].sinks != 0 {
			l.x.entries[i].seg, l.x.entries[i].off = next, off
			next.live += l.x.entries[i].size
		}
	}
	for n, seg := range l.prepared {
		if seg == old {
			l.prepared[n] = next
			next.open++
		}
	}
	next.fixed = next.size - next.live
	if i := slices.Index(l.segs, old); next.size > 0 {
		l.segs[i] = next
	} else {
		l.segs = slices.Delete(l.segs, i, i+1)
	}
	return old.retire()
}
