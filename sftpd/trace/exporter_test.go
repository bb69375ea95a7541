package trace

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/trace/tracetest"
)

// counts are the counters of an exporter.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) add(result string, spans int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[result] += spans
}

func (c *counts) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.of)
}

// wait waits until a result has the given count.
func (c *counts) wait(t *testing.T, result string, spans int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); c.all()[result] < spans; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %d %s, but %v", spans, result, c.all())
		}
	}
}

func newExporter(t testing.TB, settings config.Tracing) (*Exporter, *counts) {
	t.Helper()
	c := &counts{of: map[string]int{}}
	x := New("v1", c.add, slog.New(slog.DiscardHandler))
	x.times = times{
		gather: time.Millisecond, answer: 10 * time.Second, pause: time.Millisecond, maxPause: 10 * time.Millisecond, last: 200 * time.Millisecond,
	}
	x.Configure(config.Listener{Namespace: "files", Name: "public", Tracing: settings})
	return x, c
}

// run runs an exporter until the returned function is called, which waits for it to end.
func run(t *testing.T, x *Exporter) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { x.Run(ctx) })
	end = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(end)
	return end
}

func transfers(x *Exporter, n int) {
	for range n {
		x.Emit(event.Transfer{Connection: session(time.Now()), File: event.File{Direction: "upload", Path: "/" + strings.Repeat("p", 1000)}})
	}
}

// Every recorded span arrives, and is counted once. Spans in flight when the daemon ends may arrive twice.
func TestSend(t *testing.T) {
	c := tracetest.Start(t)
	x, count := newExporter(t, config.Tracing{Endpoint: c.Endpoint, SamplingPercent: 100})
	x.times.last = time.Minute // a slow collector also gets the last ones
	end := run(t, x)
	for n := range 20 {
		transfers(x, 10)
		c.Wait(10 * (n + 1))
	}
	transfers(x, 7) // these may be the last
	end()
	if got := count.all(); got[Sent] != 207 || len(got) != 1 {
		t.Errorf("counted %v", got)
	}
	ids := map[string]bool{}
	for _, s := range c.Spans() {
		ids[s.ID] = true
	}
	if len(ids) != 207 {
		t.Errorf("%d IDs", len(ids))
	}
}

// A collector that is unavailable or overloaded gets the same spans later; new ones wait in a bounded queue.
func TestRetry(t *testing.T) {
	c := tracetest.Start(t)
	c.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	x, count := newExporter(t, config.Tracing{Endpoint: c.Endpoint, SamplingPercent: 100})
	run(t, x)
	transfers(x, 10)
	for end := time.Now().Add(30 * time.Second); c.Requests() < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not try again")
		}
	}
	const many = 2000 // of more than 1 kB each
	transfers(x, many)
	x.queue.mu.Lock()
	waiting := len(x.queue.waiting.data)
	x.queue.mu.Unlock()
	dropped := count.all()[Dropped]
	if dropped == 0 || waiting > maxQueued || waiting < maxQueued/2 {
		t.Errorf("%d bytes wait, %d spans are dropped", waiting, dropped)
	}
	c.Answer(nil)
	count.wait(t, Sent, 10+many-dropped)
	if got := count.all(); len(c.Spans()) != 10+many-dropped || got[Dropped] != dropped || got[Refused] != 0 {
		t.Errorf("%d spans arrived, counted %v", len(c.Spans()), got)
	}
}

// Spans that a collector rejects are not sent again.
func TestRefused(t *testing.T) {
	for _, code := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusInternalServerError, http.StatusTemporaryRedirect} {
		c := tracetest.Start(t)
		c.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", c.Endpoint+"/elsewhere")
			w.WriteHeader(code)
		})
		x, count := newExporter(t, config.Tracing{Endpoint: c.Endpoint, SamplingPercent: 100})
		end := run(t, x)
		transfers(x, 1)
		count.wait(t, Refused, 1)
		end()
		if n := c.Requests(); n != 1 || len(count.all()) != 1 {
			t.Errorf("%d: %d requests, %v", code, n, count.all())
		}
	}
}

// Shutdown does not wait for a collector that hangs or is unavailable.
func TestEnd(t *testing.T) {
	c := tracetest.Start(t)
	c.Answer(c.Hang)
	for name, endpoint := range map[string]string{"hangs": c.Endpoint, "is away": "http://127.0.0.1:1"} {
		x, count := newExporter(t, config.Tracing{Endpoint: endpoint, SamplingPercent: 100})
		end := run(t, x)
		transfers(x, 5)
		begin := time.Now()
		end()
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: the end took %s", name, took)
		}
		if got := count.all(); got[Dropped] != 5 || len(got) != 1 {
			t.Errorf("%s: counted %v", name, got)
		}
	}
}

// Tracing is turned off and on while the daemon runs.
func TestConfigure(t *testing.T) {
	c := tracetest.Start(t)
	x, count := newExporter(t, config.Tracing{Endpoint: "http://127.0.0.1:1", SamplingPercent: 100})
	run(t, x)
	transfers(x, 3)
	x.Configure(config.Listener{})
	count.wait(t, Dropped, 3)
	transfers(x, 3)
	x.Configure(config.Listener{Tracing: config.Tracing{Endpoint: c.Endpoint, SamplingPercent: 100}})
	transfers(x, 2)
	count.wait(t, Sent, 2)
	if got := count.all(); got[Sent] != 2 || got[Dropped] != 3 {
		t.Errorf("counted %v", got)
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "1e9": 0, "999999999": 0, "Wed, 21 Oct 2026 07:28:00 GMT": 0,
	} {
		if got := retryAfter(header); got != want {
			t.Errorf("%q: %s", header, got)
		}
	}
}
