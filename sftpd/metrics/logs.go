package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Logs provides what is exported about the audit log and the daemon's own log.
type Logs struct {
	// AuditFailures returns how many lines of the audit log could not be written.
	AuditFailures func() uint64
	// AuditBlocked returns how long the audit log has not accepted a line, 0 for less than a few seconds.
	AuditBlocked func() time.Duration
	// Dropped returns how many lines of the daemon's own log were dropped. Nil means none.
	Dropped func() uint64
}

// WatchLogs exports the state of the logs whenever the metrics are read.
func (m *Metrics) WatchLogs(l Logs) {
	if l.Dropped == nil {
		l.Dropped = func() uint64 { return 0 }
	}
	m.Registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sftpd_audit_write_failures_total", Help: "Lines of the audit log that standard output did not accept, and that are lost.",
		}, func() float64 { return float64(l.AuditFailures()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sftpd_audit_blocked_seconds", Help: "How long a line of the audit log has been waiting for standard output, 0 for less than 5 seconds. Meanwhile, logins and sessions wait.",
		}, func() float64 { return l.AuditBlocked().Seconds() }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sftpd_log_dropped_lines_total", Help: "Lines of the daemon's own log that standard error did not accept.",
		}, func() float64 { return float64(l.Dropped()) }),
	)
}
