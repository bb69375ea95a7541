package audit

import (
	"context"
	"time"
)

const (
	// refusalsWaiting bounds the lines of refusals that wait for the audit log. The tally knows 1,024 kinds, each of
	// which has one line at first; what does not fit is counted there and has its line later.
	refusalsWaiting = 1024
	// tallyEvery is how often it is looked for repeated refusals whose interval is over.
	tallyEvery = time.Second
)

// refusals are written by a goroutine of their own: those who refuse are the accept loop, which must not wait for the
// audit log, and connections whose place somebody else is to have.
type refusals struct {
	to *Log
	// tally has the refusals that are not worth a line each.
	tally *Tally
	lines chan Entry
}

func newRefusals(to *Log) *refusals {
	return &refusals{
		to: to, tally: NewTally(time.Now),
		lines: make(chan Entry, refusalsWaiting),
	}
}

// add has a refusal logged unless the same was logged lately. It does not block.
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

// run writes until ctx ends, and then what is left.
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

// repeat logs how often refusals came again.
func (r *refusals) repeat(again []Repeated) {
	for _, a := range again {
		e := Entry{Event: a.Event, Result: Refused, Reason: a.Reason, Count: a.Count}
		if a.Source.IsValid() {
			e.Source = a.Source.String()
		}
		r.to.Write(e)
	}
}
