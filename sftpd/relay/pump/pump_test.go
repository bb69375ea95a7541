package pump

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/send"
)

// logs are the events of pods, in memory, with the promises of the daemon's outbox.
type logs struct {
	mu   sync.Mutex
	pods map[string]*podLog
	// fails is the share of questions that fail.
	fails float64
	rng   *rand.Rand
	// more is closed and replaced when there is an event.
	more chan struct{}
}

type podLog struct {
	instance int
	events   []string // by position; "" once it is a dead letter
	acked    int
	dead     map[int]string
}

func newLogs(bases ...string) *logs {
	l := &logs{pods: map[string]*podLog{}, more: make(chan struct{}), rng: rand.New(rand.NewPCG(3, 4))}
	for _, b := range bases {
		l.pods[b] = &podLog{dead: map[int]string{}}
	}
	return l
}

func (l *logs) add(base, user string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pods[base]
	p.events = append(p.events, fmt.Sprintf(`{"specversion":"1.0","id":"%s-%s-%d","partitionkey":"ns/%s","time":%q,"data":{}}`,
		strings.TrimPrefix(base, "http://"), user, n, user, time.Now().Format(time.RFC3339Nano)))
	close(l.more)
	l.more = make(chan struct{})
}

func (l *logs) cursor(base, cursor string) (int, error) {
	instance, position, _ := strings.Cut(cursor, ".")
	if instance != strconv.Itoa(l.pods[base].instance) {
		return 0, events.ErrOtherLog
	}
	return strconv.Atoi(position)
}

var errAway = errors.New("away")

func (l *logs) fail() error {
	if l.rng.Float64() < l.fails {
		return errAway
	}
	return nil
}

// sink is the only one that the pods have.
const sink = "s"

func (l *logs) Pull(ctx context.Context, base string, q events.Query) ([]events.Line, error) {
	if q.Sink != sink {
		return nil, events.ErrUnknownSink
	}
	for timeout := time.After(q.Wait); ; {
		l.mu.Lock()
		more := l.more
		l.mu.Unlock()
		if out, err := l.pull(base, q); len(out) > 0 || err != nil || q.Wait == 0 {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout:
			return nil, nil
		case <-more:
		}
	}
}

func (l *logs) pull(base string, q events.Query) ([]events.Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.fail(); err != nil {
		return nil, err
	}
	p := l.pods[base]
	from := p.acked
	if q.After != "" {
		n, err := l.cursor(base, q.After)
		if err != nil {
			return nil, err
		}
		from = max(from, n)
	}
	var out []events.Line
	for i := from; i < len(p.events) && len(out) < q.Limit; i++ {
		if p.events[i] != "" {
			out = append(out, events.Line{Cursor: fmt.Sprintf("%d.%d", p.instance, i+1), Event: []byte(p.events[i])})
		}
	}
	return out, nil
}

func (l *logs) Ack(_ context.Context, base string, a events.Ack) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.fail(); err != nil {
		return err
	}
	if a.Sink != sink {
		return events.ErrUnknownSink
	}
	n, err := l.cursor(base, a.Cursor)
	if err == nil {
		l.pods[base].acked = max(l.pods[base].acked, n)
	}
	return err
}

func (l *logs) Dead(_ context.Context, base string, d events.Dead) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.fail(); err != nil {
		return err
	}
	if d.Sink != sink {
		return events.ErrUnknownSink
	}
	n, err := l.cursor(base, d.Cursor)
	if err != nil {
		return err
	}
	if l.pods[base].events[n-1] == "" {
		return events.ErrNotPending
	}
	l.pods[base].dead[n], l.pods[base].events[n-1] = d.Reason, ""
	return l.fail() // an answer that gets lost
}

// pending returns how many events are neither acknowledged nor dead letters.
func (l *logs) pending() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pods {
		for _, e := range p.events[p.acked:] {
			if e != "" {
				n++
			}
		}
	}
	return n
}

func (l *logs) deadLetters() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pods {
		n += len(p.dead)
	}
	return n
}

// receiver counts the events that it accepted, and records those that arrived out of order.
type receiver struct {
	mu sync.Mutex
	taken
	last   map[string]int
	answer func(id string) send.Result
	takes  time.Duration
}

// taken is what a receiver got.
type taken struct {
	accepted map[string]int
	disorder []string
	requests int
}

// got returns a copy of what a receiver has so far.
func (r *receiver) got() taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	return taken{maps.Clone(r.accepted), slices.Clone(r.disorder), r.requests}
}

func (r *receiver) send(ctx context.Context, event []byte, _ time.Time) send.Result {
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
		return send.Result{Failure: "the relay is shutting down"}
	}
	e := parse(event)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if out := r.answer(e.ID); out.Status != 200 {
		return out
	}
	r.accepted[e.ID]++
	i := strings.LastIndexByte(e.ID, '-')
	n, _ := strconv.Atoi(e.ID[i+1:])
	if n > r.last[e.ID[:i]]+1 {
		r.disorder = append(r.disorder, e.ID)
	}
	r.last[e.ID[:i]] = max(r.last[e.ID[:i]], n)
	return send.Result{Status: 200}
}

func newReceiver(answer func(id string) send.Result) *receiver {
	return &receiver{taken: taken{accepted: map[string]int{}}, last: map[string]int{}, answer: answer, takes: 5 * time.Millisecond}
}

func accepts(string) send.Result { return send.Result{Status: 200} }

func start(ctx context.Context, l *logs, r *receiver) (*Pump, func()) {
	ctx, cancel := context.WithCancel(ctx)
	p := New(Options{
		Sink: sink, Source: l, Send: r.send, GiveUp: 24 * time.Hour, Log: slog.New(slog.DiscardHandler),
		Wants: func(e *Event) bool { return e.Key != "ns/skipped" },
	})
	var bases []string
	for b := range l.pods {
		bases = append(bases, b)
	}
	p.SetPods(bases)
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	return p, func() { cancel(); <-done }
}

const podA, podB = "http://a", "http://b"

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := newLogs(podA, podB), newReceiver(accepts)
		for i := range 1000 {
			l.add(podA, fmt.Sprint("u", i%20), i/20+1)
			l.add(podB, "skipped", i+1)
		}
		p, stop := start(t.Context(), l, r)
		time.Sleep(time.Minute)
		if st := p.State(); len(r.got().accepted) != 1000 || l.pending() != 0 || len(r.got().disorder) > 0 || st.Delivered != 1000 || st.Filtered != 1000 || st.Held != 0 {
			t.Errorf("%d accepted, %d pending, disorder %v, %+v", len(r.got().accepted), l.pending(), r.got().disorder, st)
		}
		l.add(podB, "v", 1) // one that comes later is delivered at once
		time.Sleep(time.Second)
		if stop(); r.got().accepted["b-v-1"] != 1 {
			t.Error("a later event was not delivered")
		}
	})
}

// The relay is ended and started again at any moment, pods and receiver fail now and then: no event is missing, none comes
// before an earlier one of its user, and duplicates have the same id.
func TestRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA, podB)
		l.fails = 0.05
		rng, answers := rand.New(rand.NewPCG(5, 6)), rand.New(rand.NewPCG(7, 8)) // the second one is used with the receiver's lock
		r := newReceiver(func(string) send.Result {
			switch n := answers.IntN(10); {
			case n == 0:
				return send.Result{Status: 503}
			case n == 1:
				return send.Result{Failure: "connection reset by peer"}
			}
			return send.Result{Status: 200}
		})
		total := 0
		for round := range 40 {
			for i := range 50 {
				l.add(podA, fmt.Sprint("u", i%5), round*10+i/5+1)
				l.add(podB, fmt.Sprint("w", i%5), round*10+i/5+1)
				total += 2
			}
			ctx, cancel := context.WithCancel(t.Context())
			_, stop := start(ctx, l, r)
			time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
			if stop(); round == 39 {
				_, stop = start(t.Context(), l, r)
				time.Sleep(2 * time.Hour)
				stop()
			}
			cancel()
		}
		duplicates := -total
		for _, n := range r.got().accepted {
			duplicates += n
		}
		t.Logf("PUMP %d events, 40 restarts: %d duplicates, %d missing, %d out of order", total, duplicates, total-len(r.got().accepted), len(r.got().disorder))
		if len(r.got().accepted) != total || len(r.got().disorder) > 0 || l.pending() != 0 {
			t.Errorf("%d of %d accepted, %d pending, disorder %v", len(r.got().accepted), total, l.pending(), r.got().disorder)
		}
	})
}

// A pod keeps a dead letter, and its answer gets lost: what follows is acknowledged nevertheless.
func TestLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		l.fails = 0.5
		r := newReceiver(func(id string) send.Result {
			if strings.HasSuffix(id, "5") {
				return send.Result{Status: 400}
			}
			return send.Result{Status: 200}
		})
		for i := range 100 {
			l.add(podA, fmt.Sprint("u", i%10), i/10+1)
		}
		_, stop := start(t.Context(), l, r)
		time.Sleep(time.Hour)
		if stop(); l.pending() != 0 || l.deadLetters() != 10 || len(r.got().accepted) != 90 {
			t.Errorf("%d pending, %d dead, %d accepted", l.pending(), l.deadLetters(), len(r.got().accepted))
		}
	})
}

// A pod at the same address with other events: nothing from the first pod is mistaken for the second one's.
func TestAnotherPodAtTheSameAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := newLogs(podA), newReceiver(accepts)
		l.add(podA, "u", 1)
		l.add(podA, "u", 2)
		_, stop := start(t.Context(), l, r)
		time.Sleep(time.Second)
		l.mu.Lock()
		l.pods[podA].instance, l.pods[podA].events, l.pods[podA].acked = 1, nil, 0
		l.mu.Unlock()
		for i := range 5 {
			l.add(podA, "v", i+1)
		}
		time.Sleep(time.Minute)
		if stop(); len(r.got().accepted) != 7 || l.pending() != 0 {
			t.Errorf("%v, %d pending", r.got().accepted, l.pending())
		}
	})
}

// What is sent, when, and what the state says, for receivers that are failing.
func TestReceivers(t *testing.T) {
	for name, c := range map[string]struct {
		answer            send.Result
		requests          [2]int // in the first hour
		pending, dead     int    // after it
		reason, suspended string
		recovers          bool
	}{
		"500":         {send.Result{Status: 500}, [2]int{20, 120}, 100, 0, "the receiver answered 500 Internal Server Error", "", true},
		"429":         {send.Result{Status: 429, RetryAfter: "1200"}, [2]int{30, 64}, 100, 0, "the receiver answered 429 Too Many Requests", "", true},
		"410":         {send.Result{Status: 410}, [2]int{1, Parallel}, 100, 0, "the receiver answered 410 Gone", "the receiver answered 410 Gone", false},
		"301":         {send.Result{Status: 301}, [2]int{100, 100}, 0, 100, "", "", false},
		"400":         {send.Result{Status: 400}, [2]int{100, 100}, 0, 100, "", "", false},
		"hang":        {send.Result{Failure: "no answer within 30s"}, [2]int{20, 200}, 100, 0, "no answer within 30s", "", true},
		"TLS errors":  {send.Result{Failure: "TLS: the receiver does not speak TLS"}, [2]int{20, 200}, 100, 0, "TLS: the receiver does not speak TLS", "", true},
		"accepts all": {send.Result{Status: 200}, [2]int{100, 100}, 0, 0, "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				l := newLogs(podA)
				r := newReceiver(func(string) send.Result {
					if time.Since(began) < time.Hour {
						return c.answer
					}
					return send.Result{Status: 200}
				})
				for i := range 100 {
					l.add(podA, fmt.Sprint("u", i%20), i/20+1)
				}
				p, stop := start(t.Context(), l, r)
				defer stop()
				time.Sleep(time.Hour - time.Second)
				st, n := p.State(), r.got().requests
				t.Logf("PUMP %-12s %3d requests in an hour, %3d pending, %3d dead letters, %q %q", name, n, l.pending(), l.deadLetters(), st.Reason, st.Suspended)
				if n < c.requests[0] || n > c.requests[1] || l.pending() != c.pending || l.deadLetters() != c.dead || st.Reason != c.reason || st.Suspended != c.suspended {
					t.Errorf("%d requests, %d pending, %d dead, %+v", n, l.pending(), l.deadLetters(), st)
				}
				delivered, retried := 0, n-c.dead // an attempt is retried unless it settles its event
				if c.answer.Status == 200 {
					delivered, retried = n, 0
				}
				if c.suspended != "" {
					retried = 0
				}
				if int(st.Delivered) != delivered || int(st.State.Dead) != c.dead || int(st.Retried) != retried || (delivered > 0) == st.LastDelivered.IsZero() {
					t.Errorf("after %d requests: %+v", n, st)
				}
				time.Sleep(2 * time.Hour)
				if delivered := len(r.got().accepted) == 100; delivered != c.recovers {
					t.Errorf("after two more hours %d are delivered", len(r.got().accepted))
				}
			})
		})
	}
}

// What is older than a day is a dead letter, and does not come back.
func TestADayOf500(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		r := newReceiver(func(string) send.Result { return send.Result{Status: 500} })
		for i := range 30 {
			l.add(podA, fmt.Sprint("u", i%10), i/10+1)
		}
		_, stop := start(t.Context(), l, r)
		time.Sleep(25 * time.Hour)
		if stop(); l.deadLetters() != 30 || l.pending() != 0 {
			t.Errorf("%d dead letters, %d pending", l.deadLetters(), l.pending())
		}
	})
}

// A backlog of 100,000 events of 1,000 users is delivered in memory that does not grow with it.
func TestBacklog(t *testing.T) {
	l, r := newLogs(podA, podB), newReceiver(accepts)
	r.takes = 0
	for i := range 50_000 {
		l.add(podA, fmt.Sprint("u", i%500), i/500+1)
		l.add(podB, fmt.Sprint("w", i%500), i/500+1)
	}
	var before, m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began, most := time.Now(), uint64(0)
	p, stop := start(t.Context(), l, r)
	for l.pending() > 0 && time.Since(began) < 5*time.Minute {
		time.Sleep(100 * time.Millisecond)
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	took := time.Since(began)
	stop()
	t.Logf("PUMP backlog of 100,000 events: %s, %d MiB more heap at most", took.Round(100*time.Millisecond), (most-min(most, before.HeapAlloc))>>20)
	if st := p.State(); st.Delivered < 100_000 || len(r.got().disorder) > 0 || most > before.HeapAlloc+128<<20 {
		t.Errorf("%+v, disorder %d, heap %d MiB", st, len(r.got().disorder), most>>20)
	}
}

// hasty is a pod that answers at once, always the same.
type hasty struct {
	*logs
	err   error
	calls int
}

func (h *hasty) Pull(ctx context.Context, _ string, _ events.Query) ([]events.Line, error) {
	if h.calls++; h.calls > 1000 {
		<-ctx.Done()
	}
	return nil, h.err
}

// TestHastyPods: a pod that answers without waiting for events, or rejects its own cursors, is not polled continuously.
func TestHastyPods(t *testing.T) {
	for _, err := range []error{nil, events.ErrOtherLog, events.ErrUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			h := &hasty{logs: newLogs(podA), err: err}
			p := New(Options{Sink: sink, Source: h, Log: slog.New(slog.DiscardHandler), Wants: func(*Event) bool { return true }})
			p.SetPods([]string{podA})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { p.Run(ctx); close(done) }()
			time.Sleep(10 * time.Minute)
			cancel()
			<-done
			if h.calls < 10 || h.calls > 700 {
				t.Errorf("%v: %d questions in ten minutes", err, h.calls)
			}
		})
	}
}

// TestShortPods: a pod that is running out of room for events does not have to keep those that were delivered behind one on which
// the receiver fails.
func TestShortPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogs(podA)
		r := newReceiver(func(id string) send.Result {
			if id == "a-u-1" {
				return send.Result{Status: 500}
			}
			return send.Result{Status: 200}
		})
		l.add(podA, "u", 1)
		for i := range 300 {
			l.add(podA, "v", i+1)
		}
		p, stop := start(t.Context(), l, r)
		time.Sleep(10 * time.Minute)
		if n := l.pending(); n != 301 || l.deadLetters() != 0 {
			t.Errorf("%d pending, %d dead letters", n, l.deadLetters())
		}
		p.SetAlmostFull(map[string]bool{podA: true})
		time.Sleep(time.Minute)
		if stop(); l.pending() != 0 || l.deadLetters() != 1 {
			t.Errorf("%d pending, %d dead letters", l.pending(), l.deadLetters())
		}
	})
}
