// Package metrics holds the daemon's Prometheus metrics. No label takes a value that a
// client chooses, so the number of series is bounded: no login names, addresses or paths.
package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Metrics holds the daemon's metrics, in a separate registry.
type Metrics struct {
	// Registry to serve.
	Registry *prometheus.Registry

	connections, sessions         prometheus.Gauge
	logins, refusals, negotiated  *prometheus.CounterVec
	transfers, transferBytes      *prometheus.CounterVec
	operations, revocations       *prometheus.CounterVec
	hostKeyProofs, traceSpans     *prometheus.CounterVec
	reloads, reloadErrors, probes prometheus.Counter
	hashed                        prometheus.Counter
	expired, expiredBytes         *prometheus.CounterVec
	loaded, users, rejected       prometheus.Gauge
	sessionTime                   prometheus.Histogram
	transferTime                  *prometheus.HistogramVec
}

// New returns the metrics of a daemon with a version.
func New(version string) *Metrics {
	m := &Metrics{
		Registry:      prometheus.NewRegistry(),
		connections:   gauge("sftpd_connections", "Open TCP connections, including logins in progress."),
		sessions:      gauge("sftpd_sessions", "Connections that are logged in."),
		logins:        counters("sftpd_logins_total", "Decided logins and login attempts, by SSH method (several in their order, with +) and result (ok, refused).", "method", "result"),
		negotiated:    counters("sftpd_negotiated_algorithms_total", "Logins by what was negotiated: the kind (key_exchange, cipher, mac, host_key, public_key) and the algorithm.", "kind", "algorithm"),
		refusals:      counters("sftpd_refusals_total", "Refused connections and logins, by reason.", "reason"),
		revocations:   counters("sftpd_revocations_total", "Sessions that the daemon closed, by reason.", "reason"),
		transfers:     counters("sftpd_transfers_total", "Files that were opened and closed, by direction (download, upload, both) and result (ok, failed, aborted).", "direction", "result"),
		transferBytes: counters("sftpd_transfer_bytes_total", "Bytes of files, by direction (download, upload).", "direction"),
		hashed:        counter("sftpd_hashed_bytes_total", "Bytes of files that were read for hashes that clients asked for."),
		operations:    counters("sftpd_operations_total", "Changes to the tree and refused requests, by SFTP request and result (ok, refused, failed).", "operation", "result"),
		expired:       counters("sftpd_retention_deleted_files_total", "Files and empty directories that retention deleted, by rule.", "rule"),
		expiredBytes:  counters("sftpd_retention_deleted_bytes_total", "Bytes of files that retention deleted, by rule.", "rule"),
		hostKeyProofs: counters("sftpd_host_key_proofs_total", "Requests from logged-in clients for proofs of host keys that they do not know yet (hostkeys-prove-00@openssh.com), by result (answered, refused).", "result"),
		traceSpans:    counters("sftpd_trace_spans_total", "Spans of traces by result: sent to the collector, dropped for lack of room, or refused by the collector.", "result"),
		probes:        counter("sftpd_tcp_probes_total", "Connections that were closed by the peer before it sent anything, as load balancers do."),
		reloads:       counter("sftpd_config_reloads_total", "Configurations that were loaded."),
		reloadErrors:  counter("sftpd_config_reload_errors_total", "Configurations that could not be loaded; the last good one stays in use."),
		loaded:        gauge("sftpd_config_loaded_timestamp_seconds", "When the configuration in use was loaded, in seconds since 1970; 0 before the first."),
		sessionTime:   prometheus.NewHistogram(times("sftpd_session_duration_seconds", "Time from the login to the end of sessions that have ended.")),
		transferTime: prometheus.NewHistogramVec(times("sftpd_transfer_duration_seconds", "Time for which files were open, by direction (download, upload, both)."),
			[]string{"direction"}),
		users:    gauge("sftpd_config_users", "Users who can log in."),
		rejected: gauge("sftpd_config_rejected_users", "Users whose records cannot be used."),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sftpd_build_info", Help: "1, with the daemon's version.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	m.Registry.MustRegister(build, m.connections, m.sessions, m.logins, m.negotiated, m.refusals, m.revocations, m.transfers,
		m.transferBytes, m.hashed, m.operations, m.expired, m.expiredBytes, m.hostKeyProofs, m.traceSpans, m.probes,
		m.reloads, m.reloadErrors, m.loaded, m.users, m.rejected, m.sessionTime, m.transferTime,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, result := range []string{"answered", "refused"} {
		m.hostKeyProofs.WithLabelValues(result)
	}
	for _, result := range []string{"sent", "dropped", "refused"} {
		m.traceSpans.WithLabelValues(result)
	}
	for _, reason := range alerting {
		m.refusals.WithLabelValues(string(reason))
	}
	return m
}

// alerting are the reasons that config/prometheus has alerts for. They exist from the
// start: Prometheus sees no increase if a counter appears with its first event.
var alerting = []event.Reason{
	event.MaxConnections, event.Startups, event.OpenFiles, event.AcceptFailed, event.PasswordQueueFull, event.StorageUnavailable,
	event.InternalError,
}

// Watch adds gauges that are computed when they are read: the connections that are not
// logged in yet, and the penalized sources. It must be called at most once.
func (m *Metrics) Watch(startups, penalized func() int) {
	for _, g := range []struct {
		name, help string
		value      func() int
	}{
		{"sftpd_startups", "Connections that have not authenticated yet.", startups},
		{"sftpd_penalized_sources", "Sources that are currently penalized.", penalized},
	} {
		m.Registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 { return float64(g.value()) }))
	}
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

// times returns the options of a histogram for durations from less than a second to hours.
func times(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Name: name, Help: help, Buckets: []float64{0.1, 1, 10, 60, 600, 3600, 6 * 3600}}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// ConfigLoaded counts a configuration that is now in use.
func (m *Metrics) ConfigLoaded(at time.Time, users, rejected int) {
	m.reloads.Inc()
	m.loaded.Set(float64(at.UnixMilli()) / 1000)
	m.users.Set(float64(users))
	m.rejected.Set(float64(rejected))
}

// TraceSpans counts spans by result.
func (m *Metrics) TraceSpans(result string, spans int) {
	m.traceSpans.WithLabelValues(result).Add(float64(spans))
}

// ConfigFailed counts a configuration that could not be loaded.
func (m *Metrics) ConfigFailed() { m.reloadErrors.Inc() }
