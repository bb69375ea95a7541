package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// cursor returns a position in the form that sinks use.
func (l *log) cursor(n uint64) string { return fmt.Sprintf("%s-%020d", l.id, n) }

// position returns the position of a cursor, 0 for none. It fails for a cursor from a different log.
func (l *log) position(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	id, digits, ok := strings.Cut(cursor, "-")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || id != l.id || n > l.last {
		return 0, events.ErrOtherLog
	}
	return n, nil
}

// place is the location of a record.
type place struct {
	n         uint64
	seg       *segment
	off, size int64
}

// lines returns a sink's pending events or dead letters after a cursor.
func (l *log) lines(name, after string, limit int, dead bool) ([]byte, error) {
	places, err := l.collect(name, after, limit, dead)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, p := range places {
		r, err := readRecord(p.seg.file, p.off, p.size)
		l.unread(p)
		if err != nil {
			l.logger.Error("a recorded event is unreadable and was dropped", "error", err)
			l.damaged(p.n)
			continue
		}
		line := events.Line{Cursor: l.cursor(p.n), Event: r.Event, Reason: r.Dead}
		if dead {
			line.Since = time.Unix(r.At, 0).UTC()
		}
		if out, err = appendLine(out, line); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendLine appends a line with the event's own bytes.
func appendLine(out []byte, line events.Line) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(line)
	return append(out, b.Bytes()...), err
}

// collect returns where the events are. Their segments stay open until unread is called.
func (l *log) collect(name, after string, limit int, dead bool) ([]place, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.x.sink(name)
	if !ok || !l.open {
		return nil, l.noSink(ok)
	}
	n, err := l.position(after)
	if err != nil {
		return nil, err
	}
	return l.collectOf(at, n, limit, dead, nil), nil
}

// collectOf is like collect, for a place in the index's sinks, a position, and the events for which wanted returns true; nil
// means all. The lock is held.
func (l *log) collectOf(at int, n uint64, limit int, dead bool, want func(*entry) bool) (out []place) {
	if !dead {
		n = max(n, l.x.sinks[at].acked)
	}
	size := int64(0)
	i, _ := l.x.find(n + 1)
	for ; i < len(l.x.entries) && len(out) < limit; i++ {
		e := &l.x.entries[i]
		if e.dead != dead || e.sinks&(1<<at) == 0 || want != nil && !want(e) {
			continue
		}
		if size += e.size + 64; size > events.MaxAnswer && len(out) > 0 {
			break
		}
		e.seg.readers++
		out = append(out, place{e.n, e.seg, e.off, e.size})
	}
	return out
}

func (l *log) noSink(known bool) error {
	if known {
		return events.ErrUnavailable
	}
	return events.ErrUnknownSink
}

func (l *log) unread(p place) {
	l.mu.Lock()
	p.seg.readers--
	last := p.seg.gone && p.seg.readers == 0
	l.mu.Unlock()
	if last {
		closeFile(p.seg.file)
	}
}

// damaged drops an event that cannot be read.
func (l *log) damaged(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.x.find(n)
	if !ok {
		return
	}
	if l.x.dropUnreadable(i); l.x.entries[i].dead {
		for at := range l.x.sinks {
			l.x.removeDead(at, n)
		}
	}
}

func readRecord(f io.ReaderAt, off, size int64) (*record, error) {
	if size > sumLength+maxRecord+1 {
		return nil, errDamaged
	}
	line := make([]byte, size)
	if _, err := f.ReadAt(line, off); err != nil {
		return nil, err
	}
	r, err := decode(line)
	if err == nil && r.Kind != recorded {
		err = errDamaged
	}
	return r, err
}

// coming returns a channel that is closed at the next event.
func (l *log) coming() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *log) ack(name, cursor string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.x.sink(name)
	if !ok || !l.open {
		return l.noSink(ok)
	}
	n, err := l.position(cursor)
	if err != nil {
		return err
	}
	if l.x.ack(at, n) {
		l.stampLocked()
	}
	return nil
}

// bury makes a pending event a dead letter.
func (l *log) bury(name, cursor, reason string) error {
	p, err := l.pending(name, cursor)
	if err != nil {
		return err
	}
	r, err := readRecord(p.seg.file, p.off, p.size)
	l.unread(p)
	if err != nil {
		return err
	}
	if reason = events.Text(reason, events.MaxReason); reason == "" {
		reason = "unknown"
	}
	o := &op{sync: true, rec: record{
		Kind: recorded, Of: p.n, User: r.User, Type: r.Type, For: []string{name}, Dead: reason, Event: r.Event,
	}}
	l.put(o)
	return l.wait(o)
}

// pending returns the pending event at a cursor.
func (l *log) pending(name, cursor string) (place, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.x.sink(name)
	if !ok || !l.open {
		return place{}, l.noSink(ok)
	}
	n, err := l.position(cursor)
	if err != nil {
		return place{}, err
	}
	i, ok := l.x.find(n)
	if !ok || l.x.entries[i].dead || l.x.entries[i].sinks&(1<<at) == 0 {
		return place{}, errNoSuchEvent
	}
	e := &l.x.entries[i]
	e.seg.readers++
	return place{e.n, e.seg, e.off, e.size}, nil
}

// selectDead removes dead letters of a sink, and makes them pending again if replay is set. It returns their number.
func (l *log) selectDead(s events.Selection, replay bool) (int, error) {
	chosen, err := l.chosen(s)
	if err != nil {
		return 0, err
	}
	var ops []*op
	var gone []uint64
	for _, p := range chosen {
		gone = append(gone, p.n)
		r, err := readRecord(p.seg.file, p.off, p.size)
		l.unread(p)
		if replay && err == nil {
			ops = append(ops, &op{sync: true, rec: record{Kind: recorded, User: r.User, Type: r.Type, For: []string{s.Sink}, Event: r.Event}})
		}
	}
	for some := range slices.Chunk(gone, 500) {
		ops = append(ops, &op{sync: true, rec: record{Kind: forgotten, Gone: some}})
	}
	for _, o := range ops { // the events first: if a kill leaves one both pending and dead, it is delivered
		l.put(o)
	}
	for _, o := range ops {
		if err := l.wait(o); err != nil {
			return 0, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.x.sink(s.Sink); ok {
		for _, n := range gone {
			l.x.removeDead(at, n)
		}
	}
	return len(gone), nil
}

func (l *log) chosen(s events.Selection) ([]place, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.x.sink(s.Sink)
	if !ok || !l.open {
		return nil, l.noSink(ok)
	}
	ids := map[string]bool{}
	for _, id := range s.IDs {
		ids[id] = true
	}
	var out []place
	for _, d := range l.x.sinks[at].dead {
		i, ok := l.x.find(d.n)
		if ok && (s.All || ids[d.id]) {
			e := &l.x.entries[i]
			e.seg.readers++
			out = append(out, place{e.n, e.seg, e.off, e.size})
		}
	}
	return out, nil
}
