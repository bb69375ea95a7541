package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

var (
	eventsPending = prometheus.NewDesc("sftpd_events_pending", "File events that the sink has not acknowledged.", []string{"sink"}, nil)
	eventsOldest  = prometheus.NewDesc("sftpd_events_oldest_seconds", "Age of the oldest file event that the sink has not acknowledged, 0 for none.", []string{"sink"}, nil)
	eventsDropped = prometheus.NewDesc("sftpd_events_dropped_total", "File events that were dropped before the sink acknowledged them.", []string{"sink"}, nil)
	eventsDead    = prometheus.NewDesc("sftpd_events_dead_letters", "Dead letters that are kept for the sink.", []string{"sink"}, nil)
	eventsWritten = prometheus.NewDesc("sftpd_events_written_total", "File events that were recorded.", nil, nil)
	eventsLost    = prometheus.NewDesc("sftpd_events_lost_total", "File events that could not be recorded.", nil, nil)
	eventsBytes   = prometheus.NewDesc("sftpd_events_bytes", "Bytes of file events that were not acknowledged by all sinks.", nil, nil)
	eventsLimit   = prometheus.NewDesc("sftpd_events_limit_bytes", "Bytes that file events may occupy.", nil, nil)
	eventsDurable = prometheus.NewDesc("sftpd_events_durable", "1 if every upload that is answered with OK has an event even if the daemon is killed, 0 if not.", nil, nil)

	receiptsIssued  = prometheus.NewDesc("sftpd_receipts_issued_total", "Receipts for uploads that were signed.", nil, nil)
	receiptsWithout = prometheus.NewDesc("sftpd_uploads_without_receipt_total", "Uploads that have no receipt, because their checksum is not known.", nil, nil)
	receiptsPending = prometheus.NewDesc("sftpd_receipts_pending", "Receipts that were signed, and are not yet where their users find them.", nil, nil)
	receiptsFailing = prometheus.NewDesc("sftpd_receipts_failing", "1 if receipts cannot be written to where their users find them, 0 if not.", nil, nil)
	receiptsStay    = prometheus.NewDesc("sftpd_receipts_not_removed", "1 if old receipts cannot be removed, 0 if they can.", nil, nil)
)

// WatchEvents exports the state of the outbox, nothing while it is off. The number of sinks is bounded by the listener.
func (m *Metrics) WatchEvents(status func() (st events.Status, on bool)) {
	m.Registry.MustRegister(eventsCollector(status))
}

type eventsCollector func() (events.Status, bool)

// Describe implements prometheus.Collector.
func (eventsCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		eventsPending, eventsOldest, eventsDropped, eventsDead, eventsWritten, eventsLost, eventsBytes, eventsLimit, eventsDurable,
		receiptsIssued, receiptsWithout, receiptsPending, receiptsFailing, receiptsStay,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c eventsCollector) Collect(out chan<- prometheus.Metric) {
	st, on := c()
	if !on {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(eventsDurable, oneIf(st.Durable))
	gauge(eventsBytes, float64(st.Bytes))
	gauge(eventsLimit, float64(st.MaxBytes))
	count(eventsWritten, st.Written)
	count(eventsLost, st.Lost)
	for _, s := range st.Sinks {
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(0, time.Since(s.Oldest).Seconds())
		}
		gauge(eventsPending, float64(s.Pending), s.Name)
		gauge(eventsOldest, age, s.Name)
		gauge(eventsDead, float64(s.Dead), s.Name)
		count(eventsDropped, s.Dropped, s.Name)
	}
	if r := st.Receipts; r != nil {
		count(receiptsIssued, r.Issued)
		count(receiptsWithout, r.Without)
		gauge(receiptsPending, float64(r.Pending))
		gauge(receiptsFailing, oneIf(r.Problem != ""))
		gauge(receiptsStay, oneIf(r.NotRemoved != ""))
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
