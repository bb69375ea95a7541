// Package trace sends spans of SSH connections to an OpenTelemetry collector. It speaks
// OTLP over HTTP in the JSON encoding (OTLP specification, "OTLP/HTTP Request" and "JSON
// Protobuf Encoding"), using only the standard library: OpenTelemetry's SDK would cost each
// daemon 6 MB of program and 4 MB of memory before the first span.
package trace

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// scopeName identifies the source of the spans.
const scopeName = "github.com/sftp-operator/sftp-operator/sftpd/trace"

// Results of spans, as in the metric.
const (
	Sent    = "sent"    // the collector accepted them
	Dropped = "dropped" // there was no room for more
	Refused = "refused" // the collector rejected them
)

// Exporter sends spans. Nil discards them. It is safe for concurrent use.
type Exporter struct {
	version string
	count   func(result string, spans int)
	log     *slog.Logger
	client  *http.Client
	queue   *queue
	times   times

	// target is nil while nothing should be sent.
	target atomic.Pointer[target]

	// Only Run uses these.
	sending batch
	failing bool
}

// times are constants except in tests.
type times struct {
	// gather is how long spans wait for others, and answer is how long an attempt may take.
	gather, answer time.Duration
	// pause follows an attempt that failed. It doubles up to maxPause.
	pause, maxPause time.Duration
	// last bounds sending the rest when the daemon ends: a pod has ten seconds after its drain.
	last time.Duration
}

var standardTimes = times{
	gather: 5 * time.Second, answer: 10 * time.Second,
	pause: 5 * time.Second, maxPause: time.Minute, last: 3 * time.Second,
}

// target is where spans go, and which are sampled.
type target struct {
	url     string
	percent int
	request request
}

// New returns an exporter that sends nothing yet. count gets each span's result.
func New(version string, count func(result string, spans int), log *slog.Logger) *Exporter {
	return &Exporter{
		version: version, count: count, log: log, times: standardTimes,
		queue: newQueue(func(spans int) { count(Dropped, spans) }),
		client: &http.Client{
			// One collector, and one request at a time. No proxy: the environment is not part of the configuration.
			Transport: &http.Transport{
				DialContext:     (&net.Dialer{Timeout: standardTimes.answer}).DialContext,
				MaxIdleConns:    1,
				IdleConnTimeout: time.Minute,

				MaxResponseHeaderBytes: 16 << 10,
			},
			// A response must not redirect the daemon elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Configure applies the settings of a listener. It may be called at any time.
func (x *Exporter) Configure(l config.Listener) {
	if l.Tracing.Endpoint == "" {
		x.target.Store(nil)
		return
	}
	// The names are those that collectors in Kubernetes derive from pods' labels
	// (OpenTelemetry's semantic conventions, "Service attributes" of Kubernetes).
	s := span{}
	s.text("service.name", l.Name)
	s.text("service.namespace", l.Namespace)
	s.text("service.version", x.version)
	if host, err := os.Hostname(); err == nil { // in a pod, the pod's name
		s.text("service.instance.id", host)
	}
	r, err := newRequest(resource{s.Attributes}, scope{scopeName, x.version})
	if err != nil {
		x.log.Error("traces are off", "error", err) // strings can always be encoded
		x.target.Store(nil)
		return
	}
	x.target.Store(&target{url: l.Tracing.URL(), percent: l.Tracing.SamplingPercent, request: r})
}

// Run sends spans until ctx ends, and then sends what is left, for a bounded time.
func (x *Exporter) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			x.sendLast(context.WithoutCancel(ctx))
			return
		case <-x.queue.some:
		}
		select {
		case <-ctx.Done():
		case <-x.queue.full:
			x.deliver(ctx)
		case <-time.After(x.times.gather):
			x.deliver(ctx)
		}
	}
}

// sendLast sends what is left once.
func (x *Exporter) sendLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, x.times.last)
	defer cancel()
	defer x.client.CloseIdleConnections()
	for {
		if x.fill(); x.sending.spans == 0 {
			return
		}
		if again, _ := x.attempt(ctx); again {
			x.count(Dropped, x.sending.spans+x.queue.take().spans)
			return
		}
	}
}
