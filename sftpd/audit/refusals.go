package audit

import (
	"context"
	"time"
)

const (
	// refusalsWaiting bounds the lines of refusals that wait for the audit log. The tally has 1,024 kinds, each with
	// one line at first; what does not fit is counted there and gets its line later.
	refusalsWaiting = 1024
	// tallyEvery is how often to check for repeated refusals whose interval is over.
	tallyEvery = time.Second
)

// refusals are written by a separate goroutine: refusals come from the accept loop, which must not wait for the audit log, and
// from connections whose place is needed by others.
type refusals struct {
	to *Log
	// tally counts the refusals that are not logged individually.
	tally *Tally
	lines chan Entry
}

func newRefusals(to *Log) *refusals {
	return &refusals{
		to: to, tally: NewTally(time.Now),
		lines: make(chan Entry, refusalsWaiting),
	}
}

// add queues a refusal for logging unless the same one was logged recently. It does not block.
func (r *refusals) add(e Entry, what Refusal) {
	if !r.tally.Count(what) {
		return
	}
	select {
	case r.lines <- e:
	default:
		r.tally.Unwritten(what)
	}
}

// run writes until ctx ends, and then writes what is left.
func (r *refusals) run(ctx context.Context) {
	t := time.NewTicker(tallyEvery)
	defer t.Stop()
	for {
		select {
		case e := <-r.lines:
			r.to.Write(e)
		case <-t.C:
			r.repeat(r.tally.Due())
		case <-ctx.Done():
			r.last()
			return
		}
	}
}

func (r *refusals) last() {
	for {
		select {
		case e := <-r.lines:
			r.to.Write(e)
		default:
			r.repeat(r.tally.All())
			return
		}
	}
}

// repeat logs how often refusals were repeated.
func (r *refusals) repeat(again []Repeated) {
	for _, a := range again {
		e := Entry{Event: a.Event, Result: Refused, Reason: a.Reason, Count: a.Count}
		if a.Source.IsValid() {
			e.Source = a.Source.String()
		}
		r.to.Write(e)
	}
}
