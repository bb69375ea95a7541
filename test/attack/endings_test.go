package attack

import (
	"net/http"
	"syscall"
	"testing"
	"time"
)

// TestSecondSignal: the first SIGTERM starts the grace period, in which the session continues, and the second one ends
// the process at once, with the transfer's last line in the log.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	dir := patient(t)
	dir.Listener.Shutdown.ReadinessDelaySeconds, dir.Listener.Shutdown.DrainTimeoutSeconds = 60, 120
	d := start(t, dir)
	w := newWriter(t, d, "stays")
	d.Terminate()
	d.Eventually(t, "not ready", func() bool { code, _ := d.Get(t, "/readyz"); return code == http.StatusServiceUnavailable })
	if w.over() {
		t.Error("the session ended with the first signal")
	}
	begin := time.Now()
	d.Force()
	_ = d.Wait(t, 30*time.Second) // an interrupted transfer is not a failure of the process
	t.Logf("ENDS second SIGTERM: the process ended after %s", time.Since(begin).Round(time.Millisecond))
	w.endsBy(t, "the session", time.Now().Add(soon))
	last := d.WaitAudit(t, "transfer", 1)
	if last["result"] != "aborted" || last["path"] != "/open" {
		t.Errorf("audit: %v", last)
	}
}

// TestOpenHandleShowsUp: a file that stays open is logged while it is open, so that it is on record even if the process is
// killed.
func TestOpenHandleShowsUp(t *testing.T) {
	t.Parallel()
	d := start(t, patient(t))
	begin := time.Now()
	w := newWriter(t, d, "stays")
	for len(d.Audit(t, "transfer_open")) == 0 && time.Since(begin) < time.Minute {
		time.Sleep(100 * time.Millisecond)
	}
	lines := d.Audit(t, "transfer_open")
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	written, _ := lines[0]["bytes_written"].(float64)
	if lines[0]["user"] != "stays" || lines[0]["path"] != "/open" || lines[0]["direction"] != "upload" || written == 0 {
		t.Errorf("audit: %v", lines[0])
	}
	if took := time.Since(begin); took < 10*time.Second {
		t.Errorf("a line after %s", took)
	}
	if err := syscall.Kill(d.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.endsBy(t, "the session", time.Now().Add(soon))
	if n := len(d.Audit(t, "transfer")); n != 0 {
		t.Errorf("%d transfers ended", n)
	}
}
