package operator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A change of a user is one trace of the listener's reconcile: what it did, in order, and what came of it.
func TestTraces(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	traced := defaultOptions()
	traced.Traces = sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	untraced := running.options
	replaceOperator(t, traced, func() {})
	t.Cleanup(func() { replaceOperator(t, untraced, func() {}) })
	ns, acme := busyNamespace(t)
	begin := time.Now()
	if err := api.Delete(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	var root tracetest.SpanStub
	eventually(t, func() error {
		for _, s := range exporter.GetSpans() {
			if s.Name == "reconcile listener" && s.StartTime.After(begin) && attributeOf(s, "k8s.namespace.name") == ns && attributeOf(s, "sftp.configuration.written") == "true" {
				root = s
				return nil
			}
		}
		return errors.New("no reconcile that wrote the configuration has a span")
	})
	if got := attributeOf(root, "sftp.pods.acknowledged"); got != "1" || attributeOf(root, "sftp.listener") != "partners" || root.Status.Code == codes.Error {
		t.Errorf("%s pods acknowledged: %v, %v", got, root.Attributes, root.Status)
	}
	var phases []tracetest.SpanStub
	for _, s := range exporter.GetSpans() {
		if s.SpanContext.TraceID() == root.SpanContext.TraceID() && s.Name != root.Name {
			phases = append(phases, s)
		}
		if text := fmt.Sprint(s); strings.Contains(text, "do-not-tell") || strings.Contains(text, "argon2id") {
			t.Errorf("a secret in %s", text)
		}
	}
	slices.SortStableFunc(phases, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	var names []string
	for _, s := range phases {
		names = append(names, s.Name)
		if s.StartTime.Before(root.StartTime) || s.EndTime.After(root.EndTime) {
			t.Errorf("%s is not within its reconcile", s.Name)
		}
		if nested := s.Name == "render configuration"; (s.Parent.SpanID() == root.SpanContext.SpanID()) == nested {
			t.Errorf("%s has the parent %s", s.Name, s.Parent.SpanID())
		}
	}
	if got, want := strings.Join(names, ", "), "recall, gather users, resolve credentials, resolve host keys, apply configuration, render configuration, "+
		"tell pods, resolve volumes, apply objects, read addresses, publish known hosts, await acknowledgement, write status"; got != want {
		t.Errorf("phases\n%s\nwant\n%s", got, want)
	}
}

func attributeOf(s tracetest.SpanStub, key attribute.Key) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}
