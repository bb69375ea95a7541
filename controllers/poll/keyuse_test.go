package poll

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
)

// A pod's report is kept until it is merged, and only then confirmed to the pod; what arrives in between, including from
// another process of the pod, is not lost.
func TestReports(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.aimAt(nil)
	f.poll(t)
	f.woken() // by the result
	f.books["a"].Note("u", "1", f.clock())
	f.books["b"].NoteProof("u", "host")
	f.pass(Interval)
	f.poll(t)
	if !f.woken() {
		t.Error("not woken by news")
	}
	first := f.unmerged(t, "1", "host")

	f.books["a"].Note("u", "2", f.clock())
	gone := func(string) bool { return false }
	f.books["a"].Keep(gone, gone, f.clock()) // the first was not confirmed: it must be reported again
	f.pass(Interval)
	f.poll(t)
	f.unmerged(t, "1", "2", "host")

	f.Merged(partners, "l", first)
	second := f.unmerged(t, "1", "2") // a's only report has both
	f.books["a"] = keyuse.New()       // killed
	f.books["a"].Note("u", "3", f.clock())
	f.pass(Interval)
	f.poll(t)
	f.Merged(partners, "l", second)
	third := f.unmerged(t, "3")
	f.gone(t, "a")
	f.pass(Interval)
	f.poll(t)
	f.unmerged(t, "3")
	f.Merged(partners, "l", third)
	f.unmerged(t)

	f.books["b"].Note("u", "4", f.clock())
	f.pass(Interval)
	f.poll(t)
	f.unmerged(t, "4") // not the proof again
}

// Anything that does not fit into a report comes in the next one, as soon as the first is merged.
func TestMoreThanOneReport(t *testing.T) {
	f := newFleet(t, "a")
	f.limit = 2
	for i := range 5 {
		f.books["a"].Note("u", strconv.Itoa(i), f.clock())
	}
	f.aimAt(nil)
	f.poll(t)
	f.Merged(partners, "l", f.unmerged(t, "0", "1"))
	f.poll(t)
	second := f.unmerged(t, "2", "3")
	if again := f.poll(t); f.asked["a"] != 2 || again != Interval {
		t.Errorf("asked %d times, again in %s: it was not merged", f.asked["a"], again)
	}
	f.Merged(partners, "l", second)
	f.poll(t)
	f.Merged(partners, "l", f.unmerged(t, "4"))
	if f.poll(t); f.asked["a"] != 3 {
		t.Errorf("asked %d times", f.asked["a"])
	}
}

// Another listener under the same name, and a deleted one, get no reports of the former, not even from an answer that was in
// progress.
func TestOtherListener(t *testing.T) {
	f := newFleet(t, "a")
	f.books["a"].Note("u", "1", f.clock())
	f.aimAt(nil)
	f.poll(t)
	f.unmerged(t, "1")
	f.during = func() { f.aimAt(func(t *Target) { t.UID = "other" }) }
	f.pass(Interval)
	f.woken()
	f.poll(t)
	if got := f.Reports(partners, "other"); len(got) > 0 || f.woken() {
		t.Errorf("reports %v of a listener that is gone", got)
	}
	if got := f.Reports(partners, "l"); len(got) > 0 {
		t.Errorf("reports %v for the listener before", got)
	}
	if _, ok := f.Result(partners); ok {
		t.Error("the result of the listener before")
	}
	f.during = nil
	f.poll(t)
	if f.asked["a"] != 2 {
		t.Errorf("asked %d times: the pod is of the listener before", f.asked["a"])
	}
	f.Forget(partners)
	if got := f.Reports(partners, "other"); len(got) > 0 || f.poll(t) != 0 {
		t.Errorf("reports %v of a listener that was forgotten", got)
	}
}

// When a pod is asked for key use, and how soon it is polled again.
func TestIntervals(t *testing.T) {
	for name, tc := range map[string]struct {
		// before the second poll, after which time
		before func(*testing.T, *fleet)
		passed time.Duration
		asked  int // in all
		again  time.Duration
	}{
		"at rest, too early":     {nil, Interval - slack - time.Second, 1, slack + time.Second},
		"at rest":                {nil, Interval, 2, Interval},
		"ending, too early":      {func(t *testing.T, f *fleet) { f.end(t, "a") }, gap / 2, 1, gap / 2},
		"ending":                 {func(t *testing.T, f *fleet) { f.end(t, "a") }, gap, 2, intervalOfEnding},
		"the same target":        {func(_ *testing.T, f *fleet) { f.aimAt(nil) }, gap, 1, Interval - gap},
		"after another target":   {func(_ *testing.T, f *fleet) { f.loaded["a"] = "d2"; f.aimAt(digest("d2")) }, gap, 2, Interval},
		"the clock was set back": {nil, -time.Hour, 2, Interval},
		"gone":                   {func(t *testing.T, f *fleet) { f.gone(t, "a") }, Interval, 1, Interval},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, "a")
			f.aimAt(nil)
			if again := f.poll(t); again != Interval || f.asked["a"] != 1 {
				t.Fatalf("at first asked %d times, again in %s", f.asked["a"], again)
			}
			if tc.before != nil {
				tc.before(t, f)
			}
			f.pass(tc.passed)
			if again := f.poll(t); again != tc.again || f.asked["a"] != tc.asked {
				t.Errorf("asked %d times, again in %s; want %d and %s", f.asked["a"], again, tc.asked, tc.again)
			}
		})
	}
}

// A terminating pod gets no further configuration, and uses the previous key in its proofs.
func TestPreviousKey(t *testing.T) {
	f := newFleet(t, "ending", "new")
	f.keys["ending"] = "old"
	f.end(t, "ending")
	f.books["ending"].Note("u", "1", f.clock())
	f.aimAt(func(t *Target) { t.Keys = ack.Keys{"key", "old"} })
	f.poll(t)
	f.unmerged(t, "1")
	if r, ok := f.Result(partners); !ok || !r.Done() || r.Ready != 1 {
		t.Errorf("%+v, %v", r, ok)
	}
}

// Logins, requests and reconciles at the same time: in the end everything was merged.
func TestConcurrently(t *testing.T) {
	const logins = 200
	f := newFleet(t, "a", "b", "c")
	f.aimAt(nil)
	merged := map[string]bool{}
	merge := func() {
		reports := f.Reports(partners, "l")
		for _, k := range told(reports) {
			merged[k] = true
		}
		f.Merged(partners, "l", reports)
		f.aimAt(nil)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range logins {
			f.books[[]string{"a", "b", "c"}[i%3]].Note("u", strconv.Itoa(i), f.clock())
		}
	})
	wg.Go(func() {
		for range logins {
			merge()
		}
	})
	for range logins {
		f.pass(Interval / 2)
		f.poll(t)
	}
	wg.Wait()
	f.pass(Interval)
	f.poll(t)
	merge()
	if len(merged) != logins {
		t.Errorf("%d logins were merged, of %d", len(merged), logins)
	}
	if got := f.Reports(partners, "l"); len(got) > 0 {
		t.Errorf("reports %v are merged and still there", got)
	}
}
