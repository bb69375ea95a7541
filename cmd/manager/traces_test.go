package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// collector accepts OTLP over gRPC.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer

	mu  sync.Mutex
	got []*collectorpb.ExportTraceServiceRequest
}

// Export implements collectorpb.TraceServiceServer.
func (c *collector) Export(_ context.Context, r *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, r)
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// requests are what the collector has received, one span each, with their resource.
func (c *collector) requests(t *testing.T) (spans []string, resource map[string]string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	resource = map[string]string{}
	for _, r := range c.got {
		for _, of := range r.GetResourceSpans() {
			for _, a := range of.GetResource().GetAttributes() {
				resource[a.GetKey()] = a.GetValue().GetStringValue()
			}
			for _, s := range of.GetScopeSpans() {
				for _, span := range s.GetSpans() {
					spans = append(spans, span.GetName())
				}
			}
		}
	}
	return spans, resource
}

func TestTraces(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, server := &collector{}, grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }() // Stop ends it
	defer server.Stop()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	t.Setenv("POD_NAME", "operator-0")

	for sampler, want := range map[string]int{"": 1, "always_off": 0} {
		t.Setenv("OTEL_TRACES_SAMPLER", sampler)
		traces, end, err := startTraces(t.Context())
		if err != nil || traces == nil {
			t.Fatalf("%v, %v", traces, err)
		}
		before, _ := c.requests(t)
		_, span := traces.Tracer("test").Start(t.Context(), "reconcile listener")
		span.End()
		end()
		spans, resource := c.requests(t)
		if len(spans)-len(before) != want {
			t.Errorf("sampler %q: %q", sampler, spans)
		}
		if want > 0 && (resource["service.name"] != "sftp-operator" || resource["service.instance.id"] != "operator-0" || resource["deployment.environment.name"] != "test") {
			t.Errorf("resource %v", resource)
		}
	}
}

// Without a collector no spans are created.
func TestNoTraces(t *testing.T) {
	for _, name := range endpointVariables {
		t.Setenv(name, "")
	}
	traces, end, err := startTraces(t.Context())
	if traces != nil || err != nil {
		t.Errorf("%v, %v", traces, err)
	}
	end()
}

// A collector that is down does not delay shutdown.
func TestTracesWithoutCollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1")
	traces, end, err := startTraces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, span := traces.Tracer("test").Start(t.Context(), "reconcile listener")
	span.End()
	end()
}

// A call to the API server has a span if it is part of a traced operation, and none otherwise.
func TestTraceCalls(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer api.Close()
	exporter := tracetest.NewInMemoryExporter()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	client := &http.Client{Transport: traceCalls(traces)(http.DefaultTransport)}
	call := func(ctx context.Context) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPatch, api.URL+"/api/v1/namespaces/a/secrets/b", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil { // the end of the body ends the span
			t.Error(err)
		}
		resp.Body.Close()
	}
	call(t.Context())
	if got := exporter.GetSpans(); len(got) != 0 {
		t.Errorf("spans %v", got)
	}
	ctx, span := traces.Tracer("test").Start(t.Context(), "apply configuration")
	call(ctx)
	span.End()
	got := exporter.GetSpans()
	if len(got) != 2 || got[0].Parent.SpanID() != span.SpanContext().SpanID() || !strings.Contains(got[0].Name, http.MethodPatch) {
		t.Errorf("spans %v", got)
	}
}
