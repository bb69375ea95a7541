package pump

import (
	"context"
	"errors"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/queue"
)

// tell tells each pod what has become of its events, unless it is being told something already. It returns
// how long to wait before retrying a pod that could not be told.
func (p *Pump) tell(ctx context.Context, now time.Time) time.Duration {
	wait := maxWait
	for base, is := range p.pods {
		if is.telling {
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
		is.telling = true
		go func() {
			t := p.tellPod(ctx, base, report)
			select {
			case p.told <- t:
			case <-ctx.Done():
			}
		}()
	}
	return wait
}

// tellPod tells a pod of dead letters first: an acknowledgment of one would lose it.
func (p *Pump) tellPod(ctx context.Context, base string, r queue.Report) telling {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	t := telling{base: base, report: r}
	for _, l := range r.Dead {
		t.err = p.Source.Dead(ctx, base, events.Dead{Sink: p.Sink, Cursor: l.Cursor, Reason: l.Reason})
		if errors.Is(t.err, events.ErrNotPending) {
			t.err = nil // the pod was told before, and its answer got lost
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

// noteTold takes the result of telling a pod.
func (p *Pump) noteTold(t telling) {
	for _, l := range t.buried {
		p.queue.Buried(t.base, l)
	}
	if t.err == nil {
		p.queue.Told(t.base, t.report)
	}
	is := p.pods[t.base]
	if is == nil {
		return
	}
	is.telling = false
	if t.err == nil {
		is.failures = 0
		return
	}
	// Its reader finds out that the pod has other events now, and then begins again.
	p.Log.Debug("a pod cannot be told what was delivered", "sink", p.Sink, "pod", t.base, "error", t.err)
	is.notBefore = time.Now().Add(min(firstPause<<min(is.failures, 5), maxPause))
	is.failures++
}
