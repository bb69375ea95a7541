package access

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// While the API server does not answer, requests neither block nor accumulate: the pods get the last one.
func TestAnnotatingHangs(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	var bounds []time.Duration
	begun, goOn := make(chan bool, 10), make(chan bool)
	r.calls.Patch = func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
		at, _ := ctx.Deadline()
		mu.Lock()
		bounds = append(bounds, time.Until(at))
		mu.Unlock()
		begun <- true
		<-goOn
		return c.Patch(ctx, o, p, opts...)
	}
	r.calls.Get = func(ctx context.Context, c client.WithWatch, name client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if at, ok := ctx.Deadline(); !ok || time.Until(at) > 10*time.Second || time.Until(at) < 5*time.Second {
			t.Errorf("the pods are looked for until %s", at)
		}
		return c.Get(ctx, name, o, opts...)
	}
	r.restart()
	r.running("p", "q")
	a := r.Announcer
	announce := func(l *v1alpha1.SFTPListener, digest string, wrote bool) {
		a.announce(l, announcement{version: &delivery.Version{Digest: digest}, target: poll.Target{UID: l.UID, Digest: digest}, wrote: wrote})
	}
	announce(r.l, "1", true)
	<-begun
	<-begun
	for _, digest := range []string{"2", "3", "4"} {
		announce(r.l, digest, true)
	}
	announce(r.l, "5", false) // another operator has written it, and has annotated them
	// Other listeners do not wait.
	other := r.l.DeepCopy()
	other.Name = "other"
	announce(other, "x", true)
	a.mu.Lock()
	if n := len(a.running); n > 2 || a.running[r.name()] == nil || a.running[r.name()].digest != "4" {
		t.Errorf("%d listeners are in progress", n)
	}
	a.mu.Unlock()
	close(goOn)
	r.annotated("p", "4")
	r.annotated("q", "4")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		a.mu.Lock()
		n := len(a.running)
		a.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("requests are in progress forever")
		}
	}
	mu.Lock()
	if len(bounds) != 4 {
		t.Errorf("%d requests, want 2 for each of 2 pods", len(bounds))
	}
	mu.Unlock()
	announce(r.l, "6", true)
	r.annotated("p", "6")
}

// Pods that cannot be listed are left to the Poller.
func TestAnnotatingFails(t *testing.T) {
	r := newRig(t)
	r.calls.Get = func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return errors.New("down")
	}
	r.restart()
	r.running("p")
	r.Announcer.request(&request{r.l, "1"})
	r.annotated("p", "")
	r.calls.Get = nil
	r.restart()
	r.Announcer.request(&request{r.l, "1"})
	r.annotated("p", "1")
}

// Pods that still run from before a rotation of host keys use the previous key in their proofs.
func TestRotation(t *testing.T) {
	r := newRig(t)
	r.running("p")
	r.hostKey()
	r.put("a", 1, 1)
	r.good()
	first := r.poll()[0].keys
	r.rotate(1)
	r.good()
	asked := r.poll()
	if len(asked) != 1 || asked[0].keys[0] == first[0] || asked[0].keys != (ack.Keys{asked[0].keys[0], first[0]}) || first[1] != "" {
		t.Errorf("asked with %+v, before %q", asked, first)
	}
	// Repairing a part of the configuration is also announced.
	s := r.secrets.Secret("team", render.ShardSecretName(r.l, 0))
	if s == nil {
		t.Fatal("there is no shard")
	}
	s.Data = nil
	r.secrets.Put(s)
	r.now = r.now.Add(time.Hour)
	if r.good(); r.logins() != "a" || !r.access().Delivered.Wrote {
		t.Errorf("logins %q, told %+v", r.logins(), r.access().Delivered)
	}
}

// Spans show the steps of a delivery and its result.
func TestSpans(t *testing.T) {
	r := newRig(t)
	spans := tracetest.NewSpanRecorder()
	r.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("t")
	r.hostKey()
	r.put("a", 1, 1)
	r.good()
	got := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range spans.Ended() {
		got[s.Name()] = s
	}
	root := got["deliver configuration"]
	for _, step := range []string{"recall", "compile", "write configuration"} {
		if s := got[step]; root == nil || s == nil || s.Parent().SpanID() != root.SpanContext().SpanID() || s.Status().Code == codes.Error {
			t.Fatalf("%s: %+v, spans %v", step, s, got)
		}
	}
	attributes := map[string]string{}
	for _, a := range root.Attributes() {
		attributes[string(a.Key)] = a.Value.String()
	}
	if want := r.access().Delivered.Version.Digest; attributes["sftp.configuration.digest"] != want || attributes["sftp.configuration.written"] != "true" ||
		attributes["k8s.resource.generation"] != "1" || attributes["sftp.listener"] != "partners" {
		t.Errorf("attributes %v", attributes)
	}
	r.secrets.Fail = func(string, string) error { return errors.New("down") }
	r.put("b", 1, 2)
	if _, err := r.reconcile(); err == nil {
		t.Error("no error")
	}
	failed := map[string]bool{}
	for _, s := range spans.Ended() {
		failed[s.Name()] = failed[s.Name()] || s.Status().Code == codes.Error
	}
	if !failed["deliver configuration"] || !failed["write configuration"] || failed["compile"] {
		t.Errorf("failed: %v", failed)
	}
	r.restart()
	spans.Reset()
	r.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("t")
	_, _ = r.reconcile()
	if ended := spans.Ended(); len(ended) != 2 || ended[0].Name() != "recall" || ended[0].Status().Code != codes.Error {
		t.Errorf("spans %v", ended)
	}
}
