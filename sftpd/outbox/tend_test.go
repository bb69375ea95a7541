package outbox

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// still opens a log that writes and tends its segments only when the test says so.
func still(t *testing.T, base string, set live) *running {
	t.Helper()
	l := newLog(logSettings{base: base, pod: "pod-0", live: set}, slog.New(slog.DiscardHandler), nil)
	if err := l.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.flush()
	r := &running{log: l}
	closed := false
	r.stop = func() {
		if !closed {
			l.close()
		}
		closed = true
	}
	t.Cleanup(r.stop)
	return r
}

// write writes records, and returns their positions.
func (r *running) write(t *testing.T, recs ...record) (positions []uint64) {
	t.Helper()
	var ops []*op
	for _, rec := range recs {
		if rec.User = "team/ada"; rec.Kind == recorded || rec.Kind == prepared {
			rec.Type = events.FilePublished
		}
		o := &op{rec: rec}
		r.put(o)
		ops = append(ops, o)
	}
	r.flush()
	for _, o := range ops {
		if <-o.done; o.err != nil {
			t.Fatal(o.err)
		}
		positions = append(positions, o.rec.N)
	}
	return positions
}

// published is the record of an upload's event.
func published(t *testing.T, path string) record {
	t.Helper()
	return record{Kind: recorded, Event: encoded(t, path)}
}

// forget removes a dead letter of the first sink.
func (r *running) forget(t *testing.T, n uint64) {
	t.Helper()
	r.write(t, record{Kind: forgotten, Gone: []uint64{n}})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.x.removeDead(0, n)
}

// filesOf returns the names and the size of the segments' files.
func (r *running) filesOf(t *testing.T) (names string, size int64) {
	t.Helper()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Name() != lockName {
			names, size = names+" "+strings.TrimLeft(strings.TrimSuffix(e.Name(), segmentSuffix), "0"), size+info.Size()
		}
	}
	return names, size
}

// TestCompaction: when a log is larger than it may be, what is no longer needed goes. What is needed stays and stays in order: events,
// dead letters, and uploads whose outcome is not known; and nothing comes back that was settled, also when the daemon is killed.
func TestCompaction(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a", "b"), maxBytes: 15_000}
	r := still(t, base, set)
	upload := func(name string) record {
		return record{Kind: prepared, Dir: []byte("/none"), Name: []byte(name), Temp: []byte("t"), Inode: 7, Event: encoded(t, "/"+name)}
	}
	r.write(t, published(t, "/0"))
	at := r.write(t, upload("failed"), upload("unknown"), upload("told"))
	for i := range 40 {
		r.write(t, published(t, fmt.Sprint("/x", i)))
	}
	letters := r.write(t, published(t, "/dead"), published(t, "/gone"), published(t, "/1"))
	for i, path := range []string{"/dead", "/gone"} {
		letters[i] = r.write(t, record{Kind: recorded, Of: letters[i], For: []string{"a"}, Dead: "404", Event: encoded(t, path)})[0]
	}
	next := func() {
		t.Helper()
		if err := r.next(); err != nil {
			t.Fatal(err)
		}
	}
	next()
	r.write(t, record{Kind: abandoned, Of: at[0]}, record{Kind: recorded, Of: at[2], For: []string{"b"}, Event: encoded(t, "/told")})
	r.forget(t, letters[1])
	for i := range 40 {
		r.write(t, published(t, fmt.Sprint("/y", i)))
	}
	next()
	r.write(t, published(t, "/2"))
	// Both sinks have what was written in the meantime, except for three events that neither reads.
	r.mu.Lock()
	for i := range r.x.entries {
		rec, err := readRecord(r.x.entries[i].seg.file, r.x.entries[i].off, r.x.entries[i].size)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(rec.Event); strings.Contains(text, `"path":"/x`) || strings.Contains(text, `"path":"/y`) {
			r.x.release(i, 3)
		}
	}
	r.x.tidy()
	r.stampLocked()
	r.mu.Unlock()
	r.flush()
	check := func(when string, more string) {
		t.Helper()
		for sink, want := range map[string]string{"a": "/0/1/2" + more, "b": "/0/dead/gone/1/told/2" + more} {
			if have, _ := r.read(t, sink, "", false); have != want {
				t.Errorf("%s, %s gets %q, want %q", when, sink, have, want)
			}
		}
		if have, _ := r.read(t, "a", "", true); have != "/dead" {
			t.Errorf("%s: dead letters %q", when, have)
		}
	}
	check("before", "")
	_, before := r.filesOf(t)
	for range 3 {
		r.tend()
		check("after a step", "")
	}
	if names, after := r.filesOf(t); names != " 1 2 3" || before < set.maxBytes || after > set.maxBytes/2 {
		t.Errorf("%d bytes before, %d after, in%s", before, after, names)
	}
	r.lock.Close() // as if it was killed
	r = still(t, base, set)
	// The upload whose outcome was not known has one now: there is no such file.
	check("after a restart", "/unknown")
	_, cursor := r.read(t, "a", "", false)
	for _, sink := range []string{"a", "b"} {
		if err := r.ack(sink, cursor); err != nil {
			t.Fatal(err)
		}
	}
	r.forget(t, letters[0])
	next()
	if r.tend(); len(r.segs) != 1 {
		names, _ := r.filesOf(t)
		t.Errorf("nothing is needed, and there are%s", names)
	}
	if st := r.status(); st.Bytes != 0 || r.x.deadBytes != 0 {
		t.Errorf("%d and %d bytes are used", st.Bytes, r.x.deadBytes)
	}
}

// TestSettledOnce: an upload whose event was delivered has no other one after a restart, although what announced it is in an older
// segment, which stays for an event that another sink does not take.
func TestSettledOnce(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a", "b"), maxBytes: 4_000}
	r := still(t, base, set)
	stays := published(t, "/stays")
	stays.For = []string{"b"}
	announced := r.write(t, stays, record{Kind: prepared, Dir: []byte("/none"), Name: []byte("f"), Temp: []byte("t"), Inode: 7, Event: encoded(t, "/f")})[1]
	for i := range 20 {
		e := published(t, fmt.Sprint("/", i))
		e.For = []string{"a"}
		if i == 0 {
			if err := r.next(); err != nil {
				t.Fatal(err)
			}
			e.Of = announced
		}
		r.write(t, e)
	}
	if err := errors.Join(r.next(), r.ack("a", r.cursor(r.last))); err != nil {
		t.Fatal(err)
	}
	r.flush()
	_, before := r.filesOf(t)
	r.tend()
	if _, after := r.filesOf(t); after > before/2 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
	r.lock.Close() // as if it was killed
	r = still(t, base, set)
	for sink, want := range map[string]string{"a": "", "b": "/stays"} {
		if have, _ := r.read(t, sink, "", false); have != want {
			t.Errorf("%s gets %q, want %q", sink, have, want)
		}
	}
}
