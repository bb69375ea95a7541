package durable

import (
	"context"
	"fmt"
	"io"
	"log/slog"
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

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/outbox"
)

// relayMemory is the limit of a relay's pod, in KiB.
const relayMemory = 256 << 10

// TestRelayMemory measures the memory of a relay while it has nothing to do, while its receiver refuses a backlog, and while it
// delivers that backlog. EVENTS_BACKLOG is the number of events. SFTPD names a program to measure in place of this test's own.
func TestRelayMemory(t *testing.T) {
	n := number(t, "EVENTS_BACKLOG", 2000)
	dir := configtest.New(t)
	dir.RecordEvents(config.EventSink{Name: "jobs", Types: []events.Type{events.DirectoryCreated}})
	dir.Listener.Events.MaxBytes = 4 << 30
	box := outbox.New(outbox.Options{Pod: "pod-0", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	box.Configure(&dir.Listener, nil, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); box.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })

	var asked, refused atomic.Int64
	handler := box.Handler(configtest.EventsKey)
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(pod.Close)
	var well atomic.Bool
	var got sync.Map
	var received atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		e, bad := events.Decode(raw)
		switch {
		case !well.Load():
			refused.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case err != nil || bad != nil:
			t.Errorf("%v %v", err, bad)
			return
		}
		if _, again := got.LoadOrStore(e.ID, true); !again {
			received.Add(1)
		}
	}))
	t.Cleanup(receiver.Close)

	file := writeRelayConfig(t, receiver.URL, pod.Listener.Addr())
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), relayConfig+"="+file)
	if program := os.Getenv("SFTPD"); program != "" {
		cmd = exec.CommandContext(t.Context(), program, "relay", "-config", filepath.Dir(file), "-status", "127.0.0.1:0")
		cmd.Env = append(os.Environ(), "GOMEMLIMIT=241591905") // as in its pod
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })

	await(t, "the relay asks for events", func() bool { return asked.Load() > 2 })
	time.Sleep(time.Second)
	idle := memory(t, cmd.Process.Pid, "VmRSS")
	for i := range n {
		box.Emit(event.Operation{
			Connection: &event.Connection{ID: "0123456789abcdef", Account: fmt.Sprint("team/user", i%100), Source: "192.0.2.1:50022"},
			Operation:  "mkdir", Path: fmt.Sprint("/some/directory/of-a-partner-", i), Result: event.OK,
		})
		if i%1000 == 999 {
			await(t, "events are recorded", func() bool { st, _ := box.Status(); return st.Written+st.Lost >= uint64(i+1) })
		}
	}
	var st events.Status
	await(t, "all are recorded", func() bool { st, _ = box.Status(); return st.Written+st.Lost >= uint64(n) })
	if st.Lost > 0 {
		t.Errorf("%d of %d events were not recorded", st.Lost, n)
	}
	await(t, "the receiver refuses", func() bool { return refused.Load() > 5 })
	time.Sleep(5 * time.Second) // it reads as much as its bounds allow
	backlog := memory(t, cmd.Process.Pid, "VmRSS")
	well.Store(true)
	began := time.Now()
	await(t, "all events arrive", func() bool { return received.Load() == int64(st.Written) })
	took := time.Since(began)
	peak := memory(t, cmd.Process.Pid, "VmHWM")
	fmt.Printf("EVENTS relay memory: events=%d bytes=%.1fMiB idle=%.1fMiB refused=%.1fMiB peak=%.1fMiB delivered_after=%.1fs\n",
		st.Written, float64(st.Bytes)/(1<<20), mib(idle), mib(backlog), mib(peak), took.Seconds())
	if peak > relayMemory/2 {
		t.Errorf("the relay needs %.1f MiB, more than half of its limit", mib(peak))
	}
}

func mib(kib int) float64 { return float64(kib) / 1024 }

// memory returns a line of a process's status, in KiB.
func memory(t *testing.T, pid int, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\n"+name+":")
	kib, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return kib
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting: %s", what)
		}
	}
}
