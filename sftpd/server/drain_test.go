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
	d, _ := start(t, func(dir *configtest.Dir) {
		dir.Listener.Shutdown.ReadinessDelaySeconds = 1
		dir.Listener.Shutdown.DrainTimeoutSeconds = 20
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
	daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.Password("secret"))) // load balancers still send some
	if at := (<-idle).Sub(begin); at < 900*time.Millisecond || at > 4*time.Second {
		t.Errorf("idle session ended after %s", at)
	}
	if c, err := d.Dial("ada", ssh.Password("secret")); err == nil {
		c.Close()
		t.Error("a login after the readiness delay")
	}
	time.Sleep(1200 * time.Millisecond)
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
	f = create(t, files, "/second")
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if after := (<-busy).Sub(done); after < 900*time.Millisecond || after > 5*time.Second {
		t.Errorf("session ended %s after its last file", after)
	}
	if err := d.Wait(t, 5*time.Second); err != nil {
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
}

func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	d, _ := start(t, func(dir *configtest.Dir) { dir.Listener.Shutdown.DrainTimeoutSeconds = 1 })
	create(t, daemontest.StartSFTP(t, d.MustDial(t, "ada", ssh.Password("secret"))), "/upload")
	begin := time.Now()
	d.Terminate()
	if err := d.Wait(t, 5*time.Second); !errors.Is(err, daemon.ErrForced) {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(begin); took < time.Second || took > 4*time.Second {
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
	begin := time.Now()
	d.Force()
	if err := d.Wait(t, 5*time.Second); !errors.Is(err, daemon.ErrForced) {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("ended after %s", took)
	}
}
