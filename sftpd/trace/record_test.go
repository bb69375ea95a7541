package trace

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/trace/tracetest"
)

const connection = "0123456789abcdef"

// record decodes what is sent for an event.
func record(t *testing.T, e event.Event) tracetest.Span {
	t.Helper()
	x, _ := newExporter(t, config.Tracing{Endpoint: "http://127.0.0.1:1", SamplingPercent: 100})
	x.Emit(e)
	b := x.queue.take()
	if b.spans != 1 {
		t.Fatalf("%d spans", b.spans)
	}
	return tracetest.Decode(t, x.target.Load().request.body(b.data))[0]
}

// session is a session that was accepted at a given time.
func session(accepted time.Time) *event.Connection {
	return &event.Connection{
		ID: connection, Accepted: accepted, Source: "192.0.2.7:60734", User: "ada", Account: "team/ada",
		Methods: []string{"PublicKey", "Password"}, Keys: []string{"SHA256:x"}, ClientVersion: "SSH-2.0-OpenSSH_10.0",
	}
}

func TestSpans(t *testing.T) {
	c := session(time.Now().Add(-time.Hour))
	behind := *c
	behind.Proxy = "[::ffff:10.0.0.1]:7"
	for _, tc := range []struct {
		name   string
		event  event.Event
		kind   tracepb.Span_SpanKind
		begin  time.Duration // before the end
		status tracepb.Status_StatusCode
		want   map[string]string
	}{
		{
			"sftp session",
			event.Logout{Connection: &behind, Reason: event.IdleTimeout, Duration: time.Minute},
			tracepb.Span_SPAN_KIND_SERVER, time.Hour, tracepb.Status_STATUS_CODE_UNSET,
			map[string]string{
				"client.address": "192.0.2.7", "client.port": "int(60734)", "network.peer.address": "10.0.0.1", "network.peer.port": "int(7)",
				"network.transport": "tcp", "network.protocol.name": "ssh", "user.name": "ada", "sftp.account": "team/ada",
				"sftp.client_version": "SSH-2.0-OpenSSH_10.0", "sftp.methods": "PublicKey", "sftp.key_fingerprint": "SHA256:x", "sftp.end_reason": "idle_timeout",
			},
		},
		{
			"login",
			event.Login{Connection: c, Algorithms: event.Algorithms{KeyExchange: "k", Cipher: "c", MAC: "m", HostKey: "h", PublicKey: "p"}},
			tracepb.Span_SPAN_KIND_INTERNAL, time.Hour, tracepb.Status_STATUS_CODE_UNSET,
			map[string]string{
				"user.name": "ada", "sftp.account": "team/ada", "sftp.methods": "PublicKey", "sftp.key_fingerprint": "SHA256:x", "sftp.key_exchange": "k",
				"sftp.cipher": "c", "sftp.mac": "m", "sftp.host_key_algorithm": "h", "sftp.public_key_algorithm": "p",
			},
		},
		{
			"upload",
			event.Transfer{
				Connection: c, Result: event.Failed, Error: "no space", Left: "kept",
				File: event.File{Direction: "upload", Path: "/a<&>\xff", BytesWritten: 1 << 63, Duration: 2 * time.Second},
			},
			tracepb.Span_SPAN_KIND_INTERNAL, 2 * time.Second, tracepb.Status_STATUS_CODE_ERROR,
			map[string]string{
				"user.name": "ada", "sftp.account": "team/ada", "file.path": "/a<&>\ufffd", "sftp.bytes_read": "int(0)",
				"sftp.bytes_written": "int(9223372036854775807)", "sftp.left": "kept", "error.type": "failed",
			},
		},
		{
			"download",
			event.Transfer{Connection: c, Result: event.OK, File: event.File{Direction: "download", Path: "/b", BytesRead: 5}},
			tracepb.Span_SPAN_KIND_INTERNAL, 0, tracepb.Status_STATUS_CODE_UNSET,
			map[string]string{
				"user.name": "ada", "sftp.account": "team/ada", "file.path": "/b", "sftp.bytes_read": "int(5)", "sftp.bytes_written": "int(0)",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := record(t, tc.event)
			if s.GetName() != tc.name || s.GetKind() != tc.kind || s.GetStatus().GetCode() != tc.status {
				t.Errorf("%v", s.Span)
			}
			if s.Trace != connection+connection {
				t.Errorf("trace %s", s.Trace)
			}
			_, root := tc.event.(event.Logout)
			if (s.ID == connection) != root || (s.Parent == connection) == root || root && s.Parent != "" {
				t.Errorf("span %s of %q", s.ID, s.Parent)
			}
			if got := time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()); got < tc.begin || got > tc.begin+time.Minute {
				t.Errorf("it takes %s", got)
			}
			if got := tracetest.Attributes(s.GetAttributes()); fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("attributes\n%v\nwant\n%v", got, tc.want)
			}
			delete(s.Resource, "service.instance.id") // this machine's name
			if got := fmt.Sprint(s.Resource); got != "map[service.name:public service.namespace:files service.version:v1]" {
				t.Errorf("resource %s", got)
			}
		})
	}
}

// A failed login makes no span.
func TestNoSpans(t *testing.T) {
	x, _ := newExporter(t, config.Tracing{Endpoint: "http://127.0.0.1:1", SamplingPercent: 100})
	c := session(time.Now())
	for _, e := range []event.Event{
		event.LoginRefused{Connection: c}, event.ConnectionRefused{Connection: c}, event.Operation{Connection: c}, event.SessionRevoked{Connection: c},
	} {
		x.Emit(e)
	}
	if b := x.queue.take(); b.spans != 0 {
		t.Errorf("spans: %s", b.data)
	}
}

// Text chosen by a client is truncated, and so is a span.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("€", 100_000)
	c := session(time.Now())
	c.User, c.ClientVersion = long, long
	for _, e := range []event.Event{
		event.Login{Connection: c},
		event.Logout{Connection: c, Reason: event.Reason(long)},
		event.Transfer{Connection: c, Result: event.Failed, Error: long, File: event.File{Path: long, Direction: "upload"}},
	} {
		for _, a := range record(t, e).GetAttributes() {
			if v := a.GetValue().GetStringValue(); len(v) > event.MaxPath || strings.Contains(v, "\ufffd") {
				t.Errorf("%s has %d bytes", a.GetKey(), len(v))
			}
		}
	}
}

func TestSampled(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, percent := range []int{0, 1, 25, 99, 100} {
		const of = 20_000
		n := 0
		for range of {
			if id := fmt.Sprintf("%016x", random.Uint64()); sampled(id, percent) {
				n++
				if !sampled(id, percent) || !sampled(id, 100) || !sampled(id, percent+1) {
					t.Errorf("%s is sampled with %d %% and not with more", id, percent)
				}
			}
		}
		if share := 100 * float64(n) / of; share < float64(percent)-1 || share > float64(percent)+1 {
			t.Errorf("%.1f %% instead of %d", share, percent)
		}
	}
	if sampled("", 100) || sampled("xxxxxxxxxxxxxxxx", 100) || sampled(connection+"00", 100) {
		t.Error("what is no ID is sampled")
	}
}

// Without tracing, or for a connection that is not sampled, nothing is allocated.
func TestOffCostsNothing(t *testing.T) {
	var e event.Event = event.Transfer{Connection: session(time.Now()), File: event.File{Path: "/a", Direction: "upload"}}
	off, _ := newExporter(t, config.Tracing{})
	none, _ := newExporter(t, config.Tracing{Endpoint: "http://127.0.0.1:1"})
	for name, x := range map[string]*Exporter{"nil": nil, "off": off, "not sampled": none} {
		if n := testing.AllocsPerRun(100, func() { x.Emit(e) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// The cost to a session of a transfer that is traced, and of one that is not.
func BenchmarkRecord(b *testing.B) {
	var e event.Event = event.Transfer{Connection: session(time.Now()), File: event.File{Path: "/in/report.csv", Direction: "upload"}}
	for _, percent := range []int{-1, 0, 100} {
		b.Run(fmt.Sprintf("percent=%d", percent), func(b *testing.B) {
			x, _ := newExporter(b, config.Tracing{Endpoint: "http://127.0.0.1:1", SamplingPercent: max(percent, 0)})
			if percent < 0 {
				x.Configure(config.Listener{})
			}
			b.ReportAllocs()
			for b.Loop() {
				x.Emit(e)
				if len(x.queue.waiting.data) > maxQueued/2 {
					x.queue.take()
				}
			}
		})
	}
}
