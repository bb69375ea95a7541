package listener

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// describe adds the results of a reconcile to its span.
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
