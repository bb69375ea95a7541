// Package tracetest provides a trace collector for tests. It decodes what it receives with
// OpenTelemetry's own messages.
package tracetest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// Collector receives OTLP over HTTP in the JSON encoding.
type Collector struct {
	// Endpoint is its base URL.
	Endpoint string

	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex
	answer   http.HandlerFunc
	requests int
	spans    []Span
	hung     chan struct{}
}

// Span is a span with its identifiers in hexadecimal and the attributes of where it comes from.
type Span struct {
	*tracepb.Span
	Trace, ID, Parent string
	Resource          map[string]string
}

// Start runs a collector until the test ends.
func Start(t testing.TB) *Collector {
	t.Helper()
	return StartAt(t, "127.0.0.1")
}

// StartAt is Start at an address of this machine.
func StartAt(t testing.TB, address string) *Collector {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return StartOn(t, l)
}

// StartOn is Start with a listener, which it closes.
func StartOn(t testing.TB, l net.Listener) *Collector {
	t.Helper()
	c := &Collector{t: t, hung: make(chan struct{})}
	c.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(c.serve), ReadHeaderTimeout: time.Minute}}
	c.server.Start()
	c.Endpoint = c.server.URL
	t.Cleanup(func() {
		close(c.hung)
		c.server.Close()
	})
	return c
}

// Answer makes h answer further requests; nil accepts them.
func (c *Collector) Answer(h http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = h
}

// Hang sends no response until the test ends or the client gives up.
func (c *Collector) Hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the end of a client is noticed only after that
	select {
	case <-c.hung:
	case <-r.Context().Done():
	}
}

func (c *Collector) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.requests++
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
		c.t.Errorf("%s %s, %s", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client gave up
	}
	spans := Decode(c.t, body)
	c.mu.Lock()
	c.spans = append(c.spans, spans...)
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

// Requests returns how many requests there were.
func (c *Collector) Requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// Spans returns all spans that were received.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Wait waits for n spans and returns all.
func (c *Collector) Wait(n int) []Span {
	c.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		spans := c.Spans()
		if len(spans) >= n {
			return spans
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d spans within 30 s, want %d", len(spans), n)
		}
	}
}

// Decode reads a request strictly. protojson encodes bytes in base64 where OTLP has
// identifiers in hexadecimal; everything else is the same (OTLP specification, "JSON Protobuf
// Encoding").
func Decode(t testing.TB, body []byte) []Span {
	t.Helper()
	var generic any
	if err := json.Unmarshal(body, &generic); err != nil {
		t.Errorf("%v: %s", err, body)
		return nil
	}
	identifiers(t, generic)
	again, err := json.Marshal(generic)
	if err != nil {
		t.Error(err)
		return nil
	}
	var request collectorpb.ExportTraceServiceRequest
	if err := protojson.Unmarshal(again, &request); err != nil {
		t.Errorf("%v: %s", err, body)
		return nil
	}
	var out []Span
	for _, r := range request.GetResourceSpans() {
		from := Attributes(r.GetResource().GetAttributes())
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				out = append(out, Span{
					Span: span, Resource: from, Trace: hex.EncodeToString(span.GetTraceId()),
					ID: hex.EncodeToString(span.GetSpanId()), Parent: hex.EncodeToString(span.GetParentSpanId()),
				})
			}
		}
	}
	return out
}

func identifiers(t testing.TB, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, field := range v {
			text, ok := field.(string)
			if !ok || key != "traceId" && key != "spanId" && key != "parentSpanId" {
				identifiers(t, field)
				continue
			}
			raw, err := hex.DecodeString(text)
			if size := map[bool]int{true: 16, false: 8}[key == "traceId"]; err != nil || len(raw) != size {
				t.Errorf("%s %q", key, text)
			}
			v[key] = base64.StdEncoding.EncodeToString(raw)
		}
	case []any:
		for _, item := range v {
			identifiers(t, item)
		}
	}
}

// Attributes returns attributes as strings: a number as int(7), and the first element of a list.
func Attributes(list []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range list {
		v := a.GetValue()
		if values := v.GetArrayValue().GetValues(); len(values) > 0 {
			v = values[0]
		}
		switch v := v.GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			out[a.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[a.GetKey()] = fmt.Sprintf("int(%d)", v.IntValue)
		default:
			out[a.GetKey()] = fmt.Sprintf("%T", v)
		}
	}
	return out
}
