package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
)

func sinks(names ...string) (out []config.EventSink) {
	for _, n := range names {
		out = append(out, config.EventSink{Name: n, Types: events.Types()})
	}
	return out
}

// running is a log that runs until stop.
type running struct {
	*log
	stop func()
}

func begin(t *testing.T, s logSettings) *running {
	t.Helper()
	if s.maxBytes == 0 {
		s.maxBytes = 1 << 20
	}
	if s.pod == "" {
		s.pod = "pod-0"
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.store = receipts.Open(filepath.Join(filepath.Dir(s.base), "receipts-of-"+filepath.Base(s.base)))
	l := newLog(s, slog.New(slog.DiscardHandler), nil)
	done := make(chan struct{})
	go func() { defer close(done); l.run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return &running{l, stop}
}

func (r *running) add(t *testing.T, user, path string) {
	t.Helper()
	if err := r.try(t, user, path); err != nil {
		t.Fatal(err)
	}
}

func (r *running) try(t *testing.T, user, path string) error {
	t.Helper()
	raw := encoded(t, path)
	cost := estimate(raw)
	a, err := r.reserve(user, cost, r.drop)
	if err != nil {
		return err
	}
	o := &op{rec: record{Kind: recorded, User: user, Type: events.FilePublished, Event: raw}, sync: true, user: a, cost: cost}
	r.put(o)
	return r.wait(o)
}

// read returns the paths of what a sink gets, and the last cursor.
func (r *running) read(t *testing.T, sink, after string, dead bool) (paths, cursor string) {
	t.Helper()
	raw, err := r.lines(sink, after, events.MaxLimit, dead)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := events.ParseLines(raw)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, l := range lines {
		e, err := events.Decode(l.Event)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(e.Data.Path)
		cursor = l.Cursor
	}
	return all.String(), cursor
}

func (r *running) expect(t *testing.T, sink string, want string) (cursor string) {
	t.Helper()
	have, cursor := r.read(t, sink, "", false)
	if have != want {
		t.Errorf("%s gets %q, want %q", sink, have, want)
	}
	return cursor
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("not within a minute: ", what)
}

func (r *running) pendingOf(sink string) int {
	for _, s := range r.status().Sinks {
		if s.Name == sink {
			return s.Pending
		}
	}
	return -1
}

// TestSinks: each sink has its own position, which outlives the process, and a new sink begins with later events.
func TestSinks(t *testing.T) {
	base := t.TempDir()
	r := begin(t, logSettings{base: base, live: live{sinks: sinks("a", "b")}})
	for i := range 5 {
		r.add(t, "team/ada", fmt.Sprint("/", i))
	}
	cursor := r.expect(t, "a", "/0/1/2/3/4")
	if err := r.ack("a", cursor); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "a", "")
	r.expect(t, "b", "/0/1/2/3/4")
	if have, _ := r.read(t, "b", cursor, false); have != "" {
		t.Errorf("after the last: %q", have)
	}
	if _, err := r.lines("c", "", 1, false); !errors.Is(err, events.ErrUnknownSink) {
		t.Error(err)
	}
	for _, wrong := range []string{"x", "0-1", "-", cursor + "0", strings.Replace(cursor, "-0", "-9", 1)} {
		if err := r.ack("a", wrong); !errors.Is(err, events.ErrOtherLog) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	r.configure(live{sinks: sinks("c", "b"), maxBytes: 1 << 20})
	r.add(t, "team/ada", "/5")
	r.expect(t, "c", "/5")
	r.expect(t, "b", "/0/1/2/3/4/5")
	r.stop()
	r = begin(t, logSettings{base: base, live: live{sinks: sinks("b", "c", "d")}})
	eventually(t, "open", func() bool { return len(r.status().Problems) == 0 })
	r.expect(t, "b", "/0/1/2/3/4/5")
	r.expect(t, "c", "/5")
	r.expect(t, "d", "")
	r.add(t, "team/ada", "/6")
	r.expect(t, "d", "/6")
	if err := r.ack("b", cursor); err != nil { // the log is the same one
		t.Fatal(err)
	}
	r.expect(t, "b", "/5/6")
}

// TestDeadLetters: a dead letter is kept apart, over restarts, until it is replayed or dropped.
func TestDeadLetters(t *testing.T) {
	base := t.TempDir()
	set := logSettings{base: base, live: live{sinks: sinks("a", "b")}}
	r := begin(t, set)
	cursors := map[string]string{}
	for _, p := range []string{"/0", "/1", "/2"} {
		r.add(t, "team/ada", p)
		_, cursors[p] = r.read(t, "a", "", false)
	}
	for _, p := range []string{"/0", "/2"} {
		if err := r.bury("a", cursors[p], "404"); err != nil {
			t.Fatal(err)
		}
		if err := r.bury("a", cursors[p], "404"); !errors.Is(err, errNoSuchEvent) {
			t.Errorf("twice: %v", err)
		}
	}
	check := func(pending, dead string) {
		t.Helper()
		r.expect(t, "a", pending)
		r.expect(t, "b", "/0/1/2")
		if have, _ := r.read(t, "a", "", true); have != dead {
			t.Errorf("dead letters %q, want %q", have, dead)
		}
	}
	check("/1", "/0/2")
	raw, err := r.lines("a", "", 1, true)
	if err != nil || !bytes.Contains(raw, []byte(`"reason":"404","since":"20`)) {
		t.Errorf("%s, %v", raw, err)
	}
	restart := func() {
		r.stop()
		r = begin(t, set)
		eventually(t, "open", func() bool { return len(r.status().Problems) == 0 })
	}
	restart()
	check("/1", "/0/2")
	if n, err := r.selectDead(events.Selection{Sink: "a", IDs: []string{"id-/0", "none"}}, true); n != 1 || err != nil {
		t.Error(n, err)
	}
	check("/1/0", "/2")
	restart()
	check("/1/0", "/2")
	if n, err := r.selectDead(events.Selection{Sink: "a", All: true}, false); n != 1 || err != nil {
		t.Error(n, err)
	}
	restart()
	check("/1/0", "")
}

// TestDamage: whatever is broken in the segments, the rest is read.
func TestDamage(t *testing.T) {
	base := t.TempDir()
	set := logSettings{base: base, live: live{sinks: sinks("a")}}
	r := begin(t, set)
	for i := range 4 {
		r.add(t, "team/ada", fmt.Sprint("/", i))
	}
	r.stop()
	name := filepath.Join(base, "pod-0", segmentName(1))
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.Replace(raw, []byte(`"path":"/1"`), []byte(`"path":"/X"`), 1)
	last := bytes.LastIndex(raw, []byte(`"path":"/3"`))
	if err := os.WriteFile(name, raw[:last], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "pod-0", segmentName(7)), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	r = begin(t, set)
	r.add(t, "team/ada", "/4")
	r.expect(t, "a", "/0/2/4")
}

// TestSettle checks what may have become of a file that was about to get its name.
func TestSettle(t *testing.T) {
	for name, tc := range map[string]struct {
		rename bool
		files  map[string]uint64
		want   string
	}{
		"published, as it was":  {false, map[string]uint64{"/d/name": 7, "size": 70}, "file.published recovered size=70 with sum"},
		"published, rewritten":  {false, map[string]uint64{"/d/name": 7, "size": 70, "written": 1}, "file.published recovered size=70"},
		"published, changed":    {false, map[string]uint64{"/d/name": 7, "size": 60}, "file.published recovered size=70"},
		"not yet, with a sum":   {false, map[string]uint64{"/d/temp": 7, "size": 70}, "file.upload.failed recovered size=70 left=kept"},
		"published":             {false, map[string]uint64{"/d/name": 7}, "file.published recovered size=70"},
		"both names":            {false, map[string]uint64{"/d/name": 7, "/d/temp": 7}, "file.published recovered size=70"},
		"not yet":               {false, map[string]uint64{"/d/temp": 7}, "file.upload.failed recovered left=kept"},
		"the old file stands":   {false, map[string]uint64{"/d/name": 3, "/d/temp": 7}, "file.upload.failed recovered left=kept"},
		"gone":                  {false, nil, "file.upload.failed recovered"},
		"another file":          {false, map[string]uint64{"/d/name": 3}, "file.upload.failed recovered"},
		"renamed":               {true, map[string]uint64{"/d/name": 7}, "file.published recovered size=70"},
		"not renamed":           {true, map[string]uint64{"/d/name": 3}, "nothing"},
		"renamed over and gone": {true, nil, "nothing"},
	} {
		p := &record{N: 5, Kind: prepared, Dir: []byte("/d"), Name: []byte("name"), Temp: []byte("temp"), Inode: 7, Written: 5, Rename: tc.rename, User: "team/ada", Type: events.FilePublished, Event: encoded(t, "/name")}
		if size := int64(tc.files["size"]); size > 0 {
			e, err := events.Decode(p.Event)
			if err != nil {
				t.Fatal(err)
			}
			e.Data.Size, e.Data.SHA256 = &size, strings.Repeat("0a", 32)
			if p.Event, err = events.Encode(e); err != nil {
				t.Fatal(err)
			}
		}
		got := outcome(p, func(path string) found {
			return found{tc.files[path], int64(tc.files[path] * 10), int64(5 + tc.files["written"])}
		})
		have := "nothing"
		if got.Kind == recorded {
			e, err := events.Decode(got.Event)
			if err != nil {
				t.Fatal(err)
			}
			have = strings.TrimSuffix(strings.TrimPrefix(string(e.Type), "io.sftp-operator."), ".v1")
			if e.Data.Recovered {
				have += " recovered"
			}
			if e.Data.Size != nil {
				have += fmt.Sprint(" size=", *e.Data.Size)
			}
			if e.Data.SHA256 != "" {
				have += " with sum"
			}
			if e.Data.Left != "" {
				have += " left=" + e.Data.Left
			}
			if e.ID != "id-/name" || got.Type != e.Type {
				t.Errorf("%s: %s, %s", name, e.ID, got.Type)
			}
		}
		if have != tc.want || got.Of != 5 {
			t.Errorf("%s: %s, want %s", name, have, tc.want)
		}
	}
}

// TestAdoption: what a pod has left is delivered by another one, once, with what its sinks had acknowledged; that of a pod that
// is alive is not.
func TestAdoption(t *testing.T) {
	base := t.TempDir()
	live := live{sinks: sinks("a", "b")}
	gone := begin(t, logSettings{base: base, pod: "gone", live: live})
	for i := range 3 {
		gone.add(t, "team/ada", fmt.Sprint("/", i))
	}
	_, cursor := gone.read(t, "a", "", false)
	if err := gone.bury("b", cursor, "x"); err != nil {
		t.Fatal(err)
	}
	if err := gone.ack("a", gone.cursor(gone.x.entries[1].n)); err != nil {
		t.Fatal(err)
	}
	// A file that was about to be published, and was.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		t.Fatal(err)
	}
	ahead := &op{sync: true, rec: record{
		Kind: prepared, Dir: []byte(filepath.Dir(file)), Name: []byte("file"), Inode: st.Ino, User: "team/ada", Type: events.FilePublished, Event: encoded(t, "/file"),
	}}
	gone.put(ahead)
	if err := gone.wait(ahead); err != nil {
		t.Fatal(err)
	}
	heir := begin(t, logSettings{base: base, pod: "heir", live: live})
	heir.add(t, "team/bob", "/own")
	if err := heir.adoptDir(t.Context(), filepath.Join(base, "gone")); !errors.Is(err, errOwned) {
		t.Errorf("a living pod is adopted: %v", err)
	}
	gone.stop()
	if err := heir.adoptDir(t.Context(), filepath.Join(base, "gone")); err != nil {
		t.Fatal(err)
	}
	heir.expect(t, "a", "/own/2/file")
	heir.expect(t, "b", "/own/0/1/file")
	if dead, _ := heir.read(t, "b", "", true); dead != "/2" {
		t.Errorf("dead letters %q", dead)
	}
	if _, err := os.Stat(filepath.Join(base, "gone")); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// TestAdoptionAtStart: a starting pod adopts immediately.
func TestAdoptionAtStart(t *testing.T) {
	base := t.TempDir()
	live := live{sinks: sinks("a")}
	gone := begin(t, logSettings{base: base, pod: "gone", live: live})
	gone.add(t, "team/ada", "/1")
	gone.stop()
	if err := os.Mkdir(filepath.Join(base, "killed-before-it-had-a-lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(base, "killed-before-it-had-a-lock"), old, old); err != nil {
		t.Fatal(err)
	}
	heir := begin(t, logSettings{base: base, pod: "heir", live: live})
	eventually(t, "it is adopted", func() bool { return heir.pendingOf("a") == 1 })
	heir.expect(t, "a", "/1")
	eventually(t, "only one directory is left", func() bool {
		entries, err := os.ReadDir(base)
		return err == nil && len(entries) == 1
	})
}

// TestOwnedDirectory: a second process with the pod's name gets a directory of its own.
func TestOwnedDirectory(t *testing.T) {
	base := t.TempDir()
	first := begin(t, logSettings{base: base, live: live{sinks: sinks("a")}})
	first.add(t, "team/ada", "/1")
	second := begin(t, logSettings{base: base, live: live{sinks: sinks("a")}})
	second.add(t, "team/ada", "/2")
	first.expect(t, "a", "/1")
	second.expect(t, "a", "/2")
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 2 {
		t.Error(entries, err)
	}
}

// TestSpace: segments are removed when they are acknowledged, and one event that no one acknowledges does not keep the others.
func TestSpace(t *testing.T) {
	base := t.TempDir()
	two := append(sinks("all"), config.EventSink{Name: "rare", Types: []events.Type{events.LoginRefused}})
	r := begin(t, logSettings{base: base, live: live{sinks: two, maxBytes: 2 << 20}})
	o := &op{sync: true, rec: record{Kind: recorded, User: "team/ada", Type: events.LoginRefused, For: []string{"rare"}, Event: encoded(t, "/kept")}}
	r.put(o)
	if err := r.wait(o); err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("x", 3000)
	for i := range 2000 { // 6 MiB of a log of 2 MiB
		r.add(t, "team/ada", fmt.Sprint("/", name, i))
		if i%100 == 99 {
			raw, err := r.lines("all", "", events.MaxLimit, false)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := events.ParseLines(raw)
			if err != nil || len(lines) == 0 {
				t.Fatal(len(lines), err)
			}
			if err := r.ack("all", lines[len(lines)-1].Cursor); err != nil {
				t.Fatal(err)
			}
			time.Sleep(tickTime / 10)
		}
	}
	size := func() (n int64) {
		entries, err := os.ReadDir(filepath.Join(base, "pod-0"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	_, cursor := r.read(t, "all", "", false)
	for cursor != "" {
		if err := r.ack("all", cursor); err != nil {
			t.Fatal(err)
		}
		_, cursor = r.read(t, "all", "", false)
	}
	eventually(t, "the log is short", func() bool { return size() < 2<<20 })
	r.expect(t, "rare", "/kept")
	if st := r.status(); st.Bytes > 2000 {
		t.Errorf("%+v", st)
	}
	r.stop()
	r = begin(t, logSettings{base: base, live: live{sinks: two, maxBytes: 2 << 20}})
	eventually(t, "open", func() bool { return len(r.status().Problems) == 0 })
	r.expect(t, "rare", "/kept")
	r.expect(t, "all", "")
}

func TestFull(t *testing.T) {
	block := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a"), maxBytes: 100_000}})
	long := "/" + strings.Repeat("x", 2000)
	n := 0
	for block.try(t, "loud/user", long) == nil {
		n++
	}
	if err := block.try(t, "loud/user", long); !errors.Is(err, ErrShare) || n < 10 {
		t.Errorf("%d events, %v", n, err)
	}
	if err := block.admits("loud/user"); !errors.Is(err, ErrShare) {
		t.Errorf("an upload may begin: %v", err)
	}
	if err := block.admits("quiet/user"); err != nil {
		t.Error(err)
	}
	block.add(t, "quiet/user", long)
	have, cursor := block.read(t, "a", "", false)
	if strings.Count(have, "/") != n+1 {
		t.Errorf("%d", strings.Count(have, "/"))
	}
	if err := block.ack("a", cursor); err != nil {
		t.Fatal(err)
	}
	block.add(t, "loud/user", long)

	drop := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a"), maxBytes: 100_000, drop: true}})
	drop.add(t, "quiet/user", "/quiet")
	for range 200 {
		drop.add(t, "loud/user", long)
	}
	if have, _ := drop.read(t, "a", "", false); !strings.HasPrefix(have, "/quiet/x") {
		t.Errorf("%.20s", have)
	}
	if st := drop.status(); st.Sinks[0].Dropped < 100 || st.Bytes > 100_000 || st.Sinks[0].Pending+int(st.Sinks[0].Dropped) != 201 {
		t.Errorf("%+v", st)
	}
}

// TestAge: events and dead letters are kept for a time, which does not begin again when the daemon starts, or when another pod
// adopts them.
func TestAge(t *testing.T) {
	base, long := t.TempDir(), live{sinks: sinks("a"), maxAge: time.Hour}
	r := begin(t, logSettings{base: base, live: long})
	r.add(t, "team/ada", "/dead")
	r.add(t, "team/ada", "/old")
	_, cursor := r.read(t, "a", "", false)
	if err := r.bury("a", cursor, "x"); err != nil {
		t.Fatal(err)
	}
	r.stop()
	heir := begin(t, logSettings{base: base, pod: "heir", live: long})
	eventually(t, "they are adopted", func() bool { st := heir.status().Sinks; return len(st) == 1 && st[0].Pending == 1 && st[0].Dead == 1 })
	heir.mu.Lock()
	for i := range heir.x.entries {
		heir.x.entries[i].at -= 2 * 60 * 60
	}
	heir.expired = time.Now().Add(-time.Minute)
	heir.mu.Unlock()
	heir.add(t, "team/ada", "/new")
	eventually(t, "they are dropped", func() bool { st := heir.status().Sinks[0]; return st.Pending == 1 && st.Dead == 0 })
	if dead, _ := heir.read(t, "a", "", true); dead != "" {
		t.Errorf("dead letters %q", dead)
	}
	heir.expect(t, "a", "/new")
	st := heir.status()
	heir.mu.Lock()
	defer heir.mu.Unlock()
	if st.Sinks[0].Dropped != 2 || len(heir.x.sinks[0].dead) != 0 || heir.x.deadBytes != 0 {
		t.Errorf("%+v, %d bytes of dead letters", st, heir.x.deadBytes)
	}
}

// TestAdoptedAge: what is adopted is as old as it was.
func TestAdoptedAge(t *testing.T) {
	base, settings := t.TempDir(), live{sinks: sinks("a")}
	r := begin(t, logSettings{base: base, live: settings})
	before := time.Now().Add(-time.Hour).Unix()
	for _, dead := range []string{"", "why"} {
		o := &op{sync: true, rec: record{Kind: recorded, At: before, User: "team/ada", Type: events.FilePublished, For: []string{"a"}, Dead: dead, Event: encoded(t, "/x")}}
		r.put(o)
		if err := r.wait(o); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
	heir := begin(t, logSettings{base: base, pod: "heir", live: settings})
	eventually(t, "the log is open", heir.canRecord)
	eventually(t, "they are adopted", func() bool { st := heir.status().Sinks[0]; return st.Pending == 1 && st.Dead == 1 })
	heir.mu.Lock()
	defer heir.mu.Unlock()
	for i := range heir.x.entries {
		if at := heir.x.entries[i].at; at != before {
			t.Errorf("%d, want %d", at, before)
		}
	}
}
