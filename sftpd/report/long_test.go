package report

import (
	"maps"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pkg/sftp"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	daemon "github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestStillOpen: an open file is logged after ten seconds and then every five minutes, charged to its user.
func TestStillOpen(t *testing.T) {
	tree, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: t.TempDir(), Access: vfs.ReadWrite}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	here, there := net.Pipe()
	s := daemon.NewSession(there, tree, daemon.Options{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context()) }()
	client, err := sftp.NewClientPipe(here, here)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	f, err := client.Create("/kept")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	var o told
	r, first := o.reporter(), time.Now().Add(10*time.Second)
	for _, now := range []time.Time{ // it was opened between before and now, which may be long on a busy machine
		before, before.Add(10*time.Second - 1), first, first.Add(time.Second), first.Add(5*time.Minute - 1), first.Add(5 * time.Minute),
		first.Add(10*time.Minute - 1), first.Add(12 * time.Minute),
	} {
		r.StillOpen(s, now)
	}
	if len(o.events) != 3 || !slices.Equal(o.charged, slices.Repeat([]int{500 + len("/kept")}, 3)) {
		t.Fatalf("%d lines, charged with %v", len(o.events), o.charged)
	}
	for _, e := range o.events {
		e, ok := e.(event.TransferOpen)
		if !ok || e.Connection != ada || e.File.Path != "/kept" || e.File.Direction != "upload" || e.File.BytesWritten != 3 || e.File.Duration == 0 {
			t.Errorf("%+v", e)
		}
	}
	// The check for such files runs often enough.
	all := NewOpen()
	var late told
	before = time.Now()
	fresh, err := client.Create("/fresh")
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	opened := time.Now()
	r = late.reporter()
	all.Of(func(now time.Time) time.Time { return r.StillOpen(s, now) }).Opened()
	for now := opened.Add(-time.Second); now.Before(opened.Add(16 * time.Second)); now = now.Add(Interval) {
		if all.Pass(now); len(late.events) > 0 && now.Before(before.Add(10*time.Second)) {
			t.Errorf("told of after %s", now.Sub(before))
		}
	}
	if len(late.events) != 1 {
		t.Errorf("%d lines after 16 seconds", len(late.events))
	}
	_ = fresh.Close()
	_ = client.Close()
	<-served
}

// TestPaceOfFailures: twenty failures at once are logged, and then ten a second.
func TestPaceOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o told
		r := o.reporter()
		lines := 0
		fail := func(wait time.Duration, times, want int) {
			t.Helper()
			time.Sleep(wait)
			for range times {
				r.Observe(daemon.Operation{Op: "stat", Path: "/a", Status: daemon.StatusNoSuchFile})
			}
			synctest.Wait()
			got, _, _ := o.count()
			if got-lines != want {
				t.Errorf("%d lines of %d failures, want %d", got-lines, times, want)
			}
			lines = got
		}
		fail(0, 25, 20)
		fail(99*time.Millisecond, 1, 0)
		fail(time.Millisecond, 2, 1)
		fail(time.Second, 15, 10)
		fail(time.Hour, 25, 20) // they do not add up
		r.End()
	})
}

// TestTallyIsInTime: a tally is logged ten seconds after its first failure, and the next failures ten seconds later.
func TestTallyIsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o told
		r := o.reporter()
		tallied := func(wait time.Duration, want int) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if _, _, tallied := o.count(); tallied["stat"] != want {
				t.Errorf("%v are tallied, want %d", tallied, want)
			}
		}
		fail := func(times int) {
			for range times {
				r.Observe(daemon.Operation{Op: "stat", Path: "/a", Status: daemon.StatusNoSuchFile})
			}
		}
		fail(20 + 3)
		time.Sleep(50 * time.Millisecond)
		fail(1)
		tallied(10*time.Second-51*time.Millisecond, 0)
		tallied(2*time.Millisecond, 4)
		fail(20 + 1)
		tallied(9*time.Second, 4)
		tallied(2*time.Second, 5)
		tallied(time.Hour, 5) // once
		fail(20 + 1)
		tallied(9*time.Second, 5)
		tallied(2*time.Second, 6)
		fail(20 + 7)
		r.End() // and not again when it would be due
		tallied(time.Hour, 13)
		events := len(o.events)
		r.End()
		if len(o.events) != events {
			t.Error("something is told of twice")
		}
		_ = r.failures.take(false) // by a timer that was about to fire
		fail(40)
		if len(o.events) != events+40 {
			t.Errorf("%d lines after the end, want 40", len(o.events)-events)
		}
	})
}

// TestKindsOfFailures: each kind is logged separately with everything a single line would contain except the paths, and is
// reported as an event at once.
func TestKindsOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o told
		r := o.reporter()
		for range 20 {
			r.Observe(daemon.Operation{Op: "stat", Path: "/a", Status: daemon.StatusNoSuchFile})
		}
		before := len(o.events)
		for _, f := range []daemon.Operation{
			{Op: "mkdir", Path: "/b", Status: daemon.StatusPermissionDenied},
			{Op: "mkdir", Path: "/b", Status: daemon.StatusFailure},
			{Op: "mkdir", Path: "/c", Status: daemon.StatusFailure},
			{Op: "mkdir", Path: "/c", Status: daemon.StatusNoSuchFile},
			{Op: "rmdir", Path: "/c", Status: daemon.StatusFailure},
		} {
			r.Observe(f)
		}
		for _, e := range o.events[before:] {
			if e, ok := e.(event.Operation); !ok || !e.Tallied || e.Path == "" {
				t.Errorf("%+v", e)
			}
		}
		if len(o.events) != before+5 || len(o.charged) != before {
			t.Errorf("%d events, charged for %d", len(o.events), len(o.charged))
		}
		r.End()
		got := map[event.Event]bool{}
		for _, e := range o.events[before+5:] {
			got[e] = true
		}
		want := map[event.Event]bool{}
		for _, f := range []event.OperationsFailed{
			{Operation: "mkdir", Result: event.WasRefused, Status: daemon.StatusPermissionDenied.String(), Count: 1},
			{Operation: "mkdir", Result: event.Failed, Status: daemon.StatusFailure.String(), Count: 2},
			{Operation: "mkdir", Result: event.Failed, Status: daemon.StatusNoSuchFile.String(), Count: 1},
			{Operation: "rmdir", Result: event.Failed, Status: daemon.StatusFailure.String(), Count: 1},
		} {
			f.Connection = ada
			want[f] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

// TestTimesAreUTC: times are in UTC whatever the server's time zone is.
func TestTimesAreUTC(t *testing.T) {
	defer func(zone *time.Location) { time.Local = zone }(time.Local) //nolint:gosmopolitan // the zone of the container
	time.Local = time.FixedZone("east", 3600)                         //nolint:gosmopolitan // likewise
	set := attributes(vfs.Changes{Set: vfs.SetTimes, Atime: 1_800_000_000, Mtime: 1_800_000_001})
	if want := (event.Attributes{Atime: "2027-01-15T08:00:00Z", Mtime: "2027-01-15T08:00:01Z"}); set != want {
		t.Errorf("%+v, want %+v", set, want)
	}
}
