package durable

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/relay"
)

// relayConfig, in the environment of a child, names the file with the configuration of the relay that it should run.
const relayConfig = "DURABLE_RELAY_CONFIG"

// relayChild runs the relay. It never returns.
func relayChild(file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	c, err := delivery.Decode(data)
	if err != nil {
		panic(err)
	}
	r, err := relay.New(relay.Options{Config: c, Status: listen("127.0.0.1:0"), Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)), Version: "test"})
	if err != nil {
		panic(err)
	}
	panic(r.Run(context.Background()))
}

// address leads to the status port of the running daemon: each daemon has a different one.
type address struct {
	net.Listener
	to atomic.Pointer[string]
}

func newAddress(t *testing.T) *address {
	t.Helper()
	a := &address{Listener: listen("127.0.0.1:0")}
	t.Cleanup(func() { _ = a.Close() })
	go func() {
		for {
			from, err := a.Accept()
			if err != nil {
				return
			}
			go a.splice(from)
		}
	}()
	return a
}

func (a *address) splice(from net.Conn) {
	defer from.Close()
	where := a.to.Load()
	if where == nil {
		return
	}
	to, err := new(net.Dialer).DialContext(context.Background(), "tcp", strings.TrimPrefix(*where, "http://"))
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
	_, _ = io.Copy(from, to)
}

// receiver accepts events as the CloudEvents SDK reads them. At times it fails, hangs, hides that it accepted one, or is down.
type receiver struct {
	*campaign
	mu       sync.Mutex
	invalid  atomic.Int64
	requests atomic.Int64
	away     atomic.Bool
	// well is set once the receiver always accepts events.
	well atomic.Bool
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.requests.Add(1)
	luck := rand.IntN(100)
	if r.well.Load() {
		luck = 100
	}
	switch {
	case r.away.Load(), luck < 5:
		hangUp(w)
		return
	case luck < 15:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case luck < 17:
		time.Sleep(1500 * time.Millisecond) // longer than the relay waits
		return
	}
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(raw))
	read, err := cloudevents.NewEventFromHTTPRequest(req)
	if err == nil {
		err = read.Validate()
	}
	e, ours := events.Decode(raw)
	if err != nil || ours != nil || read.ID() != e.ID {
		r.invalid.Add(1)
		return
	}
	r.mu.Lock()
	r.take(e, raw)
	r.mu.Unlock()
	if luck < 22 {
		hangUp(w) // it has the event, but the relay does not know that
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// relays runs a relay that is killed and restarted at random until stop, and then runs undisturbed.
func (r *receiver) relays(t *testing.T, config string, stop <-chan struct{}) (kills int) {
	t.Helper()
	for {
		ctx, kill := context.WithCancel(t.Context())
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), relayConfig+"="+config)
		if err := cmd.Start(); err != nil {
			t.Error(err)
			kill()
			return kills
		}
		life := time.Duration(300+rand.IntN(2500)) * time.Millisecond
		select {
		case <-stop:
			t.Cleanup(func() { kill(); _ = cmd.Wait() })
			return kills
		case <-time.After(life):
		}
		kill() // SIGKILL
		_ = cmd.Wait()
		kills++
		r.away.Store(kills%5 == 4)
	}
}

// TestKillDaemonAndRelay kills the daemon and the relay at random for EVENTS_SECONDS, while the receiver
// fails, hangs, hides that it accepted events and is down: an upload that was answered with OK reaches the
// receiver, and the events of a user arrive in order.
func TestKillDaemonAndRelay(t *testing.T) {
	began := time.Now()
	c := newCampaign(t, 8)
	r := &receiver{campaign: c}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	status := newAddress(t)
	config := writeRelayConfig(t, server.URL, status.Addr())
	stop := make(chan struct{})
	kills := make(chan int, 1)
	go func() { kills <- r.relays(t, config, stop) }()
	end := began.Add(time.Duration(number(t, "EVENTS_SECONDS", 20)) * time.Second)
	for i := 0; time.Now().Before(end); i++ {
		d := start(t, c.dir, "", 0)
		status.to.Store(&d.Health)
		var working sync.WaitGroup
		for _, user := range c.users {
			working.Go(func() { c.work(d, user, 30) })
		}
		select {
		case <-d.Done():
		case <-time.After(time.Duration(500+rand.IntN(2500)) * time.Millisecond):
		}
		kill(t, d.PID)
		<-d.Done()
		working.Wait()
		c.kills++
	}
	d := start(t, c.dir, "", 0)
	c.open(t, d)
	status.to.Store(&d.Health)
	r.away.Store(false)
	r.well.Store(true)
	close(stop)
	relayKills := <-kills
	drained := time.Now()
	for deadline := drained.Add(10 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		st, err := c.relay.Status(t.Context(), d.Health)
		if err == nil && len(st.Sinks) == 1 && st.Sinks[0].Pending == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("events are still pending: %+v, %v", st, err)
		}
	}
	fmt.Printf("EVENTS relay: kills=%d requests=%d invalid=%d drained_after=%.1fs\n", relayKills, r.requests.Load(), r.invalid.Load(), time.Since(drained).Seconds())
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.report(t, "daemon, relay and receiver", began); r.invalid.Load() > 0 || relayKills == 0 {
		t.Error("the SDK does not accept the events, or the relay was never killed")
	}
}

// writeRelayConfig writes the configuration of a relay, and returns its file.
func writeRelayConfig(t *testing.T, url string, status net.Addr) string {
	t.Helper()
	_, port, err := net.SplitHostPort(status.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	data, err := delivery.Config{
		Namespace: "team", Listener: "partners", Pods: "localhost", Port: n, Key: string(configtest.EventsKey()),
		Sinks: []delivery.Sink{{
			Name: "jobs", URL: url, Reach: delivery.ReachPublic, Networks: []string{"127.0.0.0/8", "::1/128"},
			Format: delivery.FormatStructured, TimeoutSeconds: 1, GiveUpSeconds: 86400,
		}},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), delivery.ConfigFile)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
