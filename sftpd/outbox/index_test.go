package outbox

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestDeadLettersExpire: dead letters of all sinks are dropped when they are too old, and nothing of them is left.
func TestDeadLettersExpire(t *testing.T) {
	x, seg := newIndex(1<<20, sinks("a", "b")), &segment{}
	n := uint64(0)
	for _, at := range []int{0, 1, 0, 1} {
		n++
		x.bury(at, entry{n: n, seg: seg, size: 100, at: int64(n), user: x.account("team/ada")}, "id")
	}
	x.expire(3) // the first two
	for at, want := range []int{1, 1} {
		if s := x.sinks[at]; len(s.dead) != want || s.dropped != 1 || s.deadBytes != 100 || s.deadOf["team/ada"] != want {
			t.Errorf("sink %d: %+v", at, s)
		}
	}
	x.expire(9)
	for at, s := range x.sinks[:2] {
		if len(s.dead) != 0 || s.dropped != 2 || s.deadBytes != 0 || len(s.deadOf) != 0 {
			t.Errorf("sink %d: %+v", at, s)
		}
	}
	if x.deadBytes != 0 || seg.live != 0 || len(x.users) != 0 {
		t.Errorf("%d and %d bytes, %d users", x.deadBytes, seg.live, len(x.users))
	}
}

// TestOldestOfASink: how long a sink is behind depends on what it still gets, not on its dead letters.
func TestOldestOfASink(t *testing.T) {
	x, seg := newIndex(1<<20, sinks("a", "b")), &segment{}
	if at := x.oldest(0); at != 0 {
		t.Errorf("of nothing: %d", at)
	}
	x.bury(0, entry{n: 1, seg: seg, size: 100, at: 10, user: x.account("team/ada")}, "id")
	x.add(entry{n: 2, seg: seg, size: 100, at: 20, user: x.account("team/ada"), sinks: 2})
	x.add(entry{n: 3, seg: seg, size: 100, at: 30, user: x.account("team/ada"), sinks: 3})
	if a, b := x.oldest(0), x.oldest(1); a != 30 || b != 20 {
		t.Errorf("%d and %d, want 30 and 20", a, b)
	}
}

// TestNothingToDrop: where only records that are about to be written take the room, nothing is dropped, and the next one is
// refused.
func TestNothingToDrop(t *testing.T) {
	x := newIndex(10_000, sinks("a"))
	for x.makeRoom(x.account("team/ada"), 1000) == nil {
		x.hold(x.account("team/ada"), 1000)
	}
	for _, user := range []string{"team/ada", "team/bob", "other/eve"} {
		if err := x.makeRoom(x.account(user), 9000); err == nil {
			t.Errorf("%s: there is no room for it", user)
		}
	}
}

// openIn returns how many files below a directory this process has open.
func openIn(t *testing.T, dir string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, dir+"/") {
			n++
		}
	}
	return n
}

// TestFilesOfALogAreClosed: a log that ends, or whose pod's events were adopted, has no file open.
func TestFilesOfALogAreClosed(t *testing.T) {
	base := t.TempDir()
	r := begin(t, logSettings{base: base, live: live{sinks: sinks("a")}})
	r.add(t, "team/ada", "/1")
	if openIn(t, base) == 0 {
		t.Fatal("the test sees no open file")
	}
	r.stop()
	if n := openIn(t, base); n != 0 {
		t.Errorf("%d files are open after the end", n)
	}
	r = begin(t, logSettings{base: base, pod: "pod-1", live: live{sinks: sinks("a")}})
	eventually(t, "the other pod's events are adopted", func() bool { return r.pendingOf("a") == 1 })
	eventually(t, "and its files closed", func() bool { return openIn(t, filepath.Join(base, "pod-0")) == 0 })
	r.stop()
	if n := openIn(t, base); n != 0 {
		t.Errorf("%d files are open after the end", n)
	}
}

// TestDamagedWhileItRuns: an event, or a dead letter, that can no longer be read is dropped, and does not block others.
func TestDamagedWhileItRuns(t *testing.T) {
	base := t.TempDir()
	r := begin(t, logSettings{base: base, live: live{sinks: sinks("a")}})
	for _, path := range []string{"/0", "/1", "/2"} {
		r.add(t, "team/ada", path)
	}
	_, cursor := r.read(t, "a", "", false)
	if err := r.bury("a", cursor, "404"); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(base, "pod-0", segmentName(1))
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, path := range []string{`"path":"/0"`, `"path":"/2"`} {
		if _, err := f.WriteAt([]byte("X"), int64(strings.LastIndex(string(text), path))); err != nil {
			t.Fatal(err)
		}
	}
	r.expect(t, "a", "/1")
	if have, _ := r.read(t, "a", "", true); have != "" {
		t.Errorf("dead letters %q", have)
	}
	st := r.status().Sinks[0]
	if st.Pending != 1 || st.Dead != 0 {
		t.Errorf("%+v", st)
	}
}

// TestKeysAreWatched: the watch automatically records what is due until it ends; while another pod has the list of what was recorded, it
// keeps nothing open; and an error of the list is told.
func TestKeysAreWatched(t *testing.T) {
	dir := configtest.New(t)
	dir.RecordEvents(sinkOf("keys", events.KeyExpiring))
	b := New(Options{Pod: "pod-0", Log: slog.New(slog.DiscardHandler), KeysEvery: time.Millisecond})
	b.Configure(&dir.Listener, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go b.Run(ctx)
	eventually(t, "the log is open", func() bool { return b.current.Load().canRecord() })
	ended := make(chan struct{})
	keys := func(time.Time, time.Time) []Key {
		return []Key{keyOf("team/ada", time.Now().Add(time.Hour).Truncate(time.Hour))}
	}
	base := b.current.Load().base
	lock, err := lockKeys(base)
	if err != nil || lock == nil {
		t.Fatal(lock, err)
	}
	was := openIn(t, base)
	for range 5 {
		if second, err := lockKeys(base); second != nil || err != nil {
			t.Errorf("a second lock: %v, %v", second, err)
		}
	}
	if n := openIn(t, base); n != was {
		t.Errorf("%d files were left open", n-was)
	}
	lock.Close()
	w := keyWatch{box: b, recorded: memory{}, keys: keys}
	blocked := filepath.Join(base, keysName+".pod-0.tmp")
	if err := os.Mkdir(blocked, dirMode); err != nil {
		t.Fatal(err)
	}
	if err := w.save(b.current.Load()); err == nil {
		t.Error("no error although the list cannot be written")
	}
	_ = os.Remove(blocked)
	go func() {
		defer close(ended)
		b.WatchKeys(ctx, keys)
	}()
	eventually(t, "the notice is recorded", func() bool { st, _ := b.Status(); return st.Sinks[0].Pending == 1 })
	cancel()
	<-ended
}

// TestJournalOfAnUpload: an upload that fails leaves nothing behind. An upload is recorded if a sink wants it, but not under a
// temporary name.
func TestJournalOfAnUpload(t *testing.T) {
	l := recording(t, sinks("a")...)
	l.Events.TemporaryNames = []string{"*.part"}
	b, _ := start(t, l, "pod-0")
	j := b.Journal(&event.Connection{Account: "team/ada", User: "ada"})
	if j.Admits() != nil || !j.Temporary("x.part") || j.Temporary("x.partial") || j.Temporary("x") {
		t.Error("what is temporary")
	}
	p := &vfs.Publication{Path: "/f", Dir: "/", Name: "f", Temp: "t", Size: 7, Replaced: true, SHA256: strings.Repeat("0a", 32), BytesWritten: 5}
	o, err := j.Publishing(p)
	if err != nil {
		t.Fatal(err)
	}
	if st, _ := b.Status(); st.Bytes == 0 || st.Sinks[0].Pending != 0 {
		t.Errorf("before the outcome: %+v", st)
	}
	o.Failed()
	eventually(t, "nothing is reserved", func() bool { st, _ := b.Status(); return st.Bytes == 0 && st.Sinks[0].Pending == 0 })
	temporary := *p
	temporary.Name = "f.part"
	for _, publish := range []func() error{
		func() error { return j.Written(&temporary) },
		func() error { o, err := j.Publishing(&temporary); return errors.Join(err, o.Published()) },
	} {
		if err := publish(); err != nil || of(t, b, "a") != "" {
			t.Errorf("a temporary name: %v, %s", err, of(t, b, "a"))
		}
	}
	if o, err = j.Publishing(p); err != nil || o.Published() != nil {
		t.Fatal(err)
	}
	raw, err := b.current.Load().lines("a", "", 9, false)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := events.ParseLines(raw)
	if err != nil || len(lines) != 1 {
		t.Fatal(lines, err)
	}
	e, err := events.Decode(lines[0].Event)
	if err != nil {
		t.Fatal(err)
	}
	if d := e.Data; e.Type != events.FilePublished || d.Path != "/f" || *d.Size != 7 || !d.Replaced || d.SHA256 != p.SHA256 || d.BytesWritten != 5 || d.OriginalPath != "" || d.Recovered {
		t.Errorf("%+v", d)
	}
	renamed := *p
	renamed.OriginalPath = "/g"
	if o, err = j.Publishing(&renamed); err != nil || o.Published() != nil || of(t, b, "a") != strings.Repeat(" ada:file.published", 2)[1:] {
		t.Errorf("%v, %s", err, of(t, b, "a"))
	}
}
