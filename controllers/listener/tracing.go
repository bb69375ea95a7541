package listener

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// start begins a span. Without a tracer there are none.
func (r *Reconciler) start(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	if r.Tracer == nil {
		return ctx, noop.Span{}
	}
	return r.Tracer.Start(ctx, name, trace.WithAttributes(attributes...)) //nolint:spancheck // finish ends it
}

// finish ends a span. That a reconcile ends early is no error: a condition says why.
func finish(span trace.Span, err error) {
	if err != nil && !errors.Is(err, errStop) {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// traced runs a phase in a span.
func (s *scope) traced(ctx context.Context, p phase) error {
	ctx, span := s.start(ctx, p.name)
	err := p.run(ctx)
	finish(span, err)
	return err
}

// describeTo says in a reconcile's span what came of it.
func (s *scope) describeTo(span trace.Span) {
	span.SetAttributes(
		attribute.Int64("k8s.resource.generation", s.listener.Generation),
		attribute.Bool("sftp.configuration.written", s.configured),
		attribute.String("sftp.configuration.digest", s.files.Digest),
		attribute.Int("sftp.pods.ready", s.acks.Ready),
		attribute.Int("sftp.pods.acknowledged", s.acks.Acknowledged),
	)
}
