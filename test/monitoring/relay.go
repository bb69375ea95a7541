package monitoring

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/relay"
)

// relayScrape returns the scrape of a relay with two sinks, one of which is held.
func relayScrape(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, err := relay.New(relay.Options{
		Config: delivery.Config{
			Namespace: "files", Listener: "partners", Pods: "pods", Port: 8081, Key: strings.Repeat("k", 32),
			Sinks: []delivery.Sink{
				{
					Name: "jobs", URL: "http://receiver.files.svc", Reach: delivery.ReachService, Format: delivery.FormatStructured,
					TimeoutSeconds: 1, GiveUpSeconds: 60,
				},
				{Name: "held", Held: "its Secret is missing"},
			},
		},
		Status: l, Log: slog.New(slog.DiscardHandler), Version: "test",
		Lookup: func(context.Context, string, string) ([]netip.Addr, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
