package pump

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/relay/send"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// with returns the lines that contain a text.
func (l *lines) with(text string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.all.String()) {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

// run delivers the pods' events for some time, and returns the log.
func run(t *testing.T, l *logs, answer func(id string) send.Result, giveUp, d time.Duration) (State, *lines) {
	t.Helper()
	r, out := newReceiver(answer), &lines{}
	p := New(Options{
		Sink: "s", Source: l, Send: r.send, GiveUp: giveUp, Wants: func(*Event) bool { return true },
		Log: slog.New(slog.NewTextHandler(out, nil)),
	})
	ctx, stop := context.WithCancel(t.Context())
	p.SetPods([]string{podA})
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	time.Sleep(d)
	st := p.State()
	stop()
	<-done
	return st, out
}

// A receiver that refuses thousands of events causes one log line a minute, with their number, and the metric counts all of
// them.
func TestDeadLettersAreTallied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		for i := range 5000 {
			l.add(podA, fmt.Sprint("u", i%50), i/50+1)
		}
		st, out := run(t, l, func(string) send.Result { return send.Result{Status: 400} }, 24*time.Hour, 10*time.Minute)
		got, sum := out.with("dead letters"), 0
		for _, line := range got {
			var n int
			_, count, _ := strings.Cut(line, "count=")
			if _, err := fmt.Sscan(count, &n); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			sum += n
		}
		if st.Dead != 5000 || sum != 5000 || len(got) > 11 || len(got) < 2 {
			t.Errorf("%d counted, %d in %d lines: %s", st.Dead, sum, len(got), got)
		}
		if !strings.Contains(got[0], "400 Bad Request") {
			t.Errorf("no reason: %s", got[0])
		}
	})
}

// Events that are given up without another attempt are dead letters like those that a receiver refused: logged, and counted.
func TestDeadLettersOfADeadReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		for i := range 100 {
			l.add(podA, fmt.Sprint("u", i%10), i/10+1)
		}
		st, out := run(t, l, func(string) send.Result { return send.Result{Failure: "connection refused"} }, time.Hour, 3*time.Hour)
		if n := l.deadLetters(); n != 100 || st.Dead != 100 || len(out.with("dead letters")) == 0 {
			t.Errorf("%d dead letters, %d counted, %s", n, st.Dead, out.with("dead letters"))
		}
	})
}

// A receiver that fails for every other event does not fill the log with failures and recoveries.
func TestFailuresAreTallied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		for i := range 2000 {
			l.add(podA, "u", i+1)
		}
		tried := map[string]bool{}
		st, out := run(t, l, func(id string) send.Result {
			if !tried[id] {
				tried[id] = true
				return send.Result{Status: 500}
			}
			return send.Result{Status: 200}
		}, 24*time.Hour, 3*time.Hour)
		worse, better := out.with("cannot be delivered"), out.with("delivered again")
		if st.Delivered != 2000 || len(worse) < 2 || len(worse) > 181 || len(better) == 0 || len(better) > len(worse) {
			t.Errorf("%d delivered, %d lines of failures, %d of recoveries", st.Delivered, len(worse), len(better))
		}
	})
}

// A failure that lasts is in the log even if it began right after a short one.
func TestLastingFailureIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		for i := range 3 {
			l.add(podA, "u", i+1)
		}
		n := 0
		_, out := run(t, l, func(string) send.Result {
			if n++; n == 2 {
				return send.Result{Status: 200}
			}
			return send.Result{Status: 500}
		}, 24*time.Hour, time.Hour)
		if worse, better := out.with("cannot be delivered"), out.with("delivered again"); len(worse) != 2 || len(better) != 1 {
			t.Errorf("%s %s", worse, better)
		}
	})
}

// TestTallies: the first line comes at once, and the next one a minute later, also for what comes in between. The last dead letters are
// logged when the relay ends, whenever the line before was.
func TestTallies(t *testing.T) {
	var out bytes.Buffer
	logged := func() string {
		defer out.Reset()
		return out.String()
	}
	tally := &tallied{to: slog.New(slog.NewTextHandler(&out, nil))}
	now := time.Now()
	for i, step := range []struct {
		after time.Duration
		total uint64
		last  bool
		wait  time.Duration
		want  string
	}{
		{0, 0, false, maxWait, ""},
		{0, 3, false, maxWait, "count=3 "},
		{time.Second, 3, false, maxWait, ""},
		{time.Second, 5, false, 59 * time.Second, ""},
		{time.Minute - 1, 6, false, 1, ""},
		{time.Minute, 6, false, maxWait, "count=3 "},
		{time.Minute, 7, false, time.Minute, ""},
		{time.Minute, 7, true, maxWait, "count=1 "},
		{time.Minute, 7, true, maxWait, ""},
	} {
		wait := tally.deadLetters(step.total, "why", now.Add(step.after), step.last)
		if got := logged(); wait != step.wait || (got != "") != (step.want != "") || !strings.Contains(got, step.want) {
			t.Errorf("dead letters, step %d: %q, again after %s", i, got, wait)
		}
	}
	failed := func(after time.Duration, want string) {
		t.Helper()
		if tally.failed("why", now.Add(after)); !strings.Contains(logged(), want) {
			t.Errorf("a failure after %s is not logged as %q", after, want)
		}
	}
	silent := func(after time.Duration) {
		t.Helper()
		if tally.failed("why", now.Add(after)); out.Len() > 0 {
			t.Errorf("a failure after %s is logged: %s", after, logged())
		}
	}
	recovered := func(want bool) {
		t.Helper()
		if tally.recovered(); (logged() != "") != want {
			t.Errorf("the recovery is logged: %v", !want)
		}
	}
	recovered(false)
	failed(0, "unlogged_before=0")
	silent(time.Second)
	silent(2 * time.Minute) // it continues
	recovered(true)
	recovered(false)
	silent(time.Minute - 2)
	silent(time.Minute - 1)
	recovered(false)
	failed(time.Minute, "unlogged_before=2")
	recovered(true)
}

// TestDeadLettersAtTheEnd: an event that became a dead letter just before the relay shuts down is logged.
func TestDeadLettersAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		for i := range 30 {
			l.add(podA, fmt.Sprint("u", i), 1)
		}
		_, out := run(t, l, func(string) send.Result { return send.Result{Status: 400} }, time.Hour, time.Second)
		sum := 0
		for _, line := range out.with("dead letters") {
			var n int
			_, count, _ := strings.Cut(line, "count=")
			if _, err := fmt.Sscanf(count, "%d", &n); err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if sum != 30 {
			t.Errorf("%d of 30 are logged: %q", sum, out.with("dead letters"))
		}
	})
}

// TestSuspensionIsLogged: an operator learns that a receiver wants no more events, and why, once.
func TestSuspensionIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		l.add(podA, "u", 1)
		_, out := run(t, l, func(string) send.Result { return send.Result{Status: 410} }, time.Hour, 10*time.Minute)
		if got := out.with("wants no more events"); len(got) != 1 || !strings.Contains(got[0], "410 Gone") || !strings.Contains(got[0], "level=ERROR") {
			t.Errorf("%q", got)
		}
	})
}
