package daemon

import (
	"context"
	"time"
)

const (
	// logsInterval is how often the state of the audit log is looked at, and sayAgain how long
	// nothing more is said of a trouble that goes on.
	logsInterval = time.Second
	sayAgain     = time.Minute
)

// watchLogs says in the daemon's own log when the audit log loses lines, or takes none.
func (d *Daemon) watchLogs(ctx context.Context) {
	t := time.NewTicker(logsInterval)
	defer t.Stop()
	var w auditWatch
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			w.look(d, now)
		}
	}
}

// auditWatch is what was said of the audit log.
type auditWatch struct {
	failures             uint64
	saidLost, saidBlocks time.Time
}

func (w *auditWatch) look(d *Daemon, now time.Time) {
	if n, err := d.audit.Failures(); n > w.failures && now.Sub(w.saidLost) >= sayAgain {
		d.Log.Error("lines of the audit log are lost: standard output does not take them", "lines", n-w.failures, "error", err)
		w.failures, w.saidLost = n, now
	}
	if blocked := d.audit.Blocked(); blocked > 0 && now.Sub(w.saidBlocks) >= sayAgain {
		d.Log.Error("standard output has not taken a line of the audit log for long: logins and sessions wait", "seconds", int(blocked.Seconds()))
		w.saidBlocks = now
	}
}
