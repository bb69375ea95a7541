package pump

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/send"
)

// watched are logs of pods that note what they are asked, and can refuse it.
type watched struct {
	*logs
	mu    sync.Mutex
	asked []string // "ack a", "dead b" and so on
	at    []time.Time
	// refuse returns why a pod does not answer a request, nil if it does.
	refuse func(what, base string) error
	// hold is called during each request for more than one event.
	hold func()
}

func (w *watched) note(what, base string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.at = append(w.asked, what+" "+strings.TrimPrefix(base, "http://")), append(w.at, time.Now())
	if w.refuse == nil {
		return nil
	}
	return w.refuse(what, base)
}

func (w *watched) Pull(ctx context.Context, base string, q events.Query) ([]events.Line, error) {
	what := "wait"
	if q.Wait == 0 {
		what = "read"
	}
	if err := w.note(what, base); err != nil {
		return nil, err
	}
	if what == "read" && w.hold != nil {
		w.hold()
	}
	return w.logs.Pull(ctx, base, q)
}

func (w *watched) Ack(ctx context.Context, base string, a events.Ack) error {
	if err := w.note("ack", base); err != nil {
		return err
	}
	return w.logs.Ack(ctx, base, a)
}

func (w *watched) Dead(ctx context.Context, base string, d events.Dead) error {
	if err := w.note("dead", base); err != nil {
		return err
	}
	return w.logs.Dead(ctx, base, d)
}

// times returns when something was asked, since a moment.
func (w *watched) times(what string, since time.Time) (out []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, a := range w.asked {
		if a == what {
			out = append(out, w.at[i].Sub(since))
		}
	}
	return out
}

// begin runs a pump until stop.
func begin(t *testing.T, w *watched, r *receiver) (*Pump, func()) {
	t.Helper()
	p := New(Options{
		Sink: sink, Source: w, Send: r.send, GiveUp: 24 * time.Hour, Log: slog.New(slog.DiscardHandler),
		Wants: func(e *Event) bool { return e.Key != "ns/skipped" },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	return p, func() { cancel(); <-done }
}

func refuses(status int) func(string) send.Result {
	return func(string) send.Result { return send.Result{Status: status} }
}

// backoff returns the pauses between requests that fail, starting with the first.
func backoff() (out []time.Duration) {
	for _, s := range []int{0, 1, 2, 4, 8, 16, 30, 30, 30} {
		out = append(out, time.Duration(s)*time.Second)
	}
	return out
}

// TestReportsAreRepeated: a pod that does not accept a report gets it again, after a second at first and after half a minute at
// most, while another pod gets its own at once. When it accepts one, the pause after the next failure is a second again.
func TestReportsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{logs: newLogs(podA, podB)}
		began := time.Now()
		away := func(from, until time.Duration) func(what, base string) error {
			return func(what, base string) error {
				if d := time.Since(began); what == "ack" && base == podA && d >= from && d < until {
					return errAway
				}
				return nil
			}
		}
		w.refuse = away(0, 150*time.Second)
		p, stop := begin(t, w, newReceiver(accepts))
		defer stop()
		p.SetPods([]string{podA, podB})
		l := w.logs
		l.add(podA, "u", 1)
		l.add(podB, "v", 1)
		time.Sleep(140 * time.Second)
		var gaps []time.Duration
		last := time.Duration(0)
		for _, at := range w.times("ack a", began) {
			gaps, last = append(gaps, (at-last).Round(time.Second)), at
		}
		if want := backoff(); !slices.Equal(gaps, want) {
			t.Errorf("reports after %v, want %v", gaps, want)
		}
		if n := len(w.times("ack b", began)); n != 1 || l.pending() != 1 {
			t.Errorf("the other pod gets %d reports; %d are pending", n, l.pending())
		}
		time.Sleep(time.Minute)
		if l.pending() != 0 {
			t.Errorf("%d are pending when the pod answers again", l.pending())
		}
		w.mu.Lock()
		w.refuse, w.asked, w.at = away(0, 300*time.Second), nil, nil
		w.mu.Unlock()
		l.add(podA, "u", 2)
		time.Sleep(10 * time.Second)
		if n := len(w.times("ack a", began)); n != 4 { // at once, and after 1, 2 and 4 seconds
			t.Errorf("%d reports within ten seconds of another failure", n)
		}
	})
}

// TestDeadLettersAreReportedFirst: an event that the receiver refused is a dead letter in its pod before a later one is
// acknowledged, which would lose it. As long as the pod does not accept the dead letter, nothing is acknowledged; if the pod
// already has it, everything is.
func TestDeadLettersAreReportedFirst(t *testing.T) {
	for name, c := range map[string]struct {
		answer        error
		dead, pending int
	}{
		"taken":            {nil, 2, 0},
		"taken before":     {events.ErrNotPending, 0, 0},
		"the pod is away":  {errAway, 0, 4},
		"without the sink": {events.ErrUnknownSink, 0, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &watched{logs: newLogs(podA)}
			w.refuse = func(what, _ string) error {
				if what == "dead" {
					return c.answer
				}
				return nil
			}
			p, stop := begin(t, w, newReceiver(func(id string) send.Result {
				if id == "a-u-1" || id == "a-x-1" {
					return send.Result{Status: 400}
				}
				return send.Result{Status: 200}
			}))
			for _, user := range []string{"u", "v", "w", "x"} {
				w.add(podA, user, 1)
			}
			p.SetPods([]string{podA})
			time.Sleep(time.Minute)
			stop()
			w.mu.Lock()
			defer w.mu.Unlock()
			asked := slices.DeleteFunc(w.asked, func(a string) bool { return a != "ack a" && a != "dead a" })
			if len(asked) == 0 || asked[0] != "dead a" || slices.Contains(asked, "ack a") != (c.pending == 0) {
				t.Errorf("%s: %q", name, asked)
			}
			if w.deadLetters() != c.dead || w.pending() != c.pending {
				t.Errorf("%s: %d dead letters, %d pending", name, w.deadLetters(), w.pending())
			}
			for n, reason := range w.pods[podA].dead {
				if reason != "the receiver answered 400 Bad Request" {
					t.Errorf("%s: dead letter %d has the reason %q", name, n, reason)
				}
			}
		})
	}
}

// TestOnlyDeadLetters: while an earlier event waits for the receiver, a report has a dead letter and acknowledges nothing.
func TestOnlyDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{logs: newLogs(podA)}
		p, stop := begin(t, w, newReceiver(func(id string) send.Result {
			if id == "a-u-1" {
				return send.Result{Status: 500}
			}
			return send.Result{Status: 400}
		}))
		began := time.Now()
		w.add(podA, "u", 1)
		w.add(podA, "v", 1)
		p.SetPods([]string{podA})
		time.Sleep(time.Minute)
		stop()
		if dead, acks := w.times("dead a", began), w.times("ack a", began); len(dead) != 1 || len(acks) != 0 || w.deadLetters() != 1 || w.pending() != 1 {
			t.Errorf("reported dead %v, acknowledged %v, %d dead letters, %d pending", dead, acks, w.deadLetters(), w.pending())
		}
	})
}

// TestBatches: a backlog is read in large parts, not event by event, and reported in few requests.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{logs: newLogs(podA)}
		for i := range 4 * batch {
			w.add(podA, fmt.Sprint("u", i), 1)
		}
		r := newReceiver(accepts)
		p, stop := begin(t, w, r)
		began := time.Now()
		p.SetPods([]string{podA})
		time.Sleep(time.Minute)
		if stop(); len(r.got().accepted) != 4*batch || w.pending() != 0 {
			t.Errorf("%d accepted, %d pending", len(r.got().accepted), w.pending())
		}
		if reads, acks := len(w.times("read a", began)), len(w.times("ack a", began)); reads != 4 || acks > 2*batch {
			t.Errorf("%d requests for %d events, %d reports", reads, 4*batch, acks)
		}
	})
}

// TestIdlePods: a pod without events is asked again as soon as it has answered that it has none, and is not treated as one that fails:
// its next event is delivered at once.
func TestIdlePods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{logs: newLogs(podA)}
		r := newReceiver(accepts)
		p, stop := begin(t, w, r)
		began := time.Now()
		p.SetPods([]string{podA})
		time.Sleep(100*events.MaxWait + time.Second)
		if n := len(w.times("wait a", began)); n != 101 {
			t.Errorf("asked %d times in the time of 100 waits", n)
		}
		w.add(podA, "u", 1)
		time.Sleep(100 * time.Millisecond)
		if stop(); len(r.got().accepted) != 1 {
			t.Error("its event was not delivered")
		}
	})
}

// TestPodsThatComeAndGo: a pod that is gone is not asked anymore; nothing is reported to it; and when it is back, what it had not been
// told of is delivered again, with the same id.
func TestPodsThatComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{logs: newLogs(podA, podB)}
		r := newReceiver(accepts)
		r.takes = 10 * time.Second
		p, stop := begin(t, w, r)
		p.SetPods([]string{podA, podB})
		w.add(podA, "u", 1)
		time.Sleep(5 * time.Second)
		p.SetPods([]string{podB}) // while the event is on its way
		time.Sleep(time.Second)
		w.mu.Lock()
		w.asked, w.at = nil, nil
		w.mu.Unlock()
		w.add(podA, "u", 2)
		time.Sleep(5 * time.Minute)
		w.mu.Lock()
		asked := slices.DeleteFunc(slices.Clone(w.asked), func(a string) bool { return !strings.HasSuffix(a, " a") })
		w.mu.Unlock()
		if len(asked) > 0 || p.State().Held != 0 {
			t.Errorf("a pod that is gone is asked %q, and %d of its events are held", asked, p.State().Held)
		}
		p.SetPods([]string{podA, podB})
		time.Sleep(time.Minute)
		if got := r.got().accepted; got["a-u-1"] != 2 || got["a-u-2"] != 1 || w.pending() != 0 {
			t.Errorf("%v, %d pending", got, w.pending())
		}
		stop()
	})
}

// TestReadsAreBounded: events of at most two pods are read at a time, however many pods have some, and each pod's turn comes.
func TestReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bases []string
		for i := range 12 {
			bases = append(bases, fmt.Sprint("http://", i))
		}
		w := &watched{logs: newLogs(bases...)}
		var mu sync.Mutex
		now, most := 0, 0
		w.hold = func() {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
		}
		for _, b := range bases {
			w.add(b, "u", 1)
		}
		r := newReceiver(accepts)
		p, stop := begin(t, w, r)
		p.SetPods(bases)
		time.Sleep(time.Minute)
		if stop(); most != readsOfSink || len(r.got().accepted) != len(bases) || w.pending() != 0 {
			t.Errorf("%d at a time, %d accepted, %d pending", most, len(r.got().accepted), w.pending())
		}
	})
}

// TestAnswersThatAreLost: an event that a pod has announced is delivered although the pod does not answer the request for all of them.
// Pods that cannot be read are asked less and less often, and at once again after they answered.
func TestAnswersThatAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{logs: newLogs(podA)}
		began := time.Now()
		w.refuse = func(what, _ string) error {
			if d := time.Since(began); what == "read" || what == "wait" && d < 150*time.Second {
				return errAway
			}
			return nil
		}
		for i := range 3 {
			w.add(podA, "u", i+1)
		}
		r := newReceiver(accepts)
		p, stop := begin(t, w, r)
		p.SetPods([]string{podA})
		time.Sleep(150 * time.Second)
		var gaps []time.Duration
		last := time.Duration(0)
		for _, at := range w.times("wait a", began) {
			gaps, last = append(gaps, at-last), at
		}
		if want := backoff(); !slices.Equal(gaps, want) {
			t.Errorf("asked after %v, want %v", gaps, want)
		}
		time.Sleep(time.Minute)
		if stop(); len(r.got().accepted) != 3 || w.pending() != 0 {
			t.Errorf("%v, %d pending", r.got().accepted, w.pending())
		}
	})
}

// TestEndOfTheRelay: a relay that is shutting down waits for the attempts in flight and reports their results, so that a restart
// repeats none of them. It does not wait for long for a receiver that hangs, or for a pod that does not answer, and begins
// nothing new.
func TestEndOfTheRelay(t *testing.T) {
	for name, c := range map[string]struct {
		takes   time.Duration
		status  int
		ack     time.Duration
		refused error
		within  [2]time.Duration
		pending int
		dead    int
	}{
		"an attempt that ends in time": {5 * time.Second, 200, 0, nil, [2]time.Duration{4 * time.Second, 5 * time.Second}, 19, 0},
		"one that is refused":          {5 * time.Second, 400, 0, nil, [2]time.Duration{4 * time.Second, 5 * time.Second}, 19, 1},
		"one that hangs":               {time.Hour, 200, 0, nil, [2]time.Duration{shutdownTime, shutdownTime}, 20, 0},
		"a pod that is away":           {5 * time.Second, 200, 0, errAway, [2]time.Duration{4 * time.Second, 5 * time.Second}, 20, 0},
		"a pod that hangs":             {5 * time.Second, 200, time.Hour, nil, [2]time.Duration{shutdownTime, shutdownTime}, 20, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &watched{logs: newLogs(podA)}
			w.refuse = func(what, _ string) error {
				if what == "ack" || what == "dead" {
					time.Sleep(c.ack)
					return c.refused
				}
				return nil
			}
			for i := range 20 { // of one user, so one is in flight
				w.add(podA, "u", i+1)
			}
			r := newReceiver(refuses(c.status))
			r.takes = c.takes
			p, stop := begin(t, w, r)
			p.SetPods([]string{podA})
			time.Sleep(time.Second)
			began := time.Now()
			stop()
			if took := time.Since(began); took < c.within[0] || took > c.within[1] {
				t.Errorf("%s: it takes %s", name, took)
			}
			if w.pending() != c.pending || w.deadLetters() != c.dead || r.got().requests > 1 {
				t.Errorf("%s: %d pending, %d dead letters, %d requests", name, w.pending(), w.deadLetters(), r.got().requests)
			}
			time.Sleep(2 * time.Hour) // what hangs ends
		})
	}
}

// TestWhatIsAnEvent: anything without an id is not an event, and is acknowledged without being sent; an event has its key, its
// time, and its own copy of the bytes.
func TestWhatIsAnEvent(t *testing.T) {
	for text, want := range map[string]bool{
		`{"id":"1","partitionkey":"ns/u","time":"2026-11-30T12:00:00Z"}`: true,
		`{"id":"1"}`: true, `{"id":""}`: false, `{}`: false, `null`: false, `[]`: false, `{"id":7}`: false, `{"id":"1","time":"x"}`: false, `{"id":"1"`: false, ``: false,
	} {
		raw := []byte(text)
		e := parse(raw)
		if (e != nil) != want {
			t.Errorf("%s: %+v", text, e)
		}
		if e == nil {
			continue
		}
		for i := range raw {
			raw[i] = 'x' // the answer's buffer is used again
		}
		if string(e.Raw) != text || e.ID != "1" || (e.Key == "ns/u") != strings.Contains(text, "ns/u") || e.Time.IsZero() == strings.Contains(text, "2026") {
			t.Errorf("%s: %+v", text, e)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := &watched{logs: newLogs(podA)}
		w.add(podA, "u", 1)
		w.add(podA, "skipped", 1)
		w.logs.pods[podA].events = append(w.logs.pods[podA].events, `{"id":""}`)
		r := newReceiver(accepts)
		p, stop := begin(t, w, r)
		p.SetPods([]string{podA})
		time.Sleep(time.Second)
		if stop(); w.pending() != 0 || p.State().Filtered != 2 || p.State().Delivered != 1 || r.got().requests != 1 {
			t.Errorf("%d pending, %d requests, %+v", w.pending(), r.got().requests, p.State())
		}
	})
}
