package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

var quiet = slog.New(slog.DiscardHandler)

// of is a volume with one rule for all of it.
func of(dir string, mode string) Volume {
	return Volume{
		Name: "data", Path: dir, Leftovers: true, Interval: 24 * time.Hour, StaleUploads: 7 * 24 * time.Hour,
		Rules: []config.RetentionRule{{
			Name: "old", RetentionDirectory: config.RetentionDirectory{Volume: "data", Scope: config.RetentionOfVolume}, DeleteAfterSeconds: 3600, Mode: mode,
		}},
		Directories: func(config.RetentionRule) []Directory { return []Directory{{}} },
		OpenByUser:  func(string) bool { return false },
	}
}

// A volume that hangs stops its own visits and nothing else: other volumes are visited, and Run ends at once.
func TestHungVolume(t *testing.T) {
	hangs, release := of("/hangs", config.RetentionReport), make(chan struct{})
	hangs.Name = "hangs"
	works := of(t.TempDir(), config.RetentionReport)
	r := New(func() []Volume { return []Volume{hangs, works} }, func(event.Event) {}, quiet)
	var mu sync.Mutex
	visits := map[string]int{}
	r.visit = func(_ context.Context, v *Volume) (map[string]ruleState, error) {
		mu.Lock()
		visits[v.Name]++
		mu.Unlock()
		if v.Name == "hangs" {
			<-release
		}
		return map[string]ruleState{"old": {Result: config.RetentionStatus{Rule: "old"}}}, nil
	}
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		r.Run(ctx, 0)
		close(ended)
	}()
	began := func(volume string) bool {
		mu.Lock()
		defer mu.Unlock()
		return visits[volume] > 0
	}
	// The visit of one volume may begin after that of the other has ended.
	for late := time.Now().Add(time.Minute); (len(r.Status()) != 1 || !began("hangs")) && time.Now().Before(late); {
		r.Wake()
		time.Sleep(10 * time.Millisecond)
	}
	if got := r.Status(); len(got) != 1 || got[0].Volume != "data" {
		t.Errorf("%+v", got)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("Run waits for the volume")
	}
	mu.Lock()
	defer mu.Unlock()
	if visits["hangs"] != 1 || visits["data"] != 1 {
		t.Errorf("%v", visits)
	}
}

// One daemon at a time works on a volume, and the others show its results.
func TestOneRunner(t *testing.T) {
	dir := t.TempDir()
	v := of(dir, config.RetentionReport)
	r := New(func() []Volume { return []Volume{v} }, func(event.Event) {}, quiet)
	rules, err := r.visitVolume(t.Context(), &v)
	if err != nil || len(rules) != 2 {
		t.Fatalf("%v %v", rules, err)
	}
	p, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	rules, err = r.visitVolume(t.Context(), &v)
	if !errors.Is(err, errBusy) || len(rules) != 2 {
		t.Errorf("%v %v", rules, err)
	}
	p.close()
	if _, err := r.visitVolume(t.Context(), &v); err != nil {
		t.Error(err)
	}
}

// Listeners that share a volume have results of their own.
func TestListenersOfOneVolume(t *testing.T) {
	dir := t.TempDir()
	r := New(nil, func(event.Event) {}, quiet)
	for i := range 4 {
		v := of(dir, config.RetentionReport)
		v.Listener, v.Rules[0].Name = fmt.Sprint("team/", i%2), fmt.Sprint("rule", i%2)
		rules, err := r.visitVolume(t.Context(), &v)
		if err != nil {
			t.Fatal(err)
		}
		if len(rules) != 2 || rules[v.Rules[0].Name].Result.Rule == "" {
			t.Errorf("visit %d: %+v", i, rules)
		}
		if s := rules[config.StaleUploads].Result; !strings.Contains(s.Message, "first run") {
			t.Errorf("visit %d ran again: %+v", i, s)
		}
	}
}

// The first run on a volume only reports, and so does that of a rule that selects other files; a rule that is enforced after
// its report deletes at once, and nothing runs again before its time.
func TestReportFirst(t *testing.T) {
	dir := t.TempDir()
	file := func() bool { _, err := os.Lstat(filepath.Join(dir, "a")); return err == nil }
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	events := 0
	r := New(nil, func(event.Event) { events++ }, quiet)
	r.Ahead = 30 * 24 * time.Hour
	visit := func(v Volume) config.RetentionStatus {
		t.Helper()
		rules, err := r.visitVolume(t.Context(), &v)
		if err != nil {
			t.Fatal(err)
		}
		return rules["old"].Result
	}
	if s := visit(of(dir, config.RetentionEnforce)); s.Due != 1 || !file() || s.Halted != "" || !strings.Contains(s.Message, "first run") {
		t.Errorf("first on the volume: %+v", s)
	}
	other := of(dir, config.RetentionEnforce)
	other.Rules[0].Match = []string{"a*"}
	if s := visit(other); s.Due != 1 || !file() || !strings.Contains(s.Message, "only reports") {
		t.Errorf("another selection: %+v", s)
	}
	if s := visit(other); s.Deleted != 0 || !file() {
		t.Errorf("before its time: %+v", s)
	}
	other.Rules[0].MaxFiles = 7
	if s := visit(other); s.Deleted != 1 || file() || events != 1 {
		t.Errorf("enforced: %+v, %d events", s, events)
	}
}

// When the daemon ends, so does a run, without a result.
func TestEndOfTheDaemon(t *testing.T) {
	dir := t.TempDir()
	for i := range 500 {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v := of(dir, config.RetentionReport)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := New(nil, func(event.Event) {}, quiet)
	rules, err := r.visitVolume(ctx, &v)
	if !errors.Is(err, context.Canceled) || rules["old"].Result.Rule != "" {
		t.Errorf("%+v %v", rules, err)
	}
}

// An unwritable directory of a volume is reported, but not if only leftovers are due: some volumes are writable in users'
// directories only.
func TestVolumeThatCannotBeUsed(t *testing.T) {
	v := of("/data", config.RetentionReport)
	for _, s := range results(&v, nil, &fs.PathError{Op: "open", Path: "/data/secret", Err: fs.ErrPermission}) {
		if (s.Halted == config.HaltVolume) != (s.Rule == "old") || s.Message == "" {
			t.Errorf("%+v", s)
		}
	}
	v.Path = filepath.Join(t.TempDir(), "missing")
	r := New(nil, func(event.Event) {}, quiet)
	if rules, err := r.visitVolume(t.Context(), &v); rules != nil || err != nil {
		t.Errorf("a volume that the pod does not have: %v %v", rules, err)
	}
}

// Whatever a state file contains, it can be read, and written again within its bound.
func FuzzState(f *testing.F) {
	good, _ := json.Marshal(state{Version: stateVersion, Clock: Trust{Last: Reading{Wall: start, Volume: start}}, Rules: map[string]ruleState{"old": {Result: config.RetentionStatus{Rule: "old"}}}})
	for _, seed := range []string{string(good), "", "{}", `{"version":1,"rules":{"a":{"result":{"rule":"b"}}}}`, `{"version":2}`, "\x00", `{"version":1,"clock":{"wrong":[{}]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := parseState(data)
		if s.Version != stateVersion || s.Rules == nil || len(s.Rules) > config.MaxRetentionRules+1 {
			t.Fatalf("%+v", s)
		}
		for name, r := range s.Rules {
			if r.Result.Rule != name || len(r.Result.Message) > config.MaxRetentionMessage {
				t.Fatalf("%q: %+v", name, r)
			}
		}
		trust, _ := s.Clock.Next(Reading{Wall: start, Volume: start})
		if trust.Uploaded(start, start).Before(start) {
			t.Fatal("a file is older than it is")
		}
	})
}

// TestManyFiles measures a run over many files: RETENTION_FILES=1000000 for a million.
func TestManyFiles(t *testing.T) {
	files := 20000
	if n, err := strconv.Atoi(os.Getenv("RETENTION_FILES")); err == nil {
		files = n
	}
	v := newVolume(t)
	const perDirectory = 1000
	began := time.Now()
	for i := range files {
		dir := filepath.Join(v.dir, "in", strconv.Itoa(i/perDirectory))
		if i%perDirectory == 0 {
			if err := os.MkdirAll(dir, 0o750); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+".csv"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made := time.Since(began)
	v.age()
	r, _ := v.job(config.RetentionRule{KeepNewest: config.MaxKeepNewest})
	deleted := 0
	r.found = func(event.FileExpired) error { deleted++; return nil }
	var before, counted, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began = time.Now()
	c, err := r.count(t.Context(), Directory{Path: "in"})
	if err != nil || c.Files != int64(files) {
		t.Fatalf("%+v %v", c, err)
	}
	counting := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&counted)
	due, _ := c.Deletable()
	began = time.Now()
	if err := r.delete(t.Context(), Budget{c, due}); err != nil {
		t.Fatal(err)
	}
	deleting := time.Since(began)
	runtime.ReadMemStats(&after)
	held := int64(counted.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d files made in %s, counted in %s, %d deleted in %s, without pauses; %d kB more are in use after counting, and the heap has grown by %d kB",
		files, made.Round(time.Millisecond), counting.Round(time.Millisecond), deleted, deleting.Round(time.Millisecond), held>>10, (int64(after.HeapSys)-int64(before.HeapSys))>>10)
	// Files of the same tick of the clock as the last that is kept stay with it.
	if want := files - config.MaxKeepNewest; deleted > want || deleted < want-files/10 {
		t.Errorf("%d deleted, want %d", deleted, want)
	}
	const most = 4 << 20
	if held > most {
		t.Errorf("%d bytes are held after counting", held)
	}
}
