package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

var (
	retentionLabels = []string{"rule", "volume"}
	retentionRun    = prometheus.NewDesc("sftpd_retention_last_run_timestamp_seconds",
		"When a retention rule last ran on a volume, in seconds since 1970.", retentionLabels, nil)
	retentionDue = prometheus.NewDesc("sftpd_retention_due_files",
		"Files that a retention rule found due in its last run, whether it deletes them or only reports.", retentionLabels, nil)
	retentionHalted = prometheus.NewDesc("sftpd_retention_halted",
		"1 if a retention rule does not delete although it should, by reason (TooMany, Clock, Hold, Volume, Incomplete), else 0 with the reason none.",
		append(retentionLabels[:2:2], "reason"), nil)
)

// WatchRetention exports the last runs of retention. The listener bounds the number of rules and volumes.
func (m *Metrics) WatchRetention(status func() []config.RetentionStatus) {
	m.Registry.MustRegister(retentionCollector(status))
}

type retentionCollector func() []config.RetentionStatus

// Describe implements prometheus.Collector.
func (retentionCollector) Describe(out chan<- *prometheus.Desc) {
	out <- retentionRun
	out <- retentionDue
	out <- retentionHalted
}

// Collect implements prometheus.Collector.
func (c retentionCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, r := range c() {
		if !r.LastRun.IsZero() {
			gauge(retentionRun, float64(r.LastRun.Unix()), r.Rule, r.Volume)
			gauge(retentionDue, float64(r.Due), r.Rule, r.Volume)
		}
		if r.Halted == "" {
			gauge(retentionHalted, 0, r.Rule, r.Volume, "none")
		} else {
			gauge(retentionHalted, 1, r.Rule, r.Volume, string(r.Halted))
		}
	}
}
