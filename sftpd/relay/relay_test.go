package relay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
)

// TestStatusPortIsBounded: silent connections do not take all descriptors, which the relay needs for pods and receivers. They are closed
// for new ones, which are answered.
func TestStatusPortIsBounded(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{
		Config: delivery.Config{Pods: "pods", Port: 1, Key: strings.Repeat("k", 32)}, Status: l, Log: slog.New(slog.DiscardHandler),
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
	var silent []net.Conn
	for range health.MaxConnections + 10 {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		silent = append(silent, c)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+"/livez", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	_ = silent[0].SetReadDeadline(time.Now().Add(requestTime / 2)) // later, the server closes a connection without a request
	if _, err := io.ReadAll(silent[0]); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the oldest connection has its place still")
	}
}

func TestShortPods(t *testing.T) {
	b := board{pods: map[string]*events.Status{
		"empty": {MaxBytes: 300}, "third": {Bytes: 100, MaxBytes: 300}, "more": {Bytes: 101, MaxBytes: 300}, "silent": nil,
	}}
	if have := b.almostFull(); len(have) != 1 || !have["more"] {
		t.Errorf("%v", have)
	}
}
