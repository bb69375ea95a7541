package server_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestStalledReader: a client that requests much and reads nothing counts as idle, even with a file open and replies pending.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.Listener.Limits.IdleTimeoutSeconds = 2 // longer than a busy machine takes from one request to the next
	if err := os.MkdirAll(dir.Home("ada"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir.Home("ada"), "big"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := daemontest.Start(t, dir)
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	ch := daemontest.OpenChannel(t, c)
	if ok, err := ch.SendRequest("subsystem", true, daemontest.Text("sftp")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	send := func(p []byte) {
		if _, err := ch.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	const initialize, open, read, handle = 1, 3, 5, 102
	send(daemontest.Packet(initialize, daemontest.Uint32(3)))
	daemontest.ReadPacket(t, ch)
	send(daemontest.Packet(open, daemontest.Uint32(1), daemontest.Text("/big"), daemontest.Uint32(1), daemontest.Uint32(0)))
	opened := daemontest.ReadPacket(t, ch)
	if opened[0] != handle {
		t.Fatalf("open: %x", opened)
	}
	for i := range uint32(40) {
		send(daemontest.Packet(read, daemontest.Uint32(i), opened[5:], daemontest.Uint32(0), daemontest.Uint32(0), daemontest.Uint32(255<<10)))
	}
	_ = c.Wait() // does not end if the session is not idle
	if got := d.WaitAudit(t, "logout", 1); got["reason"] != "idle_timeout" {
		t.Errorf("audit: %v", got)
	}
	if got := d.WaitAudit(t, "transfer", 1); got["result"] == "ok" {
		t.Errorf("audit: %v", got)
	}
}

// TestNothingStays: everything that connections start ends with them, for every kind of connection.
func TestNothingStays(t *testing.T) { // not parallel: it counts goroutines
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.AddUser("gone", "secret")
	dir.AddUser("lost", "secret").Mounts[0] = config.Mount{Path: "/", Volume: "data", SubPath: "file/sub", Access: config.ReadWrite}
	if err := os.WriteFile(filepath.Join(dir.Volume(), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := daemontest.Start(t, dir)
	before, _ := atRest(t, d)
	for range 5 {
		c := d.MustDial(t, "ada", ssh.Password("secret"))
		files := daemontest.StartSFTP(t, c)
		create(t, files, "/left-open")
		daemontest.OpenChannel(t, c)
		c.Close()
		if c, err := d.Dial("ada", ssh.Password("wrong")); err == nil {
			c.Close()
		}
		daemontest.Connect(t, d.Addr).Close()
		lost := d.MustDial(t, "lost", ssh.Password("secret"))
		if ok, err := daemontest.OpenChannel(t, lost).SendRequest("subsystem", true, daemontest.Text("sftp")); ok || err != nil {
			t.Errorf("a directory that cannot be opened: %v, %v", ok, err)
		}
		lost.Close()
	}
	revoked := d.MustDial(t, "gone", ssh.Password("secret"))
	daemontest.StartSFTP(t, revoked)
	dir.Remove("gone")
	d.Reload(t, dir)
	_ = revoked.Wait()
	d.Eventually(t, "all goroutines have ended", func() bool {
		_, metrics := d.Get(t, "/metrics")
		return strings.Contains(metrics, "sftpd_connections 0\n") && strings.Contains(metrics, "sftpd_sessions 0\n") &&
			runtime.NumGoroutine() <= before
	})
	if !strings.Contains(d.Log(), "cannot open a user's directories") || strings.Contains(d.RawAudit(), dir.Volume()) {
		t.Errorf("log: %s\naudit: %s", d.Log(), d.RawAudit())
	}
}
