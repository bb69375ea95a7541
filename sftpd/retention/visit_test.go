package retention

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// seen returns a volume that was visited a month ago, so that its rules delete.
type seen struct {
	*testing.T
	dir    string
	volume Volume
	events []event.FileExpired
	runner *Runner
}

// before visits a volume with files.
func before(t *testing.T, v Volume, files ...string) *seen {
	t.Helper()
	s := &seen{T: t, dir: v.Path, volume: v}
	s.put(files...)
	s.runner = New(nil, func(e event.Event) {
		if e, ok := e.(event.FileExpired); ok {
			s.events = append(s.events, e)
		}
	}, quiet)
	s.visit()
	s.runner.Ahead = 30 * 24 * time.Hour
	return s
}

func (s *seen) put(files ...string) {
	s.Helper()
	for _, f := range files {
		path := filepath.Join(s.dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
			s.Fatal(err)
		}
	}
}

// again lets the rules run again.
func (s *seen) again() map[string]ruleState {
	s.Helper()
	s.volume.Interval = 0
	return s.visit()
}

func (s *seen) visit() map[string]ruleState {
	s.Helper()
	rules, err := s.runner.visitVolume(s.Context(), &s.volume)
	if err != nil {
		s.Fatal(err)
	}
	return rules
}

// left returns which of the files are left.
func (s *seen) left(files ...string) string {
	files = slices.DeleteFunc(slices.Clone(files), func(f string) bool {
		_, err := os.Lstat(filepath.Join(s.dir, f))
		return err != nil
	})
	return strings.Join(files, " ")
}

// If a held directory does not exist, its whole namespace is held, which the rule reports while it continues elsewhere. If
// it exists, only the directory is held.
func TestHoldsOfAVolume(t *testing.T) {
	for held, want := range map[string]string{
		"team/ada/case":  "team/ada/a team/bob/b",
		"team/bob":       "team/ada/a team/bob/b other/c", // next to others that are not there
		"team/ada":       "team/ada/a",
		"none":           "team/ada/a team/bob/b other/c", // it may have been anywhere
		"team/bob/b/sub": "team/ada/a team/bob/b",         // beneath a file there is nothing
		"":               "team/ada/a team/bob/b other/c",
	} {
		v := of(t.TempDir(), config.RetentionEnforce)
		v.Holds = []string{held}
		if held == "team/bob" { // one of several
			v.Holds = []string{"other/none", held, "team/carol"}
		}
		s := before(t, v, "team/ada/a", "team/bob/b", "other/c")
		result := s.again()["old"].Result
		if got := s.left("team/ada/a", "team/bob/b", "other/c"); got != want {
			t.Errorf("%q is held, and left are %s, want %s", held, got, want)
		}
		missing := strings.Count(held, "/") >= 2 || len(v.Holds) > 1 || held == "none"
		if (result.Halted == config.HaltHold) != missing || strings.Contains(result.Message, "does not exist") != missing {
			t.Errorf("%q is held: %q, %s", held, result.Halted, result.Message)
		}
		if gone := 3 - len(strings.Fields(want)); result.Deleted != int64(gone) || len(s.events) != gone || result.Skipped == 0 {
			t.Errorf("%q is held: %+v, %d events", held, result, len(s.events))
		}
	}
}

// Each deleted file has an event with its place, its owner and the rule that deleted it.
func TestEventsOfAVisit(t *testing.T) {
	v := of(t.TempDir(), config.RetentionEnforce)
	v.Directories = func(config.RetentionRule) []Directory { return []Directory{{Path: "team/ada", Account: "team/ada"}} }
	began := time.Now().Add(-time.Minute)
	s := before(t, v, "team/ada/in/a", "team/bob/b")
	result := s.again()["old"].Result
	if len(s.events) != 1 {
		t.Fatalf("%+v", s.events)
	}
	e := s.events[0]
	if e.Uploaded.Before(began) || e.Uploaded.After(time.Now()) {
		t.Errorf("uploaded at %s", e.Uploaded)
	}
	e.Uploaded = time.Time{}
	if want := (event.FileExpired{Rule: "old", Volume: "data", Account: "team/ada", Path: "team/ada/in/a", Size: 7}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	if result.Files != 1 || result.Due != 1 || result.DueBytes != 7 || result.Deleted != 1 || result.Failed != 0 || result.InUse != 0 ||
		result.Rule != "old" || result.Volume != "data" || result.LastRun.IsZero() || result.Message != "" {
		t.Errorf("%+v", result)
	}
}

// A built-in rule deletes what interrupted uploads and probes have left, and nothing else: on volumes that users may write
// to, once it is as old as the listener says.
func TestLeftovers(t *testing.T) {
	const upload, probe = "in/.sftpd-upload.0123456789abcdef", ".sftpd-probe-0123456789abcdef"
	files := []string{"in/a", upload, probe, ".sftpd-events/x", ".sftpd-codes/y"}
	for name, tc := range map[string]struct {
		change func(*seen)
		want   string
	}{
		"old enough":   {func(*seen) {}, "in/a .sftpd-events/x .sftpd-codes/y"},
		"too young":    {func(s *seen) { s.volume.StaleUploads = 31 * 24 * time.Hour }, strings.Join(files, " ")},
		"not writable": {func(s *seen) { s.volume.Leftovers = false }, strings.Join(files, " ")},
	} {
		v := of(t.TempDir(), config.RetentionReport)
		s := before(t, v, files...)
		tc.change(s)
		s.again() // a rule whose age has changed only reports once more
		s.again()
		if got := s.left(files...); got != tc.want {
			t.Errorf("%s: left are %s, want %s", name, got, tc.want)
		}
	}
}

// A rule runs once in its interval, whichever daemon runs it, and immediately if it has changed or the clock is before its
// last run.
func TestInterval(t *testing.T) {
	now := time.Now()
	rule := config.RetentionRule{Name: "old", Mode: config.RetentionReport}
	selection, whole := digests(rule)
	changed := rule
	changed.MaxFiles = 7
	for name, tc := range map[string]struct {
		rule config.RetentionRule
		last time.Time
		want bool
	}{
		"just now":          {rule, now, false},
		"before long":       {rule, now.Add(-time.Hour + 1), false},
		"an interval ago":   {rule, now.Add(-time.Hour), true},
		"in the future":     {rule, now.Add(time.Second), true},
		"with other limits": {changed, now, true},
	} {
		v := &visit{
			Volume: &Volume{Rules: []config.RetentionRule{tc.rule}, Interval: time.Hour}, now: Reading{Volume: now},
			state: state{Rules: map[string]ruleState{"old": {Selection: selection, Rule: whole, Result: config.RetentionStatus{LastRun: tc.last}}}},
		}
		if got := len(v.due()) == 1; got != tc.want {
			t.Errorf("%s: due is %v", name, got)
		}
		if v.state.Rules = nil; len(v.due()) != 1 {
			t.Errorf("%s: a rule that never ran is not due", name)
		}
	}
}

// If a clock is set while a rule deletes, the run ends. The next run judges the files again.
func TestClockIsSetDuringARun(t *testing.T) {
	const limit = 10 * time.Minute
	for name, tc := range map[string]struct {
		wall, volume time.Duration
		halted       bool
	}{
		"steady":                {0, 0, false},
		"a little":              {limit - time.Second, time.Second - limit, false},
		"the pod's forward":     {limit + time.Minute, 0, true},
		"the pod's back":        {-limit - time.Minute, 0, true},
		"the volume's forward":  {0, limit + time.Minute, true},
		"the volume's backward": {0, -limit - time.Minute, true},
	} {
		s := before(t, of(t.TempDir(), config.RetentionEnforce), "a", "b")
		s.volume.Interval = 0
		p, err := open(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		st, err := readState(p.dir, "")
		if err != nil {
			t.Fatal(err)
		}
		now, err := p.clock()
		if err != nil {
			t.Fatal(err)
		}
		deleted := 0
		v := &visit{
			Volume: &s.volume, place: p, state: st, now: now, ahead: s.runner.Ahead, pace: newPace(),
			clock: func() (Reading, error) {
				r, err := p.clock()
				r.Wall, r.Volume = r.Wall.Add(tc.wall), r.Volume.Add(tc.volume)
				return r, err
			},
			emit: func(event.FileExpired) error { deleted++; return nil },
		}
		if err := v.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.close()
		result := v.state.Rules["old"].Result
		if halted := result.Halted == config.HaltClock; halted != tc.halted || halted != (result.Message != "") || (deleted == 0) != tc.halted || result.LastRun.IsZero() {
			t.Errorf("%s: %d deleted, %+v", name, deleted, result)
		}
		if kept := s.left("a", "b") == "a b"; kept != tc.halted {
			t.Errorf("%s: left are %s", name, s.left("a", "b"))
		}
	}
}

// How a run that ended early is shown. One that the daemon's end has stopped is not.
func TestHaltOfARun(t *testing.T) {
	for err, want := range map[error]config.RetentionHalt{
		errTooLong: config.HaltIncomplete, context.Canceled: "", errClock: config.HaltClock, unix.EIO: config.HaltVolume,
	} {
		if got := halt(fmt.Errorf("why: %w", err)); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	for err, want := range map[error]string{
		unix.EACCES:                          "the volume's directory: permission denied",
		errors.Join(errNoLocks, unix.ENOSYS): "the volume does not support locks",
		fmt.Errorf(" other%c", '\n'):         "other",
	} {
		if got := problem(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := problem(errors.New(strings.Repeat("é", config.MaxRetentionMessage))); len(got) > config.MaxRetentionMessage || !utf8.ValidString(got) {
		t.Errorf("a message of %d bytes", len(got))
	}
}

// A volume is visited again after an hour, or after a rule's interval if that is shorter, and earlier if it was busy or
// failed, or if the work has changed.
func TestVisitsAreRepeated(t *testing.T) {
	for name, tc := range map[string]struct {
		interval time.Duration
		err      error
		changes  bool
		want     int32
		takes    time.Duration
	}{
		"an hour":          {24 * time.Hour, nil, false, 10, 0},
		"a short interval": {20 * time.Minute, nil, false, 30, 0},
		"busy":             {24 * time.Hour, errBusy, false, 60, 0},
		"failed":           {24 * time.Hour, unix.EIO, false, 60, 0},
		"changes":          {24 * time.Hour, nil, true, 600, 0},
		"one that hangs":   {24 * time.Hour, nil, true, 5, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := New(func() []Volume {
					v := of("/data", config.RetentionReport)
					v.Interval = tc.interval
					if tc.changes {
						v.Rules[0].DeleteAfterSeconds = time.Now().Unix() // once a minute
					}
					return []Volume{v}
				}, func(event.Event) {}, quiet)
				var visits atomic.Int32
				r.visit = func(context.Context, *Volume) (map[string]ruleState, error) {
					visits.Add(1)
					time.Sleep(tc.takes)
					return nil, tc.err
				}
				ctx, cancel := context.WithCancel(t.Context())
				go r.Run(ctx, time.Minute)
				time.Sleep(30 * time.Second)
				if n := visits.Load(); n != 0 {
					t.Errorf("%d visits before the delay is over", n)
				}
				time.Sleep(10 * time.Hour)
				cancel()
				time.Sleep(tc.takes)
				synctest.Wait()
				// The runner looks once a minute, and when a visit has ended.
				if n := visits.Load(); n < tc.want-tc.want/5 || n > tc.want+1 {
					t.Errorf("%d visits in ten hours, want %d", n, tc.want)
				}
			})
		})
	}
}

// A volume without locks, where another daemon could delete at the same time, is distinguished from one that another daemon
// works on.
func TestVolumeWithoutLocks(t *testing.T) {
	defer func(was func(uintptr, int, *unix.Flock_t) error) { fcntlFlock = was }(fcntlFlock)
	for errno, want := range map[unix.Errno]error{
		unix.EAGAIN: errBusy, unix.EACCES: errBusy, unix.ENOLCK: errNoLocks, unix.ENOSYS: errNoLocks, unix.EINVAL: errNoLocks,
	} {
		fcntlFlock = func(uintptr, int, *unix.Flock_t) error { return errno }
		p, err := open(t.TempDir())
		if !errors.Is(err, want) || p != nil || errors.Is(err, errBusy) != (want == errBusy) { //nolint:errorlint // which of two
			t.Errorf("%v: %v", errno, err)
		}
	}
}

// A volume whose state cannot be read is not worked on: a rule could delete before it has reported.
func TestStateThatCannotBeRead(t *testing.T) {
	v := of(t.TempDir(), config.RetentionEnforce)
	s := before(t, v, "a")
	state := filepath.Join(s.dir, stateFile(""))
	if err := errors.Join(os.Rename(state, state+"-elsewhere"), os.Symlink(state+"-elsewhere", state)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.runner.visitVolume(t.Context(), &s.volume); err == nil {
		t.Error("it was visited")
	}
	if _, err := List(t.Context(), v, 1, nil); err == nil {
		t.Error("it was listed")
	}
	if s.left("a") == "" {
		t.Error("a file was deleted")
	}
}

// When the daemon ends, a run ends before the next file, and its rule is as it was.
func TestEndBetweenFiles(t *testing.T) {
	s := before(t, of(t.TempDir(), config.RetentionEnforce), "a", "b", "c")
	s.volume.Interval = 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.runner.emit = func(event.Event) { cancel() }
	if _, err := s.runner.visitVolume(ctx, &s.volume); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := strings.Fields(s.left("a", "b", "c")); len(got) != 2 {
		t.Errorf("left are %v", got)
	}
	p, err := open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if st, err := readState(p.dir, ""); err != nil || !strings.Contains(st.Rules["old"].Result.Message, "first run") {
		t.Errorf("%+v, %v", st.Rules["old"], err)
	}
}

// Many leftovers in one directory are still deleted: maxPercent does not apply to them.
func TestManyLeftovers(t *testing.T) {
	var files []string
	for i := range fewFiles + 20 {
		files = append(files, fmt.Sprintf(".sftpd-upload.%016x", i))
	}
	s := before(t, of(t.TempDir(), config.RetentionReport), files...)
	rules := s.again()
	if got := s.left(files...); got != "" {
		t.Errorf("left are %s", got)
	}
	if r := rules[config.StaleUploads].Result; r.Deleted != int64(len(files)) || r.Files != r.Deleted {
		t.Errorf("%+v", r)
	}
}

// If one directory of a rule cannot be counted, nothing is deleted in the others, because the percentage is unknown.
func TestDirectoryThatCannotBeCounted(t *testing.T) {
	v := of(t.TempDir(), config.RetentionEnforce)
	s := before(t, v, "team/ada/a")
	s.volume.Directories = func(config.RetentionRule) []Directory {
		return []Directory{{Path: "team/ada"}, {Path: "no\x00path"}}
	}
	result := s.again()["old"].Result
	if s.left("team/ada/a") == "" || result.Halted != config.HaltVolume || result.Message == "" || result.Due != 1 || result.Deleted != 0 {
		t.Errorf("%+v", result)
	}
}

// No one else reads or writes what the daemon keeps on a volume.
func TestModesOfOwnFiles(t *testing.T) {
	defer unix.Umask(unix.Umask(0))
	s := before(t, of(t.TempDir(), config.RetentionReport))
	for _, name := range []string{lockFile, stateFile("")} {
		if info, err := os.Lstat(filepath.Join(s.dir, name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// A rule that was taken away and comes back is a new one, which only reports at first.
func TestRuleThatComesBack(t *testing.T) {
	s := before(t, of(t.TempDir(), config.RetentionEnforce), "a")
	rules := s.volume.Rules
	s.volume.Rules = nil
	if left := s.again(); len(left) != 1 { // the leftovers'
		t.Errorf("%v", left)
	}
	s.volume.Rules = rules
	if r := s.again()["old"].Result; s.left("a") == "" || !strings.Contains(r.Message, "only reports") {
		t.Errorf("%+v", r)
	}
	if s.again(); s.left("a") != "" {
		t.Error("the next run deletes nothing")
	}
}

// Without the clocks, no file is deleted.
func TestClockThatCannotBeRead(t *testing.T) {
	v := &visit{clock: func() (Reading, error) { return Reading{}, unix.EIO }}
	steady := v.steady()
	for range 2 {
		if err := steady(); !errors.Is(err, unix.EIO) {
			t.Error(err)
		}
	}
}

// The status contains only the volumes of the configuration, in their order.
func TestStatusFollowsTheConfiguration(t *testing.T) {
	volumes := []Volume{of("/b", config.RetentionReport), of("/a", config.RetentionReport)}
	volumes[0].Name, volumes[1].Name = "b", "a"
	var n atomic.Int32
	n.Store(2)
	r := New(func() []Volume { return slices.Clone(volumes[:n.Load()]) }, func(event.Event) {}, quiet)
	r.visit = func(_ context.Context, v *Volume) (map[string]ruleState, error) {
		out := map[string]ruleState{}
		for _, rule := range v.rules() {
			out[rule.Name] = ruleState{Result: config.RetentionStatus{Rule: rule.Name}}
		}
		return out, nil
	}
	shown := func() string {
		var out []string
		for _, s := range r.Status() {
			out = append(out, s.Volume+":"+s.Rule)
		}
		return strings.Join(out, " ")
	}
	expect := func(want string) {
		t.Helper()
		for late := time.Now().Add(time.Minute); shown() != want && time.Now().Before(late); time.Sleep(time.Millisecond) {
			r.Wake()
		}
		if got := shown(); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	go r.Run(t.Context(), 0)
	expect("a:old a:" + config.StaleUploads + " b:old b:" + config.StaleUploads)
	n.Store(1)
	expect("b:old b:" + config.StaleUploads)
}
