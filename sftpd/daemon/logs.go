package daemon

import (
	"context"
	"time"
)

const (
	// logsInterval is how often the state of the audit log is checked, and sayAgain is the
	// interval for repeating a warning.
	logsInterval = time.Second
	sayAgain     = time.Minute
)

// watchLogs warns in the daemon's own log when the audit log loses lines or is blocked.
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

// auditWatch holds what was last logged about the audit log.
type auditWatch struct {
	failures             uint64
	saidLost, saidBlocks time.Time
}

func (w *auditWatch) look(d *Daemon, now time.Time) {
	if n, err := d.audit.Failures(); n > w.failures && now.Sub(w.saidLost) >= sayAgain {
		d.Log.Error("lines of the audit log are lost: standard output does not accept them", "lines", n-w.failures, "error", err)
		w.failures, w.saidLost = n, now
	}
	if blocked := d.audit.Blocked(); blocked > 0 && now.Sub(w.saidBlocks) >= sayAgain {
		d.Log.Error("standard output has not accepted a line of the audit log for a long time: logins and sessions are waiting", "seconds", int(blocked.Seconds()))
		w.saidBlocks = now
	}
}
