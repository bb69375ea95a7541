package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	ctrl "sigs.k8s.io/controller-runtime"
)

// endpointVariables enable traces (OpenTelemetry's specification, "OTLP Exporter Configuration").
var endpointVariables = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// lastSpans is how long shutdown waits for a collector. The pod has ten seconds in all.
const lastSpans = 2 * time.Second

// startTraces sends traces over OTLP/gRPC where OpenTelemetry's variables name a collector; they
// also configure everything else, such as the sampler. Otherwise it returns nil. end sends what is
// left.
func startTraces(ctx context.Context) (traces trace.TracerProvider, end func(), err error) {
	wanted := false
	for _, name := range endpointVariables {
		wanted = wanted || os.Getenv(name) != ""
	}
	if !wanted {
		return nil, func() {}, nil
	}
	log := ctrl.Log.WithName("traces")
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Error(err, "Traces cannot be sent") }))
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, nil, err
	}
	own := []attribute.KeyValue{attribute.String("service.name", "sftp-operator"), attribute.String("service.version", version)}
	if pod := os.Getenv("POD_NAME"); pod != "" {
		own = append(own, attribute.String("service.namespace", os.Getenv("POD_NAMESPACE")), attribute.String("service.instance.id", pod))
	}
	// The variables come last, so that they override the service's attributes.
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(own...), resource.WithFromEnv())
	if err != nil {
		return nil, nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(r))
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpans)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Error(err, "The last traces were not sent")
		}
	}, nil
}

// traceCalls traces calls to the API server that are part of a traced operation.
func traceCalls(traces trace.TracerProvider) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(traces),
			// Watches and leases would be separate traces.
			otelhttp.WithFilter(func(r *http.Request) bool { return trace.SpanContextFromContext(r.Context()).IsSampled() }))
	}
}
