package server_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

func closed(c *ssh.Client) <-chan time.Time {
	ended := make(chan time.Time, 1)
	go func() {
		_ = c.Wait()
		ended <- time.Now()
	}()
	return ended
}

func create(t *testing.T, files *sftp.Client, name string) *sftp.File {
	t.Helper()
	f, err := files.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("some")); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDrain(t *testing.T) {
	t.Parallel()
	inTime(t, time.Second, func(soon time.Duration) bool { return drains(t, soon) })
}

// drains reports whether its steps were on time: a login within the readiness delay, and the second file before the session
// counts as idle.
func drains(t *testing.T, delay time.Duration) (ok bool) {
	t.Helper()
	const timeout, quiet = time.Minute, time.Second
	d, _ := start(t, func(dir *configtest.Dir) {
		dir.Listener.Shutdown.ReadinessDelaySeconds = int(delay / time.Second)
		dir.Listener.Shutdown.DrainTimeoutSeconds = int(timeout / time.Second)
	})
	idle := closed(d.MustDial(t, "ada", ssh.Password("secret")))
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	busy := closed(c)
	files := daemontest.StartSFTP(t, c)
	f := create(t, files, "/upload")

	begin := time.Now()
	d.Terminate()
	d.Eventually(t, "not ready", func() bool { code, _ := d.Get(t, "/readyz"); return code == http.StatusServiceUnavailable })
	if code, _ := d.Get(t, "/livez"); code != http.StatusOK || !d.Status(t).Draining {
		t.Errorf("/livez %d, %+v", code, d.Status(t))
	}
	_, err := use(d, "ada", ssh.Password("secret")) // load balancers still send some connections
	if time.Since(begin) > delay*9/10 {
		return false
	}
	if err != nil {
		t.Errorf("a login in the readiness delay: %v", err)
	}
	if at := (<-idle).Sub(begin); at < delay || at > timeout/2 {
		t.Errorf("idle session ended after %s", at)
	}
	if c, err := d.Dial("ada", ssh.Password("secret")); err == nil {
		c.Close()
		t.Error("a login after the readiness delay")
	}
	time.Sleep(quiet * 12 / 10)
	if _, err := f.Write([]byte(" more")); err != nil {
		t.Errorf("a transfer was cut off: %v", err)
	}
	if _, err := c.NewSession(); err == nil {
		t.Error("a new channel while draining")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	done := time.Now()
	// The next file of the same command.
	f, err = files.Create("/second")
	if time.Since(done) > quiet/2 {
		return false
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Errorf("the second file: %v", err)
	}
	if after := (<-busy).Sub(done); after < quiet/2 || after > timeout/2 { // by then an open file was last seen
		t.Errorf("session ended %s after its last file", after)
	}
	if err := d.Wait(t, timeout/2); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := d.WaitAudit(t, "logout", 1); got["reason"] != "shutting_down" {
		t.Errorf("audit: %v", got)
	}
	for _, transfer := range d.Audit(t, "transfer") {
		if transfer["result"] != "ok" {
			t.Errorf("audit: %v", transfer)
		}
	}
	return true
}

func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	d, _ := start(t, func(dir *configtest.Dir) { dir.Listener.Shutdown.DrainTimeoutSeconds = 1 })
	create(t, daemontest.StartSFTP(t, d.MustDial(t, "ada", ssh.Password("secret"))), "/upload")
	begin := time.Now()
	d.Terminate()
	limit := 4 * daemontest.Second() // the transfer is interrupted, and its end logged
	if err := d.Wait(t, limit); !errors.Is(err, daemon.ErrForced) {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(begin); took < time.Second {
		t.Errorf("ended after %s", took)
	}
	if got := d.WaitAudit(t, "transfer", 1); got["result"] != "aborted" || got["bytes_written"] != 4.0 {
		t.Errorf("audit: %v", got)
	}
	if got := d.WaitAudit(t, "logout", 1); got["reason"] != "drain_timeout" {
		t.Errorf("audit: %v", got)
	}
}

func TestSecondSignal(t *testing.T) {
	t.Parallel()
	d, _ := start(t, func(dir *configtest.Dir) {
		dir.Listener.Shutdown.ReadinessDelaySeconds = 30
		dir.Listener.Shutdown.DrainTimeoutSeconds = 30
	})
	create(t, daemontest.StartSFTP(t, d.MustDial(t, "ada", ssh.Password("secret"))), "/upload")
	d.Terminate()
	time.Sleep(200 * time.Millisecond)
	d.Force()
	if err := d.Wait(t, 4*daemontest.Second()); !errors.Is(err, daemon.ErrForced) {
		t.Errorf("Run: %v", err)
	}
}
