// Package spans creates spans for reconciles and their steps. Without a tracer there are none, and they cost nothing.
package spans

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"k8s.io/apimachinery/pkg/types"
)

// Reconcile begins the span of a reconcile of a listener.
func Reconcile(ctx context.Context, tracer trace.Tracer, name string, listener types.NamespacedName) (context.Context, trace.Span) {
	return Step(ctx, tracer, name, attribute.String("k8s.namespace.name", listener.Namespace), attribute.String("sftp.listener", listener.Name))
}

// Step begins the span of a step of a reconcile.
func Step(ctx context.Context, tracer trace.Tracer, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	if tracer == nil {
		return ctx, noop.Span{}
	}
	return tracer.Start(ctx, name, trace.WithAttributes(attributes...)) //nolint:spancheck // Finish ends it
}

// Finish ends a span.
func Finish(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
