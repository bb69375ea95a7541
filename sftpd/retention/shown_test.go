package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestStateThatCounts: only a state that this release can have written counts. With any other one, rules report before they delete.
func TestStateThatCounts(t *testing.T) {
	state := func(version, rules, wrong int) []byte {
		s := state{Version: version, Clock: Trust{Last: Reading{Volume: start}, Wrong: make([]Span, wrong)}, Rules: map[string]ruleState{}}
		for i := range rules {
			name := fmt.Sprint("rule", i)
			s.Rules[name] = ruleState{Result: config.RetentionStatus{Rule: name, Message: strings.Repeat("é", config.MaxRetentionMessage)}}
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	pad := func(data []byte, to int) []byte { return append(data, strings.Repeat(" ", to-len(data))...) }
	for name, c := range map[string]struct {
		data []byte
		want int // rules
	}{
		"one":                         {state(1, 1, 0), 1},
		"all rules and the leftovers": {state(1, config.MaxRetentionRules+1, maxWrong), config.MaxRetentionRules + 1},
		"too many rules":              {state(1, config.MaxRetentionRules+2, 0), 0},
		"too many periods":            {state(1, 1, maxWrong+1), 0},
		"another version":             {state(2, 1, 0), 0},
		"no version":                  {state(0, 1, 0), 0},
		"as long as it may be":        {pad(state(1, 1, 0), maxState), 1},
		"too long":                    {pad(state(1, 1, 0), maxState+1), 0},
		"cut off":                     {state(1, 1, 0)[:50], 0},
		"nothing":                     {nil, 0},
	} {
		s := parseState(c.data)
		if len(s.Rules) != c.want || s.Version != stateVersion || s.Clock.Last.Volume.IsZero() != (c.want == 0) || s.Rules == nil {
			t.Errorf("%s: %d rules, last read at %s", name, len(s.Rules), s.Clock.Last.Volume)
		}
		for _, r := range s.Rules {
			if n := len(r.Result.Message); n > config.MaxRetentionMessage || n < config.MaxRetentionMessage-1 {
				t.Errorf("%s: a message of %d bytes", name, n)
			}
		}
	}
	other := []byte(`{"version":1,"rules":{"a":{"result":{"rule":"b"}},"c":{"result":{"rule":"c"}}}}`)
	if s := parseState(other); len(s.Rules) != 1 || s.Rules["c"].Result.Rule != "c" {
		t.Errorf("a result of another rule: %+v", s.Rules)
	}
}

// TestSelectionOfARule: a rule reports first if it selects other files than in its last run, and not if only its limits or its mode
// changed; any change makes it run at once.
func TestSelectionOfARule(t *testing.T) {
	rule := config.RetentionRule{Name: "old", DeleteAfterSeconds: 3600, Mode: config.RetentionReport}
	selection, whole := digests(rule)
	for name, c := range map[string]struct {
		change func(*config.RetentionRule)
		same   bool
	}{
		"mode":        {func(r *config.RetentionRule) { r.Mode = config.RetentionEnforce }, true},
		"maxFiles":    {func(r *config.RetentionRule) { r.MaxFiles = 7 }, true},
		"maxPercent":  {func(r *config.RetentionRule) { r.MaxPercent = 7 }, true},
		"age":         {func(r *config.RetentionRule) { r.DeleteAfterSeconds = 7 }, false},
		"names":       {func(r *config.RetentionRule) { r.Match = []string{"*"} }, false},
		"place":       {func(r *config.RetentionRule) { r.Volume = "other" }, false},
		"directories": {func(r *config.RetentionRule) { r.EmptyDirectories = true }, false},
	} {
		changed := rule
		c.change(&changed)
		if s, w := digests(changed); (s == selection) != c.same || w == whole {
			t.Errorf("%s: the same files %v, the same rule %v", name, s == selection, w == whole)
		}
	}
}

// TestResultsOfAVolume: a rule that has not run is not shown, unless it cannot run. What an earlier run found stays next to the problem.
func TestResultsOfAVolume(t *testing.T) {
	v := of("/data", config.RetentionReport)
	ran := map[string]ruleState{"old": {Result: config.RetentionStatus{Rule: "old", Due: 7}}}
	for name, c := range map[string]struct {
		rules map[string]ruleState
		err   error
		want  string
	}{
		"none has run":               {nil, nil, ""},
		"one has run":                {ran, nil, "data/old:7 "},
		"the volume has a problem":   {nil, unix.EIO, "data/" + config.StaleUploads + ":0  data/old:0 Volume"},
		"it had none when a run was": {ran, unix.EIO, "data/" + config.StaleUploads + ":0  data/old:7 Volume"},
	} {
		var have []string
		for _, s := range results(&v, c.rules, c.err) {
			have = append(have, fmt.Sprintf("%s/%s:%d %s", s.Volume, s.Rule, s.Due, s.Halted))
			if (s.Message != "") != (c.err != nil) {
				t.Errorf("%s: %q", name, s.Message)
			}
		}
		if got := strings.Join(have, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestDirectoriesThatStay: an empty directory goes when it is due, with an event before, and stays if something is wrong with the
// clock, with the event, or with the directory.
func TestDirectoriesThatStay(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		change     func(*volume, *run, time.Time)
		goes, told bool
		want       error
		failed     int64
	}{
		"due":                   {func(_ *volume, r *run, at time.Time) { r.now = at.Add(age) }, true, true, nil, 0},
		"about files only":      {func(_ *volume, r *run, at time.Time) { r.now, r.rule.EmptyDirectories = at.Add(age), false }, false, false, nil, 0},
		"not yet":               {func(_ *volume, r *run, at time.Time) { r.now = at.Add(age - 1) }, false, false, nil, 0},
		"a user's":              {func(_ *volume, r *run, _ time.Time) { r.openByUser = func(p string) bool { return p == "in/d" } }, false, false, nil, 0},
		"the clock was set":     {func(_ *volume, r *run, _ time.Time) { r.steady = func() error { return broken } }, false, false, broken, 0},
		"no room for its event": {func(_ *volume, r *run, _ time.Time) { r.found = func(event.FileExpired) error { return broken } }, false, false, broken, 0},
		"a file is put into it": {func(v *volume, r *run, _ time.Time) { r.beforeEvent(func() { v.make("in/d/a") }) }, false, true, nil, 0},
		"it is removed by the client": {func(v *volume, r *run, _ time.Time) {
			r.beforeEvent(func() { _ = os.Remove(filepath.Join(v.dir, "in/d")) })
		}, true, true, nil, 0},
	} {
		v := newVolume(t)
		d := filepath.Join(v.dir, "in/d")
		if err := os.MkdirAll(d, 0o750); err != nil {
			t.Fatal(err)
		}
		v.cut = time.Now().Add(time.Minute)
		r, found := v.job(config.RetentionRule{Name: "old", EmptyDirectories: true})
		is, err := look(r.volume, "in/d")
		if err != nil {
			t.Fatal(err)
		}
		c.change(v, r, r.uploaded(&is))
		counted, err := r.count(t.Context(), Directory{Path: "in", Account: "team/ada"})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.delete(t.Context(), Budget{counted, 0}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := os.Lstat(d); errors.Is(err, os.ErrNotExist) != c.goes || r.failed != c.failed || (len(*found) == 1) != c.told || r.deleted != 0 {
			t.Errorf("%s: %v, %d failed, %d deleted, %+v", name, err, r.failed, r.deleted, *found)
		}
		for _, e := range *found {
			if want := (event.FileExpired{Rule: "old", Account: "team/ada", Path: "in/d", Uploaded: r.uploaded(&is), Directory: true}); e != want {
				t.Errorf("%s: %+v, want %+v", name, e, want)
			}
		}
	}
}

// beforeEvent does something at the last moment before a file or directory is removed.
func (r *run) beforeEvent(do func()) {
	found := r.found
	r.found = func(e event.FileExpired) error {
		do()
		return found(e)
	}
}

// TestAttributes: where a volume records the time at which a file was created, that also counts: a clock that was set back can have given
// the file an earlier time of its last change. Where it has none, the field means nothing.
func TestAttributes(t *testing.T) {
	at := unix.StatxTimestamp{Sec: start.Unix(), Nsec: 7}
	st := unix.Statx_t{Mode: unix.S_IFREG | 0o600, Size: 7, Ino: 5, Dev_major: 1, Dev_minor: 2, Btime: at, Ctime: unix.StatxTimestamp{Sec: start.Unix() - 3600}}
	for mask, want := range map[uint32]time.Time{
		unix.STATX_BASIC_STATS:                    start.Add(-time.Hour),
		unix.STATX_BASIC_STATS | unix.STATX_BTIME: start.Add(7),
	} {
		st.Mask = mask
		a := attributesOf(&st)
		if got := (Trust{}).Uploaded(a.btime, a.ctime); !got.Equal(want) {
			t.Errorf("mask %x: uploaded at %s, want %s", mask, got, want)
		}
		if a.id != (identity{unix.Mkdev(1, 2), 5}) || a.size != 7 || !a.regular() || a.directory() {
			t.Errorf("%+v", a)
		}
	}
	st.Mode, st.Size = unix.S_IFDIR|0o700, 1<<63 // a size that no counter could add
	if a := attributesOf(&st); a.regular() || !a.directory() || a.size < 0 {
		t.Errorf("%+v", a)
	}
	for _, mode := range []uint16{unix.S_IFLNK, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK} {
		st.Mode = mode
		if a := attributesOf(&st); a.regular() || a.directory() {
			t.Errorf("mode %o is a file or a directory", mode)
		}
	}
}

// TestRuleOfManyDirectories: a rule deletes in each of its directories, apart from one whose limit is exceeded.
func TestRuleOfManyDirectories(t *testing.T) {
	v := of(t.TempDir(), config.RetentionEnforce)
	v.Rules[0].MaxFiles = 2
	v.Directories = func(config.RetentionRule) []Directory {
		return []Directory{{Path: "team/ada", Account: "team/ada"}, {Path: "team/bob", Account: "team/bob"}, {Path: "team/none"}, {Path: "zoo/eve", Account: "zoo/eve"}}
	}
	files := []string{"team/ada/a", "team/ada/b", "team/bob/a", "team/bob/b", "team/bob/c", "zoo/eve/a", "zoo/other"}
	s := before(t, v, files...)
	result := s.again()["old"].Result
	if got := s.left(files...); got != "team/bob/a team/bob/b team/bob/c zoo/other" {
		t.Errorf("left are %s", got)
	}
	if result.Deleted != 3 || result.Files != 6 || result.Due != 6 || result.Halted != config.HaltTooMany || !strings.Contains(result.Message, "maxFiles is 2") || len(s.events) != 3 {
		t.Errorf("%+v, %d events", result, len(s.events))
	}
}

// TestVolumesThatCannotBeOpened: a volume that is not there yet is no problem, and any other error is one.
func TestVolumesThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "locked")
	if err := os.MkdirAll(filepath.Join(locked, lockFile), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{filepath.Join(dir, "none"): nil, file: unix.ENOTDIR, locked: unix.EISDIR} {
		v := of(path, config.RetentionEnforce)
		rules, err := New(nil, func(event.Event) {}, quiet).visitVolume(t.Context(), &v)
		if !errors.Is(err, want) || rules != nil {
			t.Errorf("%s: %v, %v, want %v", path, rules, err, want)
		}
	}
}

// TestEndOfARun: a rule's status shows what it did, and why it did not do all of it. A problem with some files is shown unless there is a
// greater one. The daemon's shutdown is not a problem.
func TestEndOfARun(t *testing.T) {
	long := errors.New(strings.Repeat("x", 2*config.MaxRetentionMessage))
	for name, c := range map[string]struct {
		halted  config.RetentionHalt
		message string
		last    error
		err     error
		want    config.RetentionHalt
		says    string
		ends    error
	}{
		"all is well":             {},
		"a file stays":            {last: unix.EBUSY, says: unix.EBUSY.Error()},
		"for a long reason":       {last: long, says: long.Error()[:config.MaxRetentionMessage]},
		"and a directory is held": {config.HaltHold, "held", unix.EBUSY, nil, config.HaltHold, "held", nil},
		"the volume is broken":    {config.HaltHold, "held", unix.EBUSY, unix.EIO, config.HaltVolume, unix.EIO.Error(), nil},
		"for such a reason":       {err: long, want: config.HaltVolume, says: long.Error()[:config.MaxRetentionMessage]},
		"the clock was set":       {err: errClock, want: config.HaltClock, says: errClock.Error()},
		"it takes too long":       {err: errTooLong, want: config.HaltIncomplete, says: errTooLong.Error()},
		"the daemon ends":         {err: context.Canceled, says: context.Canceled.Error(), ends: context.Canceled},
	} {
		r := &run{deleted: 3, inUse: 5, failed: 7, lastErr: c.last}
		status := config.RetentionStatus{Rule: "old", Halted: c.halted, Message: c.message}
		err := r.tell(&status, c.err)
		if want := (config.RetentionStatus{Rule: "old", Deleted: 3, InUse: 5, Failed: 7, Halted: c.want, Message: c.says}); status != want || !errors.Is(err, c.ends) || c.ends == nil && err != nil {
			t.Errorf("%s: %+v, %v", name, status, err)
		}
	}
}

// TestEndInAPause: a run ends when the daemon ends during one of its pauses.
func TestEndInAPause(t *testing.T) {
	p := newPace()
	p.sleep = func(context.Context, time.Duration) error { return context.Canceled }
	for i := range paceSteps {
		if err := p.step(t.Context()); errors.Is(err, context.Canceled) != (i == paceSteps-1) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
}

// TestStateThatCannotBeReadFromTheDisk: a state that is there but cannot be read is an error, so that no rule counts as a new one.
func TestStateThatCannotBeReadFromTheDisk(t *testing.T) {
	s := before(t, of(t.TempDir(), config.RetentionEnforce), "a")
	state := filepath.Join(s.dir, stateFile(""))
	if err := errors.Join(os.Remove(state), os.Mkdir(state, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.runner.visitVolume(t.Context(), &s.volume); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a visit: %v", err)
	}
	if _, err := List(t.Context(), s.volume, 1, nil); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a list: %v", err)
	}
	if s.left("a") == "" {
		t.Error("a file was deleted")
	}
}
