package server

import (
	"context"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
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
	audit *audit.Log
	// tally has the refusals that are not worth a line each.
	tally *audit.Tally
	lines chan audit.Entry
	// done is closed when run has ended.
	done chan struct{}
}

func newRefusals(to *audit.Log) *refusals {
	return &refusals{
		audit: to, tally: audit.NewTally(time.Now),
		lines: make(chan audit.Entry, refusalsWaiting), done: make(chan struct{}),
	}
}

// add has a refusal logged unless the same was logged lately. It does not block.
func (r *refusals) add(e audit.Entry, what audit.Refusal) {
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
	defer close(r.done)
	t := time.NewTicker(tallyEvery)
	defer t.Stop()
	for {
		select {
		case e := <-r.lines:
			r.audit.Write(e)
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
			r.audit.Write(e)
		default:
			r.repeat(r.tally.All())
			return
		}
	}
}

// refuse counts a connection that ends before a user is named, and logs it unless the same
// was logged lately.
func (c *conn) refuse(reason event.Reason, detail string) {
	c.server.Metrics.Refusal(reason)
	e := c.entry(audit.ConnectionRefused, audit.Refused, string(reason))
	e.Detail = detail
	c.log(e)
}

// log logs a refusal unless the same was logged lately. It does not wait for the log.
func (c *conn) log(e audit.Entry) {
	c.server.refusals.add(e, audit.Refusal{Event: e.Event, Reason: e.Reason, Source: c.place.Source()})
}

// repeat logs how often refusals came again.
func (r *refusals) repeat(again []audit.Repeated) {
	for _, a := range again {
		e := audit.Entry{Event: a.Event, Result: audit.Refused, Reason: a.Reason, Count: a.Count}
		if a.Source.IsValid() {
			e.Source = a.Source.String()
		}
		r.audit.Write(e)
	}
}
