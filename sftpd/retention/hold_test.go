package retention

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// A held directory that could have been anywhere on the volume holds all of it, also for a rule about a part of it.
func TestHoldOfTheVolume(t *testing.T) {
	v := newVolume(t)
	v.make("team/ada/a")
	v.age()
	r, _ := v.job(config.RetentionRule{}, "none")
	v.run(r, "team/ada", "team", "")
	v.expect("team/ada/a")
}

// A held directory stays, even if it is empty, and so does what is empty beneath it.
func TestEmptyDirectoryThatIsHeld(t *testing.T) {
	v := newVolume(t)
	for _, dir := range []string{"in/held", "in/case/sub", "in/empty"} {
		if err := os.MkdirAll(filepath.Join(v.dir, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	v.age()
	r, found := v.job(config.RetentionRule{EmptyDirectories: true}, "in/held", "in/case")
	v.run(r, "in")
	if !v.exists("in/held") || !v.exists("in/case/sub") || v.exists("in/empty") || len(*found) != 1 {
		t.Errorf("%+v", *found)
	}
}

// A rule that only reports, or reports at first, mentions a held directory that is missing.
func TestHoldIsToldByReports(t *testing.T) {
	is := Circumstances{Halt: config.HaltHold, Detail: "x"}
	first, changed := is, is
	first.Doubt, changed.New = DoubtFirst, true
	for _, tc := range []struct {
		mode string
		in   Circumstances
	}{
		{config.RetentionReport, is}, {config.RetentionEnforce, first}, {config.RetentionEnforce, changed},
	} {
		if plan := Decide(config.RetentionRule{Mode: tc.mode}, nil, tc.in); plan.Halt != config.HaltHold || plan.Message != "x" || len(plan.Delete) > 0 {
			t.Errorf("%s: %+v", tc.mode, plan)
		}
	}
}

// A Runner visits volumes, and a visit leaves nothing open, whether the volume is free or another daemon has it.
func TestVisitsLeaveNothingOpen(t *testing.T) {
	v := of(t.TempDir(), config.RetentionReport)
	r := New(func() []Volume { return []Volume{v} }, func(event.Event) {}, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		r.Run(ctx, 0)
		close(ended)
	}()
	for late := time.Now().Add(time.Minute); len(r.Status()) < 2 && time.Now().Before(late); {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	if got := r.Status(); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	busy, err := open(v.Path)
	if err != nil {
		t.Fatal(err)
	}
	was := count()
	for range 3 {
		if _, err := r.visitVolume(t.Context(), &v); !errors.Is(err, errBusy) {
			t.Error(err)
		}
	}
	if n := count(); n > was {
		t.Errorf("%d files are open after visits of a busy volume", n-was)
	}
	busy.close()
	for range 3 {
		if _, err := r.visitVolume(t.Context(), &v); err != nil {
			t.Error(err)
		}
	}
	if n := count(); n >= was {
		t.Errorf("%d files are open after visits", n-was)
	}
}

// A reading has all clocks: without the time since the node's start, no clock could be trusted after it was set.
func TestReading(t *testing.T) {
	p, err := open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	first, err := p.clock()
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.clock()
	if err != nil || first.Boot == "" || second.Boot != first.Boot || first.Since <= 0 || second.Since < first.Since {
		t.Errorf("%+v, %+v, %v", first, second, err)
	}
	if d := second.Wall.Sub(second.Volume).Abs(); d > time.Minute {
		t.Errorf("the clocks differ by %s", d)
	}
}
