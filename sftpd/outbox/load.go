package outbox

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// loaded is what the segments of a directory contain.
type loaded struct {
	id       string
	last     uint64
	acked    map[string]uint64
	segments []*segment
	events   []loadedEvent
	// unsettled are prepared records whose outcome is not known.
	unsettled []unsettled
	damaged   int
}

// loadedEvent is an event without its content.
type loadedEvent struct {
	n          uint64
	seg        *segment
	off, size  int64
	at         int64
	user       string
	typ        events.Type
	names      []string
	receipt    bool
	dead       bool
	deadReason string
	id         string          // of a dead letter
	moved      map[string]bool // sinks for which it became a dead letter
}

type unsettled struct {
	rec record
	seg *segment
}

// load reads all segments of a directory. Damaged records are skipped and counted. The segments' files stay open.
func load(dir string) (*loaded, error) {
	names, err := segmentsIn(dir)
	if err != nil {
		return nil, err
	}
	l := &loader{loaded: &loaded{acked: map[string]uint64{}}, open: map[uint64]unsettled{}, gone: map[uint64]bool{}, at: map[uint64]int{}}
	for _, name := range names {
		if err := l.segment(dir, name); err != nil {
			l.close()
			return nil, err
		}
	}
	l.events = slices.DeleteFunc(l.events, func(e loadedEvent) bool { return l.gone[e.n] })
	for _, p := range l.open {
		l.unsettled = append(l.unsettled, p)
	}
	slices.SortFunc(l.unsettled, func(a, b unsettled) int { return cmp.Compare(a.rec.N, b.rec.N) })
	return l.loaded, nil
}

func (l *loaded) close() {
	for _, s := range l.segments {
		s.file.Close()
	}
}

func segmentsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted, and the numbers have eight digits
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, ok := segmentNumber(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

type loader struct {
	*loaded
	open map[uint64]unsettled
	gone map[uint64]bool
	at   map[uint64]int // place in events
}

func (l *loader) segment(dir, name string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	number, _ := segmentNumber(name)
	seg := &segment{number: number, path: f.Name(), file: f}
	l.segments = append(l.segments, seg)
	seg.size, err = eachLine(f, func(line []byte, off int64) {
		r, err := decode(line)
		if err != nil {
			l.damaged++
			return
		}
		l.record(r, seg, off, int64(len(line)))
	})
	return err
}

// eachLine calls do for each line of a file and returns the file's size. The line is valid only during the call. A line that is
// too long is passed as one damaged line.
func eachLine(f io.Reader, do func(line []byte, off int64)) (int64, error) {
	r := bufio.NewReaderSize(f, maxRecord+sumLength+1)
	off := int64(0)
	for {
		line, err := r.ReadSlice('\n')
		skipped := int64(0)
		for errors.Is(err, bufio.ErrBufferFull) {
			line = line[:0]
			skipped += int64(r.Size())
			var more []byte
			more, err = r.ReadSlice('\n')
			if !errors.Is(err, bufio.ErrBufferFull) {
				skipped += int64(len(more))
			}
		}
		switch {
		case skipped > 0:
			do(nil, off)
			off += skipped
		case len(line) > 0:
			do(line, off)
			off += int64(len(line))
		}
		if errors.Is(err, io.EOF) {
			return off, nil
		}
		if err != nil {
			return off, err
		}
	}
}

func (l *loader) record(r *record, seg *segment, off, size int64) {
	l.last = max(l.last, r.N)
	seg.covers(r)
	switch r.Kind {
	case prepared:
		r.Event = bytes.Clone(r.Event)
		l.open[r.N] = unsettled{*r, seg}
	case abandoned:
		delete(l.open, r.Of)
	case recorded:
		e := loadedEvent{
			n: r.N, seg: seg, off: off, size: size, at: r.At, user: r.User, typ: r.Type, names: r.For, receipt: len(r.Receipt) > 0,
			dead: r.Dead != "", deadReason: r.Dead,
		}
		if !e.dead {
			delete(l.open, r.Of)
		} else if e.id = eventID(r.Event); len(r.For) != 1 {
			l.damaged++
			return
		} else if i, ok := l.at[r.Of]; ok {
			if l.events[i].moved == nil {
				l.events[i].moved = map[string]bool{}
			}
			l.events[i].moved[r.For[0]] = true
		}
		l.at[r.N] = len(l.events)
		l.events = append(l.events, e)
	case forgotten:
		for _, n := range r.Gone {
			l.gone[n] = true
		}
	case state:
		if r.Log != "" {
			l.id = r.Log
		}
		for name, n := range r.Acked {
			l.acked[name] = max(l.acked[name], n)
		}
	}
}

// eventID reads the ID of an event, "" if it is not an event.
func eventID(event []byte) string {
	var e struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(event, &e)
	return e.ID
}
