package pump

import (
	"context"
	"errors"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/queue"
)

// report reports the results for its events to each pod, unless a report is in progress. It returns how long to wait before
// retrying a report that failed.
func (p *Pump) report(ctx context.Context, now time.Time) time.Duration {
	wait := maxWait
	for base, is := range p.pods {
		if is.reporting {
			continue
		}
		report := p.queue.Report(base)
		if report.Empty() {
			continue
		}
		if left := is.notBefore.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		is.reporting = true
		go func() {
			t := p.reportTo(ctx, base, report)
			select {
			case p.reported <- t:
			case <-ctx.Done():
			}
		}()
	}
	return wait
}

// reportTo reports dead letters first: acknowledging an event before it is a dead letter would lose it.
func (p *Pump) reportTo(ctx context.Context, base string, r queue.Report) reportResult {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	t := reportResult{base: base, report: r}
	for _, l := range r.Dead {
		t.err = p.Source.Dead(ctx, base, events.Dead{Sink: p.Sink, Cursor: l.Cursor, Reason: l.Reason})
		if errors.Is(t.err, events.ErrNotPending) {
			t.err = nil // the pod has it from an earlier report whose answer was lost
		}
		if t.err != nil {
			return t
		}
		t.buried = append(t.buried, l)
	}
	if r.Cursor != "" {
		t.err = p.Source.Ack(ctx, base, events.Ack{Sink: p.Sink, Cursor: r.Cursor})
	}
	return t
}

// handleReport handles the result of a report to a pod.
func (p *Pump) handleReport(t reportResult) {
	for _, l := range t.buried {
		p.queue.Buried(t.base, l)
	}
	if t.err == nil {
		p.queue.Acknowledged(t.base, t.report)
	}
	is := p.pods[t.base]
	if is == nil {
		return
	}
	is.reporting = false
	if t.err == nil {
		is.failures = 0
		return
	}
	// The reader finds out that the pod has different events now, and starts over.
	p.Log.Debug("reporting deliveries to a pod failed", "sink", p.Sink, "pod", t.base, "error", t.err)
	is.notBefore = time.Now().Add(min(firstPause<<min(is.failures, 5), maxPause))
	is.failures++
}
