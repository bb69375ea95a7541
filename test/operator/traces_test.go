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

// A change to a user results in one trace of its delivery, and one of the reconcile that reports the result, with the steps in order.
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
			if s.Name == "deliver configuration" && s.StartTime.After(begin) && attributeOf(s, "k8s.namespace.name") == ns && attributeOf(s, "sftp.configuration.written") == "true" {
				root = s
				return nil
			}
		}
		return errors.New("no delivery that wrote the configuration has a span")
	})
	if attributeOf(root, "sftp.listener") != "partners" || attributeOf(root, "sftp.configuration.digest") == "" || root.Status.Code == codes.Error {
		t.Errorf("%v, %v", root.Attributes, root.Status)
	}
	checkSteps(t, exporter, root, "compile, write configuration")
	digest := attributeOf(root, "sftp.configuration.digest")
	eventually(t, func() error {
		for _, s := range exporter.GetSpans() {
			if s.Name == "reconcile listener" && attributeOf(s, "sftp.configuration.digest") == digest && attributeOf(s, "sftp.pods.acknowledged") == "1" {
				root = s
				return nil
			}
		}
		return errors.New("no reconcile that saw the configuration acknowledged has a span")
	})
	checkSteps(t, exporter, root, "read record, resolve host keys, keep receipt key, plan relay, apply objects, keep record, look at users, write status")
}

// checkSteps checks the children of a reconcile's span: their names, in order.
func checkSteps(t *testing.T, exporter *tracetest.InMemoryExporter, root tracetest.SpanStub, want string) {
	t.Helper()
	var phases []tracetest.SpanStub
	for _, s := range exporter.GetSpans() {
		if s.SpanContext.TraceID() == root.SpanContext.TraceID() && s.Name != root.Name && !strings.HasPrefix(s.Name, "HTTP ") {
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
		if s.Parent.SpanID() != root.SpanContext.SpanID() {
			t.Errorf("%s has the parent %s", s.Name, s.Parent.SpanID())
		}
	}
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("steps\n%s\nwant\n%s", got, want)
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
