package listener

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"k8s.io/apimachinery/pkg/types"
)

// start begins the span of a reconcile. Without a tracer there are none.
func (r *Reconciler) start(ctx context.Context, name types.NamespacedName) (context.Context, trace.Span) {
	if r.Tracer == nil {
		return ctx, noop.Span{}
	}
	return r.Tracer.Start(ctx, "reconcile listener", trace.WithAttributes( //nolint:spancheck // finish ends it
		attribute.String("k8s.namespace.name", name.Namespace), attribute.String("sftp.listener", name.Name)))
}

// startStep begins the span of a step.
func (r *Reconciler) startStep(ctx context.Context, name string) (context.Context, trace.Span) {
	if r.Tracer == nil {
		return ctx, noop.Span{}
	}
	return r.Tracer.Start(ctx, name) //nolint:spancheck // finish ends it
}

// finish ends a span.
func finish(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// describe puts what a reconcile found into its span.
func describe(span trace.Span, f *findings) {
	digest := ""
	if v := f.access.Delivered.Version; v != nil {
		digest = v.Digest
	}
	span.SetAttributes(
		attribute.Int64("k8s.resource.generation", f.listener.Generation),
		attribute.String("sftp.configuration.digest", digest),
	)
	if f.acks != nil {
		span.SetAttributes(attribute.Int("sftp.pods.ready", f.acks.Ready), attribute.Int("sftp.pods.acknowledged", f.acks.Acknowledged))
	}
}
