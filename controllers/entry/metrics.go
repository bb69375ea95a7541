package entry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the metrics of a Reader.
type metrics struct {
	reads       *prometheus.CounterVec
	hashSeconds prometheus.Counter
}

// newMetrics returns the metrics, registered if there is a Registerer.
func newMetrics(registerer prometheus.Registerer, reads, hashes func() int) metrics {
	m := metrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sftp_operator_secret_reads_total",
			Help: "Reads of Secrets that users refer to, by result: ok, or error for those that are retried.",
		}, []string{"result"}),
		hashSeconds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sftp_operator_password_hash_seconds_total",
			Help: "Time spent on hashing users' passwords.",
		}),
	}
	for _, result := range []string{"ok", "error"} {
		m.reads.WithLabelValues(result)
	}
	if registerer != nil {
		registerer.MustRegister(m.reads, m.hashSeconds, queueLength("read", reads), queueLength("hash", hashes))
	}
	return m
}

func queueLength(stage string, length func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "sftp_operator_secret_queue_length",
		Help:        "Entries of Secrets that wait, by what they wait for: to be read, or to be hashed.",
		ConstLabels: prometheus.Labels{"stage": stage},
	}, func() float64 { return float64(length()) })
}

func (m metrics) read(failed bool) {
	result := "ok"
	if failed {
		result = "error"
	}
	m.reads.WithLabelValues(result).Inc()
}

func (m metrics) hashed(d time.Duration) { m.hashSeconds.Add(d.Seconds()) }
