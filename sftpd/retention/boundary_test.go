package retention

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestClockBoundaries: which readings of the clocks are trusted, at the edges of what they may show. Where the time between two
// readings was measured, ten minutes are tolerated; where it was not, it may be anything up to 25 hours.
func TestClockBoundaries(t *testing.T) {
	const least, minute, hour = time.Nanosecond, time.Minute, time.Hour
	last := Reading{Wall: start, Volume: start, Boot: "b", Since: 5 * hour}
	for _, c := range []struct {
		name          string
		boot          string
		since, passed time.Duration // since boot, and on the volume's clock
		wall          time.Duration // ahead of the volume's
		want          Doubt
	}{
		{"an hour", "b", 6 * hour, hour, 0, ""},
		{"ten minutes ahead", "b", 6 * hour, 70 * minute, 0, ""},
		{"more than ten minutes ahead", "b", 6 * hour, 70*minute + least, 0, DoubtJumped},
		{"ten minutes behind", "b", 6 * hour, 50 * minute, 0, ""},
		{"more than ten minutes behind", "b", 6 * hour, 50*minute - least, 0, DoubtJumped},
		{"a week, which was measured", "b", (5 + 168) * hour, 168 * hour, 0, ""},
		{"another boot", "c", hour, 25 * hour, 0, ""},
		{"another boot after more than 25 hours", "c", hour, 25*hour + least, 0, DoubtJumped},
		{"another boot and ten minutes back", "c", hour, -10 * minute, 0, ""},
		{"another boot and more than ten minutes back", "c", hour, -10*minute - least, 0, DoubtJumped},
		{"the same boot, but less time since", "b", 5*hour - least, 20 * hour, 0, ""},
		{"the same moment", "b", 5 * hour, 0, 0, ""},
		{"the pod's clock ten minutes ahead", "b", 6 * hour, hour, 10 * minute, ""},
		{"the pod's clock more than that ahead", "b", 6 * hour, hour, 10*minute + least, DoubtDisagree},
		{"the pod's clock ten minutes behind", "b", 6 * hour, hour, -10 * minute, ""},
		{"the pod's clock more than that behind", "b", 6 * hour, hour, -10*minute - least, DoubtDisagree},
	} {
		now := Reading{Wall: start.Add(c.passed + c.wall), Volume: start.Add(c.passed), Boot: c.boot, Since: c.since}
		trust, doubt := Trust{Last: last, From: start.Add(-hour), Peak: start}.Next(now)
		if doubt != c.want || trust.Last != now {
			t.Errorf("%s: %q, want %q", c.name, doubt, c.want)
		}
		// After a doubt, a day has to pass on the volume's clock.
		from := start.Add(-hour)
		if c.want != "" {
			from = now.Volume.Add(24 * hour)
		}
		if !trust.From.Equal(from) {
			t.Errorf("%s: trusted from %s, want %s", c.name, trust.From, from)
		}
		for passed, want := range map[time.Duration]bool{24*hour - least: c.want == "", 24 * hour: true} {
			later := Reading{Wall: now.Volume.Add(passed), Volume: now.Volume.Add(passed), Boot: c.boot, Since: c.since + passed}
			if _, doubt := trust.Next(later); (doubt == "") != want || doubt != "" && doubt != DoubtSettling {
				t.Errorf("%s: %s later: %q", c.name, passed, doubt)
			}
		}
	}
	nowhere := Reading{Wall: start, Volume: start} // a kernel that does not say which boot it is
	for passed, want := range map[time.Duration]Doubt{3 * hour: "", 26 * hour: DoubtJumped} {
		at := start.Add(passed)
		if _, doubt := (Trust{Last: nowhere, From: start, Peak: start}).Next(Reading{Wall: at, Volume: at}); doubt != want {
			t.Errorf("an unknown boot after %s: %q, want %q", passed, doubt, want)
		}
	}
}

// TestWrongPeriods: a file from a period in which the clock was wrong counts from the moment of the correction, also if it was
// uploaded up to an hour before the clock was first read in it, or after it was last read. Others count from their own time.
func TestWrongPeriods(t *testing.T) {
	const hour = time.Hour
	back := start.Add(-1000 * hour)
	read := func(trust Trust, at time.Time, since time.Duration) Trust {
		trust, _ = trust.Next(Reading{Wall: at, Volume: at, Boot: "b", Since: since})
		return trust
	}
	trust := read(Trust{}, start, 0)
	trust = read(trust, back, hour)                // the clock is set back
	trust = read(trust, back.Add(hour), 2*hour)    // and is wrong for two hours
	trust = read(trust, back.Add(2*hour), 3*hour)  //
	trust = read(trust, start.Add(4*hour), 4*hour) // and is right again
	seen := start.Add(4 * hour)
	for after, want := range map[time.Duration]bool{
		-hour - 1: false, -hour: true, 0: true, 3 * hour: true, 4 * hour: true, 4*hour + 1: false,
	} {
		at := back.Add(after)
		for _, times := range [][2]time.Time{{at, at}, {{}, at}, {at, at.Add(-10 * hour)}, {at.Add(-10 * hour), at}} {
			got, is := trust.Uploaded(times[0], times[1]), at
			if want {
				is = seen
			}
			if !got.Equal(is) {
				t.Errorf("%s after the clock was set, %v: counts from %s, want %s", after, times, got, is)
			}
		}
	}
	if at := (Trust{}).Uploaded(start, start.Add(hour)); !at.Equal(start.Add(hour)) {
		t.Errorf("a file that was changed after it was made counts from %s", at)
	}
	// A correction that was wrong as well: the file counts from the last one.
	twice := Trust{Wrong: []Span{{From: start, To: start.Add(hour), Seen: start.Add(100 * hour)}, {From: start.Add(99 * hour), To: start.Add(101 * hour), Seen: start.Add(300 * hour)}}}
	if at := twice.Uploaded(start, start); !at.Equal(start.Add(300 * hour)) {
		t.Errorf("after two corrections a file counts from %s", at)
	}
	if never := read(read(Trust{}, start, 0), start.Add(100*hour), hour); len(never.Wrong) != 0 {
		t.Errorf("a clock that was only set forward was wrong: %v", never.Wrong)
	}
}

// TestDecideBoundaries: what else a plan depends on. A problem with the volume is shown whatever the rule does, and what is not deleted
// because of its own limits does not count for the other directories.
func TestDecideBoundaries(t *testing.T) {
	report, enforce := config.RetentionRule{Mode: config.RetentionReport}, config.RetentionRule{Mode: config.RetentionEnforce}
	percent := enforce
	percent.MaxPercent, percent.MaxFiles = 10, 1000
	hold := func(c Circumstances) Circumstances {
		c.Halt, c.Detail = config.HaltHold, "held"
		return c
	}
	one := []*Counted{counted("a", 10, 5, 0)}
	for _, c := range []struct {
		name    string
		rule    config.RetentionRule
		all     []*Counted
		in      Circumstances
		deletes string
		halt    config.RetentionHalt
		message string
	}{
		{"a report of a volume with a problem", report, one, hold(Circumstances{}), "", config.HaltHold, "held"},
		{"the first run on it", enforce, one, hold(Circumstances{Doubt: DoubtFirst}), "", config.HaltHold, "held"},
		{"a new rule on it", enforce, one, hold(Circumstances{New: true}), "", config.HaltHold, "held"},
		{"and its clock was set", enforce, one, hold(Circumstances{Doubt: DoubtJumped}), "", config.HaltClock, string(DoubtJumped)},
		{"a new rule, and the clock was set", enforce, one, Circumstances{New: true, Doubt: DoubtJumped}, "", "", "the first run of a new or changed rule only reports"},
		{"both limits", enforce, []*Counted{counted("a", 30_000, 20_000, 0)}, hold(Circumstances{}), "", config.HaltTooMany, "20000 files would be deleted, but maxFiles is 10000"},
		{"as many as the default", enforce, []*Counted{counted("a", 30_000, 10_000, 0)}, Circumstances{}, "a:10000", "", ""},
		{"a tenth", percent, []*Counted{counted("a", 1010, 101, 0)}, Circumstances{}, "a:101", "", ""},
		{"more than a tenth", percent, []*Counted{counted("a", 1009, 101, 0)}, Circumstances{}, "", config.HaltTooMany, "101 of 1009 files would be deleted, but maxPercent is 10"},
		{"a hundred", percent, []*Counted{counted("a", 100, 100, 0)}, Circumstances{}, "a:100", "", ""},
		{"the newest do not count", percent, []*Counted{counted("a", 1010, 201, 100)}, Circumstances{}, "a:101", "", ""},
		{
			"what halts itself does not halt the others", percent,
			[]*Counted{counted("a", 1000, 900, 0), counted("b", 1010, 101, 0), counted("c", 10, 0, 0)},
			Circumstances{},
			"b:101", config.HaltTooMany, "900 of 1000 files would be deleted, but maxPercent is 10",
		},
		{
			"all together, and nothing is deleted", percent,
			[]*Counted{counted("a", 200, 60, 0), counted("b", 300, 60, 0)},
			Circumstances{},
			"", config.HaltTooMany, "120 of 500 files would be deleted, but maxPercent is 10",
		},
		{
			"two halt themselves", percent,
			[]*Counted{counted("a", 1000, 900, 0), counted("b", 2000, 1900, 0)},
			Circumstances{},
			"", config.HaltTooMany, "in 2 directories; in one of them: 900 of 1000 files would be deleted, but maxPercent is 10",
		},
	} {
		plan := Decide(c.rule, c.all, c.in)
		var deletes []string
		for _, b := range plan.Delete {
			deletes = append(deletes, fmt.Sprintf("%s:%d", b.Path, b.Files))
		}
		if got := strings.Join(deletes, " "); got != c.deletes || plan.Halt != c.halt || plan.Message != c.message {
			t.Errorf("%s: deletes %q, %q %q", c.name, got, plan.Halt, plan.Message)
		}
	}
}

// TestHeld: a directory is held, with what is beneath it, wherever it was moved to; its neighbors are not.
func TestHeld(t *testing.T) {
	h := holds{paths: []string{"team/ada", "zoo"}, ids: map[identity]bool{{1, 7}: true}}
	for _, c := range []struct {
		path string
		id   identity
		want bool
	}{
		{"team/ada", identity{1, 2}, true},
		{"team/ada/in", identity{1, 2}, true},
		{"team/adam", identity{1, 2}, false},
		{"team", identity{1, 2}, false},
		{"team/bob", identity{1, 2}, false},
		{"team/bob", identity{1, 7}, true},
		{"team/bob", identity{2, 7}, false},
		{"zoo/eve", identity{1, 2}, true},
		{"ada/team/ada", identity{1, 2}, false},
		{"", identity{1, 2}, false},
	} {
		if got := h.held(c.path, c.id); got != c.want {
			t.Errorf("%q %v: %v", c.path, c.id, got)
		}
	}
	if h := (holds{paths: []string{""}}); !h.held("", identity{}) || !h.held("team", identity{}) {
		t.Error("a volume that is held")
	}
	if h := (holds{}); h.held("", identity{}) || h.held("team", identity{}) {
		t.Error("nothing is held")
	}
}

// TestNewestAgainstSorting: how many of the newest files are due, and how large they are, is what sorting finds.
func TestNewestAgainstSorting(t *testing.T) {
	for seed := range 60 {
		n := &newest{limit: seed % 7}
		var all []dated
		for i := range seed % 23 {
			f := dated{int64(i * seed * 7919 % 1009), int64(i + 1)}
			all = append(all, f)
			n.add(time.Unix(0, f.at), f.size)
		}
		slices.SortFunc(all, func(a, b dated) int { return int(b.at - a.at) })
		for cutoff := int64(-1); cutoff < 1010; cutoff += 101 {
			var files, bytes int64
			for _, f := range all[:min(n.limit, len(all))] {
				if f.at <= cutoff {
					files, bytes = files+1, bytes+f.size
				}
			}
			if f, b := n.due(time.Unix(0, cutoff)); f != files || b != bytes {
				t.Fatalf("seed %d, up to %d: %d files of %d bytes, want %d of %d", seed, cutoff, f, b, files, bytes)
			}
		}
	}
	if got := (&newest{limit: 3}).keepFrom(); got != math.MinInt64 {
		t.Errorf("of no files those from %d stay", got)
	}
}

// TestDueBoundaries: a file is due when its age is reached, not earlier; and stays if it is as new as the oldest of the newest.
func TestDueBoundaries(t *testing.T) {
	v := newVolume(t)
	v.make("in/a")
	v.cut = time.Now()
	r, _ := v.job(config.RetentionRule{})
	was, err := look(r.volume, "in/a")
	if err != nil {
		t.Fatal(err)
	}
	at := r.uploaded(&was)
	for after, want := range map[time.Duration]bool{-1: false, 0: true, 1: true} {
		r.now = at.Add(age + after)
		c, err := r.count(t.Context(), Directory{})
		if err != nil || c.Files != 1 || c.Due == 1 != want || c.Bytes == 1 != want {
			t.Errorf("%s after its age: %+v, %v", after, c, err)
		}
		for keepFrom, stays := range map[int64]bool{at.UnixNano() - 1: true, at.UnixNano(): true, at.UnixNano() + 1: false, math.MaxInt64: false} {
			c.KeepFrom = keepFrom
			found := 0
			err := r.due(context.Background(), c, func(_ *entry, up time.Time) error {
				if found++; !up.Equal(at) {
					t.Errorf("uploaded at %s, want %s", up, at)
				}
				return nil
			}, nil)
			if err != nil || found == 1 != (want && !stays) {
				t.Errorf("%s after its age, from %d files stay: %d are due, %v", after, keepFrom-at.UnixNano(), found, err)
			}
		}
	}
}

// TestTooManyEntries: in a directory with more entries than a run may read, nothing is deleted, and the rule's status says so. If a
// directory becomes that large while files are deleted in it, work there ends, which is not a problem.
func TestTooManyEntries(t *testing.T) {
	for most, large := range map[int64]bool{4: false, 3: true, 1: true} {
		v := newVolume(t)
		for _, name := range []string{"in/a", "in/b", "in/sub/c"} {
			v.make(name)
		}
		v.cut = time.Now().Add(time.Minute)
		r, found := v.job(config.RetentionRule{Mode: config.RetentionEnforce})
		r.most = most
		c, err := r.count(t.Context(), Directory{Path: "in"})
		if err != nil || c.TooLarge != large {
			t.Errorf("%d of 4 may be read: %+v, %v", most, c, err)
		}
		if plan := Decide(r.rule, []*Counted{c}, Circumstances{}); (len(plan.Delete) == 0) != large || (plan.Halt == config.HaltTooMany) != large {
			t.Errorf("%d of 4 may be read: %+v", most, plan)
		}
		if err := r.delete(t.Context(), Budget{c, 3}); err != nil || (len(*found) == 3) == large {
			t.Errorf("%d of 4 may be read: %d files, %v", most, len(*found), err)
		}
	}
}

// TestHeldDirectoryThatIsMoved: a held directory is held wherever a client moves it while a rule runs.
func TestHeldDirectoryThatIsMoved(t *testing.T) {
	v := newVolume(t)
	v.make("team/ada/case/a")
	v.make("team/bob/b")
	r, _ := v.job(config.RetentionRule{}, "team/ada/case")
	if err := os.Rename(filepath.Join(v.dir, "team/ada/case"), filepath.Join(v.dir, "team/bob/moved")); err != nil {
		t.Fatal(err)
	}
	v.cut = time.Now().Add(time.Minute)
	r.now = v.cut.Add(age)
	v.run(r, "team")
	if left := v.left(v.dir); len(left) != 1 || !v.exists("team/bob/moved/a") {
		t.Errorf("left are %v", left)
	}
}

// TestInterruptedCalls: a system call that a signal interrupts is repeated, and its result counts.
func TestInterruptedCalls(t *testing.T) {
	for _, want := range []error{nil, unix.EIO} {
		calls := 0
		err := retry(func() error {
			if calls++; calls < 3 {
				return unix.EINTR
			}
			return want
		})
		if !errors.Is(err, want) || want == nil && err != nil || calls != 3 {
			t.Errorf("%d calls, %v, want %v", calls, err, want)
		}
	}
}

// TestConfigurationChangesDuringAVisit: what has changed while a volume was visited is done as soon as the visit ends.
func TestConfigurationChangesDuringAVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := New(func() []Volume {
			v := of("/data", config.RetentionReport)
			if time.Since(began) > time.Second { // it has changed
				v.Rules[0].DeleteAfterSeconds++
			}
			return []Volume{v}
		}, func(event.Event) {}, quiet)
		var at []time.Duration
		r.visit = func(_ context.Context, v *Volume) (map[string]ruleState, error) {
			at = append(at, time.Since(began))
			time.Sleep(90 * time.Second)
			return nil, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx, 0)
		time.Sleep(100 * time.Second)
		cancel()
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.Equal(at, []time.Duration{0, 90 * time.Second}) {
			t.Errorf("visits begin after %s", at)
		}
	})
}
