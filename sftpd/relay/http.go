package relay

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

const (
	requestTime    = 10 * time.Second
	maxHeaderBytes = 8 << 10
)

// server returns the server of the status port: /livez and /readyz for the kubelet, /metrics for Prometheus, and
// delivery.StatusPath for the operator. Only the last one reveals why something fails, so only it needs a proof.
func (r *Relay) server() *http.Server {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{r})
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }
	mux.HandleFunc("GET /livez", ok)
	mux.HandleFunc("GET /readyz", ok)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: requestTime}))
	mux.HandleFunc("GET "+delivery.StatusPath, r.status)
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: requestTime,
		IdleTimeout: time.Minute, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(r.Log.Handler(), slog.LevelDebug),
	}
}

// status answers clients that have the key, sealed so that only they can read it.
func (r *Relay) status(w http.ResponseWriter, req *http.Request) {
	nonce := req.Header.Get(events.NonceHeader)
	if !events.Proven(req.Header.Get(events.ProofHeader), r.key, nonce, req.Method, req.URL.RequestURI(), nil) {
		http.Error(w, "only the operator gets an answer", http.StatusUnauthorized)
		return
	}
	body, err := json.Marshal(r.state())
	if err == nil {
		body, err = events.Seal(r.key, nonce, body)
	}
	if err != nil {
		http.Error(w, "the status cannot be sealed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) //nolint:gosec // sealed, not HTML; an error means that the client is gone
}

// collector collects the metrics of a relay from its status.
type collector struct{ relay *Relay }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sftp_relay_"+name, help, append([]string{"sink"}, labels...), nil)
}

var (
	eventsDesc    = desc("events_total", "Attempts and decisions about events, by result.", "result")
	pendingDesc   = desc("pending_events", "Events that the pods keep for a sink and that are not settled.")
	oldestDesc    = desc("oldest_event_seconds", "Age of the oldest pending event, 0 for none.")
	deadDesc      = desc("dead_letters", "Dead letters that the pods keep.")
	suspendedDesc = desc("suspended", "1 for a sink whose receiver answered 410, 0 otherwise.")
	heldDesc      = desc("held", "1 for a sink that cannot be used as it is configured, 0 otherwise.")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		eventsDesc, pendingDesc, oldestDesc, deadDesc, suspendedDesc, heldDesc,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	st := c.relay.state()
	for i, s := range c.relay.sinks {
		of := st.Sinks[i]
		gauge(pendingDesc, float64(of.Pending), s.Name)
		age := 0.0
		if !of.Oldest.IsZero() {
			age = max(time.Since(of.Oldest).Seconds(), 0)
		}
		gauge(oldestDesc, age, s.Name)
		gauge(deadDesc, float64(of.Dead), s.Name)
		gauge(suspendedDesc, bit(of.Suspended != ""), s.Name)
		gauge(heldDesc, bit(of.Held != ""), s.Name)
		if s.pump == nil {
			continue
		}
		p := s.pump.State()
		for result, n := range map[string]uint64{
			"delivered": p.Delivered, "dead": p.Dead, "retried": p.Retried, "filtered": p.Filtered, "unfiltered": s.unfiltered.n.Load(),
		} {
			out <- prometheus.MustNewConstMetric(eventsDesc, prometheus.CounterValue, float64(n), s.Name, result)
		}
	}
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
