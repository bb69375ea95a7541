package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// TestQueueIsBounded: while a volume writes nothing, events that no one waits for take a bounded part of memory, of which one user
// gets a part. What is lost is counted, and when the volume answers, there is room for all.
func TestQueueIsBounded(t *testing.T) {
	r := still(t, t.TempDir(), live{sinks: sinks("a"), maxBytes: 1 << 30})
	event := fmt.Appendf(nil, `{"id":"x","data":%q}`, strings.Repeat("x", 40<<10))
	queued := 0
	fill := func(user string) (bytes, refused int) {
		t.Helper()
		for {
			cost := estimate(event)
			a, err := r.reserveLater(user, cost, false)
			if errors.Is(err, ErrSlow) {
				return bytes, 1
			}
			if err != nil {
				t.Fatal(err)
			}
			o := &op{rec: record{Kind: recorded, User: user, Type: events.FileDeleted, Event: event}, user: a, cost: cost}
			r.put(o)
			queued, bytes = queued+1, bytes+int(o.size)
		}
	}
	all, lost := 0, 0
	for i := range 6 {
		bytes, refused := fill(fmt.Sprint("team/", i))
		if all += bytes; i == 0 && (bytes < 4<<20-len(event) || bytes > 4<<20+len(event)) {
			t.Errorf("one user has %d bytes", bytes)
		}
		lost += refused
	}
	if all < 16<<20-len(event) || all > 16<<20+len(event) {
		t.Errorf("all have %d bytes", all)
	}
	if st := r.status(); int(st.Lost) != lost || st.Bytes < int64(all) {
		t.Errorf("%d are lost, want %d; %d bytes are reserved for %d", st.Lost, lost, st.Bytes, all)
	}
	for len(r.queue) > 0 {
		batch := r.takeBatch()
		if n := len(batch) * len(event); n > maxBatch+len(event) {
			t.Errorf("%d bytes are written at once", n)
		}
		for _, o := range batch {
			r.end(o, ErrUnavailable) // now it answers, with an error
		}
	}
	if r.queued != 0 || len(r.of) != 0 {
		t.Errorf("%d bytes are queued, of %v", r.queued, r.of)
	}
	if st := r.status(); int(st.Lost) != lost+queued || st.Bytes != 0 {
		t.Errorf("of %d and %d, %d are lost, and %d bytes reserved", lost, queued, st.Lost, st.Bytes)
	}
	if _, err := r.reserveLater("team/0", 1, false); err != nil {
		t.Errorf("there is no room again: %v", err)
	}
}

// TestFullIsReported: a pod is reported as full when an event of a user that has some may be refused, and not before.
func TestFullIsReported(t *testing.T) {
	for used, want := range map[int64]bool{0: false, 1 << 18: false, 1 << 19: true, 1<<20 - events.MaxSize: true, 2 << 20: true} {
		l := newLog(logSettings{live: live{sinks: sinks("a"), maxBytes: 1 << 20}}, nil, nil)
		if l.x.hold(l.x.account("team/ada"), used); l.status().Full != want {
			t.Errorf("%d bytes of %d are used: full is %v", used, 1<<20, !want)
		}
	}
}

// TestFullWhenUploadsAreRefused: the log of a pod that refuses uploads is full, although the shares of users and namespaces leave room
// for those of others.
func TestFullWhenUploadsAreRefused(t *testing.T) {
	for _, users := range []int{1, 5} {
		l := newLog(logSettings{live: live{sinks: sinks("a"), maxBytes: 1 << 20}}, nil, nil)
		refused := 0
		for range 10_000 {
			refused = 0
			for u := range users {
				if _, err := l.reserve(fmt.Sprint("team/u", u), typicalSize, false); err != nil {
					refused++
				}
			}
		}
		if st := l.status(); refused != users || !st.Full {
			t.Errorf("%d of %d users may not upload, and full is %v with %d of %d bytes", refused, users, st.Full, st.Bytes, st.MaxBytes)
		}
	}
}

// TestSegmentThatCannotBegin: as long as a file cannot be created, what should go there is refused, takes no space, and does not come
// back later. Afterwards, the log continues.
func TestSegmentThatCannotBegin(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 1 << 20}
	r := still(t, base, set)
	r.write(t, published(t, "/0"))
	before := r.status()
	try := func(path string) error {
		t.Helper()
		raw := encoded(t, path)
		a, err := r.reserve("team/ada", estimate(raw), false)
		if err != nil {
			t.Fatal(err)
		}
		o := &op{rec: record{Kind: recorded, User: "team/ada", Type: events.FilePublished, Event: raw}, user: a, cost: estimate(raw), sync: true}
		r.put(o)
		r.flush()
		<-o.done
		return o.err
	}
	blocked := filepath.Join(r.dir, segmentName(2))
	if err := os.Mkdir(blocked, dirMode); err != nil {
		t.Fatal(err)
	}
	r.rotate = true
	for range 2 {
		if err := try("/1"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("without a file: %v", err)
		}
	}
	if st := r.status(); st.Bytes != before.Bytes || st.Lost != before.Lost+2 || st.Written != before.Written {
		t.Errorf("before %+v, after %+v", before, st)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := try("/2"); err != nil {
		t.Error(err)
	}
	r.expect(t, "a", "/0/2")
	if names, _ := r.filesOf(t); names != " 1 2" {
		t.Errorf("the files are%s", names)
	}
	r.stop()
	still(t, base, set).expect(t, "a", "/0/2")
}

// TestCompactionThatFails: a log that cannot be made shorter stays as it is.
func TestCompactionThatFails(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 2_000}
	oldSync := fdatasync
	t.Cleanup(func() { fdatasync = oldSync })
	r := still(t, base, set)
	for i := range 10 {
		r.write(t, published(t, fmt.Sprint("/", i)))
	}
	if err := r.next(); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	for i := range r.x.entries[:8] {
		r.x.release(i, 1)
	}
	r.mu.Unlock()
	logged := r.logged()
	_, before := r.filesOf(t)
	fdatasync = func(*os.File) error { return unix.EIO }
	open := openIn(t, base)
	for range 2 {
		r.tend()
		r.expect(t, "a", "/8/9")
	}
	if n := openIn(t, base); n != open || !strings.Contains(logged(), unix.EIO.Error()) {
		t.Errorf("%d files are open, %d before", n, open)
	}
	fdatasync = func(*os.File) error { return unix.EINVAL } // the volume cannot sync
	r.tend()
	r.expect(t, "a", "/8/9")
	if names, after := r.filesOf(t); names != " 1 2" || after > before/2 {
		t.Errorf("%d bytes before, %d after, in%s", before, after, names)
	}
	r.stop()
	still(t, base, set).expect(t, "a", "/8/9")
}

// TestRecoveredComesFirst: the outcome of an upload that a kill has interrupted comes before what happened since, also if that was queued
// before the log was open.
func TestRecoveredComesFirst(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 1 << 20}
	r := still(t, base, set)
	r.write(t, record{Kind: prepared, Dir: []byte("/none"), Name: []byte("f"), Temp: []byte("t"), Inode: 7, Event: encoded(t, "/f")})
	r.stop()
	l := newLog(logSettings{base: base, pod: "pod-0", live: set}, slog.New(slog.DiscardHandler), nil)
	r = &running{log: l}
	l.put(&op{rec: record{Kind: recorded, User: "team/ada", Type: events.FilePublished, Event: encoded(t, "/since")}})
	if err := l.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	l.flush()
	r.expect(t, "a", "/f/since")
	if l.queued != 0 || len(l.of) != 0 {
		t.Errorf("%d bytes are queued, of %v", l.queued, l.of)
	}
}

// TestEndWhileUnsettled: a daemon that ends before it knows the outcome of an upload leaves that to the next one.
func TestEndWhileUnsettled(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 1 << 20}
	r := still(t, base, set)
	r.write(t, record{Kind: prepared, Dir: []byte("/none"), Name: []byte("f"), Temp: []byte("t"), Inode: 7, Event: encoded(t, "/f")})
	r.stop()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	l := newLog(logSettings{base: base, pod: "pod-0", live: set}, slog.New(slog.DiscardHandler), nil)
	if err := l.start(ended); err != nil {
		t.Fatal(err)
	}
	l.close()
	still(t, base, set).expect(t, "a", "/f")
}
