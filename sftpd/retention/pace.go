package retention

import (
	"context"
	"time"
)

const (
	// paceSteps is how many entries are read between pauses.
	paceSteps = 64
	// paceShare is how many times as long a pause takes as the work before it.
	paceShare = 4
	// maxPause bounds a pause after a volume was slow to answer.
	maxPause = 5 * time.Second
)

// pace makes a run work for a fifth of the time, which leaves the volume and the processor to transfers during the rest. It
// adapts to slow volumes, because the pause is proportional to the time of the work.
type pace struct {
	steps int
	since time.Time
	sleep func(context.Context, time.Duration) error
}

func newPace() *pace { return &pace{since: time.Now(), sleep: sleep} }

// step counts an entry, and pauses when it is time. It returns an error when ctx has ended.
func (p *pace) step(ctx context.Context) error {
	if p.steps++; p.steps%paceSteps != 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	err := p.sleep(ctx, min(paceShare*time.Since(p.since), maxPause))
	p.since = time.Now()
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
