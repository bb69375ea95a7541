// Package pump delivers the events of all pods of a listener to one sink: it pulls them, sends those that are due, and tells the
// pods which ones they no longer need to keep. Package queue makes the decisions. Sinks share nothing except the pods, so a slow
// receiver does not slow down the other sinks.
package pump

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/outcome"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/queue"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/send"
)

// Bounds of a sink.
const (
	// Parallel is how many attempts run at a time.
	Parallel   = 16
	maxEntries = 10_000
	maxBytes   = 8 << 20
	// readsOfSink is how many answers with events are read at a time, each from a different pod.
	readsOfSink = 2
	// batch is how many events are pulled at a time.
	batch = 200
	// shutdownTime is how long attempts in flight, and reporting their results to the pods, may take when the relay shuts down.
	shutdownTime = 8 * time.Second
	// maxWait is the longest time to wait before looking again.
	maxWait = 5 * time.Second
	// reportTime bounds the time of a report to a pod.
	reportTime = 10 * time.Second
)

// Source pulls events from pods and reports results to them: events.Client.
type Source interface {
	Pull(ctx context.Context, base string, q events.Query) ([]events.Line, error)
	Ack(ctx context.Context, base string, a events.Ack) error
	Dead(ctx context.Context, base string, d events.Dead) error
}

// Options of a Pump.
type Options struct {
	// Sink is the sink's name.
	Sink   string
	Source Source
	// Wants reports whether an event is for the sink.
	Wants func(*Event) bool
	// Send makes an attempt to send an event.
	Send func(ctx context.Context, event []byte, now time.Time) send.Result
	// GiveUp is how long delivery of an event is attempted.
	GiveUp time.Duration
	Log    *slog.Logger
}

// Event is an event and what the relay needs to know about it.
type Event struct {
	Raw  []byte
	ID   string
	Key  string // the partition key: namespace/name of the user
	Time time.Time
}

// Pump delivers events to one sink.
type Pump struct {
	Options
	queue *queue.Sink
	pods  map[string]*pod
	// changed carries the pods, admit permits a pod's reader to read, batches carries what it read, and results and reported
	// carry what has ended.
	changed  chan []string
	admit    chan struct{}
	batches  chan pulled
	results  chan result
	reported chan reportResult
	// admitted are the readers that are reading.
	admitted atomic.Int32
	// almostFull are the pods that are running out of room for events.
	almostFull atomic.Pointer[map[string]bool]
	// log belongs to the goroutine of Run.
	log tallied

	mu    sync.Mutex
	state State
}

// State is the state of a Pump.
type State struct {
	queue.State
	// Delivered, Retried and Filtered count events since the start.
	Delivered, Retried, Filtered uint64
	// LastDelivered is when an event was last accepted.
	LastDelivered time.Time
}

// pod is a pod whose events are pulled.
type pod struct {
	stop context.CancelFunc
	// reporting is set during a report to the pod. After a failure, there is no other report before notBefore.
	reporting bool
	notBefore time.Time
	failures  int
}

type result struct {
	entry *queue.Entry
	send.Result
}

// reportResult is the result of a report to a pod.
type reportResult struct {
	base   string
	buried []queue.Letter
	report queue.Report
	err    error
}

// New returns a Pump without pods.
func New(o Options) *Pump {
	return &Pump{
		Options: o, pods: map[string]*pod{},
		queue:   queue.New(queue.Limits{Parallel: Parallel, Entries: maxEntries, Bytes: maxBytes, MaxAge: o.GiveUp}),
		changed: make(chan []string, 1), admit: make(chan struct{}), batches: make(chan pulled),
		results: make(chan result), reported: make(chan reportResult), log: tallied{to: o.Log.With("sink", o.Sink)},
	}
}

// SetPods replaces the pods. It must not be called concurrently.
func (p *Pump) SetPods(bases []string) {
	select {
	case <-p.changed: // pods that have not been received yet
	default:
	}
	p.changed <- bases
}

// SetAlmostFull sets which pods are running out of room for events.
func (p *Pump) SetAlmostFull(pods map[string]bool) { p.almostFull.Store(&pods) }

// State returns the sink's state.
func (p *Pump) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Run delivers until ctx ends.
func (p *Pump) Run(ctx context.Context) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var readers sync.WaitGroup
	defer readers.Wait()
	defer p.setPods(ctx, nil, &readers)
	for {
		wake := p.advance(sending)
		timer := time.NewTimer(wake)
		select {
		case <-ctx.Done():
			timer.Stop()
			p.finish(sending)
			return
		case bases := <-p.changed:
			p.setPods(ctx, bases, &readers)
		case p.admits() <- struct{}{}:
			p.admitted.Add(1)
		case b := <-p.batches:
			p.take(b)
		case r := <-p.results:
			p.settle(r)
		case t := <-p.reported:
			p.handleReport(t)
		case <-timer.C:
		}
		timer.Stop()
	}
}

// admits returns the channel that permits a reader to read, or nil while there is no room.
func (p *Pump) admits() chan struct{} {
	if p.queue.Room() && p.admitted.Load() < readsOfSink {
		return p.admit
	}
	return nil
}

// advance starts the attempts and reports that are due, and returns the time until the next ones are.
func (p *Pump) advance(ctx context.Context) time.Duration {
	now := time.Now()
	wait := maxWait
	if short := p.almostFull.Load(); short != nil {
		p.queue.AlmostFull(*short)
	}
	for {
		e, at := p.queue.Next(now)
		if e == nil {
			if !at.IsZero() {
				wait = min(wait, at.Sub(now))
			}
			break
		}
		go p.attempt(ctx, e, e.Body)
	}
	wait = min(wait, p.report(ctx, now))
	st := p.queue.State()
	wait = min(wait, p.log.deadLetters(st.Dead, st.DeadReason, now, false))
	p.publish(func(*State) {})
	return max(wait, time.Millisecond)
}

func (p *Pump) attempt(ctx context.Context, e *queue.Entry, body []byte) {
	r := p.Send(ctx, body, time.Now())
	select {
	case p.results <- result{e, r}:
	case <-ctx.Done():
	}
}

// settle handles the result of an attempt.
func (p *Pump) settle(r result) {
	now := time.Now()
	a := p.queue.Attempt(r.entry, now, rand.Float64()) //nolint:gosec // not a secret
	a.Status, a.RetryAfter, a.Failure = r.Status, r.RetryAfter, r.Failure
	d := outcome.Decide(a)
	before := p.queue.State().Failures
	p.queue.Done(r.entry, d, now)
	p.publish(func(s *State) {
		switch d.Verdict {
		case outcome.Accepted:
			s.Delivered++
			s.LastDelivered = now
		case outcome.Retry:
			s.Retried++
		case outcome.Dead, outcome.Suspend:
		}
	})
	switch {
	case d.Verdict == outcome.Suspend:
		p.Log.Error("the receiver wants no more events, so none are sent until the sink changes", "sink", p.Sink, "reason", d.Reason)
	case d.Verdict == outcome.Retry:
		p.log.failed(d.Reason, now)
	case d.Verdict == outcome.Accepted && before > 0:
		p.log.recovered()
	}
}

func (p *Pump) publish(change func(*State)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.state)
	p.state.State = p.queue.State()
}

// finish waits for attempts in flight, for a bounded time, and reports their results to the pods.
func (p *Pump) finish(ctx context.Context) {
	timeout := time.After(shutdownTime)
	defer func() {
		st := p.queue.State()
		p.log.deadLetters(st.Dead, st.DeadReason, time.Now(), true)
	}()
	for {
		p.report(ctx, time.Now())
		if p.queue.State().Sending == 0 && !p.anyTold() {
			return
		}
		select {
		case r := <-p.results:
			p.settle(r)
		case t := <-p.reported:
			if t.err != nil {
				p.pods[t.base].reporting = false
				return // the event is sent again after the restart, with the same id
			}
			p.handleReport(t)
		case <-p.batches: // the batch is read again after the restart
		case <-timeout:
			return
		}
	}
}

func (p *Pump) anyTold() bool {
	for _, is := range p.pods {
		if is.reporting {
			return true
		}
	}
	return false
}
